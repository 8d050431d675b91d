"""Recordings that must go: found by name, purged from the database, remembered by their hash alone."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rosella.corpus.catalogue.connection import explained
from rosella.corpus.catalogue.database import Database
from rosella.corpus.catalogue.tables import MANIFEST, RecordingRow, RemovedRow, SpeakerRow, TurnRow
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

    A speaker is a name that a source gave, or a voice linked across recordings; `A` of one diarized recording is not
    `A` of another. Who has a name may be heard elsewhere too: voices are alike by their embeddings, which may be wrong.
    """
    link_speakers(database)  # a voice heard since the last export would be missed
    with database.session() as session:
        if found := _by_place(session, name):
            return Found(found, [])
        named, heard = _by_speaker(session, name), _by_voice(session, name)
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
    return _named(session, RecordingRow.id.in_(_talks(name)) | RecordingRow.id.in_(heard))


def _by_voice(session: Session, name: str) -> list[Heard]:
    own = sa.select(SpeakerRow.voice).where(SpeakerRow.name == name, SpeakerRow.recording.in_(_talks(name)))
    told = sa.exists().where(TurnRow.recording == RecordingRow.id, TurnRow.origin == MANIFEST)
    query = (
        sa.select(RecordingRow.id, RecordingRow.path, SpeakerRow.voice, sa.case((told, SpeakerRow.name)))
        .join(SpeakerRow, SpeakerRow.recording == RecordingRow.id)
        .where(SpeakerRow.voice.in_(own), RecordingRow.id.not_in(_talks(name)))
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
