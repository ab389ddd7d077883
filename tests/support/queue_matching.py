"""Who gets whom in the obvious queue: everything is looked at, the best is taken."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from routing.model import Lending
from routing.requirement import eligible, eligible_while
from routing.strategy import STRATEGIES, own_order, rank
from tests.support.queue_entries import Agent, Call


@dataclass
class Centre:
    """Everybody, at one time."""

    calls: Collection[Call]
    agents: Collection[Agent]
    now: int
    _well: dict[Lending, tuple[bool, set[str]]] = field(default_factory=dict)

    def is_well(self, terms: Lending, lent: Agent) -> bool:
        """Whether the queue that lends this agent is well."""
        if terms not in self._well:
            self._well[terms] = self._lines_are_well(terms), self._own_who_are_free(terms)
        lines_are_well, free = self._well[terms]
        return lines_are_well and len(free - {lent.id}) >= terms.free_agents_at_least

    def _lines_are_well(self, terms: Lending) -> bool:
        waits = [
            self.now - call.ticket.enqueued_ms
            for call in self.calls
            if call.state == "waiting" and call.queue == terms.lender
        ]
        if len(waits) > terms.waiting_at_most:
            return False
        return terms.longest_wait_ms == 0 or max(waits, default=-1) < terms.longest_wait_ms

    def _own_who_are_free(self, terms: Lending) -> set[str]:
        return {agent.id for agent in self.agents if agent.idle and terms.lender in agent.own_queues}


class Matching:
    """Remembers only what can never change: which profile fits which class, and with what rank."""

    def __init__(self) -> None:
        self._fits: dict[tuple[str, str], bool | Lending] = {}
        self._ranks: dict[tuple[str, str], int] = {}

    def fits(self, call: Call, agent: Agent) -> bool:
        """At any time, whoever is lent to whom."""
        return self._fit(call, agent) is True

    def _fit(self, call: Call, agent: Agent) -> bool | Lending:
        if agent.id in call.refused:
            return False
        if call.requirement.agent:
            return call.requirement.agent == agent.id
        key = call.class_name, agent.found_as[1]
        if key not in self._fits:
            terms = eligible_while(call.requirement, agent.found_as[0])
            self._fits[key] = terms or eligible(call.requirement, agent.found_as[0])
        return self._fits[key]

    def takes(self, call: Call, agent: Agent, centre: Centre) -> bool:
        """Now, while the queue is well that lends the agent."""
        fit = self._fit(call, agent)
        return centre.is_well(fit, agent) if isinstance(fit, Lending) else fit

    def rank(self, call: Call, agent: Agent) -> int:
        if call.requirement.agent is not None:
            return 0
        key = call.class_name, agent.found_as[1]
        if key not in self._ranks:
            self._ranks[key] = rank(call.requirement, agent.found_as[0])
        return self._ranks[key]

    def best_agent(self, call: Call, centre: Centre) -> Agent | None:
        """The best of the idle ones."""
        scored_by = STRATEGIES[call.requirement.strategy].order
        idle = [(agent, agent.score(scored_by)) for agent in centre.agents if agent.idle]
        heads: dict[str, int] = {}
        for agent, score in idle:
            name = agent.found_as[1]
            heads[name] = min(score, heads.get(name, score))

        def order(found: tuple[Agent, int]) -> tuple[int, int, int, str, str]:
            agent, score = found
            name = agent.found_as[1]
            return self.rank(call, agent), score, heads[name], name, agent.id

        able = (found for found in idle if self.takes(call, found[0], centre))
        best = min(able, key=order, default=None)
        return best[0] if best else None

    def best_call(self, agent: Agent, calls: Iterable[Call], centre: Centre) -> Call | None:
        """The best of those that wait."""
        waiting, now = [call for call in calls if call.state == "waiting"], centre.now
        heads: dict[str, int] = {}
        for call in waiting:
            name = call.class_name
            if name not in heads or call.score < heads[name]:
                heads[name] = call.score

        def order(call: Call) -> tuple[int, int, int, int, int, bool, int, str, int]:
            name, weight = call.class_name, call.ticket.requirement.weight
            own = own_order(call.requirement, agent.profile) if agent.profile.by_priority else 0
            first = -call.ticket.priority, own, -call.points(now), weight, call.score
            return *first, call.requirement.agent is None, heads[name], name, call.arrival

        able = (call for call in waiting if self.takes(call, agent, centre))
        return min(able, key=order, default=None)

    def lent_call(self, terms: Lending, centre: Centre) -> Call | None:
        """What those who are lent on these terms could take now, and did not get when it came."""
        lent = [agent for agent in centre.agents if agent.idle and terms in dict(agent.profile.lent).values()]
        for agent in sorted(lent, key=lambda agent: (agent.found_as[1], agent.idle_since, agent.id)):
            waiting = (call for call in centre.calls if call.state == "waiting")
            mine = [call for call in waiting if self._fit(call, agent) == terms]
            if centre.is_well(terms, agent) and (found := self.best_call(agent, mine, centre)):
                return found
        return None


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
