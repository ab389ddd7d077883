"""An agent calls a number outside: whether they may, what they hear meanwhile, and who answers.

The number outside is the caller's side of the call and the agent the agent's, so that everything else (hold,
transfer, wrap-up) is as in any call. The agent is reserved in the store like one whom a call names, so that
no other call rings them; until the store has done so the token of the offer is 0.
"""

from __future__ import annotations

from dataclasses import replace as dc_replace

from msgspec.structs import replace

from acd.calls.facts import CallStarted
from acd.calls.model import (
    AgentAnswered,
    AgentConfirmed,
    AgentUnavailable,
    AnswerCaller,
    ApplyCallerAnswer,
    AskLeave,
    BridgeLegs,
    Call,
    CallArrived,
    CallerMediaOpened,
    ConfirmOffer,
    DialAllowed,
    DialForbidden,
    DialRequested,
    Effect,
    EnterQueue,
    LegOver,
    MediaLost,
    NoteRefusedDial,
    NumberAnswered,
    NumberProgressed,
    NumberUnreachable,
    OfferMade,
    OfferStale,
    OfferTakenBack,
    OpenCallerMedia,
    Place,
    PlayMusic,
    RefuseCaller,
    RingAgent,
    SeatAgent,
    Side,
    StartTimer,
    State,
    StopTimer,
    Tell,
    TellRinging,
    Timer,
    TimerFired,
)
from acd.calls.outward import DialRefused, outside_for_agent, written
from acd.calls.steps import guiding, knowing
from acd.calls.steps.coding import is_code
from acd.calls.steps.context import OUTBOUND_QUEUE, Context, Step, enter
from acd.calls.steps.ending import end, on_media_lost
from acd.calls.steps.guiding import extension_of
from acd.calls.steps.reaching import call_outside, next_way, status_of, why_not
from acd.calls.steps.talking import audio_effects, resume_talk
from acd.calls.steps.tickets import ticket_of
from routing.model import Offer

_RINGING, _PROGRESS = 180, 183
_RING_SECONDS = 30.0
"""Of the phone of an agent who asked for the call."""


def on_arrival(context: Context, call: Call, event: CallArrived, now: float) -> Step:
    """What an agent dials leads to somebody here, or else outside."""
    if call.from_agent and call.called not in context.directory.numbers:
        number = written(context.directory, call.called)
        if number in context.directory.numbers:
            call = replace(call, called=number)  # they dial our own numbers as they do others
        elif extension_of(context, call) is None and not is_code(context, call):
            return _begin(context, call, event, now)
    return guiding.on_arrival(context, call, event, now)


def _begin(context: Context, call: Call, event: CallArrived, now: float) -> Step:
    """A number outside, if this agent may call it."""
    try:
        outside = outside_for_agent(context.directory, call.from_agent, call.called)
    except DialRefused as error:
        return _refuse(call, error.sip_status, error.cause, Side.CALLER, now)
    number = outside.number
    call = replace(call, caller=number, caller_name="", called=number, outside=outside, is_outgoing=True)
    call = replace(enter(call, State.NEW, now), hears_early=event.offer is not None)
    started = Tell(CallStarted(call.id, call.trunk))
    return call, (started, SeatAgent(), OpenCallerMedia(event.offer, Side.AGENT))


def _refuse(call: Call, status: int, cause: str, side: Side, now: float) -> Step:
    number = call.called
    call, effects = end(call, now, side="system", cause=cause, outcome="rejected")
    note = NoteRefusedDial(call.from_agent, number, cause)
    return call, (note, RefuseCaller(status, side, cause), *effects)


def on_media_opened(context: Context, call: Call, event: CallerMediaOpened, now: float) -> Step:
    if not call.is_outgoing:
        return knowing.on_media_opened(context, call, event, now)
    ask = (AskLeave(call.outside),) if call.outside is not None else ()
    return replace(call, answer=event.sdp), ask


def on_forbidden(context: Context, call: Call, event: DialForbidden, now: float) -> Step:
    return _refuse(call, event.status, event.cause, Side.AGENT, now)


def on_allowed(context: Context, call: Call, event: DialAllowed, now: float) -> Step:
    """Call the number, and have the agent reserved: neither waits for the other."""
    if not call.is_outgoing:
        return call, ()
    place = Place(OUTBOUND_QUEUE, agent=call.from_agent, own=True)
    offer = Offer(call.entry, call.from_agent, OUTBOUND_QUEUE, token=0, deadline_ms=0)
    call = _on_way(enter(replace(call, place=place, offer=offer, enqueued_at=now), State.CALLING, now))
    reserve = EnterQueue(ticket_of(context, call))
    if call.is_summoned:
        return call, (reserve, RingAgent(offer), StartTimer(Timer.RING, _RING_SECONDS))
    return call, (reserve, *call_outside(call, Side.CALLER))


# The agent's phone is rung first.


