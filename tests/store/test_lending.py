"""Agents who serve a second queue only while their own is well: lent at once when it is, and never else."""

from __future__ import annotations

import os
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routing.model import (
    AgentProfile,
    AgentState,
    AgentTerms,
    Lending,
    Refusal,
    RejectReason,
    Requirement,
    Ticket,
)
from routing.store.redis_store import RedisQueueStore
from tests.sim.stores import RedisStore
from tests.support.offers import pairs

pytestmark = pytest.mark.store

NOW = 1_790_000_000_000
OWN, OTHER = Requirement("billing", (("billing", 5),)), Requirement("support")
NO = Refusal(RejectReason.REJECTED, rest_ms=5_000)
SERVES = {"billing": 1, "support": 2}
_SITES = count(1)


def lent(**terms: int) -> AgentProfile:
    """Can take calls of support, and of billing only those that need little."""
    return AgentProfile.of({"billing": 1}, SERVES, {"support": Lending("billing", **terms)})


async def waits(store: RedisQueueStore, call: str, requirement: Requirement, at: int = NOW) -> None:
    await store.enqueue(Ticket(call, "n1", requirement, at), at)


async def test_an_agent_is_lent_while_the_own_queue_is_well(store: RedisQueueStore) -> None:
    await store.agent_available("anna", "n1", lent(), NOW)
    await waits(store, "c1", OTHER)
    assert await pairs(store) == [("c1", "anna")]


async def test_nobody_is_lent_while_more_wait_than_may(store: RedisQueueStore) -> None:
    await waits(store, "own", OWN)
    await store.agent_available("anna", "n1", lent(), NOW)
    await waits(store, "c1", OTHER)
    assert await pairs(store) == []
    await store.cancel("own", NOW + 1)
    assert await pairs(store) == [("c1", "anna")], "at once, by the word that made the queue well"


async def test_a_call_that_waits_is_handed_out_as_soon_as_enough_are_free(store: RedisQueueStore) -> None:
    await store.agent_available("anna", "n1", lent(free_agents_at_least=1), NOW)
    await waits(store, "c1", OTHER)
    assert await pairs(store) == []
    await store.agent_available("bert", "n1", AgentProfile.of({"billing": 9}, {"billing": 1}), NOW + 1)
    assert await pairs(store) == [("c1", "anna")]
    await store.agent_available("cleo", "n1", lent(free_agents_at_least=1), NOW + 2)
    await waits(store, "c2", OTHER)
    assert await pairs(store) == [("c1", "anna"), ("c2", "cleo")], "bert is still free for billing"


async def test_who_is_lent_is_there_for_the_other_queue_whether_or_not_the_own_is_well(
    store: RedisQueueStore,
) -> None:
    away = frozenset({AgentState.PAUSED})
    await waits(store, "c1", OTHER)
    crowd = await store.crowd("c1", (OTHER,), away)
    assert crowd is not None
    assert not crowd.agent_there
    await waits(store, "own", OWN)
    await store.agent_available("anna", "n1", lent(), NOW)
    assert await pairs(store) == []
    for absent in (away, away | {AgentState.TALKING}):
        crowd = await store.crowd("c1", (OTHER,), absent)
        assert crowd is not None
        assert crowd.agent_there
    await store.agent_away("anna", AgentState.PAUSED, "lunch", NOW + 1)
    for absent, there in ((away, False), (frozenset({AgentState.NOT_ANSWERING}), True)):
        crowd = await store.crowd("c1", (OTHER,), absent)
        assert crowd is not None
        assert crowd.agent_there is there


async def test_one_long_wait_is_enough_to_keep_agents(store: RedisQueueStore) -> None:
    terms = {"waiting_at_most": 5, "longest_wait_ms": 10_000}
    await waits(store, "own", OWN)
    await store.agent_available("anna", "n1", lent(**terms), NOW + 9_999)
    await waits(store, "c1", OTHER, NOW + 9_999)
    assert await pairs(store) == [("c1", "anna")]
    await store.agent_available("bert", "n1", lent(**terms), NOW + 10_000)
    await waits(store, "c2", OTHER, NOW + 10_000)
    assert await pairs(store) == [("c1", "anna")]


