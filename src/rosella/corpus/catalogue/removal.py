"""Recordings that must go: found by name, purged from the database, remembered by their hash alone."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rosella.corpus.catalogue.connection import explained
from rosella.corpus.catalogue.database import Database
from rosella.corpus.catalogue.names import Names, renamed_in
from rosella.corpus.catalogue.tables import (
    DIARIZER,
    MANIFEST,
    CorrectionRow,
    RecordingRow,
    RemovedRow,
    SpeakerRow,
    TurnRow,
)
from rosella.corpus.catalogue.voices import link_speakers
from rosella.errors import UserError


class Removed(UserError):
    """The recording was removed for good."""


@dataclass(frozen=True)
class Named:
    """A recording as a person finds it."""

    id: str
    path: str


@dataclass(frozen=True)
class Heard(Named):
    """One in which a speaker's `voice` is heard, though it goes there by the name of `other`, or by none."""

    voice: str
    other: str | None


@dataclass(frozen=True)
class Found:
    """Recordings that go by a name, and others in which the voice of that name is heard."""

    named: list[Named]
    heard: list[Heard]


def find(database: Database, name: str) -> Found:
    """The recording of an id, path or file name, or else all in which the speaker of that name talks.

    A speaker is a name that a source or a person gave, be it that another took its place later, or a voice linked across
    recordings; `A` of one diarized recording is not `A` of another. Who has a name may be heard elsewhere too: voices are
    alike by their embeddings, which may be wrong.
    """
    link_speakers(database)  # a voice heard since the last export would be missed
    with database.session() as session:
        if found := _by_place(session, name):
            return Found(found, [])
        named = _by_speaker(session, name)
        heard = _by_voice(session, name, [recording.id for recording in named])
    if not named:
        raise UserError(
            f"No recording and no speaker goes by {name}: give a recording's path, file name or id."
        )
    return Found(named, heard)


def _by_place(session: Session, name: str) -> list[Named]:
    exact = sa.or_(RecordingRow.id == name, RecordingRow.path.in_([name, os.path.abspath(name)]))
    if found := _named(session, exact):
        return found
    similar = _named(session, RecordingRow.path.endswith(f"/{name}", autoescape=True))
    if len(similar) > 1:
        raise UserError(
            f"{len(similar)} recordings are named {name}, {similar[0].path} first: give the path."
        )
    return similar


def _talks(name: str) -> sa.Select[str]:
    return sa.select(TurnRow.recording).where(TurnRow.speaker == name, TurnRow.origin == MANIFEST)


def _by_speaker(session: Session, name: str) -> list[Named]:
    heard = sa.select(SpeakerRow.recording).where(SpeakerRow.voice == name)
    told = _talks(name), heard, _named_by_people(session, name)
    return _named(session, sa.or_(*(RecordingRow.id.in_(some) for some in told)))


def _named_by_people(session: Session, name: str) -> set[str]:
    """The recordings in whose corrections a speaker has or had that name, unless a diarizer gave it there."""
    row, token = CorrectionRow, json.dumps(name)
    by_machine = sa.select(TurnRow.recording).where(TurnRow.speaker == name, TurnRow.origin == DIARIZER)
    query = sa.select(row.recording, row.before, row.after).where(
        sa.or_(
            *(sa.cast(column, sa.Text).contains(token, autoescape=True) for column in (row.before, row.after))
        ),
        row.recording.not_in(by_machine),
    )
    return {
        recording
        for recording, *states in session.execute(query)
        if any(
            name in {state.get("speaker"), *(t["speaker"] for t in state.get("turns", ()))}
            for state in states
        )
    }


def _voices(session: Session, name: str) -> set[str]:
    """The voices of who is called so: by the name a source gave, or by what people call them."""
    talks = sa.select(SpeakerRow.voice).where(SpeakerRow.name == name, SpeakerRow.recording.in_(_talks(name)))
    found = set(session.scalars(talks))
    for recording in renamed_in(session):
        names = Names.read(session, recording)
        heard = sa.select(SpeakerRow.name, SpeakerRow.voice).where(SpeakerRow.recording == recording)
        found.update(voice for called, voice in session.execute(heard) if names.now(called) == name)
    return {voice for voice in found if voice is not None}


def _by_voice(session: Session, name: str, named: Collection[str]) -> list[Heard]:
    told = sa.exists().where(TurnRow.recording == RecordingRow.id, TurnRow.origin == MANIFEST)
    query = (
        sa.select(RecordingRow.id, RecordingRow.path, SpeakerRow.voice, sa.case((told, SpeakerRow.name)))
        .join(SpeakerRow, SpeakerRow.recording == RecordingRow.id)
        .where(SpeakerRow.voice.in_(_voices(session, name)), RecordingRow.id.not_in(named))
        .order_by(RecordingRow.path)
    )
    return list({row.id: Heard(*row) for row in session.execute(query)}.values())


def _named(session: Session, condition: sa.ColumnElement[bool]) -> list[Named]:
    query = sa.select(RecordingRow.id, RecordingRow.path).where(condition).order_by(RecordingRow.path)
    return [Named(id, path) for id, path in session.execute(query)]


def check_not_removed(database: Database, id: str, path: str) -> None:
    """Refuse what was removed, under its own hash or, where its content could not be read, that of its path."""
    with database.session() as session:
        day = session.scalar(sa.select(RemovedRow.date).where(RemovedRow.recording == id))
    if day is not None:
        raise Removed(f"{path} was removed from this corpus on {day} and is not taken again: leave it out.")


def purge(engine: sa.Engine, recordings: Collection[str]) -> None:
    """Delete recordings with all that hangs on them, keep their hashes, and overwrite what the database freed."""
    with explained(engine):
        with Session(engine) as session, session.begin():
            for recording in recordings:
                if session.get(RemovedRow, recording) is None:
                    session.add(RemovedRow(recording=recording, date=date.today().isoformat()))
            session.execute(sa.delete(RecordingRow).where(RecordingRow.id.in_(recordings)))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("VACUUM")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            else:
                connection.exec_driver_sql("VACUUM FULL")


def removed(engine: sa.Engine) -> list[str]:
    """The hashes of all that was removed."""
    with explained(engine), Session(engine) as session:
        return list(session.scalars(sa.select(RemovedRow.recording)))
