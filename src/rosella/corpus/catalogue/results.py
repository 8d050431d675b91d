"""What stages and people put into a recording, each leaving alone what is the other's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rosella.corpus.catalogue.clips import Opened
from rosella.corpus.catalogue.rows import utterance_row
from rosella.corpus.catalogue.tables import (
    PENDING,
    Base,
    JobRow,
    RecordingRow,
    RejectRow,
    StateRow,
    UtteranceRow,
)
from rosella.corpus.corrections.clip import OF_PEOPLE
from rosella.corpus.stage import SEGMENT, TOKENIZE, TRANSCRIBE
from rosella.records import Reject, Utterance

_RECORDINGS = Base.metadata.tables[RecordingRow.__tablename__]
_OF_MACHINES = UtteranceRow.transcript_source.not_in(OF_PEOPLE)


def lock(session: Session, recordings: Iterable[str]) -> None:
    """Wait until nobody else changes these recordings: all take them in the same order."""
    for recording in sorted(set(recordings)):
        if session.get_bind().dialect.name == "postgresql":
            query = sa.select(RecordingRow.id).where(RecordingRow.id == recording)
            session.execute(query.with_for_update(key_share=True))
        else:  # SQLite has one lock for all, which the first that writes takes
            session.execute(
                sa.update(_RECORDINGS).where(_RECORDINGS.c.id == recording).values(size=_RECORDINGS.c.size)
            )


def put_in_place(session: Session, before: Opened, after: Opened) -> None:
    """Replace the utterances and rejects of a clip by what a person makes of them.

    Cutting that is at work at this moment cannot commit any more. Codes are due again only where a span is new.
    """
    clip, row = after.clip, UtteranceRow
    made = after.utterances
    mine = sa.select(row.id, row.start, row.end, row.text).where(
        sa.or_(row.clip == clip.id, row.id == clip.id)
    )
    old = session.execute(mine).all()
    session.execute(sa.delete(row).where(row.id.in_([id for id, *_ in old])))
    session.add_all(map(utterance_row, made))
    _drop_rejects(session, clip.recording, SEGMENT, [(reject.start, reject.end) for reject in before.rejects])
    _drop_rejects(session, clip.recording, TRANSCRIBE, [(start, end) for _, start, end, _ in old])
    for reject in after.rejects:
        session.merge(RejectRow(recording=clip.recording, stage=SEGMENT, **asdict(reject)))
    _void(session, clip.recording, SEGMENT)
    if not {u.id for u in made if u.text} <= {id for id, _, _, text in old if text}:
        _void(session, clip.recording, TOKENIZE)
        session.merge(
            StateRow(recording=clip.recording, stage=TOKENIZE, state=PENDING, version="", reason=None)
        )
    session.flush()


def replace_utterances(session: Session, recording: str, stage: str, utterances: Sequence[Utterance]) -> None:
    """Store what a stage made of a recording. What people made meanwhile stays, and so does what they remarked."""
    lock(session, [recording])
    of_machines = sa.select(UtteranceRow.id, UtteranceRow.clip).where(
        UtteranceRow.recording == recording, _OF_MACHINES
    )
    there = {row.id: row.clip for row in session.execute(of_machines)}
    made = [utterance for utterance in utterances if utterance.transcript_source not in OF_PEOPLE]
    if stage != SEGMENT:  # it has cut nothing: what is not there any more, a person has cut
        made = [replace(utterance, clip=there[utterance.id]) for utterance in made if utterance.id in there]
    session.execute(sa.delete(UtteranceRow).where(UtteranceRow.recording == recording, _OF_MACHINES))
    session.add_all(map(utterance_row, made))


def replace_rejects(session: Session, recording: str, stage: str, rejects: Sequence[Reject]) -> None:
    """Store what a stage left out; a recogniser has nothing to say of what a person wrote down."""
    session.execute(sa.delete(RejectRow).where(RejectRow.recording == recording, RejectRow.stage == stage))
    unique = {(reject.start, reject.end): reject for reject in rejects}
    if stage == TRANSCRIBE and unique:
        row = UtteranceRow
        spans = session.execute(sa.select(row.start, row.end).where(row.recording == recording, _OF_MACHINES))
        unique = {span: unique[span] for start, end in spans if (span := (start, end)) in unique}
    session.add_all(
        RejectRow(recording=recording, stage=stage, **asdict(reject)) for reject in unique.values()
    )


def _drop_rejects(session: Session, recording: str, stage: str, spans: Iterable[tuple[float, float]]) -> None:
    for start, end in spans:
        row = RejectRow
        of_span = (row.recording == recording, row.stage == stage, row.start == start, row.end == end)
        session.execute(sa.delete(row).where(*of_span))


def _void(session: Session, recording: str, stage: str) -> None:
    session.execute(sa.delete(JobRow).where(JobRow.recording == recording, JobRow.stage == stage))
