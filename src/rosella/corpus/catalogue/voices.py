"""The speakers of recordings in the catalogue: their embeddings, and the voice each was linked to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from rosella.corpus.catalogue.database import Database
from rosella.corpus.catalogue.tables import MANIFEST, SpeakerRow, TurnRow
from rosella.corpus.diarization.linking import Member, link


def link_speakers(database: Database) -> int:
    """Give every speaker that has none a voice, in one transaction; how many there were.

    Embeddings of different versions cannot be compared, so a voice is of one version.
    """
    with database.session() as session:
        _one_at_a_time(session)
        unlinked = sa.select(SpeakerRow.version).where(SpeakerRow.voice.is_(None)).distinct()
        return sum(_link_version(session, version) for version in sorted(session.scalars(unlinked)))


def voices(database: Database, recording: str) -> dict[str, str]:
    """The voice of each speaker that a diarizer named, by that name; the unlinked are left out.

    Names that came with a recording stay.
    """
    named = sa.exists().where(TurnRow.recording == recording, TurnRow.origin == MANIFEST)
    query = sa.select(SpeakerRow.name, SpeakerRow.voice).where(
        SpeakerRow.recording == recording, SpeakerRow.voice.is_not(None), ~named
    )
    with database.session() as session:
        return {row.name: row.voice for row in session.execute(query)}


def embeddings(database: Database, recording: str) -> dict[str, np.ndarray]:
    """float32 `[D]` by the speaker's name in a recording."""
    query = sa.select(SpeakerRow.name, SpeakerRow.embedding).where(SpeakerRow.recording == recording)
    with database.session() as session:
        return {row.name: row.embedding for row in session.execute(query)}


def replace_speakers(
    session: Session, recording: str, version: str, embeddings: Mapping[str, np.ndarray]
) -> None:
    """Store what a diarizer's version found; speakers found again just so keep their voices."""
    rows = session.scalars(sa.select(SpeakerRow).where(SpeakerRow.recording == recording)).all()
    before = {row.name: row for row in rows}
    if before.keys() == embeddings.keys() and all(
        row.version == version and np.array_equal(row.embedding, embeddings[name])
        for name, row in before.items()
    ):
        return
    session.execute(sa.delete(SpeakerRow).where(SpeakerRow.recording == recording))
    session.expire_all()
    session.add_all(
        SpeakerRow(recording=recording, name=name, version=version, embedding=embedding)
        for name, embedding in embeddings.items()
    )


def _link_version(session: Session, version: str) -> int:
    columns = SpeakerRow.recording, SpeakerRow.name, SpeakerRow.voice, SpeakerRow.embedding
    known: dict[Member, tuple[str, np.ndarray]] = {}
    new: dict[Member, np.ndarray] = {}
    for recording, name, voice, embedding in session.execute(
        sa.select(*columns).where(SpeakerRow.version == version)
    ):
        if voice is None:
            new[recording, name] = embedding
        else:
            known[recording, name] = voice, embedding
    linked = [
        {"recording": recording, "name": name, "voice": voice}
        for (recording, name), voice in link(known, new).items()
    ]
    session.execute(sa.update(SpeakerRow), linked)
    return len(linked)


def _one_at_a_time(session: Session) -> None:
    """Two that link at once would each make a voice of the same person."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(0x566F696365)))
    else:
        session.execute(sa.text("UPDATE speakers SET voice = voice WHERE 0"))
