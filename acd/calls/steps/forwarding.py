"""A number outside is called for the caller (acd.calls.steps.reaching.forward), and answers or does not."""

from __future__ import annotations

from msgspec.structs import replace

from acd.calls.model import (
    BridgeLegs,
    Call,
    DialAllowed,
    DialForbidden,
    Effect,
    LegOver,
    NoteRefusedDial,
    NumberAnswered,
    NumberProgressed,
    NumberUnreachable,
    ReleaseAgentLeg,
    ReportRefer,
    Side,
    StartTimer,
    State,
    StopTimer,
    Timer,
    TimerFired,
)
from acd.calls.steps.context import Context, Step, enter
from acd.calls.steps.offering import let_transferor_go
from acd.calls.steps.reaching import call_outside, next_way, status_of
from acd.calls.steps.talking import resume_talk
from acd.calls.steps.transferring import give_up

_NOBODY = 480


def on_allowed(context: Context, call: Call, event: DialAllowed, now: float) -> Step:
    seconds = context.directory.dialling.ring_seconds
    return call, (*call_outside(call, Side.AGENT), StartTimer(Timer.RING, seconds))


def on_forbidden(context: Context, call: Call, event: DialForbidden, now: float) -> Step:
    note: tuple[Effect, ...] = ()
    if call.outside is not None:
        note = (NoteRefusedDial(call.outside.by, call.outside.number, event.cause),)
    call, effects = _failed(context, call, event.status, now)
    return call, note + effects


def on_progress(context: Context, call: Call, event: NumberProgressed, now: float) -> Step:
    if call.outside is None or call.outside.rang:
        return call, ()
    call = replace(call, outside=replace(call.outside, rang=True))
    return call, (ReportRefer(Side.TRANSFEROR, 180),) if call.transferor else ()


def on_answered(context: Context, call: Call, event: NumberAnswered, now: float) -> Step:
    """The caller talks to the number outside; the agent who transferred is done."""
    if call.outside is None:
        return call, ()
    let_go = let_transferor_go(call.transferor) if call.transferor else ()
    outside = replace(call.outside, answered=True)
    call = replace(call, transferor=None, outside=outside, offer=None)
    call = resume_talk(enter(call, State.TALKING, now), now)
    return call, (StopTimer(Timer.RING), *let_go, BridgeLegs())


def on_gone(context: Context, call: Call, event: LegOver | NumberUnreachable, now: float) -> Step:
    another = next_way(call, event)
    if another is not None:
        return another, call_outside(another, Side.AGENT)
    return _failed(context, call, status_of(event), now)


def on_silent(context: Context, call: Call, event: TimerFired, now: float) -> Step:
    return _failed(context, call, _NOBODY, now)


def _failed(context: Context, call: Call, status: int, now: float) -> Step:
    left = (StopTimer(Timer.RING), ReleaseAgentLeg("transfer-failed"))
    call, effects = give_up(context, call, status, now)
    return call, left + effects
