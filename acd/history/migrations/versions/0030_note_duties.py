"""Notes that queues require, and whether they are complete."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("notes") as notes:
        notes.add_column(sa.Column("complete", sa.Boolean, nullable=False, server_default=sa.true()))
    op.create_table(
        "note_duties",
        sa.Column("call_id", sa.String(64), primary_key=True),
        sa.Column("agent", sa.String(64), primary_key=True),
        sa.Column("queue", sa.String(64), nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
    )
    op.create_index("ix_note_duties_agent", "note_duties", ["agent", "due_at"])


def downgrade() -> None:
    op.drop_table("note_duties")
    with op.batch_alter_table("notes") as notes:
        notes.drop_column("complete")
