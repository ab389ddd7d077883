"""Agents who are lent to another queue while their own is well."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("queues") as queues:
        queues.add_column(sa.Column("lends_while", sa.JSON(none_as_null=True)))
    with op.batch_alter_table("agents") as agents:
        agents.add_column(sa.Column("lent", sa.JSON, nullable=False, server_default="{}"))


def downgrade() -> None:
    with op.batch_alter_table("agents") as agents:
        agents.drop_column("lent")
    with op.batch_alter_table("queues") as queues:
        queues.drop_column("lends_while")
