"""Callers who are called back: the rules of a queue, and the callback that a call belongs to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("queues") as queues:
        queues.add_column(sa.Column("callback", sa.JSON(none_as_null=True)))
    with op.batch_alter_table("records") as records:
        records.add_column(sa.Column("callback", sa.String(64), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("records") as records:
        records.drop_column("callback")
    with op.batch_alter_table("queues") as queues:
        queues.drop_column("callback")
