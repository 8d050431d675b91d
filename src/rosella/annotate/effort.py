"""How long a person works on a clip: so many seconds for each of its length, each error in it, and each clip.

A ridge regression, brought up to date with every clip that the person accepts. Before the first it goes by what
transcribers take: 1.2 x its length for a clip that is only heard, 4 x for one with a fifth of its words wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

PRIOR = np.array([1.2, 5.6, 0.0])
"""Seconds of work for a second of audio, for an error (at 2.5 words a second, 2.8 x more for one in five), for a clip."""

SPREAD = np.array([0.4, 4.0, 3.0])
"""How far people are from that: standard deviations."""

NOISE = 0.8
"""Standard deviation of the work on a clip, in its lengths."""

KEPT = 0.98
"""What a clip still counts after each later one: people become faster, and tired."""

INTERRUPTED = 4.0
"""Work that took so many times what was expected, or of the clip's length, was interrupted by something else."""


@dataclass(frozen=True)
class Effort:
    """What is known of a person's work, from `clips` of it: sums over them of `x xᵀ` and of `x y`.

    x is (length, errors, 1) and y the seconds of work, both over the length, so that a long clip counts no more than
    a short one.
    """

    clips: int = 0
    squares: np.ndarray = field(default_factory=lambda: np.zeros((3, 3)))
    products: np.ndarray = field(default_factory=lambda: np.zeros(3))

    @property
    def weights(self) -> np.ndarray:
        """Seconds for a second of audio, for an error, for a clip; none of them below 0."""
        from scipy.optimize import nnls

        precision = np.diag((NOISE / SPREAD) ** 2)
        root = np.linalg.cholesky(precision + self.squares)
        return nnls(root.T, np.linalg.solve(root, precision @ PRIOR + self.products))[0]

    def seconds(self, length: Any, errors: Any) -> Any:
        """Expected seconds of work on clips (numbers or arrays); no less than their length at double speed."""
        listening, correcting, opening = self.weights
        return np.maximum(listening * length + correcting * errors + opening, length / 2)

    def learn(self, length: float, errors: float, seconds: float) -> Effort:
        """With one more clip of so many seconds and errors, and the seconds of work on it."""
        expected = max(float(self.seconds(length, errors)), length)
        x = np.array([length, errors, 1.0]) / length
        y = min(seconds, INTERRUPTED * expected) / length
        return Effort(self.clips + 1, KEPT * self.squares + np.outer(x, x), KEPT * self.products + x * y)

    def to_dict(self) -> dict[str, Any]:
        return {"clips": self.clips, "squares": self.squares.tolist(), "products": self.products.tolist()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        return cls(values["clips"], np.array(values["squares"]), np.array(values["products"]))
