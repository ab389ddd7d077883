"""The tables of the history. Times in seconds since the epoch, durations in seconds."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Double, Index, Integer, String, Table, Text, true

from acd.database import metadata

records = Table(
    "records",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("node", String(32), nullable=False),
    Column("caller", Text, nullable=False),
    Column("called", Text, nullable=False),
    Column("trunk", String(64), nullable=False),
    Column("language", String(16), nullable=False),
    Column("queue", String(64), nullable=False),
    Column("agent", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("started_at", Double, nullable=False),
    Column("answered_at", Double),
    Column("ended_at", Double, nullable=False),
    Column("wait_seconds", Double, nullable=False),
    Column("talk_seconds", Double, nullable=False),
    Column("hold_seconds", Double, nullable=False),
    Column("hangup_side", String(16), nullable=False),
    Column("cause", String(64), nullable=False),
    Column("offers", Integer, nullable=False),
    Column("segments", JSON, nullable=False),
    Column("packets_lost", Integer, nullable=False),
    Column("jitter_seconds", Double, nullable=False),
    Column("diverted_from", Text, nullable=False, server_default=""),
    Column("verstat", String(64), nullable=False, server_default=""),
    Column("attributes", JSON, nullable=False, server_default="{}"),
    Column("attempts", JSON, nullable=False, server_default="[]"),
    Column("callback", String(64), nullable=False, server_default=""),
    Column("direction", String(16), nullable=False, server_default="inbound"),
    Column("shown", Text, nullable=False, server_default=""),
    Column("outside", Text, nullable=False, server_default=""),
    Column("trunk_out", String(64), nullable=False, server_default=""),
)
"""One row a call. The columns are the fields of acd.calls.record.CallRecord."""

notes = Table(
    "notes",
    metadata,
    Column("call_id", String(64), primary_key=True),
    Column("agent", String(64), primary_key=True),
    Column("queue", String(64), nullable=False),
    Column("code", String(128)),
    Column("fields", JSON, nullable=False),
    Column("given_at", Double, nullable=False),
    Column("complete", Boolean, nullable=False, server_default=true()),
)
"""What each agent of a call noted about it: one row each. The call need not be over."""

note_duties = Table(
    "note_duties",
    metadata,
    Column("call_id", String(64), primary_key=True),
    Column("agent", String(64), primary_key=True),
    Column("queue", String(64), nullable=False),
    Column("due_at", Double, nullable=False),
)
"""Conversations about which the queue requires a note, and when the wrap-up ended, or will at the latest."""

refusal_words = Table(
    "refusal_words",
    metadata,
    Column("call_id", String(64), primary_key=True),
    Column("agent", String(64), primary_key=True),
    Column("queue", String(64), nullable=False),
    Column("refused_at", Double, nullable=False),
    Column("required", Boolean, nullable=False),
    Column("reason", String(128)),
)
"""Calls that agents did not take, of queues that ask for the reason: the last time of an agent and a call."""

callbacks = Table(
    "callbacks",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("document", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("making", Boolean, nullable=False),
    Column("changed_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("ended", String(16), nullable=False),
)
"""Who is to be called, as far as the store has said, and for two days who was: for a store that loses it.

`document` is the acd.calls.callbacks.CallbackOrder, empty of one that has ended; `making` an attempt that has
begun and of which no more was heard; `expires_at` 0 where it does not expire; `ended` empty, or how."""

Index("ix_callbacks_ended", callbacks.c.ended, callbacks.c.expires_at)
Index("ix_refusal_words_agent", refusal_words.c.agent, refusal_words.c.refused_at)
Index("ix_note_duties_agent", note_duties.c.agent, note_duties.c.due_at)
Index("ix_records_started_at", records.c.started_at, records.c.id)
Index("ix_records_queue", records.c.queue, records.c.started_at)
Index("ix_records_agent", records.c.agent, records.c.started_at)
Index("ix_records_caller", records.c.caller, records.c.started_at)
