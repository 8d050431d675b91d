"""Mono float32 waveforms `[samples]` -> audio files (soundfile)."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np

from rosella.errors import UserError

_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)


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
    encoded = BytesIO()  # libsndfile would keep to itself why a file cannot be written
    soundfile.write(encoded, np.clip(waveform, -1, 1), sample_rate, format=format, subtype=subtype)
    try:
        path.write_bytes(encoded.getvalue())
    except OSError as error:
        raise UserError(f"Cannot write {path}: {error.strerror}.") from error
