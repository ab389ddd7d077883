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
    ReleaseRival,
    ReleaseTransferor,
    RivalOver,
    SettleCallback,
    Side,
    State,
)
from acd.calls.record import NODE_DIED, CallRecord, Direction, Outcome
from acd.calls.steps.attempts import attempted
from acd.calls.steps.context import NO_QUEUES, Context, Step, enter
from acd.calls.steps.messages import has_left_message
from acd.calls.steps.times import settle, talked, waited

HangupSide = Literal["caller", "agent", "system"]

_NEVER = frozenset({"operator", "unknown-queue"})
"""Nobody is to try again."""
_UNANSWERED = frozenset({State.OFFERED, State.CONNECTING})
_SETTLED_ELSEWHERE = frozenset(
    {"callback-gone", "callback-taken", "callback-done", "callback-cancelled", "callback-expired"}
)
"""Causes of a call whose callback has ended already, or is another node's."""


def end(call: Call, now: float, *, side: HangupSide, cause: str, outcome: Outcome | None = None) -> Step:
    """End the call, whatever it is doing. Ending it again changes nothing."""
    if call.state is State.ENDED:
        return call, ()
    # The store hears of it before audio is closed, which takes a word to the worker and back: the agent's
    # next caller waits for the one and not for the other.
    effects: list[Effect] = [HangUp(Side.CALLER, cause), *_leave_routing(call)]
    if call.has_agent_leg:
        effects.append(ReleaseAgentLeg(cause))
    effects += (ReleaseRival(offer.token, cause) for offer in call.rivals)
    if call.callback is not None and call.answered_at is None and cause not in _SETTLED_ELSEWHERE:
        effects.append(SettleCallback(cause, cancel=cause in _NEVER))
    if call.transferor is not None:
        if call.transferor.offer:
            effects.append(FinishConversation(call.transferor.offer))
        effects.append(ReleaseTransferor(cause))
    if call.seated is not None:
        effects.append(FinishConversation(call.seated.offer))
    verdict = outcome or _outcome(call, cause, now)
    effects.append(Close(outcome=verdict, hangup_side=side, cause=cause))
    if call.state in _UNANSWERED:
        for offer in (None, *call.rivals):
            call = attempted(call, "ended", now, offer)
    call = replace(settle(call, now), transferor=None, rivals=())
    return enter(call, State.ENDED, now), tuple(effects)


def _leave_routing(call: Call) -> list[Effect]:
    if call.state is State.TALKING and call.offer:
        return [FinishConversation(call.offer)]
    if call.state is State.CALLING and call.offer:
        return [FinishConversation(call.offer, wrapup=False)]
    if call.state in (State.QUEUED, State.OFFERED, State.CONNECTING):
        # While connecting, our accept is under way: leaving ends whichever of the two it became.
        return [LeaveQueue(call.entry, "abandoned" if call.callback is None else "released")]
    if call.state is State.DIALLING and call.agent_first and call.offer:
        return [FinishConversation(call.offer, wrapup=False)]
    if call.state is State.DIALLING:
        return [LeaveQueue(call.entry, "released")]
    return []


def _outcome(call: Call, cause: str, now: float) -> Outcome:
    if call.answered_at is not None:
        return "answered"
    if call.outside is not None and call.outside.answered and call.callback is None:
        return "forwarded"
    if call.called_back:
        return "callback"
    if has_left_message(call, now):
        return "voicemail"
    if cause not in ("normal", "cancelled") or call.callback is not None:
        return "failed"
    return "completed" if call.served else "abandoned"


def on_caller_or_agent_gone(context: Context, call: Call, event: LegOver, now: float) -> Step:
    """A leg ended by itself, in a state where that ends the call."""
    cause = {"transport": "transport", "timeout": "no-ack"}.get(event.by, "normal")
    if call.state in (State.NEW, State.ANSWERING) and cause == "normal":
        cause = "cancelled"
    return end(call, now, side="caller" if event.side is Side.CALLER else "agent", cause=cause)


def on_rung_agent_gone(context: Context, call: Call, event: RivalOver, now: float) -> Step:
    """Of several who were rung, the one who answered is gone again; nothing is heard of the others."""
    if call.offer is None or call.offer.token != event.token:
        return call, ()
    return end(call, now, side="agent", cause="normal")


def on_media_lost(context: Context, call: Call, event: MediaLost, now: float) -> Step:
    """A far end went silent for good: nobody is there to hang up."""
    return end(call, now, side="system", cause=event.cause)


def on_clear(context: Context, call: Call, event: ClearRequested, now: float) -> Step:
    return end(call, now, side="system", cause=event.cause, outcome=None if call.answered_at else "cleared")


def record_of(call: Call, verdict: Close, ended_at: float) -> CallRecord:
    """The record of a call that ended at `ended_at`; media figures are added by whoever closed the legs."""
    outside = call.outside
    way = outside.way if outside is not None else None
    return CallRecord(
        id=call.id,
        node=call.node,
        caller=call.extension if call.is_outgoing else call.caller,
        called=call.called,
        trunk=call.trunk,
        language=call.language,
        queue=_queue_of(call),
        agent=call.agent,
        outcome=verdict.outcome,
        started_at=call.started_at,
        answered_at=call.answered_at,
        ended_at=ended_at,
        wait_seconds=round(waited(call, ended_at), 3),
        talk_seconds=round(talked(call, ended_at), 3),
        hold_seconds=round(call.hold_seconds, 3),
        hangup_side=verdict.hangup_side,
        cause=verdict.cause,
        offers=call.offers,
        segments=call.segments,
        diverted_from=call.diversions[0].number if call.diversions else "",
        verstat=call.verstat,
        attributes=dict(call.attributes),
        attempts=call.attempts,
        direction=direction_of(call),
        shown=outside.shown if outside else "",
        outside=outside.number if outside else "",
        trunk_out=way.trunk if way else "",
        callback=call.callback.id if call.callback else call.id if call.called_back else "",
    )


def direction_of(call: Call) -> Direction:
    """Who called whom."""
    if call.is_outgoing or call.callback is not None:
        return "outbound"
    return "internal" if call.from_agent else "inbound"


def _queue_of(call: Call) -> str:
    """The last queue of the directory that the call was in; a transfer to an extension does not hide it."""
    named = (segment.queue for segment in reversed(call.segments))
    return next((queue for queue in named if queue and queue not in NO_QUEUES), call.queue)


def record_of_lost(call: Call, died_at: float) -> CallRecord:
    """Of a call whose node died, not before what is last known of it."""
    # A callback that waited goes on elsewhere: nobody was cut off.
    waited = call.awaits_customer and call.state is State.QUEUED
    outcome: Outcome = "cleared" if waited else "failed"
    verdict = Close(outcome=outcome, hangup_side="system", cause=NODE_DIED)
    last_known = max((call.started_at, *(segment.at for segment in call.segments)))
    return record_of(call, verdict, max(died_at, last_known))
