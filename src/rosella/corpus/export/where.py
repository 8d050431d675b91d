"""Filters of an export: `language=nl`, `consent!=no`, `confidence>=-0.05`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rosella.errors import UserError
from rosella.records import LEAST_SURE, Recording, Utterance

FIELDS = ("language", "licence", "consent", "show", "confidence", "transcript_source", "main_speaker")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
}
_CONDITION = re.compile(r"\s*(\w+)\s*(!=|>=|<=|=)\s*(.*?)\s*")


@dataclass(frozen=True)
class Condition:
    """A field of a recording or utterance and what it is compared with."""

    field: str
    comparison: str
    value: str | float

    @classmethod
    def parse(cls, written: str) -> Condition:
        """A UserError says what a condition may be."""
        match = _CONDITION.fullmatch(written)
        if match is None or match[1] not in FIELDS:
            raise UserError(
                f"The condition {written!r} is not understood: write field=value, with one of {', '.join(FIELDS)} "
                "and one of = != >= <=."
            )
        field, comparison, value = match.groups()
        if field != "confidence":
            if comparison not in ("=", "!="):
                raise UserError(f"The condition {written!r} orders {field}, which has no order: use = or !=.")
            return cls(field, comparison, value)
        try:
            return cls(field, comparison, float(value))
        except ValueError:
            raise UserError(f"The condition {written!r} needs a number, such as confidence>=-0.05.") from None

    def holds(self, recording: Recording, utterance: Utterance) -> bool:
        """What is not known equals nothing. A transcript that came with its recording has every confidence."""
        if self.field == "confidence":
            known = utterance.confidence
            return known is None or _COMPARE[self.comparison](known, self.value)
        known = getattr(utterance, self.field, None) or getattr(recording, self.field, None)
        return _COMPARE[self.comparison](known, self.value)


KNOWN = Condition("confidence", ">=", LEAST_SURE)


def implied_conditions(conditions: Sequence[Condition]) -> list[Condition]:
    """What must be so besides the conditions: `KNOWN`, where none of them is about the same."""
    return [] if any(condition.field == KNOWN.field for condition in conditions) else [KNOWN]


def choose(
    recording: Recording, utterances: Sequence[Utterance], conditions: Sequence[Condition]
) -> list[Utterance]:
    """The utterances that fulfil all conditions."""
    return [u for u in utterances if all(condition.holds(recording, u) for condition in conditions)]
