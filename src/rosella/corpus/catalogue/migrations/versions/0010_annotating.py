"""Clips that wait for people, what was judged, and what two people made of the same clip."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "queue",
        sa.Column("clip", sa.String(64), primary_key=True),
        _recording("queue"),
        sa.Column(
            "utterance",
            sa.String(64),
            sa.ForeignKey("utterances.id", name=op.f("fk_queue_utterance"), ondelete="SET NULL"),
        ),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("first", sa.Text),
        sa.Column("features", sa.JSON, nullable=False),
        sa.Column("words", sa.Integer, nullable=False),
        _number("length"),
        _number("errors"),
        _number("priority"),
        sa.Column("model", sa.Integer, nullable=False),
        sa.Column("holder", sa.Text),
        _number("until"),
    )
    op.create_index("ix_queue_order", "queue", ["kind", "priority", "errors", "length"])
    for column in ("recording", "utterance", "model", "holder"):
        op.create_index(op.f(f"ix_queue_{column}"), "queue", [column])
    op.create_table(
        "judged",
        sa.Column("clip", sa.String(64), primary_key=True),
        _recording("judged"),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        _number("at"),
        sa.Column("features", sa.JSON),
        sa.Column("words", sa.Integer),
        _number("length"),
        sa.Column("seconds", sa.Float(53)),
        *(
            sa.Column(name, sa.Integer, nullable=False)
            for name in ("substituted", "inserted", "deleted", "speaker", "times")
        ),
    )
    op.create_index(op.f("ix_judged_at"), "judged", ["at"])
    op.create_index(op.f("ix_judged_recording"), "judged", ["recording"])
    op.create_table(
        "readings",
        sa.Column("clip", sa.String(64), primary_key=True),
        sa.Column("author", sa.Text, primary_key=True),
        _recording("readings"),
        sa.Column("first", sa.Text, nullable=False),
        sa.Column("at", sa.Float(53)),
        _number("length"),
        sa.Column("work", sa.Float(53)),
        sa.Column("state", sa.JSON, nullable=False),
        sa.Column("other", sa.JSON, nullable=False),
        sa.Column("words", sa.Integer, nullable=False),
        sa.Column("edits", sa.Integer, nullable=False),
        _number("seconds"),
        _number("agreed"),
    )
    op.create_index(op.f("ix_readings_recording"), "readings", ["recording"])
    op.create_table(
        "effort",
        sa.Column("person", sa.Text, primary_key=True),
        sa.Column("known", sa.JSON, nullable=False),
    )


def _recording(table: str) -> sa.Column[str]:
    key = sa.ForeignKey("recordings.id", name=op.f(f"fk_{table}_recording"), ondelete="CASCADE")
    return sa.Column("recording", sa.String(32), key, nullable=False)


def _number(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Float(53), nullable=False)
