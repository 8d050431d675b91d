"""How ids are chosen, whichever framework computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

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
    steady: bool = True


Rule = Literal["confidence", "calibrated"]
Order = Literal["free", "low first"]


@dataclass(frozen=True)
class Blocks:
    """How many steps are made at once, and when the ids of such a block become known; UserError for settings out of range.

    At most `passes` passes make a block of `size` steps, and one more reads it; blocks of one are the autoregressive model.
    With `early`, ids that are as sure as that quantile of the block in its first pass become known at once. The temperature
    of codebook c is `cooling` ** c of what it is.
    """

    size: int
    passes: int = 4
    rule: Rule = "confidence"
    order: Order = "free"
    early: float | None = None
    cooling: float = 1.0

    def __post_init__(self) -> None:
        _require(
            (self.size >= 1, f"size of blocks is {self.size}: choose 1 or more steps"),
            (self.passes >= 1, f"number of passes is {self.passes}: choose 1 or more"),
            (
                self.rule in get_args(Rule),
                f"rule {self.rule!r} is unknown: choose {' or '.join(get_args(Rule))}",
            ),
            (
                self.order in get_args(Order),
                f"order {self.order!r} is unknown: choose {' or '.join(get_args(Order))}",
            ),
            (
                self.early is None or 0 < self.early < 1,
                f"early quantile is {self.early}: choose one between 0 and 1",
            ),
            (0 < self.cooling <= 1, f"cooling is {self.cooling:g}: choose more than 0 and at most 1 (none)"),
        )


@dataclass(frozen=True)
class Sampling:
    """How ids are chosen; a UserError for settings out of range.

    `guidance` of 1 is none; `temperature` 0 always takes the likeliest id; `top_k` None and `top_p` 1 hide nothing. Not
    `steady`, heads that read along see all of the text, as Transformers has it (`inference.steady`).
    """

    guidance: float = 3.0
    temperature: float = 1.0
    top_k: int | None = 50
    top_p: float = 0.95
    blocks: Blocks | None = None
    steady: bool = True

    def __post_init__(self) -> None:
        _require(
            (self.guidance >= 1, f"guidance is {self.guidance:g}: choose 1 (none) or more"),
            (self.temperature >= 0, f"temperature is {self.temperature:g}: choose 0 (greedy) or more"),
            (self.top_k is None or self.top_k >= 1, f"top-k is {self.top_k}: choose 1 or more"),
            (0 < self.top_p <= 1, f"top-p is {self.top_p:g}: choose more than 0 and at most 1 (all)"),
        )

    @property
    def at_once(self) -> int:
        """Steps that are taken together."""
        return 1 if self.blocks is None else self.blocks.size

    @property
    def filters(self) -> Filters:
        return Filters(self.guidance > 1, self.temperature == 0, self.top_k, self.top_p < 1, self.steady)

    @property
    def numbers(self) -> Numbers:
        return Numbers(*(np.float32(number) for number in (self.guidance, self.temperature, self.top_p)))


def _require(*checks: tuple[bool, str]) -> None:
    for right, sentence in checks:
        if not right:
            raise UserError(f"The {sentence}.")
