"""A call as the store knows it: its entry, what is asked of agents, and for how long they ring."""

from __future__ import annotations

from dataclasses import replace as dc_replace

from msgspec.structs import replace

from acd.calls.model import (
    Call,
    Place,
)
from acd.calls.steps.context import EXTENSION_QUEUE, Context
from acd.calls.steps.needs import first_needs, opened, requirement_of, steps_of
from routing.model import HIGHEST_PRIORITY, Requirement, Ticket
from routing.model import Step as RoutingStep


def ticket_of_seated(context: Context, call: Call) -> Ticket:
    """The entry of the agent on the caller's side."""
    if call.seated is None:
        raise ValueError("nobody of ours sits on the caller's side")
    return ticket_of(context, replace(call, place=call.seated.place, ticket=call.seated.ticket))


def ticket_of(context: Context, call: Call) -> Ticket:
    """The call's entry in the store, the same each time, so that it can be said again."""
    if call.place is None or call.enqueued_at is None:
        raise ValueError("a call that waits nowhere has no ticket")
    rules = context.queue(call.place.queue)
    if rules is None:
        raise ValueError(f"queue {call.place.queue!r} is not in this call's directory")
    known = context.directory.skills
    needs = first_needs(rules, call.skills, call.speaks, known)
    requirement, steps = requirement_of(rules, needs), steps_of(rules, needs, known)
    if call.place.leads:
        requirement, steps = _for_leads(call.place, requirement, steps)
    if call.place.agent:
        requirement, steps = Requirement(call.place.queue, agent=call.place.agent, weight=rules.weight), ()
    elif call.place.preferred:
        # From coming here, whatever age the call has kept.
        until = call.enqueued_at + call.place.preferred_seconds - _age_counts_from(call)
        steps = (RoutingStep(round(until * 1000), requirement), *steps)
        requirement = Requirement(
            rules.name, strategy=rules.strategy, agent=call.place.preferred, weight=rules.weight
        )
    ring_seconds = rules.ring_seconds
    if call.awaits_customer and call.callback is not None and not call.agent_first:
        # The agent is held while the customer is called, and only then rung.
        ring_seconds += call.callback.ring_seconds
    by_target = rules.order_by == "target"
    # Until the agent ends it, and at most to its limit.
    ended = rules.wrapup_mode == "until-ended"
    first_wrapup = rules.wrapup_limit_seconds if ended else rules.wrapup_seconds
    return Ticket(
        call_id=call.entry,
        node=call.node,
        requirement=requirement,
        enqueued_ms=round(_age_counts_from(call) * 1000),
        # Nobody has the agent but who they are calling.
        priority=HIGHEST_PRIORITY if call.place.own else call.priority,
        ring_ms=round(ring_seconds * 1000),
        wrapup_ms=round(first_wrapup * 1000),
        wrapup_limit_ms=round(rules.wrapup_limit_seconds * 1000) if rules.wrapup_mode != "fixed" else 0,
        target_ms=round(rules.service_level_seconds * 1000) if by_target else 0,
        steps=steps,
        ring_agents=1 if call.callback else rules.ring_agents,
        # Nor is who calls the queue themselves, by a second line.
        passes_over="" if call.place.agent else call.sent_on_by or (call.from_agent if call.seated else ""),
        own=_is_own(call, call.place),
    )


def _is_own(call: Call, place: Place) -> bool:
    """Whether the agent is called themselves, and not as one who takes calls of a queue: what they are at
    there does not matter then. A callback waits until they are free."""
    return place.own or (place.queue == EXTENSION_QUEUE and bool(place.agent) and not call.awaits_customer)


def _for_leads(
    place: Place, asked: Requirement, steps: tuple[RoutingStep, ...]
) -> tuple[Requirement, tuple[RoutingStep, ...]]:
    def for_leads(requirement: Requirement) -> Requirement:
        return opened(requirement, place.leads, place.leads_alone)

    later = () if place.leads_alone else steps
    return for_leads(asked), tuple(dc_replace(s, requirement=for_leads(s.requirement)) for s in later)


def _age_counts_from(call: Call) -> float:
    return (call.enqueued_at or 0.0) if call.ranked_at is None else call.ranked_at
