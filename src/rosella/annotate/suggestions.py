"""Corrections of a word, offered again where the word stands as it stood."""

from __future__ import annotations

import re
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from rosella.corpus.catalogue import corrections
from rosella.corpus.catalogue.corrections import Correction
from rosella.corpus.catalogue.database import Database
from rosella.corpus.corrections.clip import ACCEPTED, ClipState

_EDGES = ".,;:?!…\"“”„'‘’()[]"
_EVENT = re.compile(r"\([^)]*\)")


@dataclass(frozen=True)
class Suggestion:
    """In a turn, by its number from 0, `word` was elsewhere corrected to `better`, so many times."""

    turn: int
    word: str
    better: str
    times: int

    def to_dict(self) -> dict[str, Any]:
        return {"turn": self.turn, "from": self.word, "to": self.better, "times": self.times}


class Suggestions:
    """Learned from the history, which is read once and then as it grows."""

    def __init__(self, database: Database) -> None:
        self._database, self._newest, self._lock = database, 0, threading.Lock()
        self._better: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._left = Counter[str]()

    def of(self, state: ClipState) -> list[Suggestion]:
        """For each word of a clip the correction that it had most often, unless the word was left, or put back, as often."""
        self._learn()
        found = {
            Suggestion(number, word, *best)
            for number, turn in enumerate(state.turns)
            for word in _words(turn.text)
            if (best := self._best(word))
        }
        return sorted(found, key=lambda each: (each.turn, -each.times, each.word))

    def _best(self, word: str) -> tuple[str, int] | None:
        better = self._better.get(word)
        if not better:
            return None
        ((best, times),) = better.most_common(1)
        return (best, times) if times > self._left[word] + self._better.get(best, Counter())[word] else None

    def _learn(self) -> None:
        with self._lock:
            for row in corrections.history(self._database, since=self._newest):
                self._newest = row.number
                if row.clip is not None:
                    self._add(row)

    def _add(self, row: Correction) -> None:
        undone = row.action == "undo"
        states = (row.after, row.before) if undone else (row.before, row.after)
        before, after = map(ClipState.from_dict, states)
        counts, judged = -1 if undone else 1, after.verdict == ACCEPTED != before.verdict
        for word, better in _pairs(before, after):
            if word != better:
                self._better[word][better] += counts
            elif judged:
                self._left[word] += counts


def _pairs(before: ClipState, after: ClipState) -> Iterator[tuple[str, str]]:
    """Words, and those that stand in their places."""
    old, new = ([word for turn in state.turns for word in _words(turn.text)] for state in (before, after))
    for _, low, high, start, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if high - low == end - start:
            yield from zip(old[low:high], new[start:end], strict=True)


def _words(text: str) -> list[str]:
    """As they are written, without the punctuation around them and without events."""
    return [word for part in _EVENT.sub(" ", text).split() if (word := part.strip(_EDGES))]
