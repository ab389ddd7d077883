"""What calls to a trunk say in headers of their own and of a diversion, and where its 3xx may lead."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("trunks") as trunks:
        trunks.add_column(sa.Column("send_headers", sa.JSON, nullable=False, server_default="{}"))
        trunks.add_column(sa.Column("diversion", sa.String(16), nullable=False, server_default="off"))
        trunks.add_column(sa.Column("redirects", sa.String(16), nullable=False, server_default="refuse"))


def downgrade() -> None:
    with op.batch_alter_table("trunks") as trunks:
        for name in ("redirects", "diversion", "send_headers"):
            trunks.drop_column(name)
