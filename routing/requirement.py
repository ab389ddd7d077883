"""Requirements and profiles: who fits what, and the short names of equal ones. Pure decisions."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

from routing.limits import (
    NAME_MAX,
    PREFERENCES_MAX,
    QUEUE_WEIGHT_MAX,
    RING_AGENTS_MAX,
    RING_MAX_MS,
    STEPS_MAX,
    TARGET_MAX_MS,
    TARGETS_ONCE_MISSED,
)
from routing.model import HIGHEST_PRIORITY, AgentProfile, Lending, Requirement, Ticket
from routing.strategy import STRATEGIES

PRIORITY_WIDTH = 10**13
"""Room for a time in milliseconds within one priority of the score (until the year 2286)."""


def eligible(requirement: Requirement, profile: AgentProfile) -> bool:
    """Whether agents of this profile may take the calls of this class at any time, by their skills.

    A requirement that names an agent is met by that agent alone, whatever the skills: by no profile.
    """
    if requirement.is_open_to(profile):
        return True
    return _able(requirement, profile) and requirement.queue not in dict(profile.lent)


def eligible_while(requirement: Requirement, profile: AgentProfile) -> Lending | None:
    """On what terms agents of this profile may take the calls of this class, whose queue they are lent to."""
    lending = dict(profile.lent).get(requirement.queue)
    if lending is None or requirement.is_open_to(profile):
        return None
    return lending if _able(requirement, profile) else None


def _able(requirement: Requirement, profile: AgentProfile) -> bool:
    if requirement.agent is not None:
        return False
    if profile.queues and requirement.queue not in dict(profile.queues):
        return False
    levels = dict(profile.skills)
    return all(levels.get(skill, 0) >= least for skill, least in requirement.skills) and all(
        any(levels.get(skill, 0) >= least for skill, least in group) for group in requirement.any_of
    )


def class_definition(requirement: Requirement) -> str:
    """What a class is, as canonical text: equal texts are the same class."""
    skills: list[tuple[str, int]] = []
    groups: list[list[tuple[str, int]]] = []
    if requirement.agent is None:
        skills = _least_levels(requirement.skills)
        groups = sorted(sorted(set(group)) for group in requirement.any_of)
    prefers = [] if requirement.agent else list(requirement.prefers)
    more: list[Any] = [requirement.weight, sorted(set(requirement.open_to)), prefers]
    while more and more[-1] in ([], 1):
        more.pop()
    return _canonical([requirement.queue, requirement.strategy, skills, requirement.agent, groups, *more])


def read_class(definition: str) -> Requirement:
    """The inverse of class_definition. Raises ValueError."""
    queue, strategy, skills, agent, groups, *more = json.loads(definition)
    any_of = tuple(_levels(group) for group in groups)
    weight = more[0] if more else 1
    open_to, prefers = (tuple(more[n]) if more[n:] else () for n in (1, 2))
    return Requirement(queue, _levels(skills), strategy, agent, any_of, weight, open_to, prefers)


def profile_definition(profile: AgentProfile) -> str:
    """What a profile is, as canonical text: equal texts are the same profile."""
    parts: list[Any] = [sorted(dict(profile.skills).items()), sorted(dict(profile.queues).items())]
    more = [
        profile.in_talk,
        [[queue, lending_terms(lending)] for queue, lending in profile.lent],
        profile.by_priority,
    ]
    while more and not more[-1]:
        more.pop()
    return _canonical([*parts, *more])


def read_profile(definition: str) -> AgentProfile:
    """The inverse of profile_definition. Raises ValueError."""
    found = json.loads(definition)
    parts: list[Any] = [*found, *[False, (), False][len(found) - 2 :]]
    skills, queues, in_talk, lent, by_priority = parts
    terms = tuple((queue, read_terms(words)) for queue, words in lent)
    return AgentProfile(_levels(skills), _levels(queues), in_talk, terms, by_priority)


def lending_terms(lending: Lending) -> str:
    """What the store knows a lending by."""
    numbers = lending.waiting_at_most, lending.longest_wait_ms, lending.free_agents_at_least
    return " ".join((*map(str, numbers), lending.lender))


def read_terms(terms: str) -> Lending:
    """The inverse of lending_terms. Raises ValueError."""
    waiting, longest, free, lender = terms.split(" ", 3)
    return Lending(lender, int(waiting), int(longest), int(free))


def check_profile(profile: AgentProfile) -> None:
    """Raises ValueError for a profile that cannot be kept, saying why."""
    for name, _ in (*profile.skills, *profile.queues):
        check_name(name)
    for queue, lending in profile.lent:
        if lending.lender not in dict(profile.queues) or lending.lender in dict(profile.lent):
            raise ValueError(
                f"queue {queue!r} is lent by {lending.lender!r}, which is no queue of the agent's"
            )
        numbers = lending.waiting_at_most, lending.longest_wait_ms, lending.free_agents_at_least
        if queue not in dict(profile.queues) or min(numbers) < 0:
            raise ValueError(f"the terms on which queue {queue!r} is lent to are impossible")


def signature(definition: str) -> str:
    """A short name for a definition: 80 bits of BLAKE2b in hexadecimal."""
    return hashlib.blake2b(definition.encode(), digest_size=10).hexdigest()


@lru_cache(maxsize=10_000)
def class_name(requirement: Requirement) -> str:
    """The short name of a requirement's class. Raises ValueError for one that cannot be kept."""
    check_requirement(requirement)
    return signature(class_definition(requirement))


