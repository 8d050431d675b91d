"""Recordings, turns, states, utterances, rejects."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _recording(primary_key: bool = True) -> sa.Column[str]:
    return sa.Column("recording", sa.String(32), nullable=False, primary_key=primary_key)


def _owned(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_recording")
    return sa.ForeignKeyConstraint(["recording"], ["recordings.id"], name=name, ondelete="CASCADE")


def upgrade() -> None:
    op.create_table(
        "recordings",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
        sa.Column("duration", sa.Float(53), nullable=False),
        sa.Column("sample_rate", sa.Integer, nullable=False),
        sa.Column("channels", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Text) for name in ("show", "source_url", "language", "licence", "consent")),
        sa.UniqueConstraint("path", name=op.f("uq_recordings_path")),
    )
    op.create_table(
        "turns",
        _recording(),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("start", sa.Float(53), nullable=False),
        sa.Column("end", sa.Float(53), nullable=False),
        sa.Column("speaker", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("text_clean", sa.Text),
        _owned("turns"),
    )
    op.create_table(
        "states",
        _recording(),
        sa.Column("stage", sa.String(32), primary_key=True),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        _owned("states"),
    )
    op.create_index("ix_states_stage", "states", ["stage", "state"])
    op.create_table(
        "utterances",
        sa.Column("id", sa.String(64), primary_key=True),
        _recording(primary_key=False),
        sa.Column("start", sa.Float(53), nullable=False),
        sa.Column("end", sa.Float(53), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("text_clean", sa.Text),
        sa.Column("speakers", sa.JSON, nullable=False),
        sa.Column("main_speaker", sa.Text),
        sa.Column("language", sa.Text),
        sa.Column("confidence", sa.Float(53)),
        sa.Column("transcript_source", sa.String(16), nullable=False),
        _owned("utterances"),
    )
    op.create_index("ix_utterances_recording", "utterances", ["recording"])
    op.create_table(
        "rejects",
        _recording(),
        sa.Column("stage", sa.String(32), primary_key=True),
        sa.Column("start", sa.Float(53), primary_key=True),
        sa.Column("end", sa.Float(53), primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        _owned("rejects"),
    )
