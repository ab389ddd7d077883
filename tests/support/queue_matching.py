"""Who gets whom in the obvious queue: everything is looked at, the best is taken."""

from __future__ import annotations

from collections.abc import Iterable

from routing.requirement import eligible
from routing.strategy import STRATEGIES, rank
from tests.support.queue_entries import Agent, Call


class Matching:
    """Remembers only what can never change: which profile fits which class, and with what rank."""

    def __init__(self) -> None:
        self._fits: dict[tuple[str, str], bool] = {}
        self._ranks: dict[tuple[str, str], int] = {}

    def fits(self, call: Call, agent: Agent) -> bool:
        if agent.id in call.refused:
            return False
        if call.requirement.agent:
            return call.requirement.agent == agent.id
        key = call.class_name, agent.found_as[1]
        if key not in self._fits:
            self._fits[key] = eligible(call.requirement, agent.found_as[0])
        return self._fits[key]

    def rank(self, call: Call, agent: Agent) -> int:
        if call.requirement.agent is not None:
            return 0
        key = call.class_name, agent.found_as[1]
        if key not in self._ranks:
            self._ranks[key] = rank(call.requirement, agent.found_as[0])
        return self._ranks[key]

    def best_agent(self, call: Call, agents: Iterable[Agent]) -> Agent | None:
        """The best of the idle ones."""
        scored_by = STRATEGIES[call.requirement.strategy].order
        idle = [(agent, agent.score(scored_by)) for agent in agents if agent.idle]
        heads: dict[str, int] = {}
        for agent, score in idle:
            name = agent.found_as[1]
            heads[name] = min(score, heads.get(name, score))

        def order(found: tuple[Agent, int]) -> tuple[int, int, int, str, str]:
            agent, score = found
            name = agent.found_as[1]
            return self.rank(call, agent), score, heads[name], name, agent.id

        best = min((found for found in idle if self.fits(call, found[0])), key=order, default=None)
        return best[0] if best else None

    def best_call(self, agent: Agent, calls: Iterable[Call], now: int) -> Call | None:
        """The best of those that wait."""
        waiting = [call for call in calls if call.state == "waiting"]
        heads: dict[str, int] = {}
        for call in waiting:
            name = call.class_name
            if name not in heads or call.score < heads[name]:
                heads[name] = call.score

        def order(call: Call) -> tuple[int, int, int, int, bool, int, str, int]:
            name, weight = call.class_name, call.ticket.requirement.weight
            first = -call.ticket.priority, -call.points(now), weight, call.score
            return *first, call.requirement.agent is None, heads[name], name, call.arrival

        return min((call for call in waiting if self.fits(call, agent)), key=order, default=None)


def position(call: Call, calls: Iterable[Call]) -> tuple[int, int] | None:
    """The place in the line of its queue and how many stand there; None for one that talks."""
    if call.state == "talking":
        return None
    line = [c for c in calls if c.state == "waiting" and c.queue == call.queue and c is not call]
    if call.state == "waiting":
        ahead = sum((c.score, c.arrival) < (call.score, call.arrival) for c in line)
    else:
        ahead = sum(c.score < call.score for c in line)
    return ahead + 1, len(line) + 1
