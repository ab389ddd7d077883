"""How long callers wait for their preferred agent, and for who spoke to them last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("queues") as queues:
        queues.add_column(sa.Column("preferred_seconds", sa.Double, nullable=False, server_default="20"))
        queues.add_column(sa.Column("last_agent", sa.JSON(none_as_null=True)))
    op.create_index("ix_records_caller", "records", ["caller", "started_at"])


def downgrade() -> None:
    op.drop_index("ix_records_caller", "records")
    with op.batch_alter_table("queues") as queues:
        queues.drop_column("last_agent")
        queues.drop_column("preferred_seconds")
