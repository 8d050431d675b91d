"""Mono float32 waveforms `[samples]` -> audio files, whole or while they are made."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

from rosella.audio.encoding import UNMARKED, Encoder, Marks, Writer, format_of
from rosella.errors import UserError


def write(path: str | Path, waveform: np.ndarray, sample_rate: int, marks: Marks = UNMARKED) -> None:
    """Write mono float32 `[samples]` in the format that the name asks for; see `encoding.FORMATS`."""
    path, encoded = Path(path), BytesIO()
    require_writable(path)
    with Writer(encoded, format_of(path), sample_rate, marks) as writer:
        writer.write(waveform)
    with _named(path):
        path.write_bytes(encoded.getvalue())


def write_pieces(
    target: str | Path | BinaryIO, pieces: Iterable[np.ndarray], sample_rate: int, marks: Marks = UNMARKED
) -> int:
    """Write mono float32 pieces `[samples]` as they come; returns how many samples they were.

    To a file as `write` does, growing so that it can be followed; or, to something open, as 16-bit little-endian PCM.
    """
    if not isinstance(target, (str, Path)):
        return _pipe(target, pieces, sample_rate)
    path, written = Path(target), 0
    require_writable(path)
    with _named(path), path.open("wb", buffering=0) as file:
        with Writer(file, format_of(path), sample_rate, marks) as writer:
            for piece in pieces:
                writer.write(piece)
                written += len(piece)
    return written


def _pipe(target: BinaryIO, pieces: Iterable[np.ndarray], sample_rate: int) -> int:
    encoder, written = Encoder("pcm", sample_rate), 0
    for piece in pieces:
        target.write(encoder.push(piece))
        target.flush()
        written += len(piece)
    target.write(encoder.finish())
    return written


@contextmanager
def _named(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"Cannot write {path}: {error.strerror}.") from error


def require_writable(path: str | Path) -> None:
    """Raises UserError for what `write` and `write_pieces` could not write, before there is anything to write."""
    path = Path(path)
    format_of(path)
    if not path.parent.is_dir():
        raise UserError(f"Cannot write {path}: the folder {path.parent} does not exist.")
