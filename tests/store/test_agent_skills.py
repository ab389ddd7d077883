"""Skills that change while an agent is away or busy: the next call is found by the new ones."""

from __future__ import annotations

import pytest

from routing.model import AgentProfile, AgentState, Offer, Requirement, Ticket
from routing.store.redis_store import RedisQueueStore

pytestmark = pytest.mark.store

NOW = 1_790_000_000_000
OLD, NEW = AgentProfile.of({"billing": 1}), AgentProfile.of({"support": 1})


def ticket(skill: str) -> Ticket:
    return Ticket(f"{skill}-call", "n", Requirement(skill, ((skill, 1),)), NOW, wrapup_ms=3_000)


async def offers(store: RedisQueueStore) -> list[str]:
    return [
        message.call_id for _, message in await store.messages("n", "0-0", 0) if isinstance(message, Offer)
    ]


async def in_wrapup(store: RedisQueueStore) -> None:
    await store.agent_available("anna", "n", OLD, NOW)
    await store.enqueue(Ticket("first", "n", Requirement("billing"), NOW, wrapup_ms=3_000), NOW)
    ((_, offer),) = await store.messages("n", "0-0", 0)
    await store.accept("first", "anna", offer.token, NOW)
    await store.done("first", "anna", offer.token, NOW)
    await store.enqueue(ticket("billing"), NOW)
    await store.enqueue(ticket("support"), NOW)


async def test_at_the_end_of_wrap_up_the_new_skills_find_the_call(store: RedisQueueStore) -> None:
    await in_wrapup(store)
    assert await store.agent_skills("anna", NEW, NOW) is AgentState.WRAPUP
    await store.tick(NOW + 3_000)
    assert await offers(store) == ["first", "support-call"]


async def test_a_free_agent_is_given_the_call_that_fits_now(store: RedisQueueStore) -> None:
    await store.agent_available("anna", "n", OLD, NOW)
    await store.enqueue(ticket("support"), NOW)
    assert await store.agent_skills("anna", NEW, NOW) is AgentState.OFFERED
    assert await offers(store) == ["support-call"]


async def test_a_paused_agent_stays_paused_and_matches_by_the_new_skills_after(
    store: RedisQueueStore,
) -> None:
    await store.agent_available("anna", "n", OLD, NOW)
    await store.agent_away("anna", AgentState.PAUSED, "lunch", NOW)
    for skill in ("billing", "support"):
        await store.enqueue(ticket(skill), NOW)
    assert await store.agent_skills("anna", NEW, NOW) is AgentState.PAUSED
    assert await offers(store) == []
    assert await store.agent_available("anna", "n", NEW, NOW) is AgentState.OFFERED
    assert await offers(store) == ["support-call"]


async def test_who_is_signed_out_or_unknown_stays_so(store: RedisQueueStore) -> None:
    assert await store.agent_skills("nobody", NEW, NOW) is AgentState.OFFLINE
    assert (await store.agents(["nobody"]))["nobody"].since_ms == 0
