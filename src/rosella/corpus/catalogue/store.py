"""The catalogue: what is known of every recording and how far each stage is. SQLite, or any URL.

One method is one transaction; a killed process leaves the state before or after it, never between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rosella.audio import is_url
from rosella.corpus.catalogue.clips import all_corrected, settled_span
from rosella.corpus.catalogue.database import Database
from rosella.corpus.catalogue.leases import Lease, due_query
from rosella.corpus.catalogue.names import Names, renamed_in
from rosella.corpus.catalogue.results import replace_rejects, replace_utterances
from rosella.corpus.catalogue.rows import to_recording, to_utterance, turns_of, utterances_of
from rosella.corpus.catalogue.status import Status, encoded, failures, read_status
from rosella.corpus.catalogue.tables import (
    DIARIZER,
    DONE,
    FAILED,
    MANIFEST,
    PENDING,
    CorrectionRow,
    JobRow,
    RecordingRow,
    RejectRow,
    StateRow,
    TurnRow,
    UtteranceRow,
)
from rosella.corpus.catalogue.voices import replace_speakers
from rosella.corpus.corrections.clip import OF_PEOPLE
from rosella.corpus.stage import SCAN, STAGES, TOKENIZE, Kept, StageResult
from rosella.errors import UserError
from rosella.failpoints import failpoint
from rosella.records import Recording, Turn, Utterance

_RECORDING = [getattr(RecordingRow, field.name) for field in fields(Recording)]
"""Columns alone: a row object for each of many recordings takes seconds."""


class Corrected(UserError):
    """People have worked on what would be replaced."""


@dataclass(frozen=True)
class Source:
    """The file of a recording as last seen; unchanged size and mtime spare reading it again."""

    path: str
    size: int
    mtime_ns: int


class Catalogue(Database):
    """What is known of the recordings of a corpus."""

    def find(self, source: Source) -> Recording | None:
        """The recording of an unchanged file that was added and read well before."""
        query = (
            sa.select(RecordingRow)
            .join(StateRow, StateRow.recording == RecordingRow.id)
            .where(RecordingRow.path == source.path, RecordingRow.size == source.size)
            .where(RecordingRow.mtime_ns == source.mtime_ns)
            .where(StateRow.stage == SCAN, StateRow.state == DONE)
        )
        with self.session() as session:
            row = session.scalar(query)
            return None if row is None else to_recording(row)

    def add(self, recording: Recording, source: Source, turns: Sequence[Turn]) -> str:
        """Add or update a recording with its turns: "added", "updated", "unchanged" or "duplicate".

        A duplicate has the content of a recording whose own file is still there; that one is kept. Corrected is raised
        where people worked on what stood at the path before.
        """
        with self.session() as session:
            row = session.get(RecordingRow, recording.id)
            if row and row.path != source.path and _is_there(row.path):
                return "duplicate"
            _forget_path(session, source.path, keep=recording.id)
            before = None if row is None else (to_recording(row), turns_of(session, recording.id))
            if not turns and before:
                turns = before[1]  # the source says nothing of turns: what is known stays
            session.merge(_recording_row(recording, source))
            if before == (recording, list(turns)):
                return "unchanged"
            if before is None or before[1] != list(turns):
                _replace_turns(session, recording.id, turns)
            session.merge(StateRow(recording=recording.id, stage=SCAN, state=DONE, version="", reason=None))
            if before is None or before[1] != list(turns) or _heard(before[0]) != _heard(recording):
                _make_stale(session, recording.id, after=SCAN)
            session.flush()
            failpoint("in-commit", SCAN)
            return "added" if before is None else "updated"

    def add_failed(self, recording: Recording, source: Source, turns: Sequence[Turn], reason: str) -> None:
        """Record a file that cannot be used; adding it again, corrected, replaces this."""
        with self.session() as session:
            _forget_path(session, source.path, keep=recording.id)
            session.merge(_recording_row(recording, source))
            _replace_turns(session, recording.id, turns)
            session.merge(
                StateRow(recording=recording.id, stage=SCAN, state=FAILED, version="", reason=reason)
            )

    def get(self, recording: str) -> Recording:
        with self.session() as session:
            return to_recording(session.get_one(RecordingRow, recording))

    def known(self, recording: str) -> Recording | None:
        """The recording, if there is one of this id."""
        with self.session() as session:
            row = session.get(RecordingRow, recording)
            return row and to_recording(row)

    def source(self, recording: str) -> Source | None:
        """The recording's file as it was when it was added; None where the recording was removed meanwhile."""
        with self.session() as session:
            row = session.get(RecordingRow, recording)
            return row and Source(row.path, row.size, row.mtime_ns)

    def due(self, stage: str, version: str) -> list[Recording]:
        """Recordings whose stage is pending or by another version, and whose stage before is done."""
        query = due_query(stage, version).order_by(RecordingRow.path)
        with self.session() as session:
            return _recordings(session, query)

    def done(self, stage: str, version: str) -> list[Recording]:
        """Recordings whose stage this version has done, by id."""
        query = (
            sa.select(RecordingRow)
            .join(StateRow, StateRow.recording == RecordingRow.id)
            .where(StateRow.stage == stage, StateRow.state == DONE, StateRow.version == version)
            .order_by(RecordingRow.id)
        )
        with self.session() as session:
            return _recordings(session, query)

    def turns(self, recording: str, origin: str | None = MANIFEST) -> list[Turn]:
        """In order of time; those of one origin, or, with None, all."""
        with self.session() as session:
            return turns_of(session, recording, origin)

    def untranscribed(self) -> bool:
        """Whether some recording came without the words that are said in it."""
        query = (
            sa.select(RecordingRow.id)
            .join(StateRow, StateRow.recording == RecordingRow.id)
            .where(StateRow.stage == SCAN, StateRow.state == DONE)
            .where(~sa.exists().where(TurnRow.recording == RecordingRow.id, TurnRow.origin == MANIFEST))
        )
        with self.session() as session:
            return session.scalars(query.limit(1)).first() is not None

    def utterances(self, recording: str) -> list[Utterance]:
        """In order of time; those that people did not make, with the speakers' names that the stages gave."""
        with self.session() as session:
            return utterances_of(session, recording)

    def kept(self, recording: str) -> Kept:
        """What people have corrected or judged."""
        with self.session() as session:
            touched = all_corrected(session, recording, Names.read(session, recording))
            return Kept(
                [settled_span(opened.clip) for opened in touched],
                [utterance for utterance in utterances_of(session, recording) if utterance.clip],
                [reject for opened in touched for reject in opened.rejects],
            )

    def worded(self, recording: str, codes: str | None = None) -> list[Utterance]:
        """Those with a transcript, by the names people gave, as of one moment.

        None of them, if `codes` of a version are asked for and not all are made.
        """
        with self.snapshot() as session:
            state = session.get(StateRow, (recording, TOKENIZE))
            if codes and (state is None or (state.state, state.version) != (DONE, codes)):
                return []
            names = Names.read(session, recording)
            return [_named(u, names) for u in utterances_of(session, recording) if u.text]

    def encoded(self, codes: str) -> Iterator[Utterance]:
        """Every utterance with a transcript and `codes` of this version, by the names people gave, a thousand at a time in
        memory."""
        query = sa.select(UtteranceRow).where(*encoded(TOKENIZE, codes)).order_by(UtteranceRow.id)
        with self.snapshot() as session:
            names = {recording: Names.read(session, recording) for recording in renamed_in(session)}
            for row in session.scalars(query.execution_options(yield_per=1000)):
                yield _named(to_utterance(row), names.get(row.recording))

    def finish(self, lease: Lease, result: StageResult) -> None:
        """Store what a stage found and mark it done; new turns or utterances make later stages stale."""
        recording, stage = lease.recording, lease.stage
        with self.session() as session:
            lease.settle(session)
            if result.turns is not None:
                _replace_turns(session, recording, result.turns, DIARIZER)
            if result.embeddings is not None:
                replace_speakers(session, recording, lease.version, result.embeddings)
            if result.utterances is not None:
                replace_utterances(session, recording, stage, result.utterances)
            if result.turns is not None or result.utterances is not None:
                _make_stale(session, recording, after=stage)
            replace_rejects(session, recording, stage, result.rejects)
            session.merge(_state(lease, DONE))
            session.flush()
            failpoint("in-commit", stage)

    def fail(self, lease: Lease, reason: str) -> None:
        with self.session() as session:
            lease.settle(session)
            session.merge(_state(lease, FAILED, reason))

    def reset(self, recording: str, stage: str) -> None:
        """Make one stage of one recording pending again."""
        with self.session() as session:
            session.execute(sa.delete(JobRow).where(JobRow.recording == recording, JobRow.stage == stage))
            session.merge(StateRow(recording=recording, stage=stage, state=PENDING, version="", reason=None))

    def failed(self) -> list[dict[str, str]]:
        """Recording id, path, stage and reason of everything that failed."""
        with self.session() as session:
            return failures(session, STAGES)

    def status(self, codes: str | None = None) -> Status:
        """Usable is what has codes of this version of the tokenize stage."""
        with self.session() as session:
            return read_status(session, STAGES, codes)


