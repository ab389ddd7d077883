"""What became of requests with keys, for all nodes: one begins, all see its answer; it is bounded."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from acd.control.once import Kept, OnceStore
from tests.support.clock import FakeClock

DONE = Kept("body", 200, '{"call_id": "c1"}')


async def test_of_two_nodes_one_begins_and_both_see_the_answer(redis: Redis, site: str) -> None:
    a, b = (OnceStore(redis, site=site, clock=FakeClock(1.0)) for _ in range(2))
    begun = await asyncio.gather(*(node.begin("k", "body") for node in (a, b, a, b)))
    assert sorted(begun, key=lambda kept: kept is None) == [Kept("body")] * 3 + [None]
    await a.keep("k", DONE)
    assert await b.begin("k", "body") == DONE
    assert 86_000 < await redis.ttl(f"acd:{{{site}}}:once:k") <= 86_400


async def test_what_never_came_to_an_end_may_begin_again_after_a_minute(redis: Redis, site: str) -> None:
    onces = OnceStore(redis, site=site, clock=FakeClock(1.0))
    assert await onces.begin("k", "body") is None
    assert 0 < await redis.ttl(f"acd:{{{site}}}:once:k") <= 60
    await onces.drop("k")
    assert await onces.begin("k", "body") is None


async def test_only_the_newest_are_kept_where_there_are_too_many(redis: Redis, site: str) -> None:
    clock = FakeClock(1.0)
    onces = OnceStore(redis, site=site, clock=clock, most=3)
    for number in range(6):
        clock.advance(1)
        await onces.begin(f"k{number}", "body")
        await onces.keep(f"k{number}", DONE)
    assert await redis.zcard(f"acd:{{{site}}}:onces") == 3
    assert await onces.begin("k5", "body") == DONE
    assert await onces.begin("k0", "body") is None
