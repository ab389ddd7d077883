"""The order in which agents are rung, told again in other words, for each strategy and any number."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routing.model import AgentProfile, AgentState, AgentTerms, Offer, Requirement, Ticket
from routing.strategy import STRATEGIES
from tests.sim.stores import RedisStore
from tests.support.queue_entries import Agent

pytestmark = pytest.mark.store

NOW = 1_790_000_000_000
NAMES = ("anna", "bert", "carl", "dora", "emil")
ASKED = Requirement("q", (("billing", 2),))
_SITES = count(1)


def _level(agent: Agent, skill: str) -> int:
    return dict(agent.profile.skills).get(skill, 0)


def _tenths(agent: Agent) -> int:
    return agent.idle_since // 100


def _occupancy(agent: Agent) -> int:
    """In hundredths of a percent."""
    present = max(1, agent.idle_since - (agent.signed_in or 0))
    return min(10_000, int(Fraction(agent.busy, present) * 10_000))


def _draw(agent: Agent) -> float:
    """The number between 0 and 1 that is drawn at each ring, by the name and the time of the ring."""
    drawn = hashlib.sha1(f"{agent.id}:{agent.last_rung}".encode()).digest()
    return (int.from_bytes(drawn[:4]) + 1) / 2**32


FIRST: Mapping[str, Callable[[Agent], tuple[float, ...]]] = {
    "longest-idle": lambda agent: (agent.idle_since,),
    "round-robin": lambda agent: (agent.last_rung,),
    "fewest-calls": lambda agent: (agent.calls, _tenths(agent)),
    "least-occupied": lambda agent: (_occupancy(agent), _tenths(agent)),
    "linear": lambda agent: (agent.terms.order,),
    # Of several draws the greatest of the w-th roots wins: twice the weight is the better of two draws.
    "weighted-random": lambda agent: (-(_draw(agent) ** (1 / agent.terms.weight)),),
    "most-skilled": lambda agent: (-_level(agent, "billing"), agent.idle_since),
    "least-skilled": lambda agent: (sum(level for _, level in agent.profile.skills), agent.idle_since),
}
"""The pages of docs/strategies: the least goes first. The odds of weighted-random: tests/unit/routing."""

people = st.builds(
    lambda billing, sales, priority, order, weight: (
        AgentProfile.of({"billing": billing, "sales": sales}, {"q": priority} if priority else {}),
        AgentTerms(order, weight),
    ),
    billing=st.integers(1, 5),
    sales=st.integers(1, 5),
    priority=st.sampled_from((0, 0, 1, 2)),
    order=st.integers(0, 3),
    weight=st.integers(1, 9),
)
histories = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from(("talks", "refuses", "pauses")),
        st.integers(1, 60_000),
        st.integers(1, 200_000),
    ),
    max_size=12,
)
"""Who, what, how long the phone rings (or the pause lasts), and for how long they talk."""


class Floor:
    """The agents of one queue, with whatever they have done."""

    def __init__(self, url: str, agents: list[tuple[AgentProfile, AgentTerms]]) -> None:
        self.store = RedisStore(url, f"agents{os.getpid()}-{next(_SITES)}", ("n1",))
        self.now = NOW
        self.calls = 0
        self.people = dict(zip(NAMES, agents, strict=True))
        for name in NAMES:
            self.now += 700
            self.signs_in(name)

    def say(self, verb: str, *arguments: object, **words: Any) -> list[Offer]:
        self.store.perform(verb, arguments, words, self.now)
        return [message for _, message in self.store.messages() if isinstance(message, Offer)]

    def signs_in(self, name: str) -> None:
        profile, terms = self.people[name]
        self.say("agent_available", name, "n1", profile, terms=terms)

    def call(self, requirement: Requirement, ring_agents: int = 1) -> list[Offer]:
        self.calls += 1
        ticket = Ticket(f"c{self.calls}", "n1", requirement, self.now, ring_agents=ring_agents)
        return self.say("enqueue", ticket)

    def lives(self, name: str, what: str, first_ms: int, then_ms: int) -> None:
        if what == "pauses":
            self.say("agent_away", name, AgentState.PAUSED, "")
            self.now += first_ms
            self.signs_in(name)
            return
        (offer,) = self.call(Requirement("direct", agent=name))
        word = (offer.call_id, name, offer.token)
        self.now += first_ms
        if what == "talks":
            self.say("accept", *word)
            self.now += then_ms
            self.say("done", *word)
        else:
            self.say("cancel", offer.call_id)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    agents=st.lists(people, min_size=len(NAMES), max_size=len(NAMES)),
    history=histories,
    ring_agents=st.sampled_from((1, 2, 3, 50)),
)
@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_agents_are_rung_in_the_order_that_the_page_tells(
    redis_url: str,
    strategy: str,
    agents: list[tuple[AgentProfile, AgentTerms]],
    history: list[tuple[str, str, int, int]],
    ring_agents: int,
) -> None:
    floor = Floor(redis_url, agents)
    for deed in history:
        floor.lives(*deed)
    found = floor.store.model.agents
    fit = [a for a in found.values() if a.idle and _level(a, "billing") >= 2]

    def place(agent: Agent) -> tuple[float, ...]:
        return dict(agent.profile.queues).get("q", 1), *FIRST[strategy](agent)

    expected = sorted(map(place, fit))[:ring_agents]
    known = {agent.id: place(agent) for agent in fit}
    offers = floor.call(Requirement("q", ASKED.skills, strategy), ring_agents)
    assert [known[offer.agent_id] for offer in offers] == expected
    assert len({offer.agent_id for offer in offers}) == len(offers)
    floor.store.close()


def test_the_order_of_every_strategy_is_told() -> None:
    assert FIRST.keys() == STRATEGIES.keys()


def test_each_strategy_has_its_page_and_the_index_leads_there() -> None:
    docs = Path(__file__).parents[2] / "docs"
    pages = {page.stem for page in (docs / "strategies").glob("*.md")}
    assert pages == {*STRATEGIES, "ring-several"}
    index = (docs / "strategies.md").read_text()
    for page in pages:
        assert f"(strategies/{page}.md)" in index
        text = (docs / "strategies" / f"{page}.md").read_text()
        assert all(part in text for part in ("**What counts.**", "**When.**", "```yaml"))
        if page in STRATEGIES:
            assert f"strategy: {page}" in text
