"""A call that is for one agent first, and after a while for anybody."""

from __future__ import annotations

import pytest

from routing.model import (
    AgentProfile,
    AgentState,
    Refusal,
    RejectReason,
    Requirement,
    Step,
    Ticket,
)
from routing.store.redis_store import RedisQueueStore
from tests.support.offers import offers, pairs

pytestmark = pytest.mark.store

NOW = 1_790_000_000_000
ABLE = AgentProfile.of({"billing": 5})
ANYBODY = Requirement("billing", (("billing", 1),))
PATIENCE = 20_000


def for_anna(call: str, at: int = NOW) -> Ticket:
    return Ticket(
        call, "n1", Requirement("billing", agent="anna"), at, steps=(Step(PATIENCE, ANYBODY),), ring_ms=15_000
    )


async def sign_in(store: RedisQueueStore, *agents: str) -> None:
    for agent in agents:
        await store.agent_available(agent, "n1", ABLE, NOW)


async def anna_talks(store: RedisQueueStore) -> int:
    """To somebody else, so that whoever is for her waits. Returns the token."""
    await store.enqueue(Ticket("c0", "n1", Requirement("extension", agent="anna"), NOW), NOW)
    (offer,) = await offers(store)
    await store.accept("c0", "anna", offer.token, NOW)
    return offer.token


async def test_a_preferred_agent_who_is_idle_and_never_answers_holds_nobody_up(
    store: RedisQueueStore,
) -> None:
    await sign_in(store, "anna", "bert")
    await store.enqueue(for_anna("c1"), NOW)
    (offer,) = await offers(store)
    assert offer.agent_id == "anna"
    await store.reject("c1", "anna", offer.token, Refusal(RejectReason.NO_ANSWER), NOW + 15_000)
    assert await pairs(store) == [("c1", "anna"), ("c1", "bert")]


async def test_a_preferred_agent_whose_node_says_nothing_holds_nobody_up(store: RedisQueueStore) -> None:
    await sign_in(store, "anna", "bert")
    await store.heartbeat("n1", 3_600_000, NOW)
    await store.enqueue(for_anna("c1"), NOW)
    await store.tick(NOW + 17_000)
    assert await pairs(store) == [("c1", "anna"), ("c1", "bert")]


async def test_while_the_preferred_agent_talks_the_call_waits_its_time_and_no_longer(
    store: RedisQueueStore,
) -> None:
    await sign_in(store, "anna", "bert")
    await anna_talks(store)
    await store.enqueue(for_anna("c1"), NOW)
    await store.tick(NOW + PATIENCE - 1)
    assert await pairs(store) == [("c0", "anna")]
    await store.tick(NOW + PATIENCE)
    assert await pairs(store) == [("c0", "anna"), ("c1", "bert")]


async def test_the_wait_counts_from_the_age_of_the_call(store: RedisQueueStore) -> None:
    await sign_in(store, "anna", "bert")
    await anna_talks(store)
    await store.enqueue(for_anna("c1", NOW - PATIENCE), NOW)
    assert await pairs(store) == [("c0", "anna"), ("c1", "bert")]


async def test_who_waited_for_one_agent_is_not_behind_those_who_came_later(store: RedisQueueStore) -> None:
    await sign_in(store, "anna")
    await anna_talks(store)
    await store.enqueue(for_anna("c1"), NOW)
    await store.enqueue(Ticket("c2", "n1", ANYBODY, NOW + 5_000), NOW + 5_000)
    await store.tick(NOW + PATIENCE)
    place = await store.position("c1")
    assert place is not None
    assert (place.position, place.waiting) == (1, 2)
    await store.agent_available("bert", "n1", ABLE, NOW + 30_000)
    assert (await pairs(store))[-1] == ("c1", "bert")


async def test_the_preferred_agent_who_comes_free_in_time_has_the_call(store: RedisQueueStore) -> None:
    await sign_in(store, "anna", "bert")
    token = await anna_talks(store)
    await store.enqueue(for_anna("c1"), NOW)
    await store.done("c0", "anna", token, NOW + 9_000)
    assert (await pairs(store))[-1] == ("c1", "anna")


@pytest.mark.parametrize("away", [AgentState.PAUSED, AgentState.OFFLINE, AgentState.NOT_ANSWERING])
async def test_a_preferred_agent_who_is_away_is_not_waited_for(
    store: RedisQueueStore, away: AgentState
) -> None:
    await sign_in(store, "anna", "bert")
    await store.agent_away("anna", away, "", NOW)
    await store.enqueue(for_anna("c1"), NOW)
    assert await pairs(store) == [("c1", "bert")]


@pytest.mark.parametrize("away", [AgentState.PAUSED, AgentState.OFFLINE])
async def test_a_preferred_agent_who_goes_away_meanwhile_is_waited_for_no_longer(
    store: RedisQueueStore, away: AgentState
) -> None:
    await sign_in(store, "anna", "bert")
    told: list[int] = []
    store.watch_deadlines(told.append)
    token = await anna_talks(store)
    await store.enqueue(for_anna("c1"), NOW)
    await store.agent_away("anna", away, "", NOW + 2_000)
    await store.done("c0", "anna", token, NOW + 4_000)
    await store.tick(NOW + 4_000)
    assert (await pairs(store))[-1] == ("c1", "bert")
    assert NOW + 2_000 in told


async def test_steps_that_fell_due_meanwhile_are_taken_together(store: RedisQueueStore) -> None:
    await sign_in(store, "anna")
    await store.agent_available("cleo", "n1", AgentProfile.of({"et": 1}), NOW)
    await anna_talks(store)
    steps = (Step(PATIENCE, ANYBODY), Step(10_000, Requirement("billing", (("et", 1),))))
    ticket = Ticket("c1", "n1", Requirement("billing", agent="anna"), NOW, steps=steps)
    await store.enqueue(ticket, NOW)
    await store.tick(NOW + PATIENCE)
    assert (await pairs(store))[-1] == ("c1", "cleo")
    (status,) = await store.queues(["billing"])
    assert status.counters["relaxed"] == 2
