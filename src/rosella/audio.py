"""Audio files <-> mono float32 arrays: decode (PyAV), resample (soxr), loudness, write (soundfile).

Files, local or at a URL fsspec knows (`gs://`, `s3://`), are opened here and handed to FFmpeg as file objects,
and decoded by content whatever their name. Only plain containers are allowed: playlists and whatever else would
make FFmpeg open a second file are refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rosella.errors import UserError

LOUDNESS_DBFS = -20.0
"""Level of active speech (RMS, dB relative to full scale) that codecs are given; see `normalise_loudness`."""

PEAK = 0.99
"""Largest absolute sample after loudness normalisation; louder peaks lower the gain instead of clipping."""

MAX_RATE = 768_000
_PREROLL = 1.0
"""Seconds decoded before a span so that lossy decoders have settled where it begins."""

_MISSING = 0.05
"""Seconds a span may come out short of what was asked (container rounding) before it counts as truncated."""

_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,eac3,flac,flv,matroska,webm,mov,mp4,m4a,mp3,mpeg,mpegts,ogg,"
    "tta,w64,wav,wv"
)
_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
_INTEGER_SCALE = {"uint8": 128.0, "int16": 2.0**15, "int32": 2.0**31, "int64": 2.0**63}


@dataclass(frozen=True)
class AudioInfo:
    """Facts of an audio file: duration in seconds (of what can be read), rate in Hz, container format."""

    duration: float
    sample_rate: int
    channels: int
    format: str


@dataclass
class _Stream:
    container: Any
    stream: Any
    name: str
    rate: int
    channels: int
    origin: float
    """Presentation time of the first sample, seconds; encoder delay makes it differ from zero."""
    first: Any
    """The first frame, already decoded. Seeking back to it would lose what the container says to skip."""


def open_source(source: str | Path) -> BinaryIO:
    """Open a file or URL for reading; a UserError says why that cannot be done."""
    return _open_url(source) if isinstance(source, str) and is_url(source) else _open_file(Path(source))


def is_url(path: str) -> bool:
    return "://" in path


def probe(source: str | Path | BinaryIO) -> AudioInfo:
    """Read every packet (without decoding), so the duration is what there is, not what a header claims."""
    with _open(source) as audio:
        end = audio.origin + audio.first.samples / audio.rate
        for packet in _packets(audio):
            if packet.pts is not None:
                length = (packet.duration or 0) * packet.time_base
                end = max(end, float(packet.pts * packet.time_base + length))
        return AudioInfo(end - audio.origin, audio.rate, audio.channels, audio.container.format.name)


def decode(
    source: str | Path | BinaryIO,
    sample_rate: int | None = None,
    start: float = 0.0,
    end: float | None = None,
) -> np.ndarray:
    """Decode `start` to `end` (seconds) as mono float32 `[samples]` at `sample_rate` (default: its own).

    Only the span is decoded. A UserError says why a file cannot be read, holds NaN, or ends before `end`.
    """
    with _open(source) as audio:
        waveform, rate = _span(audio, start, end), audio.rate
    if waveform is None:  # the seek landed behind the span: read from the beginning
        with _open(source) as audio:
            waveform = _span(audio, start, end, seek=False)
    assert waveform is not None
    return waveform if sample_rate is None else resample(waveform, rate, sample_rate)


def blocks(source: str | Path | BinaryIO, sample_rate: int, seconds: float = 30.0) -> Iterator[np.ndarray]:
    """Decode a whole file as mono float32 blocks `[samples]` at `sample_rate`, each of `seconds` but the last.

    Memory does not depend on the file's length. Errors are those of `decode`.
    """
    size, pieces, held = round(seconds * sample_rate), [], 0
    for piece in _resampled(source, sample_rate):
        pieces.append(piece)
        held += len(piece)
        while held >= size:
            whole = np.concatenate(pieces)
            yield whole[:size]
            pieces, held = [whole[size:]], held - size
    if held:
        yield np.concatenate(pieces)


def _resampled(source: str | Path | BinaryIO, sample_rate: int) -> Iterator[np.ndarray]:
    import soxr

    with _open(source) as audio:
        stream = soxr.ResampleStream(audio.rate, sample_rate, 1, dtype="float32")
        for frame in chain([audio.first], _frames(audio)):
            samples = _mono(frame, audio)
            _check_finite(audio, samples)
            yield stream.resample_chunk(samples)
        yield stream.resample_chunk(np.empty(0, np.float32), last=True)


def resample(waveform: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Resample mono float32 `[samples]` with soxr (HQ)."""
    if from_rate == to_rate:
        return waveform
    import soxr

    return soxr.resample(waveform, from_rate, to_rate).astype(np.float32, copy=False)


