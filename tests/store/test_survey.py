"""What the expected wait is made from, as it stands in a real store."""

from __future__ import annotations

import pytest

from routing.estimate import Agent, Busy, Durations, Later, Waiter, waiter_of
from routing.limits import HABITS_KEPT
from routing.model import AgentProfile, AgentState, Offer, Requirement, Step, Ticket
from routing.outlook import expected_waits
from routing.requirement import first_score, once_missed, score
from routing.store import survey
from routing.store.redis_store import RedisQueueStore
from routing.store.survey import durations_of
from tests.support.offers import offers

pytestmark = pytest.mark.store

NOW = 1_790_000_000_000
ABLE = AgentProfile.of({"billing": 1})
BILLING = Requirement("billing", (("billing", 1),))


async def offer(store: RedisQueueStore) -> Offer:
    return (await offers(store))[-1]


async def test_everybody_who_waits_is_seen_with_need_and_place(store: RedisQueueStore) -> None:
    for n in range(3):
        await store.enqueue(Ticket(f"c{n}", "n1", BILLING, NOW + n, priority=n), NOW + n)
    found = sorted((await store.line()).waiters, key=lambda waiter: waiter.score)
    assert found == [Waiter(f"c{n}", BILLING, score(n, NOW + n)) for n in (2, 1, 0)]


async def test_of_each_who_waits_it_is_known_when_the_target_is_missed_and_what_follows(
    store: RedisQueueStore,
) -> None:
    ticket = Ticket("c1", "n1", BILLING, NOW, priority=3, target_ms=20_000)
    await store.enqueue(ticket, NOW)
    (waiter,) = (await store.line()).waiters
    assert waiter == Waiter("c1", BILLING, first_score(ticket), missed=once_missed(ticket))
    await store.tick(NOW + 20_000)
    (waiter,) = (await store.line()).waiters
    assert waiter == Waiter("c1", BILLING, score(3, NOW + 40_000))


async def test_who_waits_in_heavy_queues_is_seen_too(store: RedisQueueStore) -> None:
    for n, weight in enumerate((1, 3, 10)):
        await store.enqueue(Ticket(f"c{n}", "n1", Requirement(f"q{n}", weight=weight), NOW), NOW)
    found = {waiter.name: waiter.requirement.weight for waiter in (await store.line()).waiters}
    assert found == {"c0": 1, "c1": 3, "c2": 10}


async def test_who_waits_for_one_agent_is_seen_and_what_is_asked_after_that(store: RedisQueueStore) -> None:
    await store.agent_available("anna", "n1", ABLE, NOW)
    await store.enqueue(Ticket("first", "n1", BILLING, NOW), NOW)
    steps = (Step(20_000, BILLING), Step(40_000, Requirement("billing")))
    tickets = [
        Ticket("for-anna", "n1", Requirement("extension", agent="anna"), NOW),
        Ticket("preferred", "n1", Requirement("billing", agent="anna"), NOW, steps=steps),
        Ticket("heavy", "n1", Requirement("q3", agent="anna", weight=3), NOW),
        Ticket("relaxes", "n1", Requirement("billing", (("billing", 9),)), NOW, steps=steps),
    ]
    for ticket in tickets:
        await store.enqueue(ticket, NOW)
    found = {waiter.name: waiter for waiter in (await store.line()).waiters}
    assert found == {ticket.call_id: waiter_of(ticket) for ticket in tickets}
    assert found["preferred"].later == (
        Later(NOW + 20_000, BILLING),
        Later(NOW + 40_000, Requirement("billing")),
    )
    await store.tick(NOW + 20_000)
    found = {waiter.name: waiter for waiter in (await store.line()).waiters}
    assert found["preferred"].requirement == found["relaxes"].requirement == BILLING
    assert found["preferred"].later == (Later(NOW + 40_000, Requirement("billing")),)


async def test_of_many_classes_all_who_wait_are_seen_and_beyond_the_bound_they_are_counted(
    store: RedisQueueStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(300):
        await store.enqueue(Ticket(f"c{n}", "n1", Requirement("billing", ((f"s{n}", 1),)), NOW + n), NOW + n)
    line = await store.line()
    assert {waiter.name for waiter in line.waiters} == {f"c{n}" for n in range(300)}
    assert (line.unseen, line.classes) == (0, 300)
    monkeypatch.setattr(survey, "_MOST_WAITERS", 100)
    line = await store.line()
    assert [waiter.name for waiter in line.waiters[:5]] == ["c0", "c1", "c2", "c3", "c4"]
    assert 100 <= len(line.waiters) < 300
    assert len(line.waiters) + line.unseen == 300


async def test_each_agent_is_seen_at_what_they_do(store: RedisQueueStore) -> None:
    for n, agent in enumerate(("anna", "bert", "cleo", "dora", "emil")):
        await store.agent_available(agent, "n1", ABLE, NOW + n)
    await store.agent_away("emil", AgentState.PAUSED, "lunch", NOW)
    for n in range(3):
        await store.enqueue(Ticket(f"c{n}", "n1", BILLING, NOW, wrapup_ms=60_000), NOW + 10)
        if n < 2:
            made = await offer(store)
            await store.accept(made.call_id, made.agent_id, made.token, NOW + 1_000)
            if n == 1:
                await store.done(made.call_id, made.agent_id, made.token, NOW + 2_000)
    found = {agent.busy for agent in await store.agents_at_work(NOW + 5_000)}
    assert found == {
        None,
        Busy("talk", "billing", 4.0),
        Busy("wrapup", "billing", 3.0),
        Busy("ring", "billing", 4.99),
    }
    assert all(agent.profile == ABLE for agent in await store.agents_at_work(NOW))


async def test_what_is_learnt_adds_up_and_the_old_comes_to_weigh_less(store: RedisQueueStore) -> None:
    assert await store.learn("billing", {}) == {}
    await store.learn("billing", {"talk:20": 3, "gave-up": 2})
    known = await store.learn("billing", {"talk:20": 1, "ring:3": 5})
    assert known == {"talk:20": 4, "ring:3": 5, "gave-up": 2}
    assert isinstance(durations_of(known)["talk"], Durations)
    assert "wrapup" not in durations_of(known)
    halved = await store.learn("billing", {"talk:20": HABITS_KEPT})
    assert halved == {"talk:20": (HABITS_KEPT + 4) // 2, "ring:3": 2, "gave-up": 1}
    assert await store.learn("billing", {}) == halved


async def test_a_free_agent_and_a_line_of_others_is_played_through(store: RedisQueueStore) -> None:
    await store.agent_available("anna", "n1", AgentProfile.of({"sales": 1}), NOW)
    await store.enqueue(Ticket("c1", "n1", BILLING, NOW), NOW)
    assert expected_waits(await store.agents_at_work(NOW), (await store.line()).waiters, {}) == {}
    assert await store.agents_at_work(NOW) == [Agent(AgentProfile.of({"sales": 1}), None, "anna")]
