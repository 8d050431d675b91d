"""Recordings that must go: found by name, purged from the database, remembered by their hash alone."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rosella.corpus.catalogue.connection import explained
from rosella.corpus.catalogue.models import MANIFEST, RecordingRow, RemovedRow, SpeakerRow, TurnRow
from rosella.corpus.catalogue.speakers import link_speakers
from rosella.corpus.catalogue.store import Catalogue
from rosella.errors import UserError


class Removed(UserError):
    """The recording was removed for good."""


@dataclass(frozen=True)
class Named:
    """A recording as a person finds it."""

    id: str
    path: str


def find(catalogue: Catalogue, name: str) -> list[Named]:
    """The recording of an id, path or file name, or else all in which the speaker of that name talks.

    A speaker is a name that a source gave, wherever else their voice is heard too, or a voice linked across
    recordings; `A` of one diarized recording is not `A` of another.
    """
    link_speakers(catalogue)  # a voice heard since the last export would be missed
    with catalogue.session() as session:
        found = _by_place(session, name) or _by_speaker(session, name)
    if not found:
        raise UserError(
            f"No recording and no speaker goes by {name}: give a recording's path, file name or id."
        )
    return found


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


def _by_speaker(session: Session, name: str) -> list[Named]:
    talks = sa.select(TurnRow.recording).where(TurnRow.speaker == name, TurnRow.origin == MANIFEST)
    own = sa.select(SpeakerRow.voice).where(SpeakerRow.name == name, SpeakerRow.recording.in_(talks))
    heard = sa.select(SpeakerRow.recording).where(sa.or_(SpeakerRow.voice == name, SpeakerRow.voice.in_(own)))
    return _named(session, RecordingRow.id.in_(talks) | RecordingRow.id.in_(heard))


def _named(session: Session, condition: sa.ColumnElement[bool]) -> list[Named]:
    query = sa.select(RecordingRow.id, RecordingRow.path).where(condition).order_by(RecordingRow.path)
    return [Named(id, path) for id, path in session.execute(query)]


def check_not_removed(catalogue: Catalogue, id: str, path: str) -> None:
    """Refuse what was removed, under its own hash or, where its content could not be read, that of its path."""
    with catalogue.session() as session:
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
