"""What is known of a caller before the call is answered: lists, look-ups, who talked to them before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from acd.calls.model import (
    AnswerCaller,
    AskCaller,
    Call,
    CallerKnown,
    CallerMediaOpened,
    Found,
    RefuseCaller,
    State,
)
from acd.calls.steps.context import Context, Step, enter
from acd.calls.steps.ending import end

_DAY_SECONDS = 86_400.0
_WITHHELD = frozenset({"", "anonymous"})


def what_to_ask(context: Context, call: Call, now: float) -> tuple[AskCaller, ...]:
    """Nothing where it makes no difference, or where there is no number to ask by."""
    if call.caller in _WITHHELD or call.from_agent:
        return ()
    directory = context.directory
    days = [queue.last_agent.days for queue in directory.queues.values() if queue.last_agent]
    lookups = tuple(
        entry.name
        for entry in directory.caller_lists.values()
        if entry.lookup and (not entry.prefixes or entry.begins_like(call.caller))
    )
    if not days and not lookups:
        return ()
    since = now - max(days) * _DAY_SECONDS if days else None
    return (AskCaller(call.caller, call.called, since, lookups),)


def as_listed(context: Context, call: Call, found: Sequence[Found] = ()) -> Call:
    """The call with what the lists that the caller is on give, and what look-ups found.

    Of each thing, what the first list gives holds, before what the number gives; of skills the highest level.
    """
    directory, number = context.directory, context.directory.numbers.get(call.called)
    on = [
        Found(name, directory.caller_lists[name].gives)
        for name in call.lists
        if name in directory.caller_lists
    ]
    known = sorted((*on, *found), key=lambda each: _place(context, each.list))
    given: dict[str, Any] = {}
    skills = dict(number.skills) if number else dict(call.skills)
    attributes: dict[str, str] = {}
    for each in reversed(known):
        gives = each.gives
        wanted = {
            "priority": gives.priority,
            "language": gives.language or None,
            "languages": gives.languages or None,
            "preferred": gives.preferred_agent or None,
            "goes_to": gives.queue or None,
        }
        given.update({name: value for name, value in wanted.items() if value is not None})
        skills = {**skills, **{s: max(level, skills.get(s, 0)) for s, level in gives.skills.items()}}
        attributes |= each.attributes
    # What the trunk tells of the call is not to be changed by others.
    attributes |= call.attributes
    if known:
        attributes["caller_lists"] = ",".join(each.list for each in known)
    return replace(call, **given, skills=skills, attributes=attributes)


def _place(context: Context, name: str) -> int:
    entry = context.directory.caller_lists.get(name)
    return entry.order if entry else 0


def refusal(context: Context, lists: Sequence[str], found: Sequence[Found] = ()) -> int:
    """The SIP status with which the caller is refused; 0 for one who is not."""
    known = context.directory.caller_lists
    statuses = [known[name].gives.reject for name in lists if name in known]
    statuses += [each.gives.reject for each in found]
    return next((status for status in statuses if status), 0)


def turn_away(call: Call, status: int, now: float) -> Step:
    call, effects = end(call, now, side="system", cause="blocked", outcome="rejected")
    return call, (RefuseCaller(status), *effects)


def on_caller_known(context: Context, call: Call, event: CallerKnown, now: float) -> Step:
    if not call.asking:
        return call, ()
    sdp = call.answer
    call = replace(call, asking=False, spoke_with=event.spoke_with, answer=b"")
    if event.found:
        call = as_listed(context, call, event.found)
    if status := refusal(context, (), event.found):
        return turn_away(call, status, now)
    return _answer(call, sdp, now) if sdp else (call, ())


def on_media_opened(context: Context, call: Call, event: CallerMediaOpened, now: float) -> Step:
    return (replace(call, answer=event.sdp), ()) if call.asking else _answer(call, event.sdp, now)


def _answer(call: Call, sdp: bytes, now: float) -> Step:
    return enter(call, State.ANSWERING, now), (AnswerCaller(sdp),)
