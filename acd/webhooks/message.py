"""What a webhook says of a fact. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from acd.calls.facts import CallAnswered, CallEnded, CallFact, CallQueued
from acd.calls.view import CallView

KINDS: Mapping[type[Any], str] = {
    CallQueued: "call.queued",
    CallAnswered: "call.answered",
    CallEnded: "call.ended",
}


@dataclass(frozen=True, slots=True)
class Message:
    """One event, the same for every attempt to deliver it. `id` tells repetitions from events."""

    id: str
    kind: str
    body: bytes


def message_of(fact: CallFact, call: CallView | None, now: float) -> Message | None:
    """The message about a fact; None for one that webhooks do not tell. `call` is who it is about, alive."""
    data: dict[str, Any]
    match fact:
        case CallQueued():
            data = {"call": fact.call_id, "queue": fact.queue, **_parties(call)}
        case CallAnswered():
            data = {
                "call": fact.call_id,
                "queue": fact.queue,
                "agent": fact.agent,
                "wait_seconds": round(fact.wait_seconds, 3),
                "ring_seconds": round(fact.ring_seconds, 3),
                **_parties(call),
            }
        case CallEnded(record=record):
            told = msgspec.to_builtins(record)
            # Why which agent was rung is for the people of the centre: GET /v1/calls/{id}/why.
            data = {"call": told.pop("id"), **{key: told[key] for key in told if key != "attempts"}}
        case _:
            return None
    kind = KINDS[type(fact)]
    at = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = msgspec.json.encode({"type": kind, "timestamp": at, "data": data})
    return Message(f"msg_{secrets.token_hex(16)}", kind, body)


def _parties(call: CallView | None) -> dict[str, str]:
    if call is None:
        return {}
    return {"caller": call.caller, "called": call.called, "language": call.language}
