"""Somebody to call: a caller who hung up and kept the place, or whom an agent promised to call. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from routing.callbacks import Callback


class CallbackOrder(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that whoever makes the call needs. Times in seconds since the epoch."""

    id: str
    """Of a caller's wish: the id of that call."""
    kind: Literal["callback", "follow-up"] = "callback"
    queue: str
    agent: str | None = None
    """The one agent whom it is for."""
    number: str
    called: str = ""
    """What the caller had dialled."""
    trunk: str = ""
    """What the caller came over."""
    caller_name: str = ""
    language: str = ""
    languages: tuple[str, ...] = ()
    skills: Mapping[str, int] = {}
    attributes: Mapping[str, str] = {}
    priority: int = 0
    preferred: str = ""
    """The agent who should make it before others do."""
    spoke_with: tuple[tuple[str, float], ...] = ()
    """Who talked to the number before, and when, the newest first."""
    created_at: float
    enqueued_at: float
    """The age that counts in the queue."""
    due_at: float = 0.0
    expires_at: float = 0.0
    first: Literal["agent", "customer"] = "agent"
    attempts: int = 3
    interval_seconds: float = 300.0
    ring_seconds: float = 30.0
    note: str = ""
    by: str = ""
    """The agent who promised it, with whose rights the number is called; empty for anybody else."""


def entry_of(order: CallbackOrder) -> Callback:
    """What the store is told. A number has one callback a queue, and any number of follow-ups."""
    return Callback(
        id=order.id,
        queue=order.queue,
        number=order.number if order.kind == "callback" else "",
        enqueued_ms=round(order.enqueued_at * 1000),
        document=msgspec.json.encode(order).decode(),
        due_ms=round(order.due_at * 1000),
        expires_ms=round(order.expires_at * 1000),
        attempts=order.attempts,
        interval_ms=round(order.interval_seconds * 1000),
    )


def read_order(document: str) -> CallbackOrder:
    """The inverse of the document of entry_of. Raises msgspec.MsgspecError."""
    return msgspec.json.decode(document, type=CallbackOrder)
