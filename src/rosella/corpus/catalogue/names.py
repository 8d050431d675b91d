"""What people call the speakers of a recording.

A renaming holds for the names that were there when it was made: those that machines gave, which begin before all of them,
and those in corrections with lower numbers. A renaming that was undone holds for nothing; what was said in between by
the new name goes back to the old, unless two speakers had become one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rosella.corpus.catalogue.tables import CorrectionRow
from rosella.corpus.corrections.clip import ClipState
from rosella.corpus.tagging import renamed
from rosella.records import Utterance

JOINS, PARTS = "joins", "parts"
"""Of a renaming: it makes one of two speakers; it undoes that."""


@dataclass(frozen=True)
class Renaming:
    """One row of the history; `undoes` is the number of another, `merge` one of `JOINS` and `PARTS`, or None."""

    number: int
    before: str
    after: str
    undoes: int | None = None
    merge: str | None = None


@dataclass(frozen=True)
class Names:
    """The renamings of a recording, in their order."""

    renamings: tuple[Renaming, ...]

    @classmethod
    def read(cls, session: Session, recording: str) -> Self:
        row = CorrectionRow
        query = (
            sa.select(row.number, row.before, row.after, row.undoes)
            .where(row.recording == recording, row.clip.is_(None))
            .order_by(row.number)
        )
        return cls(
            tuple(
                Renaming(number, before["speaker"], after["speaker"], undoes, after.get("merge"))
                for number, before, after, undoes in session.execute(query)
            )
        )

    def now(self, name: str, since: int = 0) -> str:
        """The name of who was called `name` when the correction `since` was made."""
        for renaming in self.holding(since):
            if renaming.merge != PARTS and renaming.before == name:
                name = renaming.after
        return name

    def drafted(self, number: int) -> Callable[[str], str]:
        """What those are called now whom a machine named, and of whom the correction `number` tells by the names of then."""
        then = Names(tuple(renaming for renaming in self.renamings if renaming.number <= number))
        return lambda name: self.now(then.now(name), number)

    def state(self, state: ClipState, since: int = 0) -> ClipState:
        """A clip by the present names."""
        if not self.renamings:
            return state
        return replace(
            state, turns=tuple(replace(turn, speaker=self.now(turn.speaker, since)) for turn in state.turns)
        )

    def utterance(self, utterance: Utterance) -> Utterance:
        """What a machine made, by the present names."""
        return renamed(utterance, self.now) if self.renamings else utterance

    def holding(self, since: int = 0) -> list[Renaming]:
        """The renamings that hold for what was written before them and after `since`."""
        void: set[int] = set()
        found: list[Renaming] = []
        for renaming in reversed(self.renamings):
            if renaming.number <= since:
                break
            if renaming.number in void:
                continue
            if renaming.undoes is not None and renaming.undoes > since:
                void.add(renaming.undoes)
            else:
                found.append(renaming)
        return found[::-1]


def renamed_in(session: Session) -> list[str]:
    """The recordings in which people gave names."""
    query = sa.select(CorrectionRow.recording).where(CorrectionRow.clip.is_(None)).distinct()
    return list(session.scalars(query))
