"""Diarization error rate: the share of spoken time that is missed, invented or given to the wrong speaker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

COLLAR = 0.25
"""Seconds on both sides of every reference boundary that are not scored (NIST's convention, Fiscus et al. 2006)."""

_STEP = 0.01

Span = tuple[float, float, str]
"""Start and end in seconds, speaker. Spans may overlap."""


class ErrorRate(NamedTuple):
    """Parts of the reference's speaker time; their sum may exceed 1."""

    missed: float
    invented: float
    confused: float

    @property
    def total(self) -> float:
        return sum(self)


def error_rate(reference: Sequence[Span], found: Sequence[Span], collar: float = COLLAR) -> ErrorRate:
    """Score `found` under the best one-to-one mapping of speakers; overlapping speech counts for each who speaks."""
    from scipy.optimize import linear_sum_assignment

    frames = round(max(end for _, end, _ in [*reference, *found]) / _STEP) + 1
    scored = np.ones(frames, bool)
    for start, end, _ in reference:
        for edge in (start, end):
            scored[max(round((edge - collar) / _STEP), 0) : max(round((edge + collar) / _STEP), 0)] = False
    truth, guess = _grid(reference, frames)[:, scored], _grid(found, frames)[:, scored]
    rows, columns = linear_sum_assignment(-(truth.astype(np.float32) @ guess.astype(np.float32).T))
    right = (truth[rows] & guess[columns]).sum(axis=0)
    spoken, said = truth.sum(axis=0), guess.sum(axis=0)
    whole = max(int(spoken.sum()), 1)
    return ErrorRate(
        missed=float(np.maximum(spoken - said, 0).sum() / whole),
        invented=float(np.maximum(said - spoken, 0).sum() / whole),
        confused=float((np.minimum(spoken, said) - right).sum() / whole),
    )


def _grid(spans: Sequence[Span], frames: int) -> np.ndarray:
    """bool `[speakers, frames]`."""
    speakers = {name: row for row, name in enumerate(dict.fromkeys(span[2] for span in spans))}
    grid = np.zeros((len(speakers), frames), bool)
    for start, end, speaker in spans:
        grid[speakers[speaker], round(start / _STEP) : round(end / _STEP)] = True
    return grid
