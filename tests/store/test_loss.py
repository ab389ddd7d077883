"""The store began anew, and lacks something: nobody is reserved until the nodes have said what they know."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from routing.callbacks import Callback, CallbackState
from routing.engine import Ear
from routing.limits import DOUBT_MS
from routing.model import AgentProfile, AgentState, CallbackOver, Offer, Requirement, Ticket
from routing.outages import Trouble
from routing.ports import StaleToken, StoreUnavailable
from routing.store.generation import Acquaintance
from routing.store.redis_store import RedisQueueStore
from routing.store.scripts import load_library
from tests.support.event_fold import Fold, assert_equal, events_of
from tests.support.queue_audit import audit, snapshot

pytestmark = pytest.mark.store

NOW = 1_790_000_000_000
ABLE = AgentProfile.of({"billing": 5})


class Site:
    """A site in a real Redis whose data can be taken back to what they were, as by a crash."""

    def __init__(self, redis: Redis, name: str, store: RedisQueueStore) -> None:
        self.redis, self.name, self.store = redis, name, store
        self.now = NOW
        self._runs = 1
        self._kept: dict[bytes, bytes] = {}

    def node(self, name: str, *others: str) -> Acquaintance:
        known = Acquaintance(load_library(), f"acd:{{{self.name}}}:")
        known.meet(name, lambda: self.now, lambda: others)
        return known

    async def greets(self, node: Acquaintance) -> Trouble | None:
        word = node.word(f"run{self._runs}")
        assert word is not None
        node.heard(await self.store._ask(*word))
        return node.take_trouble()

    async def _keys(self) -> list[bytes]:
        return [key async for key in self.redis.scan_iter(f"acd:{{{self.name}}}:*")]

    async def keep(self) -> None:
        self._kept = {key: await self.redis.dump(key) for key in await self._keys()}

    async def restart(self) -> None:
        """Another process, the same data."""
        self._runs += 1

    async def go_back(self) -> None:
        """Another process, the data of `keep`."""
        await self.empty()
        for key, value in self._kept.items():
            await self.redis.restore(key, 0, value)

    async def empty(self) -> None:
        """Another process, no data."""
        await self.restart()
        if keys := await self._keys():
            await self.redis.delete(*keys)

    async def offers(self, node: str = "n1") -> list[Offer]:
        return [m for _, m in await self.store.messages(node, "0-0", 0) if isinstance(m, Offer)]

    async def comes(self, call: str, node: str = "n1", **more: Any) -> Ticket:
        ticket = Ticket(call, node, Requirement("billing"), self.now, ring_ms=15_000, **more)
        await self.store.enqueue(ticket, self.now)
        return ticket

    async def signs_in(self, agent: str, node: str = "n1") -> AgentState:
        return await self.store.agent_available(agent, node, ABLE, self.now)

    async def state(self, agent: str) -> str:
        return (await self.store.agents([agent]))[agent].state.value

    async def whole(self) -> None:
        """Every key agrees with every other, and the events tell what is so."""
        found = await snapshot(self.redis, self.name)
        audit(found)
        fold = Fold()
        fold.hear(events_of(await self.redis.xrange(f"acd:{{{self.name}}}:ev")))
        assert_equal(fold, found.under("qs:"), found.under("a:"))


@pytest.fixture
async def centre(redis: Redis, site: str, store: RedisQueueStore) -> Site:
    await store._ask("PING")
    return Site(redis, site, store)


async def test_a_new_site_and_a_server_that_stays_are_no_loss(centre: Site) -> None:
    a, b = centre.node("n1"), centre.node("n2")
    assert [await centre.greets(node) for node in (a, b, a, b)] == [None] * 4
    await centre.signs_in("anna")
    await centre.comes("c1")
    assert await centre.state("anna") == "offered"


async def test_a_restart_holds_back_until_each_living_node_has_spoken(centre: Site) -> None:
    a, b = centre.node("n1", "n2"), centre.node("n2", "n1")
    for node, name in ((a, "n1"), (b, "n2")):
        await centre.greets(node)
        await centre.store.heartbeat(name, 30_000, NOW)
    await centre.comes("c1")
    await centre.restart()
    assert await centre.greets(a) is Trouble.RESTARTED
    assert await centre.signs_in("anna") is AgentState.AVAILABLE
    await centre.store.settled("n1", NOW)
    assert await centre.state("anna") == "available"
    assert await centre.greets(b) is Trouble.RESTARTED
    await centre.comes("c0", "n2", priority=5)
    await centre.store.settled("n2", NOW)
    assert [offer.call_id for offer in await centre.offers("n2")] == ["c0"], "the important one goes first"
    assert await centre.offers("n1") == []
    await centre.whole()


async def test_nobody_waits_longer_than_the_doubt_for_a_node_that_is_silent(centre: Site) -> None:
    a = centre.node("n1", "n2")
    await centre.greets(a)
    await centre.store.heartbeat("n2", 30_000, NOW)
    await centre.comes("c1")
    await centre.restart()
    await centre.greets(a)
    await centre.signs_in("anna")
    await centre.store.settled("n1", NOW)
    await centre.store.tick(NOW + DOUBT_MS - 1)
    assert await centre.state("anna") == "available"
    await centre.store.tick(NOW + DOUBT_MS)
    assert await centre.state("anna") == "offered"


@pytest.mark.parametrize("loss", ["go_back", "empty"])
async def test_the_phone_that_rings_goes_on_ringing_for_its_call(centre: Site, loss: str) -> None:
    """The reservation is put back with its token: no other caller gets the agent, and it is accepted."""
    a = centre.node("n1")
    await centre.greets(a)
    await centre.signs_in("anna")
    await centre.keep()
    first = await centre.comes("c1")
    (offer,) = await centre.offers()
    a.note(token=offer.token)
    await getattr(centre, loss)()

    assert await centre.greets(a) is (Trouble.WENT_BACK if loss == "go_back" else Trouble.EMPTIED)
    await centre.comes("c2", priority=9)
    with pytest.raises(StoreUnavailable):
        await centre.store.accept("c1", "anna", offer.token, NOW + 2_000)
    word = (first, "anna", "n1", ABLE, offer.token, offer.deadline_ms, NOW + 2_000)
    await centre.store.restore_offer(*word)
    await centre.store.restore_offer(*word)
    await centre.store.settled("n1", NOW + 2_000)
    await centre.whole()
    await centre.store.accept("c1", "anna", offer.token, NOW + 3_000)
    assert await centre.state("anna") == "talking"
    await centre.whole()


async def test_what_a_node_knows_otherwise_is_undone(centre: Site) -> None:
    """The phone had refused before the loss; the store thinks that it rings. And a conversation is over."""
    a = centre.node("n1")
    await centre.greets(a)
    await centre.signs_in("anna")
    ticket = await centre.comes("c1")
    (offer,) = await centre.offers()
    await centre.restart()
    await centre.greets(a)
    await centre.store.restore_place(ticket, NOW + 1_000)
    await centre.store.restore_place(ticket, NOW + 1_000)
    assert await centre.state("anna") == "available"
    await centre.whole()
    await centre.store.settled("n1", NOW + 1_000)
    assert (await centre.offers())[-1].token > offer.token


@pytest.mark.parametrize("loss", ["go_back", "empty"])
@pytest.mark.parametrize("clock", [-60_000, 0])
async def test_a_token_of_before_the_loss_is_none_of_after(centre: Site, loss: str, clock: int) -> None:
    """Even where the clock was set back meanwhile; and the node hears each new offer."""
    a, ear = centre.node("n1"), Ear()
    await centre.greets(a)
    await centre.signs_in("anna")
    await centre.keep()
    await centre.comes("c1")
    (before,) = await centre.offers()
    assert ear.is_news(before)
    a.note(token=before.token)
    await getattr(centre, loss)()
    centre.now += clock
    await centre.greets(a)
    await centre.signs_in("anna")
    await centre.comes("c2")
    await centre.store.settled("n1", centre.now)
    (after,) = await centre.offers()
    assert after.token > before.token
    assert ear.is_news(after)
    for word in (("c1", "anna", before.token), ("c2", "anna", before.token)):
        with pytest.raises(StaleToken):
            await centre.store.accept(*word, centre.now)
    assert await centre.state("anna") == "offered"


async def test_the_first_to_ask_an_emptied_store_may_be_a_node_that_knew_none(centre: Site) -> None:
    a = centre.node("n1")
    await centre.greets(a)
    for call in ("c1", "c2", "c3"):
        await centre.comes(call)
    await centre.store.heartbeat("n1", 30_000, NOW)
    a.note(event=int(await centre.redis.get(f"acd:{{{centre.name}}}:seq")))
    await centre.empty()
    assert await centre.greets(centre.node("n3")) is None
    assert await centre.greets(a) is Trouble.EMPTIED
    assert await centre.signs_in("anna") is AgentState.AVAILABLE
    await centre.comes("c1")
    assert await centre.state("anna") == "available"
    await centre.store.settled("n1", NOW)
    assert await centre.state("anna") == "offered"
    await centre.whole()


async def test_whoever_folds_the_events_has_exactly_the_counters_after_a_loss(centre: Site) -> None:
    a, fold = centre.node("n1"), Fold()
    await centre.greets(a)
    await centre.signs_in("anna")
    await centre.keep()
    for call in ("c1", "c2", "c3"):
        await centre.comes(call)
    events = f"acd:{{{centre.name}}}:ev"
    fold.hear(events_of(await centre.redis.xrange(events)))
    a.note(event=fold.last)
    await centre.go_back()
    assert await centre.greets(a) is Trouble.WENT_BACK
    await centre.comes("c4")
    await centre.store.settled("n1", NOW)
    heard = events_of(await centre.redis.xrange(events))
    assert [event["how"] for event in heard if event["k"] == "store-began"] == ["went-back"]
    fold.hear(heard)
    state = await snapshot(centre.redis, centre.name)
    assert_equal(fold, state.under("qs:"), state.under("a:"))
    assert fold.queues["billing"]["entered"] == 1


async def test_everything_lost_while_the_server_stays_is_seen_at_the_next_look(
    redis: Redis, site: str, store: RedisQueueStore
) -> None:
    """FLUSHALL: no connection breaks."""
    await store.meet("n1", lambda: NOW)
    await store.heartbeat("n1", 30_000, NOW)
    assert store.take_trouble() is None
    await redis.delete(*[key async for key in redis.scan_iter(f"acd:{{{site}}}:*")])
    assert await store.heartbeat("n1", 30_000, NOW)
    assert await store.look_for_loss() is Trouble.EMPTIED


async def test_what_was_said_before_a_second_loss_ends_no_doubt_after_it(centre: Site) -> None:
    a = centre.node("n1")
    await centre.greets(a)
    await centre.restart()
    await centre.greets(a)
    a.take_trouble()
    first = a.told
    await centre.empty()
    assert await centre.greets(a) is Trouble.EMPTIED
    await centre.comes("c1")
    await centre.signs_in("anna")
    await centre.store._run("settled", NOW, "n1", first)
    assert await centre.state("anna") == "available"
    await centre.store._run("settled", NOW, "n1", a.told)
    assert await centre.state("anna") == "offered"


# Callbacks.


def wish(callback: str, number: str = "+1", **more: int) -> Callback:
    return Callback(callback, "billing", number, NOW, "{}", **more)


async def noted(centre: Site) -> list[tuple[str, str, int]]:
    return [(b.id, b.state.value, b.attempts) for b in await centre.store.callbacks.of("billing", 9)]


@pytest.mark.parametrize("kept", ["as noted", "as begun"])
async def test_a_callback_that_was_made_is_not_made_again_nor_in_the_way_of_the_next(
    centre: Site, kept: str
) -> None:
    callbacks = centre.store.callbacks
    await callbacks.add(wish("cb1"), "n1", NOW)
    if kept == "as noted":
        await centre.keep()
    assert await callbacks.begin("cb1", "n1", NOW + 1) == 1
    if kept == "as begun":
        await centre.keep()
    assert await callbacks.done("cb1", "n1", NOW + 2)
    assert await callbacks.add(wish("cb2"), "n1", NOW + 3) == "cb2"
    await centre.go_back()
    assert [name for name, *_ in await noted(centre)] == ["cb1"]

    await callbacks.say_again(NOW + 5_000)
    assert await noted(centre) == [("cb2", "waiting", 0)]
    assert [name for name, _ in await callbacks.claim("n1", 9, NOW + 5_001)] == ["cb2"]
    assert await callbacks.cancel("cb2", "n1", NOW + 5_002)
    await centre.store.reset_node("n1", NOW + 5_003)
    await centre.store.tick(NOW + 400_000)
    assert await noted(centre) == []
    await centre.whole()


@pytest.mark.parametrize("loss", ["go_back", "empty"])
async def test_an_attempt_under_way_is_put_back_with_its_number(centre: Site, loss: str) -> None:
    callbacks, own = centre.store.callbacks, wish("cb1", interval_ms=60_000)
    await callbacks.add(own, "n1", NOW)
    await centre.keep()
    await callbacks.begin("cb1", "n1", NOW + 1)
    await getattr(centre, loss)()
    if loss == "empty":
        assert await callbacks.begin("cb1", "n1", NOW + 2, said=1) == 0
        assert await callbacks.hold("cb1", "n1", NOW + 2) is None
        await callbacks.add(own, "n1", NOW + 2)
    assert await callbacks.begin("cb1", "n1", NOW + 2, said=1) == 1
    assert await callbacks.begin("cb1", "n1", NOW + 2, said=1) == 1
    assert await noted(centre) == [("cb1", "making", 1)]
    assert await callbacks.claim("n1", 9, NOW + 3) == []
    assert await callbacks.cancel("cb1", "", NOW + 3) is None
    assert await callbacks.unreached("cb1", "n1", 1, "busy", NOW + 4) == "resting"
    await centre.whole()


async def test_an_attempt_that_failed_counts_and_rests_though_its_beginning_was_lost(centre: Site) -> None:
    callbacks = centre.store.callbacks
    await callbacks.add(wish("cb1", attempts=2, interval_ms=60_000), "n1", NOW)
    await centre.keep()
    await callbacks.begin("cb1", "n1", NOW + 1)
    await callbacks.unreached("cb1", "n1", 1, "busy", NOW + 2)
    await centre.go_back()
    await callbacks.say_again(NOW + 5_000)
    await callbacks.say_again(NOW + 5_000)
    assert await noted(centre) == [("cb1", "resting", 1)]
    await centre.store.tick(NOW + 65_000)
    await callbacks.claim("n2", 9, NOW + 65_000)
    assert await callbacks.begin("cb1", "n2", NOW + 65_001) == 2
    assert await callbacks.say_again(NOW + 65_001) == 0, "words of a minute ago are on the disk"
    assert await callbacks.unreached("cb1", "n1", 1, "busy", NOW + 65_002) == "", "an old word"
    assert await callbacks.unreached("cb1", "n2", 2, "busy", NOW + 65_003) == "failed"
    await centre.whole()


async def test_wishes_and_cancellations_of_the_last_moment_hold(centre: Site) -> None:
    callbacks = centre.store.callbacks
    await callbacks.add(wish("cb1"), "", NOW)
    await centre.keep()
    assert await callbacks.cancel("cb1", "", NOW + 1)
    await callbacks.add(wish("cb2", "", due_ms=NOW + 60_000), "", NOW + 2)
    await centre.go_back()
    assert await callbacks.say_again(NOW + 5_000) == 3
    assert await noted(centre) == [("cb2", "resting", 0)]
    await centre.whole()


async def test_the_node_that_calls_a_customer_has_the_callback_and_another_hears_so(centre: Site) -> None:
    callbacks = centre.store.callbacks
    for callback, number in (("cb1", "+1"), ("cb2", "+2")):
        await callbacks.add(wish(callback, number), "", NOW)
    await centre.keep()
    await callbacks.claim("n1", 9, NOW)
    for callback in ("cb1", "cb2"):
        await callbacks.begin(callback, "n1", NOW)
    await centre.go_back()
    assert len(await callbacks.claim("n2", 9, NOW + 1)) == 2
    assert await callbacks.begin("cb1", "n1", NOW + 2, said=1) == 1
    assert await callbacks.done("cb2", "n1", NOW + 2)
    assert await callbacks.begin("cb1", "n2", NOW + 3) == 0
    heard = [message for _, message in await centre.store.messages("n2", "0-0", 0)]
    assert heard == [CallbackOver("cb1", "taken"), CallbackOver("cb2", "done")]
    assert await callbacks.done("cb1", "n1", NOW + 4)
    await centre.whole()


async def test_words_said_again_change_nothing_where_nothing_was_lost(centre: Site) -> None:
    callbacks = centre.store.callbacks
    await callbacks.add(wish("cb1", interval_ms=1_000), "n1", NOW)
    await callbacks.begin("cb1", "n1", NOW)
    await callbacks.unreached("cb1", "n1", 1, "busy", NOW)
    await centre.store.tick(NOW + 1_000)
    await callbacks.claim("n1", 9, NOW + 1_000)
    assert await callbacks.begin("cb1", "n1", NOW + 1_000) == 2
    await callbacks.add(wish("cb2", "+2"), "n1", NOW + 1_000)
    await callbacks.done("cb2", "n1", NOW + 1_000)
    before = (await snapshot(centre.redis, centre.name)).keys
    assert await callbacks.say_again(NOW + 2_000) == 4
    assert (await snapshot(centre.redis, centre.name)).keys == before
    assert await noted(centre) == [("cb1", CallbackState.MAKING.value, 2)]
