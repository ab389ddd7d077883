"""The node that had the call hears how long the agent's wrap-up really took, whatever ended it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from routing.model import (
    AgentProfile,
    AgentState,
    Offer,
    Requirement,
    Ticket,
    Wrapup,
    WrapupTaken,
)
from routing.store.redis_store import RedisQueueStore

pytestmark = pytest.mark.store

NOW = 1_790_000_000_000
ABLE = AgentProfile.of({"billing": 1})


async def wrap_up(store: RedisQueueStore, *, lease_ms: int = 60_000, limit_ms: int = 0) -> None:
    """A call of node n1 is over; wrap-up has begun and may take five seconds, or longer if extended."""
    if lease_ms:
        await store.heartbeat("n1", lease_ms, NOW)
    await store.agent_available("anna", "n2", ABLE, NOW)
    ticket = Ticket("c1", "n1", Requirement("billing"), NOW, wrapup_ms=5_000, wrapup_limit_ms=limit_ms)
    await store.enqueue(ticket, NOW)
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


async def state(store: RedisQueueStore) -> AgentState:
    return (await store.agents(["anna"]))["anna"].state


async def test_a_wrapup_goes_on_as_long_as_the_agent_asks_and_its_limit_lets(store: RedisQueueStore) -> None:
    await wrap_up(store, limit_ms=20_000)
    assert await store.extend_wrapup("anna", NOW + 12_000, NOW + 4_000) == (NOW + 5_000, NOW + 12_000)
    assert await store.extend_wrapup("anna", NOW + 90_000, NOW + 8_000) == (NOW + 12_000, NOW + 20_000)
    shown = (await store.agents(["anna"]))["anna"].wrapup
    assert shown == Wrapup("c1", "billing", NOW + 20_000, NOW + 20_000)
    await store.tick(NOW + 19_999)
    assert await state(store) is AgentState.WRAPUP
    await store.tick(NOW + 20_000)
    assert await state(store) is AgentState.AVAILABLE
    assert (await store.agents(["anna"]))["anna"].wrapup is None


async def test_a_fixed_wrapup_is_not_extended_and_nobody_is_who_has_none(store: RedisQueueStore) -> None:
    await wrap_up(store)
    assert await store.extend_wrapup("anna", NOW + 12_000, NOW) == (NOW + 5_000, NOW + 5_000)
    await store.end_wrapup("anna", NOW)
    assert await store.extend_wrapup("anna", NOW + 12_000, NOW) is None
    assert await store.extend_wrapup("nobody", NOW + 12_000, NOW) is None


async def test_no_queue_rings_an_agent_who_wraps_up_for_another(store: RedisQueueStore) -> None:
    await wrap_up(store, limit_ms=20_000)
    await store.extend_wrapup("anna", NOW + 20_000, NOW)
    for queue in ("support", "sales"):
        await store.enqueue(Ticket(queue, "n1", Requirement(queue), NOW), NOW)
    await store.tick(NOW + 19_999)
    assert await state(store) is AgentState.WRAPUP
    assert await store.end_wrapup("anna", NOW + 19_999) is AgentState.OFFERED


async def test_who_ends_the_wrapup_gets_the_pause_that_was_asked_for_in_the_call(
    store: RedisQueueStore,
) -> None:
    await store.agent_available("anna", "n2", ABLE, NOW)
    await store.enqueue(Ticket("c1", "n1", Requirement("billing"), NOW, wrapup_ms=5_000), NOW)
    ((_, offer),) = await store.messages("n1", "0-0", 0)
    assert isinstance(offer, Offer)
    await store.accept("c1", "anna", offer.token, NOW)
    await store.agent_away("anna", AgentState.PAUSED, "lunch", NOW)
    await store.done("c1", "anna", offer.token, NOW)
    assert await state(store) is AgentState.WRAPUP
    assert await store.end_wrapup("anna", NOW + 1_000) is AgentState.PAUSED
