"""What queues ask of agents as time goes by, and what tells agents apart for a strategy."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_LISTS = ("any_of", "teams", "languages", "relax")


def upgrade() -> None:
    with op.batch_alter_table("queues") as queues:
        for name in _LISTS:
            queues.add_column(sa.Column(name, sa.JSON(), nullable=False, server_default="[]"))
        queues.add_column(sa.Column("order_by", sa.String(16), nullable=False, server_default="arrival"))
    with op.batch_alter_table("agents") as agents:
        agents.add_column(sa.Column("queues", sa.JSON(), nullable=False, server_default="{}"))
        agents.add_column(sa.Column("order", sa.Integer(), nullable=False, server_default="0"))
        agents.add_column(sa.Column("weight", sa.Integer(), nullable=False, server_default="1"))


def downgrade() -> None:
    with op.batch_alter_table("agents") as agents:
        for name in ("queues", "order", "weight"):
            agents.drop_column(name)
    with op.batch_alter_table("queues") as queues:
        for name in ("order_by", *_LISTS):
            queues.drop_column(name)
