"""Agents who take calls by their own priorities of the queues."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("agents") as agents:
        agents.add_column(sa.Column("takes", sa.String(16), nullable=False, server_default="most-urgent"))


def downgrade() -> None:
    with op.batch_alter_table("agents") as agents:
        agents.drop_column("takes")
