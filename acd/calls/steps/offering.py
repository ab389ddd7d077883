"""A reserved agent is rung, and takes the call or does not."""

from __future__ import annotations

from msgspec.structs import replace

from acd.calls.facts import AgentRung, CallAnswered, OfferFailed
from acd.calls.model import (
    AgentAnswered,
    AgentUnavailable,
    Call,
    CallbackMade,
    ConfirmOffer,
    Effect,
    EnterQueue,
    FinishConversation,
    LeaveQueue,
    LegOver,
    OfferConfirmed,
    OfferMade,
    OfferStale,
    OfferTakenBack,
    ReleaseAgentLeg,
    ReleaseTransferor,
    ReportRefer,
    RingAgent,
    RivalAnswered,
    RivalOver,
    SayPlaceAgain,
    Side,
    StartTimer,
    State,
    StopTimer,
    Tell,
    Timer,
    TimerFired,
    Transferor,
)
from acd.calls.steps.attempts import attempted
from acd.calls.steps.calling_back import dial
from acd.calls.steps.context import Context, Step, enter
from acd.calls.steps.overflowing import wait_on
from acd.calls.steps.refusing import rejection
from acd.calls.steps.talking import audio_effects, resume_talk
from acd.calls.steps.tickets import ticket_of
from acd.calls.steps.times import settle
from acd.calls.steps.together import give_way, let_rivals_go, rival, rival_fails, rival_wins, rivals_turn_down
from acd.calls.steps.transferring import give_up
from acd.calls.steps.treating import leave_menu
from acd.calls.steps.waiting import STOP_WAITING
from acd.sip.core.events import EndedBy
from routing.model import Offer, RejectReason
from routing.requirement import class_name, in_words

_BUSY = frozenset({486, 600})
_NO_ANSWER = frozenset({408, 487})
_TOLD = {RejectReason.BUSY.value: 486, RejectReason.REJECTED.value: 603}
"""What a transferring phone is told of a target that does not take the call, where the target's phone has no
word of its own; 480 of any other reason."""
_NOT_THERE = frozenset({404, 410, 430, 502, 503, 504})


def on_offer(context: Context, call: Call, event: OfferMade, now: float) -> Step:
    rules = context.queue(call.queue)
    ring_seconds = rules.ring_seconds if rules else 15.0
    needs = _needs(context, call, event.offer)
    call = replace(call, offer=event.offer, offer_needs=needs, offers=call.offers + 1, offered_at=now)
    if call.awaits_customer and not call.agent_first:
        return dial(context, call, now)
    call, quiet = leave_menu(context, call)
    ringing = (ReportRefer(Side.TRANSFEROR, 180),) if call.transferor else ()
    return enter(call, State.OFFERED, now), (
        *quiet,
        *ringing,
        RingAgent(event.offer),
        StartTimer(Timer.RING, ring_seconds),
        Tell(AgentRung(call.id, call.queue, event.offer.agent_id)),
    )


def _needs(context: Context, call: Call, offer: Offer) -> str:
    """What was asked of the agent: the requirement, or the step of it, that the choice was made by."""
    if offer.decision is None or call.place is None or context.queue(call.place.queue) is None:
        return ""
    ticket, name = ticket_of(context, call), offer.decision.class_name
    stages = (ticket.requirement, *(step.requirement for step in ticket.steps))
    return next((in_words(stage) for stage in stages if class_name(stage) == name), "")


def on_ring_timeout(context: Context, call: Call, event: TimerFired, now: float) -> Step:
    """Nobody who is rung answers."""
    call, effects = rivals_turn_down(context, call, RejectReason.NO_ANSWER, now)
    call, more = _turned_down(context, call, RejectReason.NO_ANSWER, now)
    return call, effects + more


def on_agent_unavailable(context: Context, call: Call, event: AgentUnavailable, now: float) -> Step:
    return _turned_down(context, call, RejectReason.UNREACHABLE, now)


def on_agent_leg_over(context: Context, call: Call, event: LegOver, now: float) -> Step:
    """The phone refused, or could not be reached, while it was being rung."""
    is_its_word = event.by == "remote" and event.status >= 400 and event.status not in _NOT_THERE
    reason = _reason(event.by, event.status)
    return _turned_down(context, call, reason, now, status=event.status if is_its_word else 0)


def on_rival_over(context: Context, call: Call, event: RivalOver, now: float) -> Step:
    """The same of one of several; which of them is the call's own may have changed meanwhile."""
    reason = _reason(event.by, event.status)
    if call.offer is not None and call.offer.token == event.token:
        return _turned_down(context, call, reason, now)
    offer = rival(call, event.token)
    if offer is None:
        return call, ()
    call, effects = rival_fails(call, offer, reason.value, now)
    return call, (*effects, rejection(context, call, offer, reason))


def _reason(by: EndedBy, status: int) -> RejectReason:
    if by != "remote" or status in _NOT_THERE:
        return RejectReason.NO_ANSWER if status in _NO_ANSWER else RejectReason.UNREACHABLE
    return RejectReason.BUSY if status in _BUSY else RejectReason.REJECTED


def _turned_down(context: Context, call: Call, reason: RejectReason, now: float, *, status: int = 0) -> Step:
    """`status` is what the phone said, 0 where it said nothing that is its own word."""
    if call.offer is None:
        return call, ()
    word = rejection(context, call, call.offer, reason)
    if call.rivals:
        call, effects = give_way(call, reason.value, now)
        return call, (*effects, word)
    return _back_to_queue(context, call, reason.value, now, word, status=status)


