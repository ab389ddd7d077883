"""The table of voice messages. Times in seconds since the epoch, durations in seconds."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, String, Table, Text

from acd.database import metadata

messages = Table(
    "messages",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("box", String(80), nullable=False),
    Column("node", String(32), nullable=False),
    Column("call_id", String(64), nullable=False),
    Column("caller", Text, nullable=False),
    Column("caller_name", Text, nullable=False),
    Column("called", Text, nullable=False),
    Column("queue", String(64), nullable=False),
    Column("received_at", Double, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("heard_at", Double),
    Column("heard_by", String(64), nullable=False, server_default=""),
    Column("deleted_at", Double),
)
"""One row a message. A deleted one is nobody's any more, and stays until its audio is gone."""

Index("ix_messages_box", messages.c.box, messages.c.received_at, messages.c.id)
