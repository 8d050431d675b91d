"""Audio files -> mono float32 arrays (PyAV).

Files, local or at a URL fsspec knows (`gs://`, `s3://`), are opened here and handed to FFmpeg as file objects,
and decoded by content whatever their name.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np

from rosella.audio import container
from rosella.audio.signal import at_rate
from rosella.errors import UserError
from rosella.records import OneChannel

_PREROLL = 1.0
"""Seconds decoded before a span so that lossy decoders have settled where it begins."""

_MISSING = 0.05
"""Seconds a span may come out short of what was asked (container rounding) before it counts as truncated."""

_BACK = 1.0
"""Seconds by which the times in a file may run backwards, as those of badly made ones do a little."""

_CUT_SHORT = 0.5
"""Seconds by which a file may be shorter than it announces, which encoders round or fill up."""


@dataclass(frozen=True)
class AudioInfo:
    """Facts of an audio file: duration in seconds (of what can be read), rate in Hz, container format.

    `channel` is the one to hear, where the mean of all would be next to nothing.
    """

    duration: float
    sample_rate: int
    channels: int
    format: str
    channel: int | None = None

    def heard(self, path: str | PathLike[str]) -> str | PathLike[str]:
        """What the file's sound is decoded from."""
        return path if self.channel is None else OneChannel(str(path), self.channel)


def open_source(source: str | PathLike[str]) -> BinaryIO:
    """Open a file or URL for reading; a UserError says why that cannot be done."""
    return _open_url(source) if isinstance(source, str) and is_url(source) else _open_file(Path(source))


def is_url(path: str) -> bool:
    return "://" in path


def probe(source: str | PathLike[str] | BinaryIO) -> AudioInfo:
    """Read every packet (and decode a few), so the duration is what there is, not what a header claims.

    A UserError says why it cannot be used, also where it is truncated or several files in one.
    """
    with _open(source) as audio:
        end, levels = audio.origin + audio.first.samples / audio.rate, container.Levels(audio)
        last = None
        for packet in container.packets(audio):
            if packet.pts is not None:
                length, start = (packet.duration or 0) * packet.time_base, packet.pts * packet.time_base
                if start < end - _BACK:
                    raise UserError(
                        f"{audio.name} is several recordings in one file, its times begin anew after "
                        f"{end - audio.origin:.1f} s: convert it to one (ffmpeg -i IN OUT.flac), or take it apart."
                    )
                end = max(end, float(start + length))
            levels.hear(packet, end)
            last = packet if packet.size else last
        _check_whole(audio, last, end - audio.origin)
        kind = audio.container.format.name
        return AudioInfo(end - audio.origin, audio.rate, audio.channels, kind, levels.alone())


def _check_whole(audio: container.Stream, last: Any, seconds: float) -> None:
    """Refuse a file that says itself that there was more of it; `last` is its last packet."""
    announced = container.announced(audio)
    if announced is not None and seconds < announced - _CUT_SHORT:
        found = f"announces {announced:.1f} s and holds {seconds:.1f} s"
    elif container.broken_off(audio, last):
        found = "breaks off within a frame"
    else:
        return
    raise UserError(
        f"{audio.name} {found}: it is truncated; replace the file, or convert it anew if there is no more of it."
    )


def decode(
    source: str | PathLike[str] | BinaryIO,
    sample_rate: int | None = None,
    start: float = 0.0,
    end: float | None = None,
) -> np.ndarray:
    """Decode `start` to `end` (seconds) as mono float32 `[samples]` at `sample_rate` (default: its own).

    Only the span is decoded. A UserError says why a file cannot be read, holds NaN, or ends before `end`.
    """
    with Reader(source) as reader:
        return reader.decode(sample_rate, start, end)


