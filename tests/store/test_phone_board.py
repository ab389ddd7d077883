"""Lamps and the API know what happens in the calls of other nodes, and forget it with the node."""

from __future__ import annotations

import msgspec
import pytest
from redis.asyncio import Redis

from acd.calls.model import Call, Place, State
from acd.calls.record import Attempt
from acd.calls.steps.context import Context
from acd.directory.model import Directory, Queue, Relaxation
from acd.history.elsewhere import CallsElsewhere, CallsUnseen
from acd.history.journal import live_key
from acd.sip.site import Site
from acd.sip.watching import PhoneState
from routing.model import Requirement
from tests.store.test_site import LEASE, Opener, _die, clock, opened, until
from tests.support.clock import FakeClock

__all__ = ["clock", "opened"]

RINGS = (PhoneState("anna", "early", is_caller=False), PhoneState("bert", "early", is_caller=False))
TALKS = (PhoneState("anna", "confirmed", is_caller=False),)
REFUSED = Attempt(4_985.0, "billing", "anna", "billing 3", "rejected", 2.0)
assert LEASE


def context() -> Context:
    queue = Queue("billing", requires={"billing": 3}, relax=(Relaxation(30, requires={"billing": 1}),))
    return Context(Directory(queues={"billing": queue}), {})


class Lamps:
    """What is shown of each call at one node."""

    def __init__(self, site: Site) -> None:
        self.lit: dict[str, tuple[PhoneState, ...]] = {}
        site.board.subscribe(self._show)

    def _show(self, call_id: str, phones: tuple[PhoneState, ...]) -> None:
        self.lit.pop(call_id, None)
        if phones:
            self.lit[call_id] = phones


async def test_a_call_of_one_node_is_shown_at_the_other_from_ring_to_end(opened: Opener) -> None:
    a, b = await opened("a"), await opened("b")
    await a.nodes.look()
    ours, theirs = Lamps(a), Lamps(b)
    for phones in (RINGS, TALKS, ()):
        a.board.changed("c1", phones)
        expected = {"c1": phones} if phones else {}
        assert ours.lit == expected
        await until(lambda expected=expected: theirs.lit == expected)  # type: ignore[misc]


async def test_a_node_that_starts_is_told_of_calls_that_go_on(
    opened: Opener, redis: Redis, site: str
) -> None:
    a = await opened("a")
    a.board.changed("c1", TALKS)
    a.board.changed("c2", RINGS)
    a.board.changed("c2", ())
    assert not await redis.exists(f"acd:{{{site}}}:phones:a"), "alone it writes nothing"
    b = await opened("b")
    lamps = Lamps(b)
    await a.nodes.look()
    await until(lambda: lamps.lit == {"c1": TALKS})


async def test_the_calls_of_a_node_that_is_gone_are_dark(
    opened: Opener, redis: Redis, site: str, clock: FakeClock
) -> None:
    a, b = await opened("a"), await opened("b")
    await a.nodes.look()
    lamps = Lamps(b)
    a.board.changed("c1", TALKS)
    b.board.changed("c2", RINGS)
    await until(lambda: set(lamps.lit) == {"c1", "c2"})
    await _die(redis, site, "a", clock, b)
    assert lamps.lit == {"c2": RINGS}


async def test_what_was_over_while_nobody_listened_is_not_shown_to_who_comes(
    opened: Opener, redis: Redis, site: str, clock: FakeClock
) -> None:
    a, b = await opened("a"), await opened("b")
    await a.nodes.look()
    lamps = Lamps(b)
    a.board.changed("c1", TALKS)
    await until(lambda: bool(lamps.lit))
    await _die(redis, site, "b", clock, a)
    a.board.changed("c1", ())
    await b.nodes.look()
    await a.nodes.look()
    await a.board.flush()
    await b.board.hear_all("a")
    assert lamps.lit == {}


async def test_what_another_version_writes_is_passed_over(opened: Opener) -> None:
    a = await opened("a")
    lamps = Lamps(a)
    a.board.hear("b", "c1", b'{"from": "the future"}')
    assert lamps.lit == {}


async def test_live_calls_of_other_nodes_are_read_where_they_were_written_down(
    redis: Redis, site: str
) -> None:
    clock = FakeClock(5_000.0)
    others = ["b"]
    elsewhere = CallsElsewhere(redis, site=site, nodes=lambda: others, clock=clock, context=context)
    assert await elsewhere.live() == []
    for node, call_id in (("b", "c1"), ("gone", "c2")):
        call = Call(
            id=call_id,
            node=node,
            caller="+1",
            caller_name="",
            called="+2",
            trunk="carrier",
            from_agent="",
            started_at=4e3,
        )
        await redis.hset(live_key(site, node), call_id, msgspec.msgpack.encode(call))  # type: ignore[misc]
    await redis.hset(live_key(site, "b"), "c3", b"of the future")  # type: ignore[misc]
    (view,) = await elsewhere.live()
    assert (view.id, view.node, view.caller, view.state) == ("c1", "b", "+1", "new")
    assert await elsewhere.find("c1") == view
    assert await elsewhere.find("c2") is None
    waiting = Call("c4", "b", "+1", "", "+2", "carrier", "", started_at=4e3)
    waiting = msgspec.structs.replace(
        waiting, state=State.QUEUED, place=Place("billing"), enqueued_at=4_980.0, attempts=(REFUSED,)
    )
    await redis.hset(live_key(site, "b"), "c4", msgspec.msgpack.encode(waiting))  # type: ignore[misc]
    reasons = await elsewhere.why("c4")
    assert reasons is not None
    assert (reasons.view.waiting_seconds, reasons.attempts) == (20.0, (REFUSED,))
    assert reasons.needs == Requirement("billing", (("billing", 3),))
    clock.advance(10)
    relaxed = await elsewhere.why("c4")
    assert relaxed is not None
    assert relaxed.needs == Requirement("billing", (("billing", 1),))
    assert await elsewhere.why("nobody") is None
    others.clear()
    assert await elsewhere.live() == []


async def test_calls_of_other_nodes_are_not_said_to_be_none_where_redis_is_away(site: str) -> None:
    away = Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=0.2)
    elsewhere = CallsElsewhere(away, site=site, nodes=lambda: ["b"], clock=FakeClock(0.0), context=context)
    for question in (elsewhere.live(), elsewhere.why("c1")):
        with pytest.raises(CallsUnseen):
            await question
    await away.aclose()
