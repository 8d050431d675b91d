"""Mono float32 waveforms `[samples]` -> audio files (soundfile)."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from io import BytesIO, FileIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rosella.errors import UserError

_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)


def write(path: str | Path, waveform: np.ndarray, sample_rate: int) -> None:
    """Write mono float32 `[samples]` as .wav (16 bit), .flac, or .ogg / .opus (Opus)."""
    import soundfile

    path, (format, subtype) = Path(path), _kind(Path(path), sample_rate)
    encoded = BytesIO()  # libsndfile would keep to itself why a file cannot be written
    soundfile.write(encoded, np.clip(waveform, -1, 1), sample_rate, format=format, subtype=subtype)
    with _named(path):
        path.write_bytes(encoded.getvalue())


def write_pieces(target: str | Path | BinaryIO, pieces: Iterable[np.ndarray], sample_rate: int) -> int:
    """Write mono float32 pieces `[samples]` as they come; returns how many samples they were.

    To a file as `write` does, growing so that it can be followed; or, to something open, as 16-bit little-endian PCM.
    """
    import soundfile

    written = 0
    if not isinstance(target, (str, Path)):
        for piece in pieces:
            target.write((np.clip(piece, -1, 1) * 32767).round().astype("<i2").tobytes())
            target.flush()
            written += len(piece)
        return written
    path, (format, subtype) = Path(target), _kind(Path(target), sample_rate)
    with _named(path), _Growing(path, "wb+") as file:
        try:
            with soundfile.SoundFile(file, "w", sample_rate, 1, subtype, format=format) as sound:
                for piece in pieces:
                    sound.write(np.clip(piece, -1, 1))
                    written += len(piece)
        except AssertionError:
            if file.fault is None:
                raise
        if file.fault is not None:
            raise file.fault
    return written


class _Growing(FileIO):
    """A file that remembers why it could not be written, which libsndfile keeps to itself."""

    fault: OSError | None = None

    def write(self, data: Any) -> int:
        view, done = memoryview(data).cast("B"), 0
        try:
            while done < len(view):
                done += super().write(view[done:])
        except OSError as error:
            self.fault = error
        return done


@contextmanager
def _named(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"Cannot write {path}: {error.strerror}.") from error


def require_writable(path: str | Path, sample_rate: int) -> None:
    """Raises UserError for what `write` and `write_pieces` could not write, before there is anything to write."""
    _kind(Path(path), sample_rate)


def _kind(path: Path, sample_rate: int) -> tuple[str, str]:
    """libsndfile's names of the container and the coding."""
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
    return format, subtype
