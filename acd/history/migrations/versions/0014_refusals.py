"""What a refusal leads to, by the way in which a call is not taken; not_answering_after is part of it."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_STANDARD = 3
_ABSENT = ("no_answer", "unreachable")


def upgrade() -> None:
    with op.batch_alter_table("queues") as queues:
        queues.add_column(sa.Column("refusals", sa.JSON, nullable=False, server_default="{}"))
    connection = op.get_bind()
    found = connection.execute(sa.text("SELECT name, not_answering_after FROM queues")).all()
    for name, after in found:
        if after != _STANDARD:
            rules = json.dumps({way: {"not_answering_after": after} for way in _ABSENT})
            connection.execute(
                sa.text("UPDATE queues SET refusals = :rules WHERE name = :name").bindparams(
                    rules=rules, name=name
                )
            )
    with op.batch_alter_table("queues") as queues:
        queues.drop_column("not_answering_after")


def downgrade() -> None:
    with op.batch_alter_table("queues") as queues:
        queues.add_column(sa.Column("not_answering_after", sa.Integer, nullable=False, server_default="3"))
        queues.drop_column("refusals")
