"""Recordings to train a codec on, or to judge one by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rosella.audio import decode, normalise_loudness
from rosella.errors import UserError

AUDIO_SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a"}


def read_recordings(paths: Sequence[Path], sample_rate: int) -> tuple[list[np.ndarray], list[str]]:
    """Decode files, and the audio files below folders, to mono at `sample_rate` and the loudness codecs are given.

    Files that cannot be decoded are left out, with a sentence for each; a UserError when none is left.
    """
    files = [file for path in paths for file in _audio_files(path)]
    if not files:
        raise UserError(
            "No audio found: give files, or a folder that holds .wav, .flac, .ogg, .opus, .mp3 or .m4a."
        )
    waves, faults = [], []
    for file in files:
        try:
            waves.append(normalise_loudness(decode(file, sample_rate), sample_rate))
        except UserError as fault:
            faults.append(str(fault))
    if not waves:
        raise UserError(f"None of the {len(files)} files can be used; the first: {faults[0]}")
    return waves, faults


def _audio_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.suffix.lower() in AUDIO_SUFFIXES)
