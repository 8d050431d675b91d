"""The delay pattern: codebook c of a frame comes `pattern[c]` steps after codebook 0 (arXiv 2306.05284).

Three frames of three codebooks under the pattern [0, 1, 2], one sequence row per step, from top to bottom:

    codes            sequence                 B begin, E end, P padding
    a0 b0 c0         B  B  B                  row 0 begins every codebook
    a1 b1 c1         a0 B  B
    a2 b2 c2         a1 b0 B
                     a2 b1 c0
                     E  b2 c1
                     P  E  c2
                     P  P  E

The model reads row t and predicts row t + 1. Nothing is learnt about B and P, which the pattern dictates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def apply(codes: np.ndarray, pattern: Sequence[int], bos: int, eos: int | None, pad: int) -> np.ndarray:
    """Delays codes[T, C] to a sequence int32[1 + T + 1 + max(pattern), C].

    With `eos=None` the frames are the prefix of something longer: no end is written, the result has
    1 + T + max(pattern) rows, and `pad` marks what is still to be predicted.
    """
    frames = _append_end(np.asarray(codes, np.int32), eos)
    length = 1 + len(frames) + max(pattern)
    source = np.arange(length)[:, None] - 1 - np.asarray(pattern)
    inside = (source >= 0) & (source < len(frames))
    known = np.take_along_axis(frames, np.clip(source, 0, max(len(frames) - 1, 0)), 0) if len(frames) else bos
    return np.where(inside, known, np.where(source < 0, bos, pad)).astype(np.int32)


def undo(sequence: np.ndarray, pattern: Sequence[int], eos: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes int32[T, C] of a sequence[L, C] that starts with its B row, and valid[T, C]: which are codes.

    The frames end where codebook 0 does, or where the last codebook of a frame lies beyond the sequence.
    Special ids are `eos` and above; an invalid entry reads 0.
    """
    sequence = np.asarray(sequence)
    frames = max(len(sequence) - 1 - max(pattern), 0)
    codes = np.stack([sequence[1 + d : 1 + d + frames, c] for c, d in enumerate(pattern)], axis=1).astype(
        np.int32
    )
    ended = np.flatnonzero(codes[:, 0] >= eos)
    codes = codes[: ended[0]] if len(ended) else codes
    valid = codes < eos
    return np.where(valid, codes, 0), valid


def learnable(targets: Any, bos: int, pad: int) -> Any:
    """Boolean mask, shaped like `targets` (of NumPy or JAX), of the ids that the loss counts: codes and ends."""
    return (targets != bos) & (targets != pad)


def _append_end(codes: np.ndarray, eos: int | None) -> np.ndarray:
    if eos is None:
        return codes
    return np.concatenate([codes, np.full((1, codes.shape[1]), eos, np.int32)])
