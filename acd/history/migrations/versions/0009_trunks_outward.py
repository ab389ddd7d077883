"""Where calls to a trunk go, and who we are there."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_COLUMNS: tuple[tuple[str, sa.types.TypeEngine[Any], str], ...] = (
    ("hosts", sa.JSON(), "[]"),
    ("username", sa.String(128), ""),
    ("realm", sa.String(128), ""),
    ("ha1_md5", sa.String(32), ""),
    ("ha1_sha256", sa.String(64), ""),
    ("register_seconds", sa.Integer(), "0"),
    ("calls_per_second", sa.Double(), "0"),
    ("probe_seconds", sa.Double(), "30"),
)


def upgrade() -> None:
    with op.batch_alter_table("trunks") as trunks:
        for name, kind, default in _COLUMNS:
            trunks.add_column(sa.Column(name, kind, nullable=False, server_default=default))


def downgrade() -> None:
    with op.batch_alter_table("trunks") as trunks:
        for name, _, _ in reversed(_COLUMNS):
            trunks.drop_column(name)
