"""Directory, call records and tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _directory()
    _records()
    op.create_table(
        "tokens",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("revoked_at", sa.Double()),
        sa.PrimaryKeyConstraint("sha256", name="pk_tokens"),
        sa.UniqueConstraint("name", name="uq_tokens_name"),
    )


def downgrade() -> None:
    for table in ("tokens", "records", "directory_state", "agents", "queues", "skills", "numbers", "trunks"):
        op.drop_table(table)


def _directory() -> None:
    op.create_table(
        "trunks",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("match", sa.JSON(), nullable=False),
        sa.Column("max_calls", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_trunks"),
    )
    op.create_table(
        "numbers",
        sa.Column("number", sa.String(32), nullable=False),
        sa.Column("flow", sa.String(128)),
        sa.Column("queue", sa.String(64)),
        sa.Column("language", sa.String(16)),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("skills", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_numbers"),
    )
    op.create_table(
        "skills",
        sa.Column("name", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_skills"),
    )
    op.create_table(
        "queues",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("requires", sa.JSON(), nullable=False),
        sa.Column("strategy", sa.String(32), nullable=False),
        sa.Column("ring_seconds", sa.Double(), nullable=False),
        sa.Column("wrapup_seconds", sa.Double(), nullable=False),
        sa.Column("service_level_seconds", sa.Double(), nullable=False),
        sa.Column("max_wait_seconds", sa.Double()),
        sa.Column("announce_position_seconds", sa.Double(), nullable=False),
        sa.Column("music", sa.String(64), nullable=False),
        sa.Column("not_answering_after", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_queues"),
    )
    op.create_table(
        "agents",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("extension", sa.String(32), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("ha1_md5", sa.String(32), nullable=False),
        sa.Column("ha1_sha256", sa.String(64), nullable=False),
        sa.Column("skills", sa.JSON(), nullable=False),
        sa.Column("sign_in", sa.String(16), nullable=False),
        sa.Column("team", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_agents"),
        sa.UniqueConstraint("extension", name="uq_agents_extension"),
    )
    op.create_table(
        "directory_state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("realm", sa.String(255), nullable=False),
        sa.Column("applied_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_directory_state"),
    )


def _records() -> None:
    op.create_table(
        "records",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("node", sa.String(32), nullable=False),
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("called", sa.Text(), nullable=False),
        sa.Column("trunk", sa.String(64), nullable=False),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("queue", sa.String(64), nullable=False),
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("answered_at", sa.Double()),
        sa.Column("ended_at", sa.Double(), nullable=False),
        sa.Column("wait_seconds", sa.Double(), nullable=False),
        sa.Column("talk_seconds", sa.Double(), nullable=False),
        sa.Column("hold_seconds", sa.Double(), nullable=False),
        sa.Column("hangup_side", sa.String(16), nullable=False),
        sa.Column("cause", sa.String(64), nullable=False),
        sa.Column("offers", sa.Integer(), nullable=False),
        sa.Column("segments", sa.JSON(), nullable=False),
        sa.Column("packets_lost", sa.Integer(), nullable=False),
        sa.Column("jitter_seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_records"),
    )
    op.create_index("ix_records_started_at", "records", ["started_at", "id"])
    op.create_index("ix_records_queue", "records", ["queue", "started_at"])
    op.create_index("ix_records_agent", "records", ["agent", "started_at"])
