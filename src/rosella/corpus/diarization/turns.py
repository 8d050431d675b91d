"""Who speaks when: what a diarizer takes and gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import NamedTuple, Protocol

import numpy as np


class SpeakerTurn(NamedTuple):
    """One speaker from `start` to `end`, seconds."""

    start: float
    end: float
    speaker: str


@dataclass(frozen=True)
class Diarization:
    """Turns in order of time, none overlapping another; speakers are "A", "B", … by first appearance."""

    turns: list[SpeakerTurn] = field(default_factory=list)
    overlaps: list[tuple[float, float]] = field(default_factory=list)
    """Where two speak at once, start and end in seconds; the turns there are the one voice that dominates."""
    embeddings: dict[str, np.ndarray] = field(default_factory=dict)
    """By speaker: float32 `[D]` of unit length, comparable with those of the same diarizer's version."""


class Diarizer(Protocol):
    """What the diarize stage needs. A UserError says why a file cannot be read."""

    @property
    def version(self) -> str: ...
    def diarize(self, path: str | PathLike[str]) -> Diarization: ...
    def embed(self, path: str | PathLike[str], turns: Sequence[SpeakerTurn]) -> dict[str, np.ndarray]:
        """Embeddings, as in `Diarization`, of speakers whose turns are known; those it cannot tell are left out."""
        ...


def speaker_name(number: int) -> str:
    """0 → "A", 25 → "Z", 26 → "AA", as spreadsheets count."""
    letters = ""
    while number >= 0:
        letters = chr(ord("A") + number % 26) + letters
        number = number // 26 - 1
    return letters
