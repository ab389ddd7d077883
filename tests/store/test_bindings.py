"""Bindings outlive the service that took them in."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from acd.sip.bindings import BindingStore
from acd.sip.contacts import Binding
from acd.sip.core.events import Flow
from tests.support.clock import FakeClock
from tests.support.net import patience
from tests.support.redis_server import running_redis

LOCAL = ("127.0.0.1", 5060)


def binding(agent: str, port: int = 5060, *, seconds: float = 60, flow: Flow | None = None) -> Binding:
    return Binding(
        agent=agent,
        key=f"k{port}",
        contact=f"sip:{agent}@192.0.2.7:{port}",
        listens=("192.0.2.7", port),
        target=f"sip:{agent}@192.0.2.7:{port}",
        flow=flow or Flow("udp", LOCAL, ("192.0.2.7", port)),
        call_id="c",
        cseq=1,
        registered_at=FakeClock().now,
        expires_at=FakeClock().now + seconds,
    )


def open_store(redis: Redis, site: str, clock: FakeClock | None = None, node: str = "a") -> BindingStore:
    return BindingStore(redis, site=site, node=node, clock=clock or FakeClock(4_000_000_000.0))


def late(*bindings: Binding) -> list[Binding]:
    """The same bindings for a clock that Redis, too, takes for the future."""
    shift = 4_000_000_000.0 - FakeClock().now
    return [
        msgspec.structs.replace(
            one, registered_at=one.registered_at + shift, expires_at=one.expires_at + shift
        )
        for one in bindings
    ]


async def test_bindings_are_back_after_a_restart_and_told(redis: Redis, site: str) -> None:
    first = open_store(redis, site)
    await first.start()
    put = late(binding("anna", 5060), binding("anna", 5062), binding("bela"))
    for one in put:
        first.put(one)
    await first.stop()

    told: list[tuple[str, bool]] = []
    again = open_store(redis, site)
    again.subscribe(lambda agent, there: told.append((agent, there)))
    await again.start()
    assert told == [("anna", True), ("bela", True)]
    assert set(again.lookup("anna")) == set(put[:2])
    assert again.active == 3
    await again.stop()


async def test_removed_and_expired_bindings_stay_away(redis: Redis, site: str) -> None:
    clock = FakeClock(4_000_000_000.0)
    first = open_store(redis, site, clock)
    await first.start()
    for one in late(binding("anna"), binding("bela", seconds=60), binding("cara", seconds=600)):
        first.put(one)
    first.remove("anna", "k5060", "unknown")
    await first.stop()
    clock.advance(61)
    again = open_store(redis, site, clock)
    await again.start()
    assert [bool(again.lookup(agent)) for agent in ("anna", "bela", "cara")] == [False, False, True]
    await again.stop()
    assert await redis.smembers(f"acd:{{{site}}}:reg:a") == {b"cara"}


async def test_keys_of_redis_carry_the_site_and_end_by_themselves(redis: Redis, site: str) -> None:
    store = open_store(redis, site)
    await store.start()
    store.put(late(binding("anna", seconds=90))[0])
    await store.flush()
    name = f"acd:{{{site}}}:reg:a:anna"
    assert {key async for key in redis.scan_iter(f"acd:{{{site}}}:*")} == {
        name.encode(),
        f"acd:{{{site}}}:reg:a".encode(),
        f"acd:{{{site}}}:regs".encode(),
    }
    assert await redis.pexpiretime(name) == 4_000_000_090_000
    await store.stop()


async def test_nodes_keep_to_their_own_bindings(redis: Redis, site: str) -> None:
    one, other = open_store(redis, site), open_store(redis, site, node="b")
    await one.start()
    one.put(late(binding("anna"))[0])
    await one.stop()
    await other.start()
    assert other.active == 0
    await other.stop()


async def test_connected_phone_is_back_only_where_it_can_be_connected_to(redis: Redis, site: str) -> None:
    first = open_store(redis, site)
    await first.start()
    listening = Flow("tcp", LOCAL, ("192.0.2.7", 40001), 1)
    behind_nat = Flow("tcp", LOCAL, ("198.51.100.1", 40002), 2)
    for one in late(binding("anna", flow=listening), binding("bela", flow=behind_nat)):
        first.put(one)
    await first.stop()
    again = open_store(redis, site)
    await again.start()
    assert [one.flow for one in again.lookup("anna")] == [Flow("tcp", LOCAL, ("192.0.2.7", 5060))]
    assert again.lookup("bela") == ()
    await again.stop()


async def test_unreadable_binding_is_dropped_and_the_rest_loaded(redis: Redis, site: str) -> None:
    first = open_store(redis, site)
    await first.start()
    first.put(late(binding("anna"))[0])
    await first.stop()
    await redis.hset(f"acd:{{{site}}}:reg:a:anna", "broken", b"\xff{")
    again = open_store(redis, site)
    await again.start()
    assert [one.key for one in again.lookup("anna")] == ["k5060"]
    await again.stop()
    assert await redis.hkeys(f"acd:{{{site}}}:reg:a:anna") == [b"k5060"]


async def test_wall_clock_that_jumps_does_not_unregister_anybody(redis: Redis, site: str) -> None:
    class Jumping(FakeClock):
        offset = 0.0

        def time(self) -> float:
            return self.now + self.offset

    clock = Jumping(4_000_000_000.0)
    store = open_store(redis, site, clock)
    await store.start()
    store.put(late(binding("anna", seconds=60))[0])
    clock.offset = 3600.0
    clock.advance(59)
    store.expire()
    assert store.lookup("anna")
    clock.advance(1)
    store.expire()
    assert not store.lookup("anna")
    await store.stop()


async def test_flow_that_broke_takes_its_bindings_along(redis: Redis, site: str) -> None:
    told: list[tuple[str, bool]] = []
    store = open_store(redis, site)
    store.subscribe(lambda agent, there: told.append((agent, there)))
    flow = Flow("tcp", LOCAL, ("192.0.2.7", 40001), 7)
    await store.start()
    for one in late(binding("anna", flow=flow), binding("bela", flow=flow), binding("bela", 5099)):
        store.put(one)
    store.drop_flow(flow)
    assert told == [("anna", True), ("bela", True), ("anna", False)]
    assert not store.has_host("none")
    await store.stop()


async def test_registrations_go_on_while_redis_is_away_and_are_written_later(site: str) -> None:
    with running_redis(persistent=True) as server:
        redis = Redis.from_url(server.url, retry=None)
        store = open_store(redis, site)
        await store.start()
        server.kill()
        store.put(late(binding("anna"))[0])
        assert store.lookup("anna")
        with pytest.raises((RedisError, OSError)):
            await store.flush()
        assert store.unwritten == 1
        server.start()
        async with asyncio.timeout(patience(5)):
            while store.unwritten:
                await asyncio.sleep(0.02)
        assert await redis.hlen(f"acd:{{{site}}}:reg:a:anna") == 1
        await store.stop()
        await redis.aclose()


async def test_thousand_bindings_are_written_and_loaded_in_a_moment(redis: Redis, site: str) -> None:
    store = open_store(redis, site)
    await store.start()
    for number in range(1000):
        store.put(late(binding(f"agent{number}"))[0])
    async with asyncio.timeout(patience(2)):
        await store.stop()
    again = open_store(redis, site)
    async with asyncio.timeout(patience(2)):
        await again.start()
    assert again.active == 1000
    await again.stop()
