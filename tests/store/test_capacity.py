"""Agents who may have several conversations at a time."""

from __future__ import annotations

import pytest

from routing.model import (
    AgentProfile,
    AgentState,
    AgentTerms,
    Offer,
    Refusal,
    RejectReason,
    Requirement,
    Ticket,
)
from routing.ports import StaleToken
from routing.store.redis_store import RedisQueueStore
from tests.support.offers import offers, pairs

pytestmark = pytest.mark.store

NOW = 1_790_000_000_000
ABLE = AgentProfile.of({"billing": 5})
TWO = AgentTerms(capacity=2)


class Centre:
    """Calls c1, c2, ... of one queue, each a second after the one before."""

    def __init__(self, store: RedisQueueStore) -> None:
        self.store = store
        self.now = NOW
        self.calls = 0

    async def signs_in(self, agent: str, terms: AgentTerms = TWO) -> None:
        self.now += 1_000
        await self.store.agent_available(agent, "n1", ABLE, self.now, terms)

    async def call(self, *, wrapup_ms: int = 0, agent: str | None = None) -> str:
        self.now += 1_000
        self.calls += 1
        call = f"c{self.calls}"
        requirement = Requirement("billing", agent=agent)
        await self.store.enqueue(Ticket(call, "n1", requirement, self.now, wrapup_ms=wrapup_ms), self.now)
        return call

    async def offer(self, call: str) -> Offer:
        return next(offer for offer in reversed(await offers(self.store)) if offer.call_id == call)

    async def rung(self, call: str) -> str:
        """Who was rung last for the call; empty for nobody."""
        return next((agent for rung, agent in reversed(await pairs(self.store)) if rung == call), "")

    async def answered(self, call: str) -> str:
        offer = await self.offer(call)
        await self.store.accept(call, offer.agent_id, offer.token, self.now)
        return call

    async def over(self, call: str) -> int | None:
        offer = await self.offer(call)
        return await self.store.done(call, offer.agent_id, offer.token, self.now)

    async def state(self, agent: str) -> tuple[AgentState, int, str | None]:
        status = (await self.store.agents([agent]))[agent]
        return status.state, status.talks, status.call_id


@pytest.fixture
async def centre(store: RedisQueueStore) -> Centre:
    await store.heartbeat("n1", 3_600_000, NOW)
    return Centre(store)


async def test_a_second_call_rings_while_the_agent_talks_and_a_third_waits(centre: Centre) -> None:
    await centre.signs_in("anna")
    first = await centre.answered(await centre.call())
    second = await centre.call()
    assert await centre.rung(second) == "anna"
    assert await centre.state("anna") == (AgentState.OFFERED, 1, second)
    await centre.answered(second)
    third = await centre.call()
    assert await centre.rung(third) == ""
    assert await centre.state("anna") == (AgentState.TALKING, 2, second)
    await centre.over(first)
    assert await centre.rung(third) == "anna"


async def test_waiting_calls_follow_each_other_as_soon_as_one_is_answered(centre: Centre) -> None:
    first, second = await centre.call(), await centre.call()
    await centre.signs_in("anna")
    assert await centre.rung(second) == "", "one phone rings for one call at a time"
    await centre.answered(first)
    assert await centre.rung(second) == "anna"


async def test_who_talks_comes_after_all_who_do_not(centre: Centre) -> None:
    await centre.signs_in("anna")
    await centre.answered(await centre.call())
    await centre.signs_in("bert", AgentTerms(order=9))
    assert await centre.rung(await centre.call()) == "bert"
    assert await centre.rung(await centre.call()) == "anna"


async def test_a_refused_second_call_leaves_the_first_alone(centre: Centre) -> None:
    await centre.signs_in("anna")
    first = await centre.answered(await centre.call())
    offer = await centre.offer(await centre.call())
    word = (offer.call_id, "anna", offer.token)
    await centre.store.reject(*word, Refusal(RejectReason.BUSY, rest_ms=5_000), centre.now)
    assert await centre.state("anna") == (AgentState.TALKING, 1, first)
    third = await centre.call()
    assert await centre.rung(third) == "", "who refuses rests"
    centre.now += 6_000
    await centre.store.tick(centre.now)
    assert await centre.rung(third) or await centre.rung(offer.call_id)


