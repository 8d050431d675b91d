"""Speakers of recordings, their embeddings, and the voice they are linked to across recordings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from rosella.corpus.catalogue.tables import Embedding

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE EXTENSION IF NOT EXISTS vector")
    op.create_table(
        "speakers",
        sa.Column("recording", sa.String(32), nullable=False, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("embedding", Embedding, nullable=False),
        sa.Column("voice", sa.String(32)),
        sa.ForeignKeyConstraint(
            ["recording"], ["recordings.id"], name=op.f("fk_speakers_recording"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_speakers_voice"), "speakers", ["voice"])
    op.create_index(op.f("ix_speakers_version"), "speakers", ["version"])