def in_words(requirement: Requirement) -> str:
    """What is asked of an agent, for people: "billing 5, lang-et 1 or lang-en 1"."""
    if requirement.agent is not None:
        return f"agent {requirement.agent}"
    levels = _least_levels(requirement.skills)
    groups = sorted(sorted(set(group)) for group in requirement.any_of)
    asked = [f"{skill} {least}" for skill, least in levels]
    asked += [" or ".join(f"{skill} {least}" for skill, least in group) for group in groups]
    words = ", ".join(asked) or "nothing"
    return (
        f"{words}; or else {' or '.join(sorted(set(requirement.open_to)))}" if requirement.open_to else words
    )


def in_force(ticket: Ticket, now_ms: int) -> Requirement:
    """What the call asks at this time of its wait. One that named an agent may have stopped doing so before
    its first step is due: the store knows that, this does not."""
    asked = ticket.requirement
    for step in ticket.steps:
        if ticket.enqueued_ms + step.after_ms > now_ms:
            break
        asked = step.requirement
    return asked


def still_asked(ticket: Ticket, now_ms: int) -> tuple[Requirement, ...]:
    """What the call asks at this time, and after each step to come."""
    later = (step.requirement for step in ticket.steps if ticket.enqueued_ms + step.after_ms > now_ms)
    return (in_force(ticket, now_ms), *later)


def missing(requirement: Requirement, profile: AgentProfile) -> tuple[str, ...]:
    """What keeps agents of this profile from the calls of this class, in words; nothing where `eligible`.

    Nothing is missing where the requirement names an agent: who that is decides, not the profile.
    """
    if requirement.agent is not None or requirement.is_open_to(profile):
        return ()
    levels = dict(profile.skills)
    reasons = []
    if lending := dict(profile.lent).get(requirement.queue):
        reasons.append(f"lent by {lending.lender} while that is well")
    if profile.queues and requirement.queue not in dict(profile.queues):
        reasons.append(f"does not serve {requirement.queue}")
    for skill, least in _least_levels(requirement.skills):
        if levels.get(skill, 0) < least:
            reasons.append(f"{skill} {levels.get(skill, 0)}, asked {least}")
    for group in requirement.any_of:
        if not any(levels.get(skill, 0) >= least for skill, least in group):
            reasons.append("none of " + ", ".join(f"{skill} {least}" for skill, least in sorted(group)))
    return tuple(reasons)


def score(priority: int, enqueued_ms: int) -> int:
    """The place of a call: less goes first. Exact in a double, and the same at any time."""
    return (HIGHEST_PRIORITY - priority) * PRIORITY_WIDTH + enqueued_ms


def priority_of(score: int) -> int:
    """The inverse of `score`, as far as the priority goes."""
    return HIGHEST_PRIORITY - score // PRIORITY_WIDTH


@dataclass(frozen=True, slots=True)
class Missed:
    """What becomes of the place of a call that waits until `at_ms`, its target: less urgent, and for good."""

    at_ms: int
    score: int


