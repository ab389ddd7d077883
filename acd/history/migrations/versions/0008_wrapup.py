"""What agents do and note after a conversation, and who did not take a call."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_OF_QUEUES = ("wrapup_mode", "wrapup_limit_seconds", "wrapup_codes", "wrapup_code_required", "wrapup_form")


def upgrade() -> None:
    with op.batch_alter_table("queues") as queues:
        queues.add_column(sa.Column("wrapup_mode", sa.String(16), nullable=False, server_default="fixed"))
        queues.add_column(
            sa.Column("wrapup_limit_seconds", sa.Double(), nullable=False, server_default="300")
        )
        queues.add_column(sa.Column("wrapup_codes", sa.JSON(), nullable=False, server_default="[]"))
        queues.add_column(
            sa.Column("wrapup_code_required", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        queues.add_column(sa.Column("wrapup_form", sa.JSON(), nullable=False, server_default="[]"))
    with op.batch_alter_table("records") as records:
        records.add_column(sa.Column("attempts", sa.JSON(), nullable=False, server_default="[]"))
    op.create_table(
        "notes",
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("queue", sa.String(64), nullable=False),
        sa.Column("code", sa.String(128)),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("given_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("call_id", "agent"),
    )


def downgrade() -> None:
    op.drop_table("notes")
    with op.batch_alter_table("records") as records:
        records.drop_column("attempts")
    with op.batch_alter_table("queues") as queues:
        for name in _OF_QUEUES:
            queues.drop_column(name)
