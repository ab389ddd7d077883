"""The node that had the call hears how long the agent's wrap-up really took, whatever ended it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from routing.engine import RoutingEngine
from routing.model import AgentProfile, AgentState, NodeMessage, Offer, Requirement, Ticket, WrapupTaken
from routing.store.redis_store import RedisQueueStore

pytestmark = pytest.mark.store

NOW = 1_790_000_000_000
ABLE = AgentProfile.of({"billing": 1})


async def wrap_up(store: RedisQueueStore, *, lease_ms: int = 60_000) -> None:
    """A call of node n1 is over; wrap-up has begun and may take five seconds."""
    if lease_ms:
        await store.heartbeat("n1", lease_ms, NOW)
    await store.agent_available("anna", "n2", ABLE, NOW)
    await store.enqueue(Ticket("c1", "n1", Requirement("billing"), NOW, wrapup_ms=5_000), NOW)
    ((_, offer),) = await store.messages("n1", "0-0", 0)
    assert isinstance(offer, Offer)
    await store.accept("c1", "anna", offer.token, NOW)
    await store.done("c1", "anna", offer.token, NOW)


async def told(store: RedisQueueStore) -> list[tuple[str, str, int]]:
    return [
        (message.agent_id, message.queue, message.taken_ms)
        for _, message in await store.messages("n1", "0-0", 0)
        if isinstance(message, WrapupTaken)
    ]


@pytest.mark.parametrize(
    ("end", "taken_ms"),
    [
        (lambda store: store.tick(NOW + 5_000), 5_000),
        (lambda store: store.agent_available("anna", "n2", ABLE, NOW + 1_200), 1_200),
        (lambda store: store.agent_away("anna", AgentState.PAUSED, "lunch", NOW + 2_000), 2_000),
        (lambda store: store.agent_away("anna", AgentState.OFFLINE, "", NOW + 3_000), 3_000),
    ],
)
async def test_the_time_taken_is_told_once(
    store: RedisQueueStore, end: Callable[[RedisQueueStore], Awaitable[object]], taken_ms: int
) -> None:
    await wrap_up(store)
    assert await told(store) == []
    await end(store)
    await end(store)
    await store.tick(NOW + 9_000)
    assert await told(store) == [("anna", "billing", taken_ms)]


async def test_a_node_that_is_gone_is_told_nothing(store: RedisQueueStore) -> None:
    await wrap_up(store, lease_ms=1_000)
    await store.tick(NOW + 1_000)
    await store.tick(NOW + 5_000)
    assert await told(store) == []


async def test_what_is_read_again_is_heard_once() -> None:
    heard: list[NodeMessage] = []

    class Quiet:
        def watch_deadlines(self, tell: object) -> None: ...

    async def never() -> None: ...

    engine = RoutingEngine(Quiet(), "n1", lambda: NOW, 1_000, on_message=heard.append, on_store_back=never)  # type: ignore[arg-type]
    first, second = WrapupTaken("anna", "billing", 5, 1), WrapupTaken("anna", "billing", 5, 2)
    for message in (first, first, second, first):
        engine._hear(message)
    assert heard == [first, second]
