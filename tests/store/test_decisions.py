"""Each offer tells why just these two: whom the store looked at, and in which order."""

from __future__ import annotations

import pytest

from routing.model import AgentProfile, Candidate, Offer, Refusal, RejectReason, Requirement, Ticket
from routing.requirement import class_name
from routing.store.redis_store import RedisQueueStore
from tests.support.offers import offers

pytestmark = pytest.mark.store

NOW = 1_790_000_000_000
NEEDS = Requirement("billing", (("billing", 1),), "most-skilled")


def ticket(call: str, at: int = NOW) -> Ticket:
    return Ticket(call, "n1", NEEDS, at)


async def sign_in(store: RedisQueueStore, agent: str, level: int, at: int) -> None:
    await store.agent_available(agent, "n1", AgentProfile.of({"billing": level}), at)


def names(offer: Offer) -> list[tuple[str, bool]]:
    assert offer.decision is not None
    return [(each.name, each.passed_over) for each in offer.decision.candidates]


async def test_an_agent_sought_for_a_call_stands_before_the_next_best(store: RedisQueueStore) -> None:
    for at, (agent, level) in enumerate((("anna", 5), ("bert", 9), ("cleo", 9), ("dora", 1))):
        await sign_in(store, agent, level, NOW + at)
    await store.enqueue(ticket("c1"), NOW + 10)
    (offer,) = await offers(store)
    decision = offer.decision
    assert decision is not None
    assert (decision.sought, decision.class_name) == ("agent", class_name(NEEDS))
    assert decision.candidates[0] == Candidate("bert", 10_000 + 1_000 - 9, NOW + 1)
    assert offer.agent_id == "bert"


async def test_agents_of_other_profiles_but_equal_rank_are_named_too(store: RedisQueueStore) -> None:
    for at, agent in enumerate(("anna", "bert", "cleo")):
        profile = AgentProfile.of({"billing": 5, f"hobby-{agent}": 1})
        await store.agent_available(agent, "n1", profile, NOW + at)
    await store.enqueue(ticket("c1"), NOW + 10)
    (offer,) = await offers(store)
    assert names(offer) == [("anna", False), ("bert", False), ("cleo", False)]


async def test_who_has_just_refused_is_shown_as_passed_over(store: RedisQueueStore) -> None:
    await sign_in(store, "anna", 5, NOW)
    await sign_in(store, "bert", 5, NOW + 1)
    await store.enqueue(ticket("c1"), NOW + 10)
    (first,) = await offers(store)
    # No-answer has taken its time already: anna is free again at once, and still is not rung for this call.
    await store.reject("c1", "anna", first.token, Refusal(RejectReason.NO_ANSWER), NOW + 20)
    second = (await offers(store))[1]
    await store.reject("c1", "bert", second.token, Refusal(RejectReason.NO_ANSWER), NOW + 30)
    await sign_in(store, "cleo", 5, NOW + 40)
    third = (await offers(store))[2]
    assert (third.agent_id, third.decision.sought if third.decision else "") == ("cleo", "call")
    await store.reject("c1", "cleo", third.token, Refusal(RejectReason.BUSY, rest_ms=5_000), NOW + 50)
    await store.enqueue(ticket("c2", NOW + 60), NOW + 60)
    fourth = (await offers(store))[3]
    assert (fourth.call_id, names(fourth)[0]) == ("c2", ("anna", False))


async def test_a_call_that_an_agent_refused_is_passed_over_for_the_next(store: RedisQueueStore) -> None:
    await sign_in(store, "anna", 5, NOW)
    await store.enqueue(ticket("c1"), NOW)
    (first,) = await offers(store)
    await store.enqueue(ticket("c2", NOW + 5), NOW + 5)
    await store.reject("c1", "anna", first.token, Refusal(RejectReason.NO_ANSWER), NOW + 10)
    second = (await offers(store))[1]
    assert second.call_id == "c2"
    assert second.decision is not None
    assert second.decision.sought == "call"
    assert names(second) == [("c1", True), ("c2", False)]


async def test_a_call_for_one_agent_compares_nobody(store: RedisQueueStore) -> None:
    await sign_in(store, "anna", 5, NOW)
    await store.enqueue(Ticket("c1", "n1", Requirement("extension", agent="anna"), NOW), NOW)
    (offer,) = await offers(store)
    assert offer.decision is not None
    assert offer.decision.candidates == ()


async def test_what_is_told_stays_small_however_many_are_free(store: RedisQueueStore) -> None:
    for at in range(60):
        profile = AgentProfile.of({"billing": 5, f"hobby-{at}": 1})
        await store.agent_available(f"a{at}", "n1", profile, NOW + at)
    await store.enqueue(ticket("c1"), NOW + 100)
    (offer,) = await offers(store)
    assert names(offer)[0] == ("a0", False)
    assert 2 <= len(names(offer)) <= 8
