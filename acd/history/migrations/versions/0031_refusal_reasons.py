"""Why agents did not take a call, in their own words."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("queues") as queues:
        queues.add_column(sa.Column("refusal_reasons", sa.JSON, nullable=False, server_default="[]"))
        queues.add_column(
            sa.Column("refusal_reason_required", sa.Boolean, nullable=False, server_default=sa.false())
        )
    op.create_table(
        "refusal_words",
        sa.Column("call_id", sa.String(64), primary_key=True),
        sa.Column("agent", sa.String(64), primary_key=True),
        sa.Column("queue", sa.String(64), nullable=False),
        sa.Column("refused_at", sa.Double, nullable=False),
        sa.Column("required", sa.Boolean, nullable=False),
        sa.Column("reason", sa.String(128)),
    )
    op.create_index("ix_refusal_words_agent", "refusal_words", ["agent", "refused_at"])


def downgrade() -> None:
    op.drop_table("refusal_words")
    with op.batch_alter_table("queues") as queues:
        queues.drop_column("refusal_reason_required")
        queues.drop_column("refusal_reasons")
