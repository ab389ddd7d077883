"""Whether one agent should take a call before others: a preferred one, or who talked to the caller last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace as dc_replace

from msgspec.structs import replace

from acd.agents.terms import profile_of
from acd.calls.model import Call, Place
from acd.calls.steps.context import Context
from acd.calls.steps.needs import first_needs, requirement_of, steps_of
from acd.directory.model import Queue
from routing.requirement import eligible

_DAY_SECONDS = 86_400.0


def prefer(context: Context, call: Call, place: Place, now: float) -> tuple[Call, Place]:
    """The place with the agent whom the call waits for first, where there is one; noted for the record."""
    rules = context.directory.queues.get(place.queue)
    if rules is None or place.agent is not None:
        return call, place
    talked = talked_to(call)
    if call.preferred in context.directory.agents and call.preferred not in talked:
        return _noted(call, {"preferred_agent": call.preferred}), dc_replace(
            place, preferred=call.preferred, preferred_seconds=rules.preferred_seconds
        )
    last = _last_agent(context, call, rules, now)
    if rules.last_agent is None or not last or last in talked:
        return call, place
    return _noted(call, {"last_agent": last}), dc_replace(
        place, preferred=last, preferred_seconds=rules.last_agent.timeout_seconds
    )


def talked_to(call: Call) -> frozenset[str]:
    """Whoever talked in this call and sent the caller on does not want the call back."""
    return frozenset(attempt.agent for attempt in call.attempts if attempt.result == "answered")


def _last_agent(context: Context, call: Call, rules: Queue, now: float) -> str:
    """The newest who could still take a call of this queue, at some time of its wait; empty for nobody."""
    if rules.last_agent is None:
        return ""
    since, known = now - rules.last_agent.days * _DAY_SECONDS, context.directory.skills
    needs = first_needs(rules, call.skills, call.speaks, known)
    asked = [requirement_of(rules, needs), *(step.requirement for step in steps_of(rules, needs, known))]
    for spoken in call.spoke_with:
        agent = context.directory.agents.get(spoken.agent)
        if agent is None or spoken.at < since:
            continue
        profile = profile_of(agent)
        if any(eligible(requirement, profile) for requirement in asked):
            return agent.id
    return ""


def _noted(call: Call, facts: Mapping[str, str]) -> Call:
    return replace(call, attributes={**call.attributes, **facts})
