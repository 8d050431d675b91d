"""How ids are chosen, whichever framework computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rosella.errors import UserError


class Numbers(NamedTuple):
    """Settings that may change without compiling again; float32, of NumPy or of the framework that computes."""

    guidance: Any
    temperature: Any
    top_p: Any


class Filters(NamedTuple):
    """Which of the filters are used at all; each combination is compiled by itself."""

    guided: bool
    greedy: bool
    top_k: int | None
    top_p: bool


@dataclass(frozen=True)
class Sampling:
    """How ids are chosen; a UserError for settings out of range.

    `guidance` of 1 is none; `temperature` 0 always takes the likeliest id; `top_k` None and `top_p` 1 hide nothing.
    """

    guidance: float = 3.0
    temperature: float = 1.0
    top_k: int | None = 50
    top_p: float = 0.95

    def __post_init__(self) -> None:
        for right, sentence in (
            (self.guidance >= 1, f"guidance is {self.guidance:g}: choose 1 (none) or more"),
            (self.temperature >= 0, f"temperature is {self.temperature:g}: choose 0 (greedy) or more"),
            (self.top_k is None or self.top_k >= 1, f"top-k is {self.top_k}: choose 1 or more"),
            (0 < self.top_p <= 1, f"top-p is {self.top_p:g}: choose more than 0 and at most 1 (all)"),
        ):
            if not right:
                raise UserError(f"The {sentence}.")

    @property
    def filters(self) -> Filters:
        return Filters(self.guidance > 1, self.temperature == 0, self.top_k, self.top_p < 1)

    @property
    def numbers(self) -> Numbers:
        return Numbers(*(np.float32(number) for number in (self.guidance, self.temperature, self.top_p)))
