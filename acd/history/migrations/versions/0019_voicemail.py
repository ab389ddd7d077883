"""Voicemail: who takes messages, shared boxes, and the messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("queues", "agents"):
        with op.batch_alter_table(name) as table:
            table.add_column(sa.Column("voicemail", sa.JSON(none_as_null=True)))
    op.create_table(
        "boxes",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("number", sa.String(16), nullable=False),
        sa.Column("rules", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_boxes"),
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.String(80), nullable=False),
        sa.Column("box", sa.String(80), nullable=False),
        sa.Column("node", sa.String(32), nullable=False),
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("caller_name", sa.Text, nullable=False),
        sa.Column("called", sa.Text, nullable=False),
        sa.Column("queue", sa.String(64), nullable=False),
        sa.Column("received_at", sa.Double, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("heard_at", sa.Double),
        sa.Column("heard_by", sa.String(64), nullable=False, server_default=""),
        sa.Column("deleted_at", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
    )
    op.create_index("ix_messages_box", "messages", ["box", "received_at", "id"])


def downgrade() -> None:
    op.drop_table("messages")
    op.drop_table("boxes")
    for name in ("agents", "queues"):
        with op.batch_alter_table(name) as table:
            table.drop_column("voicemail")
