"""The numbered event stream: who folds it knows counters and agents' times, or that something is missing."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from routing.model import AgentProfile, AgentState, Offer, Refusal, RejectReason, Requirement, Ticket
from routing.store.redis_store import RedisQueueStore
from tests.support.event_fold import EventsMissing, Fold, assert_equal, events_of
from tests.support.offers import offers
from tests.support.queue_audit import snapshot

pytestmark = pytest.mark.store

NOW = 1_790_000_000_000
ABLE = AgentProfile.of({"billing": 5})


async def offer_of(store: RedisQueueStore) -> Offer:
    return (await offers(store))[-1]


async def a_day_of_anna(store: RedisQueueStore) -> None:
    """She lets it ring, comes back, talks, asks for a pause meanwhile, wraps up, learns, goes."""
    await store.heartbeat("n1", 3_600_000, NOW)
    await store.agent_available("anna", "n1", ABLE, NOW)
    await store.enqueue(Ticket("c1", "n1", Requirement("billing"), NOW + 1_000, wrapup_ms=5_000), NOW + 1_000)
    offer = await offer_of(store)
    word = ("c1", "anna", offer.token, Refusal(RejectReason.NO_ANSWER, AgentState.NOT_ANSWERING, counts=True))
    await store.reject(*word, NOW + 16_000)
    await store.tick(NOW + 80_000)
    await store.agent_available("anna", "n2", ABLE, NOW + 90_000)
    offer = await offer_of(store)
    await store.accept("c1", "anna", offer.token, NOW + 95_000)
    await store.agent_away("anna", AgentState.PAUSED, "lunch", NOW + 100_000)
    await store.done("c1", "anna", offer.token, NOW + 120_000)
    await store.tick(NOW + 125_000)
    await store.agent_available("anna", "n2", AgentProfile.of({"billing": 7}), NOW + 185_000)
    await store.agent_away("anna", AgentState.OFFLINE, "", NOW + 200_000)


async def events(redis: Redis, site: str) -> list[dict[str, str]]:
    return events_of(await redis.xrange(f"acd:{{{site}}}:ev"))


async def test_the_events_tell_an_agents_times_and_the_counters(
    redis: Redis, site: str, store: RedisQueueStore
) -> None:
    await a_day_of_anna(store)
    fold = Fold()
    fold.hear(await events(redis, site))
    anna = fold.agents["anna"]
    assert (anna.st, anna.since, anna.n, anna.un) == ("offline", NOW + 200_000, "n2", 0)
    # She rang for 15 s and 5 s, talked for 25 s, wrapped up for 5 s; the minute of the pause does not count.
    assert (anna.bz, anna.cn) == (50_000, 1)
    assert anna.si == NOW + 74_000 + 60_000
    assert fold.queues["billing"]["answered"] == 1
    state = await snapshot(redis, site)
    assert_equal(fold, state.under("qs:"), state.under("a:"))


async def test_a_phone_that_nobody_gave_back_counts_as_unanswered(
    redis: Redis, site: str, store: RedisQueueStore
) -> None:
    await store.agent_available("anna", "n1", ABLE, NOW)
    await store.enqueue(Ticket("c1", "n1", Requirement("billing"), NOW, ring_ms=10_000), NOW)
    await store.tick(NOW + 12_000)
    fold = Fold()
    fold.hear(await events(redis, site))
    assert fold.agents["anna"].un == 1
    state = await snapshot(redis, site)
    assert_equal(fold, state.under("qs:"), state.under("a:"))


async def test_what_is_heard_twice_counts_once(redis: Redis, site: str, store: RedisQueueStore) -> None:
    await a_day_of_anna(store)
    once, twice = Fold(), Fold()
    told = await events(redis, site)
    once.hear(told)
    for event in told:
        twice.hear([event])
        twice.hear(told[:3])
    assert twice.agents == once.agents
    assert twice.queues == once.queues


async def test_whoever_misses_an_event_can_tell(redis: Redis, site: str, store: RedisQueueStore) -> None:
    await a_day_of_anna(store)
    told = await events(redis, site)
    for missing in range(1, len(told)):
        with pytest.raises(EventsMissing, match=f"^{missing} to {missing}$"):
            Fold().hear(told[: missing - 1] + told[missing:])


async def test_a_pause_that_is_asked_for_in_a_call_is_an_event_once(
    redis: Redis, site: str, store: RedisQueueStore
) -> None:
    await store.agent_available("anna", "n1", ABLE, NOW)
    await store.enqueue(Ticket("c1", "n1", Requirement("billing"), NOW), NOW)
    await store.accept("c1", "anna", (await offer_of(store)).token, NOW)
    before = len(await events(redis, site))
    for _ in range(2):
        await store.agent_away("anna", AgentState.PAUSED, "lunch", NOW + 1)
    for _ in range(2):
        await store.agent_available("anna", "n1", ABLE, NOW + 2)
    asked = (await events(redis, site))[before:]
    assert [(event["k"], event["st"]) for event in asked] == [("asked", "paused"), ("asked", "available")]
