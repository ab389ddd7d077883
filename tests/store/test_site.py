"""Nodes of one site know each other's phones, and notice who is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from acd.config import NodeSection
from acd.sip.contacts import Binding
from acd.sip.core.events import Flow
from acd.sip.site import Site
from tests.support.clock import FakeClock
from tests.support.net import patience

NOW = 4_000_000_000.0
"""A time that Redis, too, takes for the future."""
LEASE = 60.0


def binding(agent: str = "anna", *, transport: str = "tcp", at: float = NOW, seconds: float = 600) -> Binding:
    """A phone behind a NAT over TCP; by UDP, one that anybody can call."""
    port = 40001 if transport == "tcp" else 5060
    return Binding(
        agent=agent,
        key="k",
        contact=f"sip:{agent}@192.0.2.7",
        listens=("192.0.2.7", 5060),
        target=f"sip:{agent}@192.0.2.7",
        flow=Flow(transport, ("127.0.0.1", 5060), ("192.0.2.7", port), int(transport == "tcp")),  # type: ignore[arg-type]
        call_id="c",
        cseq=1,
        registered_at=at,
        expires_at=at + seconds,
    )


Opener = Callable[[str], Awaitable[Site]]


class Told:
    """Who listens to a site's nodes and phones."""

    def __init__(self, site: Site) -> None:
        self.phones: list[tuple[str, bool]] = []
        self.gone: list[frozenset[str]] = []
        site.bindings.subscribe(lambda agent, there: self.phones.append((agent, there)))
        site.subscribe(self.gone.append)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
async def opened(redis: Redis, site: str, clock: FakeClock) -> AsyncIterator[Opener]:
    """Opens nodes, and closes them in the end."""
    sites: list[Site] = []

    async def open_node(name: str) -> Site:
        one = Site(redis, NodeSection(id=name, site=site, lease_seconds=LEASE), clock)
        sites.append(one)
        await one.bindings.start()
        await one.start("", [("tcp", "10.0.0.1", 5060)])
        return one

    yield open_node
    for one in sites:
        await one.stop()
        await one.bindings.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(patience(5)):
        while not condition():
            await asyncio.sleep(0.01)


async def _die(redis: Redis, site: str, name: str, clock: FakeClock, survivor: Site) -> None:
    """The lease of a node runs out, and another one looks."""
    await redis.delete(f"acd:{{{site}}}:node:{name}")
    clock.advance(LEASE + 1)
    await survivor.nodes.look()


async def test_phone_of_one_node_is_known_to_the_other_until_it_is_gone(opened: Opener) -> None:
    a, b = await opened("a"), await opened("b")
    await a.nodes.look()
    told = Told(b)
    a.bindings.put(binding())
    await until(lambda: bool(b.bindings.lookup("anna")))
    (copy,) = b.bindings.lookup("anna")
    assert (b.bindings.owner(copy), b.bindings.active, b.bindings.has_host("192.0.2.7")) == ("a", 0, True)
    a.bindings.drop_flow(copy.flow)
    await until(lambda: not b.bindings.lookup("anna"))
    assert told.phones == []


async def test_node_that_starts_hears_of_phones_that_are_there(opened: Opener) -> None:
    a = await opened("a")
    a.bindings.put(binding())
    await a.bindings.written()
    b = await opened("b")
    assert b.bindings.lookup("anna")


async def test_phone_that_registers_with_another_node_has_moved(
    opened: Opener, redis: Redis, site: str
) -> None:
    a, b = await opened("a"), await opened("b")
    told = Told(a)
    a.bindings.put(binding())
    await a.bindings.written()
    b.bindings.put(binding(at=NOW + 5))
    await until(lambda: any(a.bindings.owner(one) == "b" for one in a.bindings.lookup("anna")))
    await a.bindings.written()
    assert told.phones == [("anna", True)]
    assert await redis.hlen(f"acd:{{{site}}}:reg:a:anna") == 0


async def test_phone_that_unregisters_with_another_node_is_gone(opened: Opener) -> None:
    a, b = await opened("a"), await opened("b")
    await b.look_up("anna")
    told = Told(a)
    a.bindings.put(binding())
    await until(lambda: bool(b.bindings.lookup("anna")))
    b.bindings.remove("anna", "k")
    await until(lambda: not a.bindings.lookup("anna"))
    assert told.phones == [("anna", True), ("anna", False)]