def on_offer_taken_back(context: Context, call: Call, event: OfferTakenBack, now: float) -> Step:
    if (offer := rival(call, event.token)) is not None:
        return rival_fails(call, offer, "withdrawn", now)
    if call.offer is None or call.offer.token != event.token:
        return call, ()
    if call.rivals:
        return give_way(call, "withdrawn", now)
    return _back_to_queue(context, call, "withdrawn", now)


def on_offer_stale(context: Context, call: Call, event: OfferStale, now: float) -> Step:
    """The agent answered a reservation that had ended: say the call's place again, in case it was lost."""
    if call.offer is None or call.offer.token != event.token:
        return call, ()
    again: tuple[Effect, ...] = (EnterQueue(ticket_of(context, call)),)
    if call.offer.together:
        # Others who were rung may still be reserved there, with nobody to ring them.
        again = (LeaveQueue(call.entry, "released"), *again)
    return _back_to_queue(context, call, "withdrawn", now, *again)


def on_rejection_stale(context: Context, call: Call, event: OfferStale, now: float) -> Step:
    """The reservation that was given back had ended. Perhaps the store has given up the call with it, as it
    does where this node's lease ran out: say the place again, which changes nothing where it is known."""
    return call, (SayPlaceAgain(),)


def _back_to_queue(
    context: Context, call: Call, reason: str, now: float, *effects: Effect, status: int = 0
) -> Step:
    """The caller keeps the place and hears on; the agent's phone is let go."""
    agent, rang = call.agent, now - (call.offered_at or now)
    call = attempted(call, reason, now)
    waiting = enter(replace(call, offer=None, offered_at=None), State.QUEUED, now)
    told = Tell(OfferFailed(call.id, call.queue, agent, reason, rang))
    leave = (StopTimer(Timer.RING), *effects, ReleaseAgentLeg(reason), told)
    if _is_asked_once(call) or _has_waited_too_long(context, call, now):
        waiting, more = give_up(context, waiting, status or _TOLD.get(reason, 480), now)
    else:
        waiting, more = wait_on(context, waiting, now)
    return waiting, leave + more


def _is_asked_once(call: Call) -> bool:
    """The caller wants this one agent, who has not taken the call."""
    place = call.place
    return place is not None and (place.is_transfer or bool(place.agent and not call.callback))


def _has_waited_too_long(context: Context, call: Call, now: float) -> bool:
    rules = context.queue(call.queue)
    limit = rules.max_wait_seconds if rules else None
    if call.awaits_customer:
        return False
    return limit is not None and call.enqueued_at is not None and now - call.enqueued_at >= limit


def on_agent_answered(context: Context, call: Call, event: AgentAnswered, now: float) -> Step:
    if call.offer is None:
        return call, ()
    return enter(call, State.CONNECTING, now), (StopTimer(Timer.RING), ConfirmOffer(call.offer))


def on_rival_answered(context: Context, call: Call, event: RivalAnswered, now: float) -> Step:
    """One of several answered: whoever it is, is the call's own agent from now on."""
    changed: tuple[Effect, ...] = ()
    if (offer := rival(call, event.token)) is not None:
        call, changed = rival_wins(call, offer, now)
    if call.offer is None or call.offer.token != event.token:
        return call, ()
    confirm = ConfirmOffer(call.offer)
    call, others = let_rivals_go(call, now)
    return enter(call, State.CONNECTING, now), (*changed, StopTimer(Timer.RING), *others, confirm)


def on_offer_confirmed(context: Context, call: Call, event: OfferConfirmed, now: float) -> Step:
    """The reservation became a conversation: let the two hear each other."""
    if call.offer is None or call.offer.token != event.token:
        return call, ()
    wait, rang = now - (call.enqueued_at or now), now - (call.offered_at or now)
    answered_at = now if call.answered_at is None else call.answered_at
    transferor, call = call.transferor, attempted(settle(call, now), "answered", now)
    if call.awaits_customer:
        return dial(context, call, now)
    call = replace(call, answered_at=answered_at, transferor=None)
    call = resume_talk(enter(call, State.TALKING, now), now)
    # A callback counts by itself: its wait is no wait on the line.
    answered = Tell(CallAnswered(call.id, call.queue, call.agent, wait, rang))
    return call, (
        *(let_transferor_go(transferor) if transferor else ()),
        *audio_effects(context, call),
        *STOP_WAITING,
        answered if call.callback is None else CallbackMade(),
    )


def on_confirmed_too_late(context: Context, call: Call, event: OfferConfirmed, now: float) -> Step:
    """The answer of an agent counts after all, in a store that had taken the reservation back and lost that:
    the agent's phone was let go. The agent is free, and the caller stands in the old place."""
    if event.offer is None or (call.offer is not None and call.offer.token == event.token):
        return call, ()
    return call, (FinishConversation(event.offer, wrapup=False), EnterQueue(ticket_of(context, call)))


def let_transferor_go(transferor: Transferor) -> tuple[Effect, ...]:
    """The transfer has reached its target: the agent who made it is done."""
    finish = (FinishConversation(transferor.offer),) if transferor.offer else ()
    return (ReportRefer(Side.TRANSFEROR, 200), *finish, ReleaseTransferor("transferred"))
