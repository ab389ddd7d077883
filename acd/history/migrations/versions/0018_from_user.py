"""Whose user part From carries in a call over a trunk."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("trunks") as trunks:
        trunks.add_column(sa.Column("from_user", sa.String(16), nullable=False, server_default="caller"))


def downgrade() -> None:
    with op.batch_alter_table("trunks") as trunks:
        trunks.drop_column("from_user")
