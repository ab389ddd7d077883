"""What is written down of each agent who was rung."""

from __future__ import annotations

from msgspec.structs import replace

from acd.calls.model import Call
from acd.calls.record import Attempt
from routing.model import Offer

MOST_ATTEMPTS = 200


def attempted(call: Call, result: str, now: float, offer: Offer | None = None) -> Call:
    """An offer, the call's own where none is named, is over: `result` is a word of Attempt."""
    offer = offer or call.offer
    if offer is None:
        return call
    at = now if call.offered_at is None else call.offered_at
    attempt = Attempt(
        at=at,
        queue=call.queue,
        agent=offer.agent_id,
        needs=call.offer_needs,
        result=result,
        ring_seconds=round(max(0.0, now - at), 3),
        decision=offer.decision,
    )
    return replace(call, attempts=(*call.attempts, attempt)[-MOST_ATTEMPTS:])