def first_score(ticket: Ticket) -> int:
    """The place of a call until it misses its target, and without one for good."""
    return score(ticket.priority, ticket.enqueued_ms + ticket.target_ms // ticket.requirement.weight)


def once_missed(ticket: Ticket) -> Missed | None:
    """The place of a call from its target on; None without one."""
    if ticket.target_ms == 0:
        return None
    target_at_ms = ticket.enqueued_ms + ticket.target_ms
    return missed(ticket.priority, ticket.enqueued_ms, target_at_ms, ticket.requirement.weight)


def missed(priority: int, enqueued_ms: int, target_at_ms: int, weight: int) -> Missed:
    """What follows for a call, in a queue of this weight, that is to be answered by `target_at_ms`."""
    late_ms = enqueued_ms + TARGETS_ONCE_MISSED * (target_at_ms - enqueued_ms) // weight
    return Missed(target_at_ms, score(priority, late_ms))


def urgency(score: int, weight: int, now_ms: int) -> int:
    """The score that a call of weight 1 would have that is as urgent now: less goes first.

    A call of weight w has waited w times as long, less its target. Never leaves its priority.
    """
    priority, time_ms = divmod(score, PRIORITY_WIDTH)
    time_ms = now_ms - weight * (now_ms - time_ms)
    return priority * PRIORITY_WIDTH + min(max(time_ms, 0), PRIORITY_WIDTH - 1)


def check_ticket(ticket: Ticket) -> None:
    """Raises ValueError for a ticket that cannot be kept, saying why."""
    if not 0 <= ticket.priority <= HIGHEST_PRIORITY:
        raise ValueError(f"priority {ticket.priority} is not within 0-{HIGHEST_PRIORITY}")
    if not 0 <= ticket.enqueued_ms < PRIORITY_WIDTH:
        raise ValueError(f"enqueue time {ticket.enqueued_ms} ms is not a time since the epoch")
    if not 0 < ticket.ring_ms <= RING_MAX_MS:
        raise ValueError(f"ring time {ticket.ring_ms} ms is not within 1-{RING_MAX_MS}")
    if ticket.wrapup_ms < 0 or ticket.wrapup_limit_ms < 0:
        raise ValueError(f"wrap-up time {min(ticket.wrapup_ms, ticket.wrapup_limit_ms)} ms is negative")
    if not 0 <= ticket.target_ms <= TARGET_MAX_MS:
        raise ValueError(f"target {ticket.target_ms} ms is not within 0-{TARGET_MAX_MS}")
    if not 1 <= ticket.ring_agents <= RING_AGENTS_MAX:
        raise ValueError(f"{ticket.ring_agents} agents at once are not within 1-{RING_AGENTS_MAX}")
    if ticket.own and (ticket.requirement.agent is None or ticket.steps or ticket.ring_agents != 1):
        raise ValueError("a call of an agent's own is for that agent alone")
    check_name(ticket.call_id)
    if ticket.passes_over:
        check_name(ticket.passes_over)
    _check_steps(ticket)


def _check_steps(ticket: Ticket) -> None:
    times = [step.after_ms for step in ticket.steps]
    if ticket.requirement.agent is not None:
        first, times = times[:1], times[1:]
        if first and first[0] <= 0:
            raise ValueError("a call cannot stop waiting for one agent before it begins")
    if len(times) > STEPS_MAX or any(later <= earlier for earlier, later in pairwise([0, *times])):
        raise ValueError(f"steps must be at most {STEPS_MAX}, each later than the one before")
    for step in ticket.steps:
        if step.requirement.queue != ticket.requirement.queue or step.requirement.agent is not None:
            raise ValueError("a step stays in the queue of its ticket and names no agent")
        if step.requirement.weight != ticket.requirement.weight:
            raise ValueError("a step keeps the weight of its ticket")


def check_requirement(requirement: Requirement) -> None:
    """Raises ValueError for an unknown strategy or unreasonable names."""
    if requirement.strategy not in STRATEGIES:
        raise ValueError(f"no strategy {requirement.strategy!r}; there are {', '.join(STRATEGIES)}")
    if not 1 <= requirement.weight <= QUEUE_WEIGHT_MAX:
        raise ValueError(f"weight {requirement.weight} of a queue is not within 1-{QUEUE_WEIGHT_MAX}")
    names = [requirement.queue, *(skill for skill, _ in requirement.skills)]
    names += [*requirement.open_to, *(skill for group in requirement.any_of for skill, _ in group)]
    names += requirement.prefers
    if len(requirement.prefers) > PREFERENCES_MAX:
        raise ValueError(f"{len(requirement.prefers)} skills in order are more than {PREFERENCES_MAX}")
    for name in names if requirement.agent is None else [*names, requirement.agent]:
        check_name(name)


def check_name(name: str) -> None:
    """Raises ValueError for a name that is empty or longer than NAME_MAX."""
    if not 0 < len(name) <= NAME_MAX:
        raise ValueError(f"a name must have 1-{NAME_MAX} characters: {name[:40]!r}")


def _levels(pairs: list[list[Any]]) -> tuple[tuple[str, int], ...]:
    return tuple((name, level) for name, level in pairs)


def _least_levels(skills: tuple[tuple[str, int], ...]) -> list[tuple[str, int]]:
    """One level a skill, the highest asked; a level of 0 asks nothing."""
    levels: dict[str, int] = {}
    for skill, least in skills:
        levels[skill] = max(least, levels.get(skill, 0))
    return sorted((skill, least) for skill, least in levels.items() if least > 0)


def _canonical(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