async def test_the_own_queue_comes_from_the_agents_own_line_as_ever(store: RedisQueueStore) -> None:
    await waits(store, "own", Requirement("billing"), NOW + 5)
    await waits(store, "c1", OTHER, NOW)
    await store.agent_available("anna", "n1", lent(), NOW + 10)
    assert await pairs(store) == [("own", "anna")], "while it waits the queue is not well"


async def test_who_comes_free_may_be_lent_where_another_stays(store: RedisQueueStore) -> None:
    there = AgentProfile.of({}, {"support": 1, "billing": 2}, {"billing": Lending("support", 0, 0, 1)})
    await store.agent_available("anna", "n1", there, NOW)
    await waits(store, "c1", Requirement("billing"))
    assert await pairs(store) == []
    await store.agent_available("bert", "n1", there, NOW + 1)
    assert await pairs(store) == [("c1", "bert")]


async def test_terms_that_cannot_be_kept_are_refused(store: RedisQueueStore) -> None:
    for lender in ("sales", "support"):
        profile = AgentProfile.of({}, SERVES, {"support": Lending(lender)})
        with pytest.raises(ValueError, match="is no queue of the agent's"):
            await store.agent_available("anna", "n1", profile, NOW)


# The store and the model side by side.

PEOPLE = {
    "anna": lent(waiting_at_most=1),
    "bert": lent(longest_wait_ms=8_000, free_agents_at_least=1),
    "cleo": AgentProfile.of({"billing": 9}, {"billing": 1}),
    "dora": AgentProfile.of({}, {"support": 1, "billing": 1}, {"billing": Lending("support", 1, 0, 1)}),
}
words = st.one_of(
    st.tuples(st.sampled_from(("billing", "support")), st.sampled_from((0, 5)), st.sampled_from((1, 2))),
    st.integers(1, 12_000),
    st.tuples(st.sampled_from(("frees", "pauses", "returns", "refuses")), st.sampled_from(sorted(PEOPLE))),
    st.integers(0, 20).map(lambda n: ("leaves", n)),
)


class Story:
    def __init__(self, url: str) -> None:
        self.store = RedisStore(url, f"lending{os.getpid()}-{next(_SITES)}", ("n1",))
        self.now, self.calls = NOW, 0
        for name in PEOPLE:
            self.returns(name)

    def say(self, verb: str, *arguments: object, **words: object) -> None:
        self.store.perform(verb, arguments, words, self.now)
        self.store.messages()

    def call(self, queue: str, level: int, ring_agents: int) -> None:
        self.calls += 1
        requirement = Requirement(queue, (("billing", level),) if level else ())
        self.say("enqueue", Ticket(f"c{self.calls}", "n1", requirement, self.now, ring_agents=ring_agents))

    def returns(self, name: str) -> None:
        self.say("agent_available", name, "n1", PEOPLE[name], terms=AgentTerms())

    def pauses(self, name: str) -> None:
        self.say("agent_away", name, AgentState.PAUSED, "")

    def frees(self, name: str) -> None:
        agent = self.store.model.agents[name]
        if agent.call is None:
            return
        word = (agent.call, name, self.store.model.calls[agent.call].held[name])
        if agent.state is AgentState.OFFERED:
            self.say("accept", *word)
        self.say("done", *word)

    def refuses(self, name: str) -> None:
        agent = self.store.model.agents[name]
        if agent.call and agent.state is AgentState.OFFERED:
            word = (agent.call, name, self.store.model.calls[agent.call].held[name])
            self.say("reject", *word, NO)

    def leaves(self, pick: int) -> None:
        calls = list(self.store.model.calls)
        if calls:
            self.say("cancel", calls[pick % len(calls)])

    def nobody_waits_beside_who_could_take_the_call(self) -> None:
        model = self.store.model
        centre = model.centre(self.now)
        for call in model.calls.values():
            for agent in model.agents.values():
                if call.state == "waiting" and agent.idle:
                    assert not model.matching.takes(call, agent, centre)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(told=st.lists(words, min_size=15, max_size=70))
def test_lending_is_that_of_the_model_and_no_wake_up_is_lost(redis_url: str, told: list[object]) -> None:
    story = Story(redis_url)
    for word in told:
        match word:
            case int(ms):
                story.now += ms
                story.say("tick")
            case (str(what), who):
                getattr(story, what)(who)
            case (str(queue), int(level), int(ring_agents)):
                story.call(queue, level, ring_agents)
        story.nobody_waits_beside_who_could_take_the_call()
    story.store.audit()
    story.store.close()
