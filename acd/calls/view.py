"""A live call as others may see it: a copy, so that looking never touches the call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from acd.calls.model import Call, State
from acd.calls.record import Attempt, Direction, Segment
from acd.calls.steps.context import Context
from acd.calls.steps.ending import direction_of
from acd.calls.steps.tickets import ticket_of
from acd.calls.steps.times import WAITING
from routing.model import Requirement
from routing.requirement import in_force


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why a live call is where it is. `needs` is what it waits for, None where it does not wait."""

    view: CallView
    attempts: tuple[Attempt, ...]
    needs: Requirement | None
    segments: tuple[Segment, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallView:
    """`started_at` in seconds since the epoch. Empty strings where there is nothing (yet)."""

    id: str
    state: str
    """An acd.calls.model.State value."""
    queue: str
    agent: str
    """The agent who is rung or talks."""
    caller: str
    called: str
    started_at: float
    waiting_seconds: float
    """Since the caller entered the queue, until an agent answered; 0 for a call that never waited."""
    language: str = ""
    node: str = ""
    direction: Direction = "inbound"
    entry: str = ""
    """What the store calls the place of a call that waits."""


def reasons_of(context: Context, call: Call, now: float) -> Reasons:
    """Of a call at this time (seconds since the epoch)."""
    return Reasons(
        view_of(call, now), call.attempts, needs_of(context, call, now), call.segments, call.attributes
    )


def needs_of(context: Context, call: Call, now: float) -> Requirement | None:
    """What the caller waits for now; None for one who does not wait, and of a queue that is no more."""
    if call.state is not State.QUEUED or context.queue(call.queue) is None:
        return None
    return in_force(ticket_of(context, call), round(now * 1000))


def view_of(call: Call, now: float) -> CallView:
    waiting = call.enqueued_at is not None and call.state in WAITING
    return CallView(
        id=call.id,
        state=call.state.value,
        queue=call.queue,
        agent=call.agent,
        caller=call.extension if call.is_outgoing else call.caller,
        called=call.called,
        started_at=call.started_at,
        waiting_seconds=max(0.0, now - (call.enqueued_at or now)) if waiting else 0.0,
        language=call.language,
        node=call.node,
        direction=direction_of(call),
        entry=call.entry,
    )
