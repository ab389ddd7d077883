"""What a transfer into a queue does to the caller's place, and the feature codes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("queues") as queues:
        queues.add_column(sa.Column("transfer_place", sa.String(16), nullable=False, server_default="keep"))
    op.create_table(
        "codes",
        sa.Column("code", sa.String(16), nullable=False),
        sa.Column("does", sa.String(16), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("code", name="pk_codes"),
    )


def downgrade() -> None:
    op.drop_table("codes")
    with op.batch_alter_table("queues") as queues:
        queues.drop_column("transfer_place")
