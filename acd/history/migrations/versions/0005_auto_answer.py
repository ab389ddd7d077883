"""Phones that take calls by themselves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("agents") as agents:
        agents.add_column(sa.Column("auto_answer", sa.String(16), nullable=False, server_default="off"))


def downgrade() -> None:
    with op.batch_alter_table("agents") as agents:
        agents.drop_column("auto_answer")
