"""What every codec is: waveforms to codes and back; and what all of them need to batch and pad."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from rosella.errors import UserError

DAC, MEL = "dac", "rosella_mel_codec"
"""The types that a codec's `config.json` may name."""


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
    context: int
    """Frames on either side of one beyond which others change its samples by less than 1e-4."""
    fingerprint: str
    """Identifies the meaning of the codes: two codecs with one fingerprint may share shards."""

    def encode(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]: ...

    def decode(self, codes: Sequence[np.ndarray]) -> list[np.ndarray]: ...


def in_equal_lengths(
    items: Sequence[np.ndarray], run: Callable[[np.ndarray], np.ndarray], max_batch: int = 16
) -> list[np.ndarray]:
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
