"""Callers by lists and look-ups, and priorities by name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "priorities",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("priority", sa.Integer, nullable=False),
    )
    op.create_table(
        "caller_lists",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("order", sa.Integer, nullable=False),
        sa.Column("numbers", sa.JSON, nullable=False),
        sa.Column("prefixes", sa.JSON, nullable=False),
        sa.Column("gives", sa.JSON, nullable=False),
        sa.Column("lookup", sa.JSON(none_as_null=True)),
    )
    op.create_table(
        "listed_numbers",
        sa.Column("list", sa.String(64), primary_key=True),
        sa.Column("number", sa.String(32), primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("removed", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("note", sa.String(128), nullable=False, server_default=""),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.Column("changed_by", sa.String(64), nullable=False, server_default=""),
    )
    op.create_index("ix_listed_numbers_revision", "listed_numbers", ["revision"])
    op.create_table(
        "listed_state",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
    )
    op.execute("INSERT INTO listed_state (id, revision) VALUES (1, 0)")


def downgrade() -> None:
    op.drop_table("listed_state")
    op.drop_index("ix_listed_numbers_revision", "listed_numbers")
    for table in ("listed_numbers", "caller_lists", "priorities"):
        op.drop_table(table)
