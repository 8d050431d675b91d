"""Who drew a turn's borders, and how sure a recogniser was of an utterance."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("turns", sa.Column("origin", sa.String(16), nullable=False, server_default="manifest"))
    op.add_column("utterances", sa.Column("no_speech", sa.Float(53)))
    op.add_column("utterances", sa.Column("compression", sa.Float(53)))
