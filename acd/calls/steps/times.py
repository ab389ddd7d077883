"""How long the caller has waited and talked, over all queues and agents of the call."""

from __future__ import annotations

from msgspec.structs import replace

from acd.calls.model import Call, State

WAITING = frozenset({State.QUEUED, State.OFFERED, State.CONNECTING})


def waited(call: Call, now: float) -> float:
    if call.state not in WAITING or call.enqueued_at is None:
        return call.waited_seconds
    return call.waited_seconds + max(0.0, now - call.enqueued_at)


def talked(call: Call, now: float) -> float:
    if call.talking_since is None:
        return call.talked_seconds
    return call.talked_seconds + max(0.0, now - call.talking_since)


def settle(call: Call, now: float) -> Call:
    """Write down what runs: the wait, the conversation and the hold, each of which may be over now."""
    held = 0.0 if call.held_since is None else now - call.held_since
    return replace(
        call,
        waited_seconds=waited(call, now),
        talked_seconds=talked(call, now),
        talking_since=None,
        hold_seconds=call.hold_seconds + held,
        held_since=None,
    )
