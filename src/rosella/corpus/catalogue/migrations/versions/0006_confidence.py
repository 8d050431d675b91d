"""Confidence is of a byte, no longer of a token: the old ones are not known any more. An index to count by it."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE utterances SET confidence = NULL")
    op.create_index("ix_utterances_confidence", "utterances", ["confidence", "start", "end"])
