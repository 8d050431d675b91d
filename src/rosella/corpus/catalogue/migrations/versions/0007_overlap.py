"""Overlap is a fact of a turn. It was the speaker "", which relative paths gave to people too: they get their folder's name.

What was found of their recordings, and of those in which no turn was found, is due again.
"""

from __future__ import annotations

from pathlib import PurePath

import sqlalchemy as sa
from alembic import op

from rosella.corpus.catalogue.tables import DIARIZER, MANIFEST
from rosella.corpus.sources.entries import UNNAMED

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("turns", sa.Column("overlap", sa.Boolean, nullable=False, server_default=sa.false()))
    turns = sa.table("turns", *map(sa.column, ("recording", "speaker", "origin", "overlap")))
    recordings = sa.table("recordings", sa.column("id"), sa.column("path"))
    states = sa.table("states", sa.column("recording"), sa.column("stage"))
    nobody = turns.c.speaker == ""
    op.execute(sa.update(turns).where(nobody, turns.c.origin == DIARIZER).values(overlap=sa.true()))
    unnamed = sa.select(turns.c.recording).where(nobody, turns.c.origin == MANIFEST)
    empty = sa.select(recordings.c.id).where(recordings.c.id.not_in(sa.select(turns.c.recording)))
    later = states.c.stage != "scan"
    op.execute(sa.delete(states).where(later, states.c.recording.in_(unnamed.union(empty))))
    rows = sa.select(recordings).where(recordings.c.id.in_(unnamed))
    for recording, path in op.get_bind().execute(rows).all():
        speaker = PurePath(path).parent.name or UNNAMED
        op.execute(sa.update(turns).where(turns.c.recording == recording, nobody).values(speaker=speaker))
