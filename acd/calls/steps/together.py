"""Several agents are rung together for one call: the first who answers has it, the others are let go."""

from __future__ import annotations

from msgspec.structs import replace

from acd.calls.facts import AgentRung, OfferFailed
from acd.calls.model import (
    Call,
    Effect,
    OfferMade,
    ReleaseAgentLeg,
    ReleaseRival,
    RingRival,
    TakeRival,
    Tell,
)
from acd.calls.steps.attempts import attempted
from acd.calls.steps.context import Context, Step
from acd.calls.steps.refusing import rejection
from acd.sip.ringing import ELSEWHERE
from routing.model import Offer, RejectReason

_LET_GO = "elsewhere"
"""The result of an attempt whose agent was rung together with the one who answered."""


def on_another_offer(context: Context, call: Call, event: OfferMade, now: float) -> Step:
    """One more of those who are rung together; any other offer is late, and runs out in the store."""
    offer = event.offer
    if call.offer is None or not offer.together or offer.together != call.offer.together:
        return call, ()
    if offer == call.offer or offer in call.rivals:
        return call, ()
    call = replace(call, rivals=(*call.rivals, offer), offers=call.offers + 1)
    return call, (RingRival(offer), Tell(AgentRung(call.id, call.queue, offer.agent_id)))


def rival(call: Call, token: int) -> Offer | None:
    """The offer of this token among those who ring beside the call's own."""
    return next((offer for offer in call.rivals if offer.token == token), None)


def rival_fails(call: Call, offer: Offer, reason: str, now: float) -> Step:
    """One of them rings no longer; the others do."""
    call = attempted(call, reason, now, offer)
    call = replace(call, rivals=tuple(other for other in call.rivals if other != offer))
    return call, (ReleaseRival(offer.token, reason), _failed(call, offer, reason, now))


def rivals_turn_down(context: Context, call: Call, reason: RejectReason, now: float) -> Step:
    """None of them takes it."""
    effects: list[Effect] = []
    for offer in call.rivals:
        call, more = rival_fails(call, offer, reason.value, now)
        effects += (*more, rejection(context, call, offer, reason))
    return call, tuple(effects)


def give_way(call: Call, reason: str, now: float) -> Step:
    """The call's own agent rings no longer: the first of the others takes that place."""
    if call.offer is None:
        return call, ()
    told = _failed(call, call.offer, reason, now)
    heir, *others = call.rivals
    call = replace(attempted(call, reason, now), offer=heir, rivals=tuple(others))
    return call, (ReleaseAgentLeg(reason), TakeRival(heir.token), told)


def rival_wins(call: Call, offer: Offer, now: float) -> Step:
    """Another than the call's own agent has answered."""
    if call.offer is None:
        return call, ()
    told = _failed(call, call.offer, _LET_GO, now)
    others = tuple(other for other in call.rivals if other != offer)
    call = replace(attempted(call, _LET_GO, now), offer=offer, rivals=others)
    return call, (ReleaseAgentLeg(ELSEWHERE), TakeRival(offer.token), told)


def let_rivals_go(call: Call, now: float) -> Step:
    """The call's agent has answered: the others' phones say that it was completed elsewhere (RFC 3326).

    The store frees them when it hears who has accepted.
    """
    effects: list[Effect] = []
    for offer in call.rivals:
        call = attempted(call, _LET_GO, now, offer)
        effects += (ReleaseRival(offer.token, ELSEWHERE), _failed(call, offer, _LET_GO, now))
    return replace(call, rivals=()), tuple(effects)


def _failed(call: Call, offer: Offer, reason: str, now: float) -> Tell:
    return Tell(OfferFailed(call.id, call.queue, offer.agent_id, reason, now - (call.offered_at or now)))
