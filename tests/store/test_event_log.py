"""The numbered events of a real store, heard from any number on."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from routing.model import Requirement, Ticket
from routing.store.event_log import Begins, EventLog, LoggedEvent
from routing.store.redis_store import RedisQueueStore

pytestmark = pytest.mark.store

NOW = 1_790_000_000_000


@pytest.fixture
def log(redis: Redis, site: str) -> EventLog:
    return EventLog(redis, site)


async def calls(store: RedisQueueStore, first: int, count: int) -> None:
    """Each call that comes is one event."""
    for n in range(first, first + count):
        await store.enqueue(Ticket(f"c{n}", "n1", Requirement("billing"), NOW + n), NOW + n)


async def hear(log: EventLog, after: int | None, count: int) -> tuple[Begins, list[LoggedEvent]]:
    """Where it begins, and so many events."""
    following = log.follow(after, beat_seconds=5)
    begins = await anext(following)
    assert isinstance(begins, Begins)
    found: list[LoggedEvent] = []
    while len(found) < count:
        events = await asyncio.wait_for(anext(following), 10)
        assert not isinstance(events, Begins)
        found += events
    await following.aclose()
    return begins, found


async def test_from_every_number_on_the_rest_is_heard_in_order(log: EventLog, store: RedisQueueStore) -> None:
    await calls(store, 1, 60)
    for after in range(60):
        begins, events = await hear(log, after, 60 - after)
        assert begins == Begins(after)
        assert [event.number for event in events] == list(range(after + 1, 61))
        assert (events[-1].kind, events[-1].queue, events[-1].fields["c"]) == ("entered", "billing", "c60")
    assert (await hear(log, 60, 0))[0] == Begins(60)


async def test_who_begins_now_hears_what_comes_and_otherwise_that_nothing_does(
    log: EventLog, store: RedisQueueStore
) -> None:
    await calls(store, 1, 3)
    following = log.follow(None, beat_seconds=0.05)
    assert await anext(following) == Begins(3)
    assert await anext(following) == []
    await calls(store, 4, 1)
    events = []
    while not events:
        events = await anext(following)
    assert [event.number for event in events] == [4]
    await following.aclose()


async def test_who_has_been_away_for_too_long_is_told_so(
    log: EventLog, store: RedisQueueStore, redis: Redis, site: str
) -> None:
    await calls(store, 1, 20)
    await redis.xtrim(f"acd:{{{site}}}:ev", maxlen=5, approximate=False)
    assert (await hear(log, 3, 0))[0] == Begins(20, missed=True)
    assert (await hear(log, 15, 5))[0] == Begins(15)
    assert (await hear(log, 999, 0))[0] == Begins(20, missed=True)


async def test_a_store_without_events_begins_at_nothing(log: EventLog, store: RedisQueueStore) -> None:
    assert (await hear(log, None, 0))[0] == Begins(0)
    assert (await hear(log, 7, 0))[0] == Begins(0, missed=True)
    following = log.follow(0, beat_seconds=5)
    assert await anext(following) == Begins(0)
    await calls(store, 1, 1)
    events = await anext(following)
    assert isinstance(events, list)
    assert events[0].number == 1
    await following.aclose()


async def test_what_is_gone_before_a_slow_reader_came_to_it_is_told(
    log: EventLog, store: RedisQueueStore, redis: Redis, site: str
) -> None:
    await calls(store, 1, 300)
    following = log.follow(0)
    assert await anext(following) == Begins(0)
    assert len(await anext(following)) == 200  # type: ignore[arg-type]
    await redis.xtrim(f"acd:{{{site}}}:ev", maxlen=10, approximate=False)
    assert await anext(following) == Begins(290, missed=True)
    events = await anext(following)
    assert isinstance(events, list)
    assert [event.number for event in events] == list(range(291, 301))
    await following.aclose()
