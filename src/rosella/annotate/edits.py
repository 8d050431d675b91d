"""What a person changed of a draft, by kind, and how far two people agree on a clip."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from rosella import dialogue
from rosella.corpus.corrections.clip import ClipState
from rosella.corpus.words import words
from rosella.records import Record

MOVED = 0.05
"""Seconds by which an edge of a turn must have moved to count."""


@dataclass(frozen=True)
class Edits(Record):
    """Words substituted, inserted and deleted; stretches of words given to another `speaker`; edges moved (`times`)."""

    substituted: int = 0
    inserted: int = 0
    deleted: int = 0
    speaker: int = 0
    times: int = 0

    @property
    def errors(self) -> int:
        """What was wrong with the words: their times are none of it."""
        return self.substituted + self.inserted + self.deleted + self.speaker


@dataclass(frozen=True)
class Agreement(Record):
    """Of two people's work on a clip: word edits from one to the other and the words of the longer; seconds in which
    either says that somebody speaks, and those of them in which both say the same."""

    words: int
    edits: int
    seconds: float
    agreed: float


def edits(before: ClipState, after: ClipState) -> Edits:
    """The least edits of words that lead from one state to another, and what else they differ in."""
    from rapidfuzz.distance import Levenshtein

    old, new = spoken(before), spoken(after)
    counts = {"replace": 0, "insert": 0, "delete": 0}
    moved: list[int] = []
    for block in Levenshtein.opcodes([word for word, _ in old], [word for word, _ in new]):
        mine, theirs = range(block.src_start, block.src_end), range(block.dest_start, block.dest_end)
        if block.tag != "equal":
            counts[block.tag] += max(len(mine), len(theirs))
        if block.tag in ("equal", "replace"):
            moved += [j for i, j in zip(mine, theirs, strict=True) if old[i][1] != new[j][1]]
    stretches = len(moved) - sum(after - before == 1 for before, after in pairwise(moved))
    return Edits(counts["replace"], counts["insert"], counts["delete"], stretches, _moved(before, after))


def spoken(state: ClipState) -> list[tuple[str, str]]:
    """The words of the turns that are used, each with who says it."""
    return [
        (word, turn.speaker) for turn in state.said for word in words(turn.text) if word not in dialogue.TAGS
    ]


def agreement(first: ClipState, second: ClipState) -> Agreement:
    """How far two people heard the same; what one of them rejected has no words and nobody speaks in it."""
    from rapidfuzz.distance import Levenshtein

    one, other = ([word for word, _ in spoken(state)] if _is_kept(state) else [] for state in (first, second))
    seconds, agreed = _together(first, second)
    return Agreement(max(len(one), len(other)), Levenshtein.distance(one, other), seconds, agreed)


def _moved(before: ClipState, after: ClipState) -> int:
    """Edges of turns where there was none."""
    known = _edges(before)
    return sum(all(abs(edge - other) > MOVED for other in known) for edge in _edges(after))


def _edges(state: ClipState) -> list[float]:
    return sorted({time for turn in state.turns for time in (turn.start, turn.end)})


def _is_kept(state: ClipState) -> bool:
    return state.verdict != "rejected"


def _together(first: ClipState, second: ClipState) -> tuple[float, float]:
    seconds = agreed = 0.0
    for low, high in pairwise(sorted({*_edges(first), *_edges(second)})):
        one, other = (_speaking(state, (low + high) / 2) for state in (first, second))
        if one or other:
            seconds += high - low
            agreed += (high - low) * (one == other)
    return seconds, agreed


def _speaking(state: ClipState, moment: float) -> frozenset[str]:
    said = state.said if _is_kept(state) else ()
    return frozenset(turn.speaker for turn in said if turn.start <= moment < turn.end)
