"""The loops of a node on a real store: the clock is set, and the server loses what it had."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import pytest

from routing.engine import RoutingEngine
from routing.model import AgentProfile, NodeMessage, Offer, Requirement, Ticket
from routing.outages import Trouble
from routing.store.redis_store import RedisQueueStore, connect
from tests.support.net import eventually
from tests.support.redis_server import PrivateRedis, running_redis

pytestmark = pytest.mark.store

ABLE = AgentProfile.of({"billing": 5})
LEASE_MS = 2_000


class Node:
    """A node with calls that wait, each said again when it is asked for."""

    def __init__(self, store: RedisQueueStore) -> None:
        self.store = store
        self.step_ms = 0
        self.tickets: dict[str, Ticket] = {}
        self.offers: list[Offer] = []
        self.asked: list[bool] = []
        self.engine = RoutingEngine(
            store,
            "n1",
            self.now_ms,
            LEASE_MS,
            on_message=self.hear,
            on_store_back=self.say_again,
            is_live=self.tickets.__contains__,
            queues=lambda: ["billing"],
        )

    def now_ms(self) -> int:
        return round(time.time() * 1000) + self.step_ms

    def hear(self, message: NodeMessage) -> None:
        if isinstance(message, Offer):
            self.offers.append(message)

    async def say_again(self, lost: bool) -> Mapping[str, int]:
        self.asked.append(lost)
        for ticket in self.tickets.values():
            await (self.store.restore_place if lost else self.store.enqueue)(ticket, self.now_ms())
        return {"waiting": len(self.tickets)}

    async def comes(self, call: str) -> None:
        ticket = self.tickets[call] = Ticket(call, "n1", Requirement("billing"), self.now_ms())
        await self.store.enqueue(ticket, self.now_ms())

    async def signs_in(self, agent: str) -> None:
        await self.store.agent_available(agent, "n1", ABLE, self.now_ms())

    async def is_offered(self, *calls: str) -> None:
        async def there() -> bool:
            return [offer.call_id for offer in self.offers] == list(calls)

        await eventually(there, within=10, what=f"offers of {calls}, not {self.offers}")


Begin = Callable[[PrivateRedis], Awaitable[Node]]


@pytest.fixture
async def begin() -> AsyncIterator[Begin]:
    opened = []

    async def make(server: PrivateRedis) -> Node:
        redis = connect(server.url)
        node = Node(RedisQueueStore(redis, "site"))
        opened.append((node, redis))
        await node.engine.start()
        return node

    yield make
    for node, redis in opened:
        await node.engine.stop()
        await node.store.close()
        await redis.aclose()


@pytest.mark.parametrize(("step_ms", "order"), [(60_000, ("c2", "c3")), (-60_000, ("c3", "c2"))])
async def test_a_clock_that_is_set_by_a_minute_loses_no_call(
    begin: Begin, step_ms: int, order: tuple[str, str]
) -> None:
    """Who comes in a minute that is lived again stands before those who came in it first."""
    with running_redis() as server:
        node = await begin(server)
        await node.comes("c1")
        await node.signs_in("anna")
        await node.is_offered("c1")
        await node.store.accept("c1", "anna", node.offers[0].token, node.now_ms())
        await node.comes("c2")
        node.step_ms = step_ms
        del node.tickets["c1"]
        await node.comes("c3")
        await asyncio.sleep(LEASE_MS / 1000)  # in which the lease runs out by the new time, or is renewed
        await node.signs_in("bert")
        await node.is_offered("c1", order[0])
        del node.tickets[order[0]]
        await node.store.cancel(order[0], node.now_ms())
        await node.is_offered("c1", *order)
        tokens = [offer.token for offer in node.offers]
        assert tokens == sorted(tokens)


async def test_a_store_that_hangs_past_the_lease_gives_up_no_call_of_a_node_that_lives(begin: Begin) -> None:
    """Whoever ticks first then gives up what is due, so a node renews its lease before it ticks."""
    with running_redis() as server:
        node = await begin(server)
        await node.comes("c1")

        async def leased() -> bool:
            return int(server.ask("ZSCORE", "acd:{site}:due", "n:n1") or 0) > node.now_ms()

        for _ in range(3):
            server.pause()
            await asyncio.sleep(1.3 * LEASE_MS / 1000)
            server.resume()
            await eventually(leased, within=10, what="a lease")
        events = server.ask("XRANGE", "acd:{site}:ev", "-", "+")
        kinds = {fields["k"] for _, fields in events}
        assert "entered" in kinds
        assert kinds.isdisjoint({"node-died", "lost"})


@pytest.mark.parametrize("loss", ["go_back", "lose_everything"])
async def test_the_owner_is_told_that_the_store_has_lost_something(begin: Begin, loss: str) -> None:
    with running_redis(persistent=True) as server:
        node = await begin(server)
        await node.comes("c1")
        server.keep()
        await node.comes("c2")
        await asyncio.sleep(LEASE_MS / 2000)  # the node is told how far the events have come
        getattr(server, loss)()
        server.start()
        await eventually(lambda: _is(node.asked == [True]), within=10, what="the loss is told")
        trouble = Trouble.WENT_BACK if loss == "go_back" else Trouble.EMPTIED
        assert node.engine.outages.counts == {trouble: 1}
        await node.signs_in("anna")
        await node.is_offered("c1")
        await node.store.cancel("c1", node.now_ms())
        await node.is_offered("c1", "c2")


async def _is(true: bool) -> bool:
    return true