def speech_level(waveform: np.ndarray, sample_rate: int) -> float:
    """RMS in dBFS of the active parts: 50 ms blocks within 30 dB of the loudest; -inf for silence."""
    block = max(1, sample_rate // 20)
    padded = np.pad(waveform.astype(np.float64), (0, -len(waveform) % block))
    power = np.mean(padded.reshape(-1, block) ** 2, axis=1)
    active = power[power > power.max() * 1e-3]
    return 10 * math.log10(active.mean()) if len(active) else -math.inf


def normalise_loudness(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Scale speech to `LOUDNESS_DBFS`, less where a peak would exceed `PEAK`. Silence stays as it is."""
    level = speech_level(waveform, sample_rate)
    if level == -math.inf:
        return waveform
    gain = min(10 ** ((LOUDNESS_DBFS - level) / 20), PEAK / float(np.abs(waveform).max()))
    return (waveform * gain).astype(np.float32)


def write(path: str | Path, waveform: np.ndarray, sample_rate: int) -> None:
    """Write mono float32 `[samples]` as .wav (16 bit), .flac, or .ogg / .opus (Opus)."""
    import soundfile

    path = Path(path)
    kinds = {
        ".wav": ("WAV", "PCM_16"),
        ".flac": ("FLAC", "PCM_16"),
        ".ogg": ("OGG", "OPUS"),
        ".opus": ("OGG", "OPUS"),
    }
    if path.suffix.lower() not in kinds:
        raise UserError(f"Cannot write {path}: name it .wav, .flac, .ogg or .opus.")
    format, subtype = kinds[path.suffix.lower()]
    if subtype == "OPUS" and sample_rate not in _OPUS_RATES:
        raise UserError(f"Opus cannot hold {sample_rate} Hz: name {path} .wav or .flac instead.")
    if not path.parent.is_dir():
        raise UserError(f"Cannot write {path}: the folder {path.parent} does not exist.")
    try:
        soundfile.write(path, np.clip(waveform, -1, 1), sample_rate, format=format, subtype=subtype)
    except (OSError, soundfile.LibsndfileError) as error:
        raise UserError(f"Cannot write {path}: {error}") from error


@contextmanager
def _open(source: str | Path | BinaryIO) -> Iterator[_Stream]:
    if isinstance(source, str | Path):
        with open_source(source) as file, _container(file, str(source)) as audio:
            yield audio
    else:
        with _container(source, str(getattr(source, "name", None) or "The audio")) as audio:
            yield audio


@contextmanager
def _container(source: BinaryIO, name: str) -> Iterator[_Stream]:
    import av

    try:
        # Only the object is read: a demuxer that wants another file finds no protocol and is not on the list.
        container = av.open(source, options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "none"})
    except (av.FFmpegError, ValueError) as error:
        raise UserError(
            f"{name} is not audio that can be decoded: it is damaged, truncated or of another kind; "
            "convert it to wav, flac or mp3."
        ) from error
    with container:
        yield _first_frame(container, name)


def _open_url(url: str) -> BinaryIO:
    import fsspec

    try:
        return fsspec.open(url, "rb").open()  # type: ignore[return-value]
    except ImportError:
        raise UserError(f"{url} cannot be opened here: install rosella-tts[cloud].") from None
    except ValueError as error:
        raise UserError(f"{url} cannot be opened ({error}): check the address.") from None
    except FileNotFoundError:
        raise UserError(f"{url} does not exist: check the address.") from None
    except PermissionError as error:
        raise UserError(f"{url} cannot be opened ({error}): check your credentials for it.") from None


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


def _first_frame(container: Any, name: str) -> _Stream:
    if not container.streams.audio:
        raise UserError(f"{name} has no audio track: name a file with sound.")
    stream = container.streams.audio[0]
    stream.thread_type = "NONE"
    audio = _Stream(container, stream, name, 0, 0, 0.0, None)
    frame = audio.first = next(_frames(audio), None)
    if frame is None:
        raise UserError(f"{name} holds no audio samples: it is empty or truncated; replace the file.")
    if not 0 < frame.sample_rate <= MAX_RATE:
        raise UserError(f"{name} claims {frame.sample_rate} Hz: convert it to at most {MAX_RATE} Hz.")
    audio.rate, audio.channels = frame.sample_rate, frame.layout.nb_channels
    audio.origin = _time(frame) or 0.0
    return audio


def _packets(audio: _Stream) -> Iterator[Any]:
    """Packets up to the end, or to where a damaged container stops being readable."""
    import av

    packets = audio.container.demux(audio.stream)
    while True:
        try:
            yield next(packets)
        except (StopIteration, av.FFmpegError):
            return


def _frames(audio: _Stream) -> Iterator[Any]:
    """Decoded frames; a packet that cannot be decoded is skipped, and missed later as missing samples."""
    import av

    for packet in _packets(audio):
        try:
            yield from packet.decode()
        except av.FFmpegError:
            continue


def _time(frame: Any) -> float | None:
    return None if frame.pts is None else float(frame.pts * frame.time_base)


def _span(audio: _Stream, start: float, end: float | None, seek: bool = True) -> np.ndarray | None:
    """Decode a span at the file's own rate; None when, after a seek, the first frame lies behind `start`."""
    first, last = round(start * audio.rate), None if end is None else round(end * audio.rate)
    sought = seek and _seek(audio, audio.origin + start - _PREROLL)
    position = None if sought else 0
    parts = []
    for frame in _frames(audio) if sought else chain([audio.first], _frames(audio)):
        samples = _mono(frame, audio)
        if position is None:
            position = round(((_time(frame) or 0.0) - audio.origin) * audio.rate)
            if position > first:
                return None
        parts.append(samples[max(first - position, 0) : None if last is None else max(last - position, 0)])
        position += len(samples)
        if last is not None and position >= last:
            break
    waveform = np.concatenate(parts) if parts else np.empty(0, np.float32)
    _check(audio, waveform, start, end)
    return waveform


def _seek(audio: _Stream, target: float) -> bool:
    """Move to the last packet before `target` seconds; False where nothing was or could be moved."""
    import av

    if target <= audio.origin:
        return False
    try:
        audio.container.seek(int(target / audio.stream.time_base), stream=audio.stream)
    except av.FFmpegError:
        return False
    return True


def _check(audio: _Stream, waveform: np.ndarray, start: float, end: float | None) -> None:
    reached = start + len(waveform) / audio.rate
    if not len(waveform) or (end is not None and reached < end - _MISSING):
        raise UserError(
            f"{audio.name} ends before {start if end is None else end:.2f} s: "
            "it is damaged or truncated; replace the file."
        )
    _check_finite(audio, waveform)


def _check_finite(audio: _Stream, waveform: np.ndarray) -> None:
    if not np.isfinite(waveform).all():
        raise UserError(f"{audio.name} holds NaN or infinite samples: export it again as integer PCM.")


def _mono(frame: Any, audio: _Stream) -> np.ndarray:
    """Mean of a frame's channels as float32 `[samples]`, full scale ±1."""
    if (frame.sample_rate, frame.layout.nb_channels) != (audio.rate, audio.channels):
        raise UserError(f"{audio.name} changes its rate or channels midway: convert it to one format first.")
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, audio.channels).T
    scale = _INTEGER_SCALE.get(samples.dtype.name, 1.0)
    centre = 128.0 if samples.dtype == np.uint8 else 0.0
    return ((samples.astype(np.float32) - centre).mean(axis=0) / scale).astype(np.float32)
