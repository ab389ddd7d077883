"""Requirements and profiles: who fits what, and the short names of equal ones. Pure decisions."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from routing.limits import NAME_MAX, RING_MAX_MS
from routing.model import HIGHEST_PRIORITY, AgentProfile, Requirement, Ticket
from routing.strategy import STRATEGIES

PRIORITY_WIDTH = 10**13
"""Room for a time in milliseconds within one priority of the score (until the year 2286)."""


def eligible(requirement: Requirement, profile: AgentProfile) -> bool:
    """Whether agents of this profile may take the calls of this class, by their skills.

    A requirement that names an agent is met by that agent alone, whatever the skills: by no profile.
    """
    if requirement.agent is not None:
        return False
    levels = dict(profile.skills)
    return all(levels.get(skill, 0) >= least for skill, least in requirement.skills)


def class_definition(requirement: Requirement) -> str:
    """What a class is, as canonical text: equal texts are the same class."""
    skills = [] if requirement.agent is not None else _least_levels(requirement.skills)
    return _canonical([requirement.queue, requirement.strategy, skills, requirement.agent])


def read_class(definition: str) -> Requirement:
    """The inverse of class_definition. Raises ValueError."""
    queue, strategy, skills, agent = json.loads(definition)
    return Requirement(queue, tuple((skill, least) for skill, least in skills), strategy, agent)


def profile_definition(profile: AgentProfile) -> str:
    """What a profile is, as canonical text: equal texts are the same profile."""
    return _canonical(sorted(dict(profile.skills).items()))


def read_profile(definition: str) -> AgentProfile:
    """The inverse of profile_definition. Raises ValueError."""
    return AgentProfile(tuple((skill, level) for skill, level in json.loads(definition)))


def signature(definition: str) -> str:
    """A short name for a definition: 80 bits of BLAKE2b in hexadecimal."""
    return hashlib.blake2b(definition.encode(), digest_size=10).hexdigest()


def score(priority: int, enqueued_ms: int) -> int:
    """The place of a call: less goes first. Exact in a double, and the same at any time."""
    return (HIGHEST_PRIORITY - priority) * PRIORITY_WIDTH + enqueued_ms


def check_ticket(ticket: Ticket) -> None:
    """Raises ValueError for a ticket that cannot be kept, saying why."""
    if not 0 <= ticket.priority <= HIGHEST_PRIORITY:
        raise ValueError(f"priority {ticket.priority} is not within 0-{HIGHEST_PRIORITY}")
    if not 0 <= ticket.enqueued_ms < PRIORITY_WIDTH:
        raise ValueError(f"enqueue time {ticket.enqueued_ms} ms is not a time since the epoch")
    if not 0 < ticket.ring_ms <= RING_MAX_MS:
        raise ValueError(f"ring time {ticket.ring_ms} ms is not within 1-{RING_MAX_MS}")
    if ticket.wrapup_ms < 0:
        raise ValueError(f"wrap-up time {ticket.wrapup_ms} ms is negative")
    check_name(ticket.call_id)


def check_requirement(requirement: Requirement) -> None:
    """Raises ValueError for an unknown strategy or unreasonable names."""
    if requirement.strategy not in STRATEGIES:
        raise ValueError(f"no strategy {requirement.strategy!r}; there are {', '.join(STRATEGIES)}")
    names = [requirement.queue, *(skill for skill, _ in requirement.skills)]
    for name in names if requirement.agent is None else [*names, requirement.agent]:
        check_name(name)


def check_name(name: str) -> None:
    """Raises ValueError for a name that is empty or longer than NAME_MAX."""
    if not 0 < len(name) <= NAME_MAX:
        raise ValueError(f"a name must have 1-{NAME_MAX} characters: {name[:40]!r}")


def _least_levels(skills: tuple[tuple[str, int], ...]) -> list[tuple[str, int]]:
    """One level a skill, the highest asked; a level of 0 asks nothing."""
    levels: dict[str, int] = {}
    for skill, least in skills:
        levels[skill] = max(least, levels.get(skill, 0))
    return sorted((skill, least) for skill, least in levels.items() if least > 0)


def _canonical(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
