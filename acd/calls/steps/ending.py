"""The one door out of a call."""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from acd.calls.model import (
    Call,
    ClearRequested,
    Close,
    Effect,
    FinishConversation,
    HangUp,
    LeaveQueue,
    LegOver,
    MediaLost,
    ReleaseAgentLeg,
    Side,
    State,
)
from acd.calls.record import CallRecord, Outcome
from acd.calls.steps.context import Context, Step, enter

HangupSide = Literal["caller", "agent", "system"]

_WITH_AGENT_LEG = frozenset({State.OFFERED, State.CONNECTING, State.TALKING})


def end(call: Call, now: float, *, side: HangupSide, cause: str, outcome: Outcome | None = None) -> Step:
    """End the call, whatever it is doing. Ending it again changes nothing."""
    if call.state is State.ENDED:
        return call, ()
    effects: list[Effect] = [HangUp(Side.CALLER, cause)]
    if call.state in _WITH_AGENT_LEG:
        effects.append(ReleaseAgentLeg(cause))
    effects += _leave_routing(call)
    verdict = outcome or _outcome(call, cause)
    effects.append(Close(outcome=verdict, hangup_side=side, cause=cause))
    return enter(_stop_hold(call, now), State.ENDED, now), tuple(effects)


def _leave_routing(call: Call) -> list[Effect]:
    if call.state is State.TALKING and call.offer:
        return [FinishConversation(call.offer)]
    if call.state in (State.QUEUED, State.OFFERED, State.CONNECTING):
        # While connecting, our accept is under way: leaving ends whichever of the two it became.
        return [LeaveQueue()]
    return []


def _outcome(call: Call, cause: str) -> Outcome:
    if call.answered_at is not None:
        return "answered"
    if cause not in ("normal", "cancelled"):
        return "failed"
    return "completed" if call.served else "abandoned"


def _stop_hold(call: Call, now: float) -> Call:
    if call.held_since is None:
        return call
    return replace(call, hold_seconds=call.hold_seconds + now - call.held_since, held_since=None)


def on_caller_or_agent_gone(context: Context, call: Call, event: LegOver, now: float) -> Step:
    """A leg ended by itself, in a state where that ends the call."""
    cause = {"transport": "transport", "timeout": "no-ack"}.get(event.by, "normal")
    if call.state in (State.NEW, State.ANSWERING) and cause == "normal":
        cause = "cancelled"
    return end(call, now, side=event.side.value, cause=cause)


def on_media_lost(context: Context, call: Call, event: MediaLost, now: float) -> Step:
    """A far end went silent for good: nobody is there to hang up."""
    return end(call, now, side="system", cause=event.cause)


def on_clear(context: Context, call: Call, event: ClearRequested, now: float) -> Step:
    return end(call, now, side="system", cause=event.cause, outcome=None if call.answered_at else "cleared")


def record_of(call: Call, verdict: Close, ended_at: float) -> CallRecord:
    """The record of a call that ended at `ended_at`; media figures are added by whoever closed the legs."""
    wait_until = call.answered_at if call.answered_at is not None else ended_at
    wait = max(0.0, wait_until - call.enqueued_at) if call.enqueued_at is not None else 0.0
    talk = max(0.0, ended_at - call.answered_at) if call.answered_at is not None else 0.0
    return CallRecord(
        id=call.id,
        node=call.node,
        caller=call.caller,
        called=call.called,
        trunk=call.trunk,
        language=call.language,
        queue=call.queue,
        agent=call.agent,
        outcome=verdict.outcome,
        started_at=call.started_at,
        answered_at=call.answered_at,
        ended_at=ended_at,
        wait_seconds=round(wait, 3),
        talk_seconds=round(talk, 3),
        hold_seconds=round(call.hold_seconds, 3),
        hangup_side=verdict.hangup_side,
        cause=verdict.cause,
        offers=call.offers,
        segments=call.segments,
    )
