"""Which of several agents who could take a call gets it. Pure: a rank and a score, the least of both wins.

The rank orders profiles for a class of calls and is worked out when either is new. The score orders the idle
agents of equal rank; it does not change while an agent is idle, so that the store can keep them sorted.
Among equals the profile that holds the best score comes first, then the agent's id.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from routing.model import AgentProfile, Requirement

_TENTHS = 10**11
"""Room for a time in tenths of a second beneath a figure (until the year 2286)."""
_MOST_CALLS = 90_000
_WHOLE = 10_000
"""Occupancy is counted in parts of this."""
_QUEUE_PRIORITY_WIDTH = 10_000
_PREFERENCE_WIDTH = 1_000
_IN_TALK = 100 * _QUEUE_PRIORITY_WIDTH
_HELPER_PRIORITY = 100
"""Of those to whom a call is open beside the agents of its queue: after all of theirs (1-99)."""


@dataclass(frozen=True, slots=True)
class IdleAgent:
    """What a score may look at. Times in milliseconds since the epoch."""

    agent_id: str
    idle_since_ms: int
    """Outlives an offer whose caller hung up."""
    last_rung_ms: int = 0
    calls: int = 0
    """Conversations since signing in."""
    busy_ms: int = 0
    """Ringing, talking and wrapping up since signing in."""
    signed_in_ms: int = 0
    """Moved on by each pause, so that pauses do not count."""
    order: int = 0
    weight: int = 1
    clock: int = 0
    """Of the weighted draw, when the agent became idle: the score of the last who won one."""


def longest_idle(agent: IdleAgent) -> int:
    """Who has been without a call for longest."""
    return agent.idle_since_ms


def round_robin(agent: IdleAgent) -> int:
    """Whose phone rang last the longest time ago, answered or not."""
    return agent.last_rung_ms


def fewest_calls(agent: IdleAgent) -> int:
    """Who has had the fewest conversations since signing in; among equals the longest idle."""
    return min(agent.calls, _MOST_CALLS) * _TENTHS + agent.idle_since_ms // 100


def least_occupied(agent: IdleAgent) -> int:
    """Who was busy for the smallest part of the time since signing in, when last becoming idle."""
    present = max(1, agent.idle_since_ms - agent.signed_in_ms)
    occupancy = min(_WHOLE, agent.busy_ms * _WHOLE // present)
    return occupancy * _TENTHS + agent.idle_since_ms // 100


def linear(agent: IdleAgent) -> int:
    """The fixed order of the directory."""
    return agent.order


def weighted_random(agent: IdleAgent) -> int:
    """A draw with the odds of the agent's weight: the least of exponential times with that rate.

    Each ring draws anew. Counted from the score of the last winner, those who were idle then and those
    who came since have the same odds (an exponential time has no memory).
    """
    digest = hashlib.sha1(f"{agent.agent_id}:{agent.last_rung_ms}".encode(), usedforsecurity=False)
    uniform = (int(digest.hexdigest()[:8], 16) + 1) / 2**32
    return agent.clock + math.floor(-math.log(uniform) * 1_000_000 / agent.weight)


ORDERS: Mapping[str, Callable[[IdleAgent], int]] = {
    "longest-idle": longest_idle,
    "round-robin": round_robin,
    "fewest-calls": fewest_calls,
    "least-occupied": least_occupied,
    "linear": linear,
    "weighted-random": weighted_random,
}
"""The scores by name. The store keeps idle agents sorted by each that is in use."""


def equally_skilled(requirement: Requirement, profile: AgentProfile) -> int:
    """All who fit are alike."""
    return 0


def most_skilled(requirement: Requirement, profile: AgentProfile) -> int:
    """The highest sum of levels in the skills that are asked for."""
    levels = dict(profile.skills)
    asked = {skill for skill, _ in requirement.skills}
    asked.update(skill for group in requirement.any_of for skill, _ in group)
    return max(0, 1_000 - sum(levels.get(skill, 0) for skill in asked))


def least_skilled(requirement: Requirement, profile: AgentProfile) -> int:
    """The lowest sum of levels over all skills, which keeps the experts free."""
    return min(_QUEUE_PRIORITY_WIDTH - 1, sum(level for _, level in profile.skills))


@dataclass(frozen=True, slots=True)
class Strategy:
    """`order` names the score; `rank` tells profiles apart before it."""

    order: str
    rank: Callable[[Requirement, AgentProfile], int] = equally_skilled


STRATEGIES: Mapping[str, Strategy] = {
    **{name: Strategy(name) for name in ORDERS},
    "most-skilled": Strategy("longest-idle", most_skilled),
    "least-skilled": Strategy("longest-idle", least_skilled),
}
"""By the name that a queue uses."""


def own_order(requirement: Requirement, profile: AgentProfile) -> int:
    """Which calls an agent of this profile takes first whose profile is by_priority: the least. What is for
    just that agent comes first."""
    if requirement.agent is not None:
        return 0
    if requirement.is_open_to(profile):
        return _HELPER_PRIORITY
    return dict(profile.queues).get(requirement.queue, 1)


def _suits(requirement: Requirement, profile: AgentProfile) -> int:
    """By the first skill of those that the call prefers, and then by the strategy; below 10,000."""
    by_strategy = STRATEGIES[requirement.strategy].rank(requirement, profile)
    if not requirement.prefers:
        return by_strategy
    levels, others = dict(profile.skills), len(requirement.prefers)
    least = {skill: level for group in requirement.any_of for skill, level in group}
    has = (levels.get(skill, 0) >= max(1, least.get(skill, 1)) for skill in requirement.prefers)
    first = next((n for n, suits in enumerate(has) if suits), others)
    return first * _PREFERENCE_WIDTH + min(by_strategy, _PREFERENCE_WIDTH - 1)


def rank(requirement: Requirement, profile: AgentProfile) -> int:
    """The place of a profile that fits: who talks comes last, before them those to whom the call is open
    beside its own agents; then the agents' own priority for the queue counts, then the order of what the call
    prefers, then the strategy."""
    own = own_order(requirement, profile)
    place = own * _QUEUE_PRIORITY_WIDTH + _suits(requirement, profile)
    return _IN_TALK + place if profile.in_talk else place
