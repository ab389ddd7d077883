"""What the scripts are told: tickets, agents and refusals as their ARGV. What they reply is in replies.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from routing.limits import CAPACITY_MAX
from routing.model import AgentProfile, AgentState, AgentTerms, Refusal, Ticket
from routing.requirement import check_name, check_ticket, class_name, first_score, once_missed
from routing.store.registry import profile_name
from routing.strategy import STRATEGIES

_AFTER_REFUSAL = (AgentState.AVAILABLE, AgentState.NOT_ANSWERING, AgentState.PAUSED)


def check_agent(agent_id: str, terms: AgentTerms) -> None:
    """Raises ValueError for one that cannot be kept."""
    check_name(agent_id)
    if terms.weight < 1:
        raise ValueError(f"weight {terms.weight} of agent {agent_id!r} is not at least 1")
    if not 1 <= terms.capacity <= CAPACITY_MAX:
        raise ValueError(f"capacity {terms.capacity} of agent {agent_id!r} is not within 1-{CAPACITY_MAX}")


def profiles_of(profile: AgentProfile, terms: AgentTerms) -> Sequence[AgentProfile]:
    """How an agent is found without a conversation and, with room for more than one, in one."""
    return (profile, replace(profile, in_talk=True)) if terms.capacity > 1 else (profile,)


def skill_arguments(profile: AgentProfile, terms: AgentTerms) -> tuple[str | int, ...]:
    """What includes/skills.lua takes."""
    free, *in_talk = (profile_name(found) for found in profiles_of(profile, terms))
    return free, terms.order, terms.weight, terms.capacity, *(in_talk or ("",))


def refusal_arguments(refusal: Refusal) -> tuple[str | int, ...]:
    """ARGV 5-11 of reject. Raises ValueError for one that cannot be kept."""
    if refusal.then not in _AFTER_REFUSAL:
        raise ValueError(f"{refusal.then.value!r} does not follow from a refusal")
    times = (refusal.rest_ms, refusal.retry_ms, refusal.exclude_ms)
    if min(times) < 0 or refusal.exclude_ms < refusal.retry_ms:
        raise ValueError(f"a refusal's rest, retry and exclusion cannot take {times} ms")
    why = refusal.why if refusal.then is AgentState.PAUSED else refusal.reason.value
    return (refusal.reason.value, refusal.then.value, why, *times, int(refusal.counts))


def ticket_arguments(ticket: Ticket) -> tuple[str | int, ...]:
    """ARGV 2-17 of the scripts that take a ticket. Raises ValueError for one that cannot be kept."""
    check_ticket(ticket)
    requirement = ticket.requirement
    return (
        ticket.call_id,
        ticket.node,
        class_name(requirement),
        requirement.agent or "",
        requirement.queue,
        first_score(ticket),
        ticket.enqueued_ms,
        ticket.ring_ms,
        ticket.wrapup_ms,
        ticket.priority,
        STRATEGIES[requirement.strategy].order,
        step_words(ticket),
        max(ticket.wrapup_ms, ticket.wrapup_limit_ms),
        0 if ticket.own else ticket.ring_agents,
        f"{late.at_ms} {late.score}" if (late := once_missed(ticket)) else "",
        requirement.weight,
    )


def step_words(ticket: Ticket) -> str:
    """As includes/steps.lua keeps them."""
    steps = ((ticket.enqueued_ms + step.after_ms, class_name(step.requirement)) for step in ticket.steps)
    return " ".join(f"{at} {name}" for at, name in steps)