async def test_a_wrapup_is_owed_until_the_last_conversation_is_over(centre: Centre) -> None:
    await centre.signs_in("anna")
    first = await centre.answered(await centre.call(wrapup_ms=9_000))
    second = await centre.answered(await centre.call(wrapup_ms=4_000))
    assert await centre.over(first) is None
    third = await centre.call()
    assert await centre.rung(third) == "", "nothing comes between a conversation and its wrap-up"
    assert await centre.over(second) == centre.now + 9_000
    assert (await centre.state("anna"))[0] is AgentState.WRAPUP
    centre.now += 9_000
    await centre.store.tick(centre.now)
    assert await centre.rung(third) == "anna"


async def test_a_wrapup_owed_while_a_phone_rings_follows_when_the_caller_hangs_up(centre: Centre) -> None:
    await centre.signs_in("anna")
    first = await centre.answered(await centre.call(wrapup_ms=9_000))
    second = await centre.call()
    await centre.over(first)
    assert (await centre.state("anna"))[0] is AgentState.OFFERED
    await centre.store.cancel(second, centre.now)
    assert (await centre.state("anna"))[0] is AgentState.WRAPUP


async def test_a_pause_comes_after_the_last_conversation(centre: Centre) -> None:
    await centre.signs_in("anna")
    first = await centre.answered(await centre.call())
    second = await centre.answered(await centre.call())
    await centre.store.agent_away("anna", AgentState.PAUSED, "lunch", centre.now)
    await centre.over(first)
    assert await centre.rung(await centre.call()) == ""
    await centre.over(second)
    assert (await centre.state("anna"))[0] is AgentState.PAUSED


async def test_more_capacity_counts_at_once_and_less_ends_nothing(centre: Centre) -> None:
    await centre.signs_in("anna", AgentTerms())
    first = await centre.answered(await centre.call())
    second = await centre.call()
    assert await centre.rung(second) == ""
    await centre.store.agent_skills("anna", ABLE, centre.now, TWO)
    await centre.answered(second)
    await centre.store.agent_skills("anna", ABLE, centre.now, AgentTerms())
    assert (await centre.state("anna"))[1] == 2
    await centre.over(first)
    assert await centre.rung(await centre.call()) == ""


async def test_a_call_to_the_agents_own_extension_comes_as_the_second(centre: Centre) -> None:
    await centre.signs_in("anna")
    await centre.answered(await centre.call())
    assert await centre.rung(await centre.call(agent="anna")) == "anna"


async def test_both_conversations_are_put_back_into_a_store_that_lost_them(centre: Centre) -> None:
    tickets = [Ticket(f"c{n}", "n1", Requirement("billing"), NOW) for n in (1, 2, 3)]
    for n, ticket in enumerate(tickets[:2]):
        await centre.store.restore_talk(ticket, "anna", "n1", ABLE, NOW * 1000 + n, NOW, TWO)
    assert await centre.state("anna") == (AgentState.TALKING, 2, "c2")
    with pytest.raises(StaleToken):
        await centre.store.restore_talk(tickets[2], "anna", "n1", ABLE, NOW * 1000 + 2, NOW, TWO)


async def test_a_dead_node_takes_its_own_conversation_along_only(centre: Centre) -> None:
    await centre.signs_in("anna")
    await centre.answered(await centre.call())
    other = Ticket("d1", "n2", Requirement("billing"), centre.now)
    await centre.store.heartbeat("n2", 5_000, centre.now)
    await centre.store.enqueue(other, centre.now)
    offers = [m for _, m in await centre.store.messages("n2", "0-0", 0) if isinstance(m, Offer)]
    await centre.store.accept("d1", "anna", offers[0].token, centre.now)
    await centre.store.tick(centre.now + 5_000)
    assert await centre.state("anna") == (AgentState.TALKING, 1, "c1")


@pytest.mark.parametrize("capacity", [0, 11])
async def test_a_capacity_out_of_range_is_refused(store: RedisQueueStore, capacity: int) -> None:
    with pytest.raises(ValueError, match="1-10"):
        await store.agent_available("anna", "n1", ABLE, NOW, AgentTerms(capacity=capacity))
