"""An agent's priorities for the queues, both ways: of agents who are free, and of calls that wait."""

from __future__ import annotations

import os
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routing.model import AgentProfile, AgentTerms, Offer, Requirement, Ticket
from routing.store.redis_store import RedisQueueStore
from tests.sim.stores import RedisStore

pytestmark = pytest.mark.store

NOW = 1_790_000_000_000
QUEUES = ("billing", "support", "sales")
_SITES = count(1)

priorities = st.fixed_dictionaries({queue: st.sampled_from((1, 2, 3, 99)) for queue in QUEUES})
callers = st.lists(
    st.tuples(st.sampled_from((*QUEUES, "")), st.sampled_from((0, 0, 7)), st.integers(0, 90_000)),
    min_size=1,
    max_size=9,
)
"""Queue, or nothing for a call to just this agent; priority; how long they have waited."""


class Floor:
    def __init__(self, url: str) -> None:
        self.store = RedisStore(url, f"own{os.getpid()}-{next(_SITES)}", ("n1",))
        self.now = NOW

    def say(self, verb: str, *arguments: object, **words: object) -> list[Offer]:
        self.store.perform(verb, arguments, words, self.now)
        return [message for _, message in self.store.messages() if isinstance(message, Offer)]

    def agent_comes(self, name: str, profile: AgentProfile) -> list[Offer]:
        self.now += 1
        return self.say("agent_available", name, "n1", profile, terms=AgentTerms())


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(own=priorities, waiting=callers, weights=st.tuples(*(st.sampled_from((1, 1, 5)) for _ in QUEUES)))
def test_who_takes_calls_by_priority_has_the_callers_in_the_order_of_their_own_queues(
    redis_url: str, own: dict[str, int], waiting: list[tuple[str, int, int]], weights: tuple[int, ...]
) -> None:
    floor = Floor(redis_url)
    weight_of = dict(zip(QUEUES, weights, strict=True))
    place: dict[str, tuple[int, int, int]] = {}
    for n, (queue, priority, waited) in enumerate(waiting):
        weight = weight_of.get(queue, 1)
        asked = Requirement(queue or "direct", agent=None if queue else "anna", weight=weight)
        floor.say("enqueue", Ticket(f"c{n}", "n1", asked, NOW - waited, priority))
        # Within a queue by age: there the weight changes nothing.
        place[f"c{n}"] = (-priority, own[queue] if queue else 0, -waited)
    levels = {own[queue] for queue, _, _ in waiting if queue}
    one_queue_each = len(levels) == len({queue for queue, _, _ in waiting if queue})
    offers = floor.agent_comes("anna", AgentProfile.of({}, own, by_priority=True))
    taken = []
    while offers:
        (offer,) = offers
        taken.append(offer.call_id)
        floor.say("accept", offer.call_id, "anna", offer.token)
        offers = floor.say("done", offer.call_id, "anna", offer.token)
    assert [place[call][:2] for call in taken] == sorted(found[:2] for found in place.values())
    if one_queue_each:
        assert [place[call] for call in taken] == sorted(place.values())
    floor.store.audit()
    floor.store.close()


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    owns=st.lists(st.tuples(priorities, st.booleans()), min_size=2, max_size=5),
    queue=st.sampled_from(QUEUES),
)
def test_of_agents_who_are_free_those_of_the_least_priority_are_rung_first(
    redis_url: str, owns: list[tuple[dict[str, int], bool]], queue: str
) -> None:
    floor = Floor(redis_url)
    for n, (own, by_priority) in enumerate(owns):
        floor.agent_comes(f"a{n}", AgentProfile.of({}, own, by_priority=by_priority))
    (offer,) = floor.say("enqueue", Ticket("c1", "n1", Requirement(queue), floor.now))
    rung = [offer.agent_id]
    for n in range(1, len(owns)):
        (offer,) = floor.say("enqueue", Ticket(f"c{n + 1}", "n1", Requirement(queue), floor.now))
        rung.append(offer.agent_id)
    assert rung == sorted(rung, key=lambda agent: (owns[int(agent[1:])][0][queue], agent))
    floor.store.close()


async def test_without_a_word_the_longest_wait_goes_first_whatever_the_agents_priorities(
    store: RedisQueueStore,
) -> None:
    for at, queue in enumerate(("support", "billing")):
        await store.enqueue(Ticket(f"c-{queue}", "n1", Requirement(queue), NOW + at), NOW + at)
    await store.agent_available("anna", "n1", AgentProfile.of({}, {"billing": 1, "support": 2}), NOW + 5)
    (message,) = [found for _, found in await store.messages("n1", "0-0", 0)]
    assert isinstance(message, Offer)
    assert message.call_id == "c-support"


async def test_the_reason_shows_the_agents_own_order(store: RedisQueueStore) -> None:
    for at, queue in enumerate(("support", "billing")):
        await store.enqueue(Ticket(f"c-{queue}", "n1", Requirement(queue), NOW + at), NOW + at)
    profile = AgentProfile.of({}, {"billing": 1, "support": 2}, by_priority=True)
    await store.agent_available("anna", "n1", profile, NOW + 5)
    (message,) = [found for _, found in await store.messages("n1", "0-0", 0)]
    assert isinstance(message, Offer)
    assert message.decision is not None
    assert [each.name for each in message.decision.candidates] == ["c-billing", "c-support"]
    first, second = message.decision.candidates
    assert (first.rank, first.score) < (second.rank, second.score)
