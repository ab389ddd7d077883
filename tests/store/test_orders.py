"""What one node asks another to do to a call: over a real Redis, with nodes that answer, hang or are old."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from acd.calls.targets import UnknownTarget
from acd.control import orders
from acd.control.orders import HangUp, NodeOrders, Order, Transfer
from acd.control.problems import Problem, not_found
from tests.support.clock import FakeClock
from tests.support.net import eventually

CLOCK = FakeClock(time.time())


class Node:
    """Keeps what it is to do; a word of it may be refused."""

    def __init__(self, redis: Redis, site: str, name: str) -> None:
        self.done: list[Order] = []
        self.orders = NodeOrders(redis, site=site, node=name, clock=CLOCK, do=self.do)

    def do(self, order: Order) -> None:
        match order:
            case HangUp("over"):
                raise not_found("live call")
            case Transfer(to="4711"):
                raise UnknownTarget("there is no such extension")
            case HangUp("broken"):
                raise RuntimeError("a fault of ours")
        self.done.append(order)


Make = Callable[[str], Awaitable[Node]]


@pytest.fixture
async def node(redis: Redis, site: str) -> AsyncIterator[Make]:
    async with AsyncExitStack() as running:

        async def make(name: str) -> Node:
            made = Node(redis, site, name)
            made.orders.start()
            running.push_async_callback(made.orders.stop)
            return made

        yield make


async def test_order_is_carried_out_by_the_node_that_has_the_call(node: Make) -> None:
    a, b = await node("a"), await node("b")
    wanted: list[Order] = [HangUp("c1"), Transfer("c2", "1002", "bert", "anna"), orders.Trace("c3")]
    for order in wanted:
        await a.orders.give("b", order)
    assert (a.done, b.done) == ([], wanted)
    await a.orders.give("a", HangUp("c4"))
    assert a.done == [HangUp("c4")]
    await asyncio.gather(*(b.orders.give("a", HangUp(f"d{n}")) for n in range(50)))
    assert {order.call for order in a.done} == {"c4", *(f"d{n}" for n in range(50))}


async def test_refusal_of_the_other_node_is_told_as_if_it_were_ours(node: Make) -> None:
    a, _ = await node("a"), await node("b")
    told = []
    refused: list[Order] = [HangUp("over"), Transfer("c1", "4711", "", ""), HangUp("broken")]
    for order in refused:
        with pytest.raises(Problem) as caught:
            await a.orders.give("b", order)
        fields = [field.pointer for field in caught.value.errors]
        told.append((caught.value.status, caught.value.kind, fields))
    assert told == [(404, "not-found", []), (422, "unknown-target", ["/to"]), (500, "internal", [])]


async def test_node_that_says_nothing_is_named_and_does_nothing_later(
    node: Make, redis: Redis, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "PATIENCE_SECONDS", 0.2)
    a = await node("a")
    with pytest.raises(Problem) as caught:
        await a.orders.give("b", HangUp("c1"))
    assert (caught.value.status, caught.value.kind) == (504, "node-silent")
    assert "'b'" in caught.value.detail
    key = f"acd:{{{site}}}:orders:b"
    assert 0 < await redis.pttl(key) <= 10_000, "nobody reads it: it goes by itself"
    CLOCK.advance(1.0)
    b = await node("b")

    async def read() -> bool:
        return not await redis.exists(key)

    await eventually(read, within=5, what="the late order read")
    await a.orders.give("b", HangUp("c2"))
    assert b.done == [HangUp("c2")]


async def test_word_that_cannot_be_read_is_passed_over(node: Make, redis: Redis, site: str) -> None:
    a, b = await node("a"), await node("b")
    await redis.rpush(f"acd:{{{site}}}:orders:b", b"\xc1 of another version", b"")
    await a.orders.give("b", HangUp("c1"))
    assert b.done == [HangUp("c1")]
