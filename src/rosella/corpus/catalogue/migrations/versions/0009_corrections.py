"""What people correct, and which utterances came of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "corrections",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("recording", sa.String(32), nullable=False),
        sa.Column("clip", sa.String(64)),
        sa.Column("version", sa.Integer),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("before", sa.JSON, nullable=False),
        sa.Column("after", sa.JSON, nullable=False),
        sa.Column("utterance", sa.JSON),
        sa.Column("undoes", sa.BigInteger),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("seconds", sa.Float(53)),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column("batch", sa.String(36)),
        sa.ForeignKeyConstraint(
            ["recording"], ["recordings.id"], name=op.f("fk_corrections_recording"), ondelete="CASCADE"
        ),
        sa.UniqueConstraint("clip", "version", name=op.f("uq_corrections_clip")),
        sa.UniqueConstraint("author", "key", "part", name=op.f("uq_corrections_author")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_corrections_recording", "corrections", ["recording", "clip", "version"])
    op.create_index(op.f("ix_corrections_batch"), "corrections", ["batch"])
    op.add_column("utterances", sa.Column("clip", sa.String(64)))
    op.create_index(op.f("ix_utterances_clip"), "utterances", ["clip"])
    op.create_index("ix_turns_start", "turns", ["recording", "start"])