async def test_of_a_dead_node_only_phones_are_left_that_everybody_can_call(
    opened: Opener, redis: Redis, site: str, clock: FakeClock
) -> None:
    a, b = await opened("a"), await opened("b")
    a.bindings.put(binding("anna"))
    a.bindings.put(binding("bela", transport="udp"))
    await a.bindings.written()
    await until(lambda: bool(b.bindings.lookup("anna") and b.bindings.lookup("bela")))
    told = Told(b)
    await _die(redis, site, "a", clock, b)
    assert not b.bindings.lookup("anna")
    assert b.bindings.lookup("bela")
    assert told.phones == [("anna", False)]
    assert told.gone == [frozenset({"a"})]

    # The phone comes back to a living node: that one signs the agent in.
    b.bindings.put(binding("bela", at=clock.time()))
    assert told.phones[-1] == ("bela", True)


async def test_phone_that_left_a_dead_node_is_not_brought_back_when_that_starts_again(
    opened: Opener, redis: Redis, site: str, clock: FakeClock
) -> None:
    a, b = await opened("a"), await opened("b")
    a.bindings.put(binding(transport="udp"))
    await a.bindings.written()
    await until(lambda: bool(b.bindings.lookup("anna")))
    await a.stop()
    await a.bindings.stop()
    await _die(redis, site, "a", clock, b)
    b.bindings.remove("anna", "k")
    await b.bindings.written()
    again = await opened("a")
    assert not again.bindings.lookup("anna")


async def test_nobody_is_dead_while_the_store_may_have_forgotten(
    opened: Opener, redis: Redis, site: str, clock: FakeClock
) -> None:
    _, b = await opened("a"), await opened("b")
    assert b.nodes.is_up("a")
    clock.advance(LEASE + 1)
    await redis.delete(*(f"acd:{{{site}}}:node:{name}" for name in "ab"))
    await b.nodes.look()
    assert b.nodes.is_up("a")
    clock.advance(LEASE + 1)
    await b.nodes.look()
    assert not b.nodes.is_up("a")


async def test_node_that_is_gone_and_held_nothing_is_struck_off(
    opened: Opener, redis: Redis, site: str, clock: FakeClock
) -> None:
    a, b = await opened("a"), await opened("b")
    await a.stop()
    await _die(redis, site, "a", clock, b)
    await b.look_up("anna")
    assert await b.nodes.known() == []
    await opened("a")
    await b.nodes.look()
    assert b.nodes.is_up("a")


async def test_what_is_read_again_and_has_not_changed_is_kept_as_it_is(opened: Opener) -> None:
    a, b = await opened("a"), await opened("b")
    a.bindings.put(binding())
    await until(lambda: bool(b.bindings.lookup("anna")))
    (held,) = b.bindings.lookup("anna")
    b.bindings.hear_all("a", [msgspec.structs.replace(held)])
    assert b.bindings.lookup("anna")[0] is held


async def test_nodes_share_one_key_and_where_they_are(opened: Opener) -> None:
    a, b = await opened("a"), await opened("b")
    assert a.nodes.key() == b.nodes.key() != b""
    facts = b.nodes.facts_of("a")
    assert facts is not None
    assert facts.at("tcp") == Flow("tcp", ("", 0), ("10.0.0.1", 5060))
    assert facts.at("udp") is None
    assert b.nodes.has_host("10.0.0.1")


async def test_two_processes_of_one_name_are_told(opened: Opener) -> None:
    one, _ = await opened("a"), await opened("a")
    with capture_logs() as logs:
        await one.nodes.look()
    assert [entry["event"] for entry in logs] == ["node-name-used-twice"]


async def test_word_of_another_version_is_passed_over(opened: Opener, redis: Redis, site: str) -> None:
    b = await opened("b")
    await redis.set(f"acd:{{{site}}}:node:c", b"[]")
    await redis.sadd(f"acd:{{{site}}}:nodes", "c")
    await redis.hset(f"acd:{{{site}}}:reg:c:anna", "k", b"{}")
    await redis.sadd(f"acd:{{{site}}}:reg:c", "anna")
    await b.look_up("anna")
    assert b.nodes.is_up("c")
    assert not b.bindings.lookup("anna")
    fresh = msgspec.json.encode(binding("bela", transport="udp"))
    await redis.hset(f"acd:{{{site}}}:reg:c:bela", "k", fresh)
    await redis.sadd(f"acd:{{{site}}}:reg:c", "bela")
    await b.look_up("bela")
    assert b.bindings.lookup("bela")
