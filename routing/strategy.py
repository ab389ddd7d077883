"""Which of several agents who could take a call gets it: pure scores, the least wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IdleAgent:
    """What a strategy may look at. `idle_since_ms` outlives an offer whose caller hung up."""

    agent_id: str
    idle_since_ms: int


def longest_idle(agent: IdleAgent) -> int:
    """Who has been without a call for longest."""
    return agent.idle_since_ms


STRATEGIES: Mapping[str, Callable[[IdleAgent], int]] = {"longest-idle": longest_idle}
"""By the name that a queue uses. The store keeps the idle agents sorted by the same score."""
