"""Calls that are in the store and that nobody has."""

from __future__ import annotations

import pytest

from routing.limits import UNLEASED_MS
from routing.model import Requirement, Ticket
from routing.store.redis_store import RedisQueueStore

pytestmark = pytest.mark.store

NOW = 1_790_000_000_000


def ticket(call_id: str, node: str = "n1") -> Ticket:
    return Ticket(call_id, node, Requirement("billing"), NOW)


async def waiting(store: RedisQueueStore) -> int:
    (billing,) = await store.queues(["billing"])
    return billing.waiting


async def test_a_node_can_ask_which_calls_the_store_has_for_it(store: RedisQueueStore) -> None:
    await store.enqueue(ticket("c2"), NOW)
    await store.enqueue(ticket("c1"), NOW)
    await store.enqueue(ticket("c3", "n2"), NOW)
    assert await store.calls_of("n1") == ["c1", "c2"]
    assert await store.calls_of("nobody") == []


async def test_a_word_that_arrives_after_its_node_died_leaves_nothing_for_ever(
    store: RedisQueueStore,
) -> None:
    await store.heartbeat("n1", 1_000, NOW)
    await store.tick(NOW + 1_000)
    await store.enqueue(ticket("late"), NOW + 2_000)
    await store.tick(NOW + 2_000 + UNLEASED_MS - 1)
    assert await waiting(store) == 1
    await store.tick(NOW + 2_000 + UNLEASED_MS)
    assert await waiting(store) == 0


async def test_a_node_whose_lease_is_renewed_keeps_what_it_said_without_one(store: RedisQueueStore) -> None:
    await store.enqueue(ticket("c1"), NOW)
    assert await store.heartbeat("n1", 10 * UNLEASED_MS, NOW + 1_000)
    await store.tick(NOW + UNLEASED_MS)
    assert await waiting(store) == 1