class Reader:
    """Spans of one file, which stays open between them; for one thread at a time.

    FFmpeg finds a place in a file without an index (MP3) by walking there, once for each time the file is opened.
    """

    def __init__(self, source: str | PathLike[str] | BinaryIO) -> None:
        self._source, self._opened = source, ExitStack()
        self._audio: container.Stream | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def decode(
        self, sample_rate: int | None = None, start: float = 0.0, end: float | None = None
    ) -> np.ndarray:
        """What `decode` gives and raises for this file; spans may come in any order, in ascending order fastest."""
        audio, frames, position = self._sought(start) or self._from_the_beginning()
        pieces = _finite(audio, _span(audio, frames, position, start, end))
        return np.concatenate(list(at_rate(pieces, audio.rate, sample_rate or audio.rate)))

    def _sought(self, start: float) -> tuple[container.Stream, Iterator[Any], int] | None:
        """Frames from a little before `start` on, with the position of their first sample; None where a seek is
        impossible or lands behind it."""
        if start <= _PREROLL:
            return None
        audio = self._audio or self._open()
        if not container.seek(audio, audio.origin + start - _PREROLL):
            return None
        frames = container.frames(audio)
        head = next(frames, None)
        if head is None:
            return audio, frames, 0
        position = round(((container.time_of(head) or 0.0) - audio.origin) * audio.rate)
        return None if position > round(start * audio.rate) else (audio, chain([head], frames), position)

    def _from_the_beginning(self) -> tuple[container.Stream, Iterator[Any], int]:
        audio = self._open()
        return audio, chain([audio.first], container.frames(audio)), 0

    def _open(self) -> container.Stream:
        self._audio = None
        self._opened.close()
        self._audio = self._opened.enter_context(_open(self._source))
        return self._audio


def blocks(
    source: str | PathLike[str] | BinaryIO, sample_rate: int, seconds: float = 30.0
) -> Generator[np.ndarray]:
    """Decode a whole file as mono float32 blocks `[samples]` at `sample_rate`, each of `seconds` but the last.

    Memory does not depend on the file's length. Errors are those of `decode`.
    """
    size, pieces, held = round(seconds * sample_rate), [], 0
    for piece in _whole(source, sample_rate):
        pieces.append(piece)
        held += len(piece)
        while held >= size:
            whole = np.concatenate(pieces)
            yield whole[:size]
            pieces, held = [whole[size:]], held - size
    if held:
        yield np.concatenate(pieces)


def _whole(source: str | PathLike[str] | BinaryIO, sample_rate: int) -> Iterator[np.ndarray]:
    with _open(source) as audio:
        frames = chain([audio.first], container.frames(audio))
        yield from at_rate(_finite(audio, container.mono(audio, frames)), audio.rate, sample_rate)


@contextmanager
def _open(source: str | PathLike[str] | BinaryIO) -> Generator[container.Stream]:
    if isinstance(source, OneChannel):
        with _open(source.path) as audio:
            audio.channel = source.channel
            yield audio
    elif isinstance(source, str | PathLike):
        with open_source(source) as file, container.opened(file, str(source)) as audio:
            yield audio
    else:
        with container.opened(source, str(getattr(source, "name", None) or "The audio")) as audio:
            yield audio


def _open_url(url: str) -> BinaryIO:
    import fsspec

    try:
        return fsspec.open(url, "rb").open()  # type: ignore[return-value]
    except ImportError:
        raise UserError(f"{url} cannot be opened here: install rosella-tts[cloud].") from None
    except FileNotFoundError:
        raise UserError(f"{url} does not exist: check the address.") from None
    except Exception as error:  # every store's library has errors of its own
        raise UserError(
            f"{url} cannot be opened ({error}): check the address, your credentials and the connection."
        ) from None


def _open_file(path: Path) -> BinaryIO:
    if path.is_dir():
        raise UserError(f"{path} is a folder, not an audio file: name the file.")
    if not path.exists():
        raise UserError(f"{path} does not exist: check the path.")
    if not path.is_file():
        raise UserError(f"{path} is not a regular file: copy the audio into one.")
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty (0 bytes): replace the file.")
    try:
        return path.open("rb")
    except OSError as error:
        raise UserError(f"{path} cannot be opened ({error.strerror}): check its permissions.") from error


def _span(
    audio: container.Stream, frames: Iterator[Any], position: int, start: float, end: float | None
) -> Iterator[np.ndarray]:
    """Cut a span, at the file's own rate, out of frames of which the first begins at sample `position`."""
    first, last = round(start * audio.rate), None if end is None else round(end * audio.rate)
    needed = container.until(frames, math.inf if last is None else last - position)
    reached = first
    for samples in container.mono(audio, needed):
        piece = samples[max(first - position, 0) : None if last is None else max(last - position, 0)]
        position += len(samples)
        reached += len(piece)
        yield piece
    if reached == first or (end is not None and reached / audio.rate < end - _MISSING):
        raise UserError(
            f"{audio.name} ends before {start if end is None else end:.2f} s: "
            "it is damaged or truncated; replace the file."
        )


def _finite(audio: container.Stream, pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for samples in pieces:
        if not np.isfinite(samples).all():
            raise UserError(f"{audio.name} holds NaN or infinite samples: export it again as integer PCM.")
        yield samples
