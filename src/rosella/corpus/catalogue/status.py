"""How far the work on a catalogue is: totals, what is left of them and why, stages and failures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rosella.corpus.catalogue.tables import DONE, FAILED, RecordingRow, RejectRow, StateRow, UtteranceRow
from rosella.records import LEAST_SURE

GUESSED = "the recogniser guessed"


@dataclass(frozen=True)
class LeftOut:
    """Rejects of one kind in one stage, or what a recogniser guessed: how many spans, and their seconds."""

    stage: str
    reason: str
    spans: int
    seconds: float


@dataclass
class Status:
    """Totals of a catalogue; times in seconds. `failed` lists path, stage and reason.

    `usable` utterances have a transcript and codes, and no recogniser guessed at them: an export takes them. Of
    `transcribed` ones, which a recogniser wrote, `doubtful` ones are less sure than `where.LEAST_SURE`. `left_out` is in
    the order of the stages.
    `stages` counts recordings by stage and state, `stage_seconds` the audio of those that came to an end in a stage.
    """

    recordings: int = 0
    seconds: float = 0.0
    utterances: int = 0
    utterance_seconds: float = 0.0
    usable: int = 0
    usable_seconds: float = 0.0
    transcribed: int = 0
    doubtful: int = 0
    stages: dict[str, dict[str, int]] = field(default_factory=dict)
    stage_seconds: dict[str, float] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)

    @property
    def rejects(self) -> dict[str, int]:
        """Spans by the reason why they are left out."""
        counts = dict.fromkeys((part.reason for part in self.left_out), 0)
        for part in self.left_out:
            counts[part.reason] += part.spans
        return counts

    @property
    def unfinished(self) -> int:
        """Utterances that are neither usable nor left out: their recordings wait for a later stage, or failed in it."""
        after_cutting = list(self.stages)[-2:]
        rejected = sum(part.spans for part in self.left_out if part.stage in after_cutting)
        return max(self.utterances - self.usable - rejected, 0)


def read_status(session: Session, stages: Sequence[str], codes: str | None) -> Status:
    """The status as of a transaction; usable is what has codes of this version of the last stage, None for nothing."""
    status = Status(failed=failures(session, stages), stages={stage: {} for stage in stages})
    status.stage_seconds = dict.fromkeys(stages, 0.0)
    count = sa.select(sa.func.count(), sa.func.sum(RecordingRow.duration))
    status.recordings, seconds = session.execute(count.select_from(RecordingRow)).one()
    length = sa.func.sum(UtteranceRow.end - UtteranceRow.start)
    query = sa.select(sa.func.count(), length).select_from(UtteranceRow)
    status.utterances, spoken = session.execute(query).one()
    status.seconds, status.utterance_seconds = float(seconds or 0), float(spoken or 0)
    if codes is not None:
        status.usable, status.usable_seconds = _usable(session, stages, codes)
    status.transcribed, status.doubtful, doubtful = session.execute(_doubt()).one()
    for stage, state, number, audio in session.execute(_by_state()):
        status.stages[stage][state] = number
        status.stage_seconds[stage] += float(audio) if state in (DONE, FAILED) else 0.0
    left_out = [LeftOut(*row[:3], float(row[3])) for row in session.execute(_kinds())]
    if status.doubtful:
        left_out.append(LeftOut(stages[-2], GUESSED, status.doubtful, float(doubtful)))
    status.left_out = sorted(left_out, key=lambda part: (stages.index(part.stage), -part.spans))
    return status


def encoded(stage: str, codes: str) -> tuple[sa.ColumnElement[bool], ...]:
    """Where an utterance has a transcript, and codes of a version of the `stage` that makes them."""
    rejected = sa.exists().where(
        RejectRow.recording == UtteranceRow.recording,
        RejectRow.stage == stage,
        RejectRow.start == UtteranceRow.start,
        RejectRow.end == UtteranceRow.end,
    )
    return UtteranceRow.text != "", UtteranceRow.recording.in_(_through(stage, codes)), ~rejected


def _through(stage: str, codes: str) -> sa.Select[str]:
    """The recordings that have codes of a version of the last stage."""
    return sa.select(StateRow.recording).where(
        StateRow.stage == stage, StateRow.state == DONE, StateRow.version == codes
    )


def _usable(session: Session, stages: Sequence[str], codes: str) -> tuple[int, float]:
    """How many utterances an export takes, and their seconds: what was cut from recordings with codes, less what was
    rejected or guessed later. So no text need be read, which takes seconds where there are a million."""
    through = _through(stages[-1], codes)
    rejected = RejectRow.stage.in_(stages[-2:]), RejectRow.recording.in_(through)
    number, seconds = 0, 0.0
    for sign, row, conditions in (
        (1, UtteranceRow, (UtteranceRow.recording.in_(through),)),
        (-1, UtteranceRow, (UtteranceRow.confidence < LEAST_SURE, UtteranceRow.recording.in_(through))),
        (-1, RejectRow, rejected),
    ):
        query = sa.select(sa.func.count(), sa.func.sum(row.end - row.start)).where(*conditions)
        some, length = session.execute(query).one()
        number, seconds = number + sign * some, seconds + sign * float(length or 0)
    return number, max(seconds, 0.0)


def _kinds() -> sa.Select[str, str, int, float]:
    """Stage, kind, number of rejects and their seconds."""
    seconds = sa.func.sum(RejectRow.end - RejectRow.start)
    return sa.select(RejectRow.stage, RejectRow.kind, sa.func.count(), seconds).group_by(
        RejectRow.stage, RejectRow.kind
    )


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
