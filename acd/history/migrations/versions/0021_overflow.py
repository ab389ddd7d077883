"""When and where callers leave a queue, and when they do not join it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_ABSENT = '["paused", "not-answering"]'


def upgrade() -> None:
    with op.batch_alter_table("queues") as queues:
        queues.add_column(sa.Column("overflow", sa.JSON, nullable=False, server_default="[]"))
        queues.add_column(sa.Column("max_waiting", sa.Integer))
        queues.add_column(sa.Column("join_when_empty", sa.Boolean, nullable=False, server_default=sa.true()))
        queues.add_column(
            sa.Column("leave_when_empty", sa.Boolean, nullable=False, server_default=sa.false())
        )
        queues.add_column(
            sa.Column("agents_count_as_absent", sa.JSON, nullable=False, server_default=_ABSENT)
        )


def downgrade() -> None:
    with op.batch_alter_table("queues") as queues:
        for column in (
            "agents_count_as_absent",
            "leave_when_empty",
            "join_when_empty",
            "max_waiting",
            "overflow",
        ):
            queues.drop_column(column)
