"""What becomes of an agent who did not take a call, by the rules of the queue. Pure."""

from __future__ import annotations

from acd.calls.model import Call, RejectOffer
from acd.calls.steps.context import Context
from acd.directory.model import RefusalRule, Refusals
from routing.limits import WHOLE_WAIT_MS
from routing.model import AgentState, Offer, Refusal, RejectReason


def rejection(context: Context, call: Call, offer: Offer, reason: RejectReason) -> RejectOffer:
    """The word about an offer of this call that was not taken."""
    rules = context.queue(call.queue)
    return RejectOffer(offer, refusal_of(rules.refusals if rules else Refusals(), offer, reason))


def refusal_of(rules: Refusals, offer: Offer, reason: RejectReason) -> Refusal:
    rule = _rule(rules, reason)
    in_row = rule.not_answering_after
    then = AgentState.AVAILABLE
    if rule.pause:
        then = AgentState.PAUSED
    elif 0 < in_row <= offer.unanswered + 1:
        then = AgentState.NOT_ANSWERING
    return Refusal(
        reason=reason,
        then=then,
        why=rule.pause,
        rest_ms=round(rule.rest_seconds * 1000),
        retry_ms=round(rules.retry_seconds * 1000),
        exclude_ms=WHOLE_WAIT_MS if rule.exclude_seconds is None else round(rule.exclude_seconds * 1000),
        counts=in_row > 0,
    )


def _rule(rules: Refusals, reason: RejectReason) -> RefusalRule:
    match reason:
        case RejectReason.REJECTED:
            return rules.rejected
        case RejectReason.BUSY:
            return rules.busy
        case RejectReason.NO_ANSWER:
            return rules.no_answer
        case RejectReason.UNREACHABLE:
            return rules.unreachable
