"""What takes the place of speech, so that a recogniser learns to write nothing, or is caught reciting."""

from __future__ import annotations

import numpy as np


def noise(seconds: float, level: float | None, chance: np.random.Generator) -> np.ndarray:
    """White noise float32 [N] at 16 kHz of a level in dBFS; None is silence."""
    samples = int(seconds * 16_000)
    if level is None:
        return np.zeros(samples, np.float32)
    return (10 ** (level / 20) * chance.standard_normal(samples)).astype(np.float32)