def _named(utterance: Utterance, names: Names | None) -> Utterance:
    return names.utterance(utterance) if names and utterance.transcript_source not in OF_PEOPLE else utterance


def _heard(recording: Recording) -> tuple[object, ...]:
    """The facts on which the stages depend."""
    return recording.language, recording.channel


def _is_there(path: str) -> bool:
    """What is remote counts as there: asking would take a request per duplicate."""
    return is_url(path) or Path(path).exists()


def _state(lease: Lease, state: str, reason: str | None = None) -> StateRow:
    return StateRow(
        recording=lease.recording, stage=lease.stage, state=state, version=lease.version, reason=reason
    )


def _make_stale(session: Session, recording: str, after: str) -> None:
    """Later stages are due again, their rejects void, and what works on them at this moment cannot commit any more."""
    later = STAGES[STAGES.index(after) + 1 :]
    session.execute(sa.delete(RejectRow).where(RejectRow.recording == recording, RejectRow.stage.in_(later)))
    session.execute(sa.delete(JobRow).where(JobRow.recording == recording, JobRow.stage.in_(later)))
    for stage in later:
        session.merge(StateRow(recording=recording, stage=stage, state=PENDING, version="", reason=None))


def _forget_path(session: Session, path: str, keep: str) -> None:
    """Another content stood at this path: that recording is gone, unless people have worked on it."""
    query = sa.select(RecordingRow.id).where(RecordingRow.path == path, RecordingRow.id != keep)
    for before in session.scalars(query).all():
        corrected = sa.select(sa.func.count()).where(CorrectionRow.recording == before)
        if count := session.scalar(corrected):
            raise Corrected(
                f"{path} holds something else than the recording in which people made {count} corrections: "
                f"give the new file another name, or first remove the old one (`rosella corpus remove {before}`)."
            )
        session.execute(sa.delete(RecordingRow).where(RecordingRow.id == before))


def _replace_turns(session: Session, recording: str, turns: Sequence[Turn], origin: str = MANIFEST) -> None:
    session.execute(sa.delete(TurnRow).where(TurnRow.recording == recording))
    session.flush()
    session.add_all(
        TurnRow(recording=recording, number=number, origin=origin, **turn.to_dict())
        for number, turn in enumerate(turns)
    )


def _recording_row(recording: Recording, source: Source) -> RecordingRow:
    values: Mapping[str, Any] = {**recording.to_dict(), "path": source.path}
    return RecordingRow(**values, size=source.size, mtime_ns=source.mtime_ns)


def _recordings(session: Session, query: sa.Select[RecordingRow]) -> list[Recording]:
    return [Recording(**row) for row in session.execute(query.with_only_columns(*_RECORDING)).mappings()]
