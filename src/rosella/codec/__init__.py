"""Waveform <-> codes: one interface, two codecs (`dac` for production, `mel` small enough to train in minutes)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from rosella.errors import UserError

DAC, MEL = "dac", "rosella_mel_codec"


class Codec(Protocol):
    """A neural codec.

    `encode` takes mono float32 waveforms `[samples]` at `sample_rate` and returns `uint16 [frames, num_codebooks]` each,
    frames being samples / hop rounded up; `decode` is its inverse and returns frames x hop samples. Items of equal length
    share a batch; others never do, since padding would change their codes.
    """

    sample_rate: int
    frame_rate: float
    hop: int
    num_codebooks: int
    codebook_size: int
    fingerprint: str
    """Identifies the meaning of the codes: two codecs with one fingerprint may share shards."""

    def encode(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]: ...

    def decode(self, codes: Sequence[np.ndarray]) -> list[np.ndarray]: ...


def load_codec(name_or_path: str | Path, device: str = "cpu") -> Codec:
    """Load `mini` (embedded), a local codec directory, or a DAC by its hub name such as `descript/dac_44khz`."""
    directory = _local_directory(name_or_path)
    if directory is not None and _kind(directory) == MEL:
        from rosella.codec.mel import MelCodec

        return MelCodec.load(directory, device)
    if directory is None and str(name_or_path).count("/") != 1:
        raise UserError(
            f"There is no codec directory {name_or_path}; give a directory or a name such as descript/dac_44khz."
        )
    from rosella.codec.dac import DacCodec

    return DacCodec.load(name_or_path, device)


def _local_directory(name_or_path: str | Path) -> Path | None:
    if str(name_or_path) == "mini":
        from rosella import mini

        return mini.path("codec")
    path = Path(name_or_path)
    return path if path.is_dir() else None


def _kind(directory: Path) -> str:
    try:
        kind = json.loads((directory / "config.json").read_text())["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{directory} is not a codec: it needs a config.json that names its model_type."
        ) from error
    if kind not in (DAC, MEL):
        raise UserError(f"{directory} holds a {kind!r}, not a codec; a codec is of type {DAC!r} or {MEL!r}.")
    return kind


def in_equal_lengths(items: Sequence[np.ndarray], run, max_batch: int = 16) -> list[np.ndarray]:
    """Apply `run` (a stacked batch -> one result per row) to groups of equal length; results in the order of `items`."""
    groups: dict[int, list[int]] = {}
    for index, item in enumerate(items):
        groups.setdefault(len(item), []).append(index)
    results: list[np.ndarray] = [np.empty(0)] * len(items)
    for indices in groups.values():
        for start in range(0, len(indices), max_batch):
            chosen = indices[start : start + max_batch]
            for index, result in zip(chosen, run(np.stack([items[i] for i in chosen])), strict=True):
                results[index] = result
    return results


def padded_to_hop(waveform: np.ndarray, hop: int) -> np.ndarray:
    """Append zeros up to a multiple of the hop. Empty audio is refused: it has no frame."""
    if waveform.ndim != 1 or not len(waveform):
        raise UserError(
            f"A codec encodes mono audio of at least one sample, not an array of shape {waveform.shape}."
        )
    return np.pad(waveform.astype(np.float32), (0, -len(waveform) % hop))
