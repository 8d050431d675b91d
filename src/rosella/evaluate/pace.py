"""Does the model stop, does it take its time, and how fast is it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pace:
    """`measure`'s outcome. Lengths are compared clip by clip: generated seconds / reference seconds."""

    stopped: float  # share of clips that ended by themselves before the limit, 0 to 1
    length_ratio: float  # median over the clips; 1 = as long as the person took
    length_spread: float  # median distance of a clip's ratio from 1
    frames_per_second: float  # codec frames of speech made per second of work
    real_time_factor: float  # seconds of speech made per second of work


def measure(
    stopped: Sequence[bool],
    seconds: Sequence[float],
    reference_seconds: Sequence[float],
    frame_rate: float,
    work_seconds: float,
) -> Pace:
    """Pace of generated clips of `seconds`, made in `work_seconds` in all, beside the references' lengths."""
    ratios = np.asarray(seconds) / np.asarray(reference_seconds)
    speed = float(np.sum(seconds)) / work_seconds
    return Pace(
        stopped=float(np.mean(stopped)),
        length_ratio=float(np.median(ratios)),
        length_spread=float(np.median(np.abs(ratios - 1.0))),
        frames_per_second=speed * frame_rate,
        real_time_factor=speed,
    )
