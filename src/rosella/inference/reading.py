"""Where in its text a finished speech is: what heads of cross-attention look at, followed from left to right.

Of each layer the head that looks at the fewest places is asked, since only such heads read along; which these are differs
from model to model. After the idea of Whisper's word times (github.com/openai/whisper), whose heads are fixed.

Axes: T steps, S text bytes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

READERS = 3
"""So many heads are believed, of all layers those that read along best."""
STRIDE = 2
"""Bytes that a frame goes on, at most."""
LEAST = 1e-4
"""What a head is taken to look at a byte that it does not look at, so that no way is impossible."""
BACK, AHEAD = 6, 12
"""Bytes before the one that is being said, and behind it, which heads that read along may look at (`steady`)."""


class Followed(NamedTuple):
    """The byte that each frame says, never an earlier one than before, and the share of what heads look at that is on it."""

    places: np.ndarray  # int32 [frames]
    shares: np.ndarray  # float32 [frames], 0 to 1


def read_along(looks: np.ndarray) -> Followed:
    """The path through what heads [heads, T, S] look at, each row at most 1, that most of it lies on."""
    on_path = [
        head[np.arange(len(head)), path].mean() for head, path in zip(looks, _paths(looks), strict=True)
    ]
    believed = looks[np.argsort(on_path)[-READERS:]].mean(axis=0)
    (path,) = _paths(believed[None])
    return Followed(path, believed[np.arange(len(path)), path])


def _paths(looks: np.ndarray) -> np.ndarray:
    """The best way through each of [heads, T, S] that stays or goes on by up to `STRIDE` bytes a step: int32 [heads, T]."""
    scores = np.log(looks + LEAST)
    heads, steps, width = scores.shape
    moves = np.zeros((steps, heads, width), np.int32)
    total = scores[:, 0]
    for step in range(1, steps):
        padded = np.pad(total, ((0, 0), (STRIDE, 0)), constant_values=-np.inf)
        came = np.stack([padded[:, STRIDE - by :][:, :width] for by in range(STRIDE + 1)])
        moves[step] = came.argmax(axis=0)
        total = came.max(axis=0) + scores[:, step]
    paths = np.empty((heads, steps), np.int32)
    paths[:, -1] = total.argmax(axis=1)
    for step in range(steps - 1, 0, -1):
        paths[:, step - 1] = paths[:, step] - moves[step, np.arange(heads), paths[:, step]]
    return paths
