"""An agent who sends a caller into a queue is not rung for them again while another could be."""

from __future__ import annotations

import pytest

from routing.limits import EXCLUSION_MAX_MS, REFUSAL_PAUSE_MS
from routing.model import AgentProfile, Requirement, Ticket
from routing.store.redis_store import RedisQueueStore
from tests.support.offers import pairs

pytestmark = pytest.mark.store

NOW = 1_790_000_000_000
SENT_ON = Ticket("c1~1", "n1", Requirement("billing"), NOW, passes_over="anna")


async def test_another_is_rung_first_and_the_agent_has_other_calls(store: RedisQueueStore) -> None:
    await store.agent_available("anna", "n1", AgentProfile.of({}), NOW - 9)
    await store.agent_available("bert", "n1", AgentProfile.of({}), NOW - 5)
    await store.enqueue(SENT_ON, NOW)
    assert await pairs(store) == [("c1~1", "bert")]
    await store.enqueue(Ticket("c2", "n1", Requirement("billing"), NOW + 1), NOW + 1)
    assert (await pairs(store))[1:] == [("c2", "anna")]


async def test_another_who_is_busy_is_waited_for_so_long_and_no_longer(store: RedisQueueStore) -> None:
    await store.agent_available("bert", "n1", AgentProfile.of({}), NOW - 5)
    await store.enqueue(Ticket("c2", "n1", Requirement("billing"), NOW - 1), NOW - 1)
    await store.agent_available("anna", "n1", AgentProfile.of({}), NOW - 1)
    await store.enqueue(SENT_ON, NOW)
    for at in range(NOW, NOW + EXCLUSION_MAX_MS, REFUSAL_PAUSE_MS // 5):
        await store.heartbeat("n1", 60_000, at)
        await store.tick(at)
        if ("c1~1", "bert") in await pairs(store):
            break
        assert ("c1~1", "anna") not in await pairs(store)


async def test_where_nobody_else_could_take_the_call_the_agent_is_rung_after_a_moment(
    store: RedisQueueStore,
) -> None:
    await store.agent_available("anna", "n1", AgentProfile.of({}), NOW - 9)
    await store.enqueue(SENT_ON, NOW)
    assert await pairs(store) == []
    await store.tick(NOW + REFUSAL_PAUSE_MS)
    assert await pairs(store) == [("c1~1", "anna")]
