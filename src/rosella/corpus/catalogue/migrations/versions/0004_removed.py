"""Hashes of what was removed; kinds of rejects and indexes, so that totals need no look at every row."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from rosella.corpus.catalogue.tables import kind_of

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "removed",
        sa.Column("recording", sa.String(32), primary_key=True),
        sa.Column("date", sa.String(10), nullable=False),
    )
    op.add_column("rejects", sa.Column("kind", sa.Text, nullable=False, server_default=""))
    rejects = sa.table("rejects", sa.column("reason"), sa.column("kind"))
    for reason in op.get_bind().scalars(sa.select(rejects.c.reason).distinct()).all():
        op.execute(sa.update(rejects).where(rejects.c.reason == reason).values(kind=kind_of(reason)))
    op.create_index("ix_rejects_kind", "rejects", ["kind"])
    op.create_index("ix_recordings_duration", "recordings", ["duration"])
    op.drop_index("ix_utterances_recording", "utterances")
    op.create_index("ix_utterances_span", "utterances", ["recording", "start", "end"])
