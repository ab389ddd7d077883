"""Calls to the outside: routes, rights and numbers shown, who is not to be called, what records say of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_RECORDS = ("direction", "shown", "outside", "trunk_out")


def upgrade() -> None:
    op.create_table(
        "teams",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("dialling", sa.JSON, nullable=False),
        sa.Column("caller_id", sa.String(32), nullable=False),
        sa.Column("outside_calls", sa.Integer),
    )
    op.create_table(
        "routes",
        sa.Column("prefix", sa.String(16), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("trunks", sa.JSON, nullable=False),
        sa.Column("strip", sa.Integer, nullable=False),
        sa.Column("prepend", sa.String(16), nullable=False),
    )
    op.create_table(
        "dialling",
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("country", sa.String(2), nullable=False),
        sa.Column("caller_id", sa.String(32), nullable=False),
        sa.Column("outside_calls", sa.Integer, nullable=False),
        sa.Column("ring_seconds", sa.Double, nullable=False),
        sa.Column("wrapup_seconds", sa.Double, nullable=False),
        sa.Column("operators", sa.JSON, nullable=False),
    )
    op.create_table(
        "do_not_call",
        sa.Column("entry", sa.String(24), primary_key=True),
        sa.Column("note", sa.String(200), nullable=False),
        sa.Column("added_at", sa.Double, nullable=False),
    )
    with op.batch_alter_table("agents") as agents:
        agents.add_column(sa.Column("dialling", sa.JSON(none_as_null=True)))
        agents.add_column(sa.Column("caller_id", sa.String(32), nullable=False, server_default=""))
        agents.add_column(sa.Column("outside_calls", sa.Integer))
    with op.batch_alter_table("queues") as queues:
        queues.add_column(sa.Column("caller_id", sa.String(32), nullable=False, server_default=""))
    with op.batch_alter_table("records") as records:
        records.add_column(sa.Column("direction", sa.String(16), nullable=False, server_default="inbound"))
        records.add_column(sa.Column("shown", sa.Text, nullable=False, server_default=""))
        records.add_column(sa.Column("outside", sa.Text, nullable=False, server_default=""))
        records.add_column(sa.Column("trunk_out", sa.String(64), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("records") as records:
        for column in _RECORDS:
            records.drop_column(column)
    with op.batch_alter_table("queues") as queues:
        queues.drop_column("caller_id")
    with op.batch_alter_table("agents") as agents:
        for column in ("dialling", "caller_id", "outside_calls"):
            agents.drop_column(column)
    for table in ("do_not_call", "dialling", "routes", "teams"):
        op.drop_table(table)
