"""A call that is made for a callback: its place falls due, an agent is found, the customer is called."""

from __future__ import annotations

from msgspec.structs import replace

from acd.agents.terms import SKILL_QUEUE
from acd.calls.facts import AgentRung
from acd.calls.model import (
    AttemptAllowed,
    BeginAttempt,
    Call,
    CallbackDue,
    CallbackGone,
    CallbackMade,
    Effect,
    LegOver,
    NoteRefusedDial,
    NumberAnswered,
    NumberUnreachable,
    OfferTakenBack,
    Place,
    PlayMusic,
    PlayToCaller,
    RingAgent,
    Side,
    StartTimer,
    State,
    StopTimer,
    Tell,
    Timer,
    TimerFired,
)
from acd.calls.outward import DialRefused, outside_for_callback
from acd.calls.steps.context import EXTENSION_QUEUE, Context, Step, enter
from acd.calls.steps.ending import end
from acd.calls.steps.reaching import call_outside, next_way, why_not
from acd.calls.steps.talking import audio_effects, resume_talk
from acd.calls.steps.waiting import ANNOUNCEMENT, wait_at


def on_due(context: Context, call: Call, event: CallbackDue, now: float) -> Step:
    """Take the place in the queue again, or wait for the one agent."""
    order = call.callback
    if order is None:
        return call, ()
    known = order.queue == SKILL_QUEUE or order.queue in context.directory.queues
    queue = order.queue if known else EXTENSION_QUEUE
    if order.agent is None and queue == EXTENSION_QUEUE:
        return end(call, now, side="system", cause="unknown-queue", outcome="failed")
    return wait_at(context, call, Place(queue, agent=order.agent), now)


def dial(context: Context, call: Call, now: float) -> Step:
    """The place is due: ask whether the customer may be called now."""
    music: tuple[Effect, ...] = ()
    if call.agent_first:
        rules = context.queue(call.queue)
        music = (PlayMusic(Side.AGENT, rules.music if rules else context.default_music),)
    return enter(call, State.DIALLING, now), (*music, BeginAttempt())


def on_attempt(context: Context, call: Call, event: AttemptAllowed, now: float) -> Step:
    order = call.callback
    if event.attempt == 0 or order is None:
        return end(call, now, side="system", cause="callback-gone", outcome="cleared")
    try:
        outside = outside_for_callback(context.directory, call)
    except DialRefused as error:
        call, effects = _unreached(call, "not-allowed", now)
        return call, (NoteRefusedDial(call.agent, call.caller, error.cause), *effects)
    call = replace(call, outside=outside)
    return call, (*call_outside(call, Side.CALLER), StartTimer(Timer.RING, order.ring_seconds))


def on_customer_answered(context: Context, call: Call, event: NumberAnswered, now: float) -> Step:
    call = replace(call, reached=True)
    if call.agent_first:
        call = resume_talk(enter(replace(call, answered_at=now), State.TALKING, now), now)
        return call, (StopTimer(Timer.RING), CallbackMade(), *audio_effects(context, call))
    greeting = PlayToCaller(ANNOUNCEMENT, ("connecting",), call.language or context.default_language)
    if call.offer is None:
        return enter(call, State.QUEUED, now), (StopTimer(Timer.RING), greeting)
    rules = context.queue(call.queue)
    return enter(replace(call, offered_at=now), State.OFFERED, now), (
        greeting,
        RingAgent(call.offer),
        StartTimer(Timer.RING, rules.ring_seconds if rules else 15.0),
        Tell(AgentRung(call.id, call.queue, call.agent)),
    )


def on_customer_gone(context: Context, call: Call, event: LegOver | NumberUnreachable, now: float) -> Step:
    """The customer's phone refused, or could not be reached: perhaps over the next trunk."""
    another = next_way(call, event)
    if another is not None:
        return another, call_outside(another, Side.CALLER)
    return _unreached(call, why_not(event), now)


def on_customer_silent(context: Context, call: Call, event: TimerFired, now: float) -> Step:
    return _unreached(call, "no-answer", now)


def _unreached(call: Call, why: str, now: float) -> Step:
    return end(call, now, side="system", cause=f"callback-{why}", outcome="failed")


def on_agent_gone(context: Context, call: Call, event: LegOver, now: float) -> Step:
    """The agent did not wait for the customer."""
    if not call.agent_first:
        return call, ()
    return end(call, now, side="agent", cause="callback-agent-gone", outcome="failed")


def on_offer_withdrawn(context: Context, call: Call, event: OfferTakenBack, now: float) -> Step:
    """The agent who was held is gone; the customer is called all the same, and then waits for another."""
    if call.agent_first or call.offer is None or call.offer.token != event.token:
        return call, ()
    return replace(call, offer=None, offered_at=None), ()


def on_callback_gone(context: Context, call: Call, event: CallbackGone, now: float) -> Step:
    """Cancelled, expired, or another node's: nothing that this call should do any more."""
    if call.callback is None or not call.awaits_customer:
        return call, ()
    return end(call, now, side="system", cause=f"callback-{event.how}", outcome="cleared")
