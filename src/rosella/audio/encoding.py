"""Mono float32 pieces `[samples]` -> an audio file as it grows (PyAV): what can be written, and how each is coded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from rosella.errors import UserError

Marks = Mapping[str, str]
"""What a file says of itself besides its sound, by FFmpeg's names: `comment`, `date`, `encoded_by`, …"""
UNMARKED: Marks = MappingProxyType({})

_RATE = 48_000
"""Hz of what is coded with loss. MP3 and AAC hold back some two thousand samples before a first one is heard, which is the
less time the higher the rate; Opus knows no 44.1 kHz."""


class Format(NamedTuple):
    """A kind of file: its media type, FFmpeg's names of container and coding, bit/s where some are lost, and options."""

    media_type: str
    container: str
    codec: str
    bit_rate: int | None = None
    container_options: Mapping[str, str] = UNMARKED
    codec_options: Mapping[str, str] = UNMARKED


FORMATS: Mapping[str, Format] = {
    "wav": Format("audio/wav", "wav", "pcm_s16le"),
    # Blocks of 27 ms instead of 105, and no 8 KiB left free for tags.
    "flac": Format(
        "audio/flac", "flac", "flac", None, {"metadata_header_padding": "0"}, {"compression_level": "2"}
    ),
    # Pages of 20 ms instead of 1 s.
    "opus": Format("audio/ogg", "ogg", "libopus", 64_000, {"page_duration": "20000"}),
    "mp3": Format("audio/mpeg", "mp3", "libmp3lame", 96_000),
    "aac": Format("audio/aac", "adts", "aac", 96_000, {"write_id3v2": "1"}),
    "pcm": Format("audio/pcm", "s16le", "pcm_s16le"),
}
"""Mono all of them; wav, flac and pcm hold 16 bit, pcm no more than that: little-endian samples without a header."""

_SUFFIXES = {".wav": "wav", ".flac": "flac", ".ogg": "opus", ".opus": "opus", ".mp3": "mp3", ".aac": "aac"}


def format_of(path: Path) -> str:
    """The format that a file's name asks for; UserError for one that cannot be written."""
    try:
        return _SUFFIXES[path.suffix.lower()]
    except KeyError:
        *others, last = _SUFFIXES
        raise UserError(f"Cannot write {path}: name it {', '.join(others)} or {last}.") from None


class Sink(Protocol):
    """What a sound is written to; where it can also seek and tell, headers say in the end how long the sound is."""

    def write(self, data: Any, /) -> int: ...


class Writer:
    """Writes one sound piece by piece, its headers at once; close it (or leave `with`) for its end.

    What was written until then can be played.
    """

    def __init__(self, sink: Sink, format: str, sample_rate: int, marks: Marks = UNMARKED) -> None:
        import av

        kind, self._rate = FORMATS[format], sample_rate
        self._container: Any = av.open(sink, "w", format=kind.container, options=dict(kind.container_options))
        self._container.metadata.update(marks)
        rate, coding = _RATE if kind.bit_rate else sample_rate, dict(kind.codec_options)
        self._stream: Any = self._container.add_stream(kind.codec, rate=rate, layout="mono", options=coding)
        if kind.bit_rate:
            self._stream.bit_rate = kind.bit_rate
        self._container.start_encoding()

    def write(self, wave: np.ndarray) -> None:
        """The next piece, `[samples]`; what is beyond full scale is clipped. Raises OSError as the sink does."""
        import av

        if not len(wave):
            return
        samples = np.ascontiguousarray(wave, np.float32)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="flt", layout="mono")
        frame.sample_rate = self._rate
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, fault: BaseException | None, __: object) -> None:
        if not isinstance(fault, OSError):  # or nothing more can be written
            self.close()


class Encoder:
    """Pieces of one sound -> the bytes of its file, as soon as they are settled."""

    def __init__(self, format: str, sample_rate: int, marks: Marks = UNMARKED) -> None:
        """`format` is one of `FORMATS`, `sample_rate` that of the pieces in Hz."""
        self._made = _Made()
        self._writer = Writer(self._made, format, sample_rate, marks)

    def push(self, wave: np.ndarray) -> bytes:
        """The bytes, often none, that follow with these samples float32 `[samples]`; the first time with the headers."""
        self._writer.write(wave)
        return self._made.taken()

    def finish(self) -> bytes:
        """The bytes that are left once no sample is to come; also frees the memory of one that is given up."""
        self._writer.close()
        return self._made.taken()


class _Made:
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, data: Any, /) -> int:
        self._bytes += data
        return len(data)

    def taken(self) -> bytes:
        taken = bytes(self._bytes)
        self._bytes.clear()
        return taken
