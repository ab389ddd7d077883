"""Profiles of phones, which take over what was said of each agent's phones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_AGENTS = sa.table("agents", *map(sa.column, ("device", "srtp", "auto_answer")))
_DEVICES = sa.table(
    "devices", *map(sa.column, ("name", "user_agent", "auto_answer", "srtp", "display", "call_info"))
)


def upgrade() -> None:
    op.create_table(
        "devices",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("user_agent", sa.String(128), nullable=False),
        sa.Column("auto_answer", sa.String(16), nullable=False),
        sa.Column("srtp", sa.String(16), nullable=False),
        sa.Column("display", sa.String(16), nullable=False),
        sa.Column("call_info", sa.String(500), nullable=False),
    )
    with op.batch_alter_table("agents") as agents:
        agents.add_column(sa.Column("device", sa.String(64), nullable=False, server_default=""))
    _keep_what_agents_had()
    with op.batch_alter_table("agents") as agents:
        agents.drop_column("srtp")
        agents.drop_column("auto_answer")


def _keep_what_agents_had() -> None:
    """A profile of its own for each pair of rules that some agent has."""
    columns = _AGENTS.c.srtp, _AGENTS.c.auto_answer
    for srtp, auto_answer in op.get_bind().execute(sa.select(*columns).distinct()).all():
        if (srtp, auto_answer) == ("off", "off"):
            continue
        name = f"srtp-{srtp}_{auto_answer}"
        op.execute(
            _DEVICES.insert().values(
                name=name,
                user_agent="",
                auto_answer=auto_answer,
                srtp=srtp,
                display="caller-queue",
                call_info="",
            )
        )
        same = (_AGENTS.c.srtp == srtp) & (_AGENTS.c.auto_answer == auto_answer)
        op.execute(_AGENTS.update().where(same).values(device=name))


def downgrade() -> None:
    with op.batch_alter_table("agents") as agents:
        agents.add_column(sa.Column("srtp", sa.String(16), nullable=False, server_default="off"))
        agents.add_column(sa.Column("auto_answer", sa.String(16), nullable=False, server_default="off"))
        agents.drop_column("device")
    op.drop_table("devices")
