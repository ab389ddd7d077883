"""What a trunk tells of a caller."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("trunks") as trunks:
        trunks.add_column(sa.Column("trusted", sa.Boolean(), nullable=False, server_default=sa.true()))
        trunks.add_column(sa.Column("country", sa.String(2), nullable=False, server_default=""))
        where = sa.Column("called_from", sa.String(16), nullable=False, server_default="request-uri")
        trunks.add_column(where)
        trunks.add_column(sa.Column("headers", sa.JSON(), nullable=False, server_default="{}"))
    with op.batch_alter_table("records") as records:
        records.add_column(sa.Column("diverted_from", sa.Text(), nullable=False, server_default=""))
        records.add_column(sa.Column("verstat", sa.String(64), nullable=False, server_default=""))
        records.add_column(sa.Column("attributes", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    with op.batch_alter_table("records") as records:
        for column in ("attributes", "verstat", "diverted_from"):
            records.drop_column(column)
    with op.batch_alter_table("trunks") as trunks:
        for column in ("headers", "called_from", "country", "trusted"):
            trunks.drop_column(column)
