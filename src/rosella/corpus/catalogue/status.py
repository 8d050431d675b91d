"""How far the work on a catalogue is: totals, stages, rejects and failures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rosella.corpus.catalogue.models import DONE, FAILED, RecordingRow, RejectRow, StateRow, UtteranceRow
from rosella.corpus.where import LEAST_SURE


@dataclass
class Status:
    """Totals of a catalogue; times in seconds. `failed` lists path, stage and reason.

    Of `transcribed` utterances, those a recogniser wrote, `doubtful` ones do not fulfil `where.KNOWN`.
    `stages` counts recordings by stage and state, `stage_seconds` the audio of those that came to an end in a stage.
    """

    recordings: int = 0
    seconds: float = 0.0
    utterances: int = 0
    utterance_seconds: float = 0.0
    transcribed: int = 0
    doubtful: int = 0
    doubtful_seconds: float = 0.0
    stages: dict[str, dict[str, int]] = field(default_factory=dict)
    stage_seconds: dict[str, float] = field(default_factory=dict)
    rejects: dict[str, int] = field(default_factory=dict)
    failed: list[dict[str, str]] = field(default_factory=list)


def read_status(session: Session, stages: Sequence[str]) -> Status:
    """The status as of a transaction."""
    status = Status(failed=failures(session, stages), stages={stage: {} for stage in stages})
    status.stage_seconds = dict.fromkeys(stages, 0.0)
    count = sa.select(sa.func.count(), sa.func.sum(RecordingRow.duration))
    status.recordings, seconds = session.execute(count.select_from(RecordingRow)).one()
    length = sa.func.sum(UtteranceRow.end - UtteranceRow.start)
    query = sa.select(sa.func.count(), length).select_from(UtteranceRow)
    status.utterances, spoken = session.execute(query).one()
    status.seconds, status.utterance_seconds = float(seconds or 0), float(spoken or 0)
    status.transcribed, status.doubtful, doubtful = session.execute(_doubt()).one()
    status.doubtful_seconds = float(doubtful or 0)
    for stage, state, number, audio in session.execute(_by_state()):
        status.stages[stage][state] = number
        status.stage_seconds[stage] += float(audio) if state in (DONE, FAILED) else 0.0
    number = sa.func.count().label("number")
    kinds = sa.select(RejectRow.kind, number).group_by(RejectRow.kind).order_by(number.desc())
    status.rejects = {row.kind: row.number for row in session.execute(kinds)}
    return status


def failures(session: Session, stages: Sequence[str]) -> list[dict[str, str]]:
    """Recording id, path, stage and reason of everything that failed."""
    query = (
        sa.select(RecordingRow.id, RecordingRow.path, StateRow.stage, StateRow.reason)
        .join(StateRow, StateRow.recording == RecordingRow.id)
        .where(StateRow.stage.in_(stages), StateRow.state == FAILED)
        .order_by(RecordingRow.path)
    )
    return [
        {"recording": id, "path": path, "stage": stage, "reason": reason or ""}
        for id, path, stage, reason in session.execute(query)
    ]


def _doubt() -> sa.Select[int, int, float]:
    """How many utterances a recogniser wrote, how many of these it guessed, and their seconds; from an index alone."""
    guessed = UtteranceRow.confidence < LEAST_SURE
    length = sa.func.sum(UtteranceRow.end - UtteranceRow.start)
    return sa.select(sa.func.count(), sa.func.count().filter(guessed), length.filter(guessed)).where(
        UtteranceRow.confidence.is_not(None)
    )


def _by_state() -> sa.Select[str, str, int, float]:
    """Stage, state, number of recordings and their seconds."""
    return (
        sa.select(StateRow.stage, StateRow.state, sa.func.count(), sa.func.sum(RecordingRow.duration))
        .join(RecordingRow, RecordingRow.id == StateRow.recording)
        .group_by(StateRow.stage, StateRow.state)
    )