def on_requested(context: Context, call: Call, event: DialRequested, now: float) -> Step:
    call = enter(replace(call, hears_early=True), State.NEW, now)
    ask = (AskLeave(call.outside),) if call.outside is not None else ()
    return call, (Tell(CallStarted(call.id, "")), *ask)


def on_agent_there(context: Context, call: Call, event: AgentAnswered, now: float) -> Step:
    """The agent answered: call the number, with music meanwhile, until something is heard from there."""
    if not call.is_summoned:
        return call, ()
    music = PlayMusic(Side.AGENT, context.default_music)
    return call, (StopTimer(Timer.RING), music, *call_outside(call, Side.CALLER))


def on_agent_not_there(context: Context, call: Call, event: AgentUnavailable, now: float) -> Step:
    return end(call, now, side="system", cause=event.cause, outcome="failed")


def on_agent_silent(context: Context, call: Call, event: TimerFired, now: float) -> Step:
    return end(call, now, side="system", cause="agent-no-answer", outcome="failed")


def _on_way(call: Call) -> Call:
    """The record tells over which trunk the call goes."""
    way = call.outside.way if call.outside is not None else None
    return replace(call, trunk=way.trunk if way else call.trunk, bridged_early=False)


# What the other end says.


def on_progress(context: Context, call: Call, event: NumberProgressed, now: float) -> Step:
    """Early media is heard; without it the phone rings by itself."""
    if call.outside is None:
        return call, ()
    call = replace(call, outside=replace(call.outside, rang=True))
    if call.is_summoned:
        return replace(call, bridged_early=event.early), (BridgeLegs(),) if event.early else ()
    if not (event.early and call.hears_early):
        # Audio that went on before must not be cut off by another word about ringing.
        return call, () if call.bridged_early else (TellRinging(_RINGING, None),)
    bridge = () if call.bridged_early else (BridgeLegs(),)
    return replace(call, bridged_early=True), (*bridge, TellRinging(_PROGRESS, call.answer))


def on_answered(context: Context, call: Call, event: NumberAnswered, now: float) -> Step:
    if call.outside is None:
        return call, ()
    outside = replace(call.outside, answered=True)
    call = resume_talk(enter(replace(call, answered_at=now, outside=outside), State.TALKING, now), now)
    answer = () if call.is_summoned else (AnswerCaller(call.answer, Side.AGENT),)
    return call, (*answer, *audio_effects(context, call))


def on_gone(context: Context, call: Call, event: LegOver | NumberUnreachable, now: float) -> Step:
    """Nobody is reached that way: the next trunk of the route, or the agent's phone is told why."""
    another = next_way(call, event)
    if another is not None:
        another = _on_way(another)
        return another, call_outside(another, Side.CALLER)
    why = why_not(event)
    refuse = () if call.is_summoned else (RefuseCaller(status_of(event), Side.AGENT, why),)
    call, effects = end(call, now, side="system", cause=why, outcome="unanswered")
    return call, (*refuse, *effects)


def on_agent_gave_up(context: Context, call: Call, event: LegOver, now: float) -> Step:
    """CANCEL, or the phone is gone."""
    cause = "transport" if event.by == "transport" else "cancelled"
    return end(call, now, side="agent", cause=cause, outcome="unanswered")


def on_silence(context: Context, call: Call, event: MediaLost, now: float) -> Step:
    """Who waits for an answer need not speak; a media worker that died ends the call."""
    return (call, ()) if event.cause == "rtp-timeout" else on_media_lost(context, call, event, now)


def on_agent_confirmed(context: Context, call: Call, event: AgentConfirmed, now: float) -> Step:
    """The ACK of the agent's phone: their answer, where their INVITE had no offer."""
    return call, (ApplyCallerAnswer(event.sdp, Side.AGENT),) if event.sdp else ()


# The reservation.


def on_reserved(context: Context, call: Call, event: OfferMade, now: float) -> Step:
    """The store holds the agent for this call: they are in it already."""
    if not _is_own(call, event.offer) or call.offer is None or call.offer.token:
        return call, ()
    return replace(call, offer=event.offer), (ConfirmOffer(event.offer),)


def _is_own(call: Call, offer: Offer) -> bool:
    mine = call.offer
    return (
        call.is_outgoing
        and mine is not None
        and (mine.call_id, mine.agent_id)
        == (
            offer.call_id,
            offer.agent_id,
        )
    )


def on_reservation_lost(context: Context, call: Call, event: OfferTakenBack | OfferStale, now: float) -> Step:
    """It had ended in the store before it was confirmed: ask for it again."""
    offer = call.offer
    if not call.is_outgoing or offer is None or offer.token != event.token:
        return call, ()
    call = replace(call, offer=dc_replace(offer, token=0))
    again: tuple[Effect, ...] = (EnterQueue(ticket_of(context, call)),)
    return call, again
