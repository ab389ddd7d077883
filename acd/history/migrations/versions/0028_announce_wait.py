"""Callers who are told the wait that is expected."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("queues") as queues:
        queues.add_column(sa.Column("announce_wait", sa.String(16), nullable=False, server_default="never"))


def downgrade() -> None:
    with op.batch_alter_table("queues") as queues:
        queues.drop_column("announce_wait")
