"""A caller asks to be called back: whether that may be, and what is noted."""

from __future__ import annotations

from acd.calls.callbacks import CallbackOrder
from acd.calls.model import Call
from acd.calls.steps.context import Context
from acd.calls.steps.preferring import talked_to
from acd.calls.steps.times import WAITING
from acd.directory.model import CallbackRules
from acd.sip.identity import normalised


def callback_order(context: Context, call: Call, queue: str, number: str, now: float) -> CallbackOrder | None:
    """What is to be noted; None where the queue calls nobody back, or not this number.

    `queue` is empty for the one that the caller waits in, whose place is kept.
    """
    waits = call.state in WAITING and call.place is not None and call.place.agent is None
    rules = context.directory.queues.get(queue or (call.queue if waits else ""))
    if rules is None or rules.callback is None or call.from_agent:
        return None
    wanted = _allowed(context, call, rules.callback, number)
    if wanted is None:
        return None
    rank = (call.ranked_at or call.enqueued_at) if waits and rules.name == call.queue else None
    talked = talked_to(call)
    return CallbackOrder(
        id=call.id,
        queue=rules.name,
        number=wanted,
        called=call.called,
        trunk=call.trunk,
        caller_name=call.caller_name,
        language=call.language,
        languages=call.languages,
        skills=call.skills,
        attributes=call.attributes,
        priority=call.priority,
        preferred="" if call.preferred in talked else call.preferred,
        spoke_with=tuple(
            (spoken.agent, spoken.at) for spoken in call.spoke_with if spoken.agent not in talked
        ),
        created_at=now,
        enqueued_at=now if rank is None else rank,
        expires_at=now + rules.callback.expire_seconds,
        first=rules.callback.first,
        attempts=rules.callback.attempts,
        interval_seconds=rules.callback.interval_seconds,
        ring_seconds=rules.callback.ring_seconds,
    )


def _allowed(context: Context, call: Call, rules: CallbackRules, number: str) -> str | None:
    """The number as it is called; another than the caller's own must begin as the queue says."""
    if number == call.caller:
        return number
    trunk = context.directory.trunks.get(call.trunk)
    written = normalised(number, trunk.country if trunk else "")
    return written if written.startswith(rules.numbers or ("?",)) else None
