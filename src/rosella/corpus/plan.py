"""What a run would do, without doing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from rosella.corpus.catalogue.database import Database
from rosella.corpus.catalogue.tables import DONE, FAILED, PENDING, RecordingRow, StateRow
from rosella.corpus.stage import SCAN, Stage


@dataclass(frozen=True)
class Planned:
    """Recordings a stage is due for, or will be once the stages before it are done; seconds of their audio."""

    stage: str
    recordings: int
    seconds: float


def plan(database: Database, stages: Sequence[Stage]) -> list[Planned]:
    """The work of a run by stage, at most: what an earlier stage finds just as before leaves later ones done."""
    with database.session() as session:
        counted = []
        ahead: list[sa.ColumnElement[bool]] = []
        for stage in stages:
            ahead.append(~_finished(stage))
            query = (
                sa.select(sa.func.count(), sa.func.sum(RecordingRow.duration))
                .where(_state(SCAN).where(StateRow.state == DONE).exists(), sa.or_(*ahead))
                .where(*(~_failed(before) for before in stages[: len(ahead)]))
            )
            recordings, seconds = session.execute(query).one()
            counted.append(Planned(stage.name, recordings, float(seconds or 0)))
        return counted


def _state(stage: str) -> sa.Select[str]:
    return sa.select(StateRow.recording).where(StateRow.recording == RecordingRow.id, StateRow.stage == stage)


def _finished(stage: Stage) -> sa.Exists:
    return _state(stage.name).where(StateRow.state != PENDING, StateRow.version == stage.version).exists()


def _failed(stage: Stage) -> sa.Exists:
    """Not tried again by this version, so that nothing follows either."""
    return _state(stage.name).where(StateRow.state == FAILED, StateRow.version == stage.version).exists()
