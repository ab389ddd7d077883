"""Call records from the journal over the outbox into SQL: each once, in order, whatever crashes between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis
from sqlalchemy import event, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from acd import tasks
from acd.calls.record import NODE_DIED, CallRecord
from acd.clock import SystemClock
from acd.control.ports import RecordFilter
from acd.database import reading, writing
from acd.history.heir import Heir
from acd.history.journal import Journal, live_key, outbox_key
from acd.history.reader import RecordReader
from acd.history.tables import records
from acd.history.writer import BATCH, HistoryWriter
from routing.store.redis_store import connect
from tests.support.clock import FakeClock
from tests.support.net import patience
from tests.support.redis_server import running_redis

pytestmark = pytest.mark.store


def record(number: int, **changes: Any) -> CallRecord:
    made = CallRecord(
        id=f"c{number}",
        node="a",
        caller="+1",
        called="+2",
        outcome="answered",
        started_at=float(number),
        ended_at=number + 9.0,
        hangup_side="caller",
        cause="normal",
    )
    return msgspec.structs.replace(made, **changes)


def writer(redis: Redis, engine: AsyncEngine, site: str) -> HistoryWriter:
    return HistoryWriter(redis, engine, site=site, node="a", linger_seconds=0.0, look_seconds=0.05)


async def stored(engine: AsyncEngine) -> list[str]:
    """The ids in the order in which they were written."""
    async with reading(engine) as connection:
        rows = await connection.execute(text("SELECT id FROM records ORDER BY rowid"))
        return list(rows.scalars())


async def waiting(redis: Redis, site: str) -> int:
    return int(await redis.llen(outbox_key(site)))  # type: ignore[misc]


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(patience(10)):
        while not await true():
            await asyncio.sleep(0.01)


async def fill(redis: Redis, site: str, *made: CallRecord) -> None:
    """What a node leaves in the outbox."""
    journal = Journal(redis, site=site, node="a", linger_seconds=0.0)
    task = asyncio.create_task(journal.run())
    for each in made:
        journal.finish(each)
    await journal.flush()
    task.cancel()


async def test_a_finished_call_comes_into_sql_and_out_of_redis(
    redis: Redis, engine: AsyncEngine, site: str
) -> None:
    history = writer(redis, engine, site)
    await history.start()
    history.journal.put("c1", b"talking")
    await history.journal.flush()
    assert await redis.hgetall(live_key(site, "a")) == {b"c1": b"talking"}  # type: ignore[misc]
    history.journal.finish(record(1, queue="billing"))
    await until(lambda: stored(engine))
    await history.stop()
    assert await RecordReader(engine, SystemClock()).record("c1") == record(1, queue="billing")
    assert await waiting(redis, site) == 0
    assert not await redis.exists(live_key(site, "a"))


async def test_records_are_written_in_the_order_in_which_calls_ended(
    redis: Redis, engine: AsyncEngine, site: str
) -> None:
    history = writer(redis, engine, site)
    await history.start()
    for number in range(200):
        history.journal.finish(record(number))
        if number % 7 == 0:
            await asyncio.sleep(0)
    await history.stop()
    assert await stored(engine) == [f"c{number}" for number in range(200)]


async def test_a_crash_between_sql_and_redis_leaves_each_record_once(
    redis: Redis, engine: AsyncEngine, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(redis, site, *(record(number) for number in range(5)))
    dying = writer(redis, engine, site)

    async def killed(*_: object) -> None:
        raise ConnectionResetError("kill -9 after the commit")

    monkeypatch.setattr(dying, "_clear", killed)
    with pytest.raises(ConnectionResetError):
        await dying.drain()
    assert (len(await stored(engine)), await waiting(redis, site)) == (5, 5)
    await writer(redis, engine, site).drain()
    assert (await stored(engine), await waiting(redis, site)) == ([f"c{n}" for n in range(5)], 0)


async def test_a_crash_before_sql_loses_nothing(redis: Redis, engine: AsyncEngine, site: str) -> None:
    await fill(redis, site, record(1), record(2))
    assert await stored(engine) == []
    again = writer(redis, engine, site)
    await again.start()
    await until(lambda: stored(engine))
    await again.stop()
    assert await stored(engine) == ["c1", "c2"]


async def test_two_nodes_that_empty_one_outbox_write_each_record_once(
    redis: Redis, engine: AsyncEngine, site: str
) -> None:
    await fill(redis, site, *(record(number) for number in range(BATCH + 100)))
    nodes = [writer(redis, engine, site) for _ in range(2)]
    for _ in range(3):
        await asyncio.gather(*(node.drain() for node in nodes))
    assert len(await stored(engine)) == BATCH + 100
    assert await waiting(redis, site) == 0


async def test_the_first_record_of_a_call_stays(redis: Redis, engine: AsyncEngine, site: str) -> None:
    await fill(redis, site, record(1), record(2))
    await fill(redis, site, record(1, outcome="failed", cause="node-died"))
    await writer(redis, engine, site).drain()
    found = await RecordReader(engine, SystemClock()).record("c1")
    assert found is not None
    assert found.outcome == "answered"
    assert await waiting(redis, site) == 0


async def test_what_can_never_be_stored_is_set_aside_and_holds_up_nobody(
    redis: Redis, engine: AsyncEngine, site: str
) -> None:
    await fill(redis, site, record(1), record(2))
    await redis.lpush(outbox_key(site), b"not json", b'{"id": 7}')  # type: ignore[misc]
    assert await writer(redis, engine, site).drain() == 4
    assert await stored(engine) == ["c1", "c2"]
    assert await redis.llen(f"{outbox_key(site)}-refused") == 2  # type: ignore[misc]
    assert await waiting(redis, site) == 0


async def test_a_database_that_is_locked_is_waited_for(redis: Redis, engine: AsyncEngine, site: str) -> None:
    await fill(redis, site, record(1))
    history = writer(redis, engine, site)
    async with writing(engine) as connection:
        await connection.execute(text("DELETE FROM records"))
        await history.start()
        await asyncio.sleep(0)
    await until(lambda: stored(engine))
    await history.stop()
    assert await waiting(redis, site) == 0


async def test_a_disk_that_is_full_is_waited_for(
    redis: Redis, engine: AsyncEngine, site: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with engine.connect() as connection:
        pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()

    @event.listens_for(engine.sync_engine, "begin")
    def fill(connection: Any) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2 if full else 1_000_000}")

    full = True
    history = writer(redis, engine, site)
    await history.start()
    for number in range(200):
        history.journal.finish(record(number, caller="+" + "1" * 400))
    await history.journal.flush()
    await until(lambda: _has_said(capsys, "database or disk is full"))
    assert await waiting(redis, site) == 200
    full = False
    await until(lambda: _count_is(engine, 200))
    await history.stop()


_SAID: list[str] = []


async def _has_said(capsys: pytest.CaptureFixture[str], words: str) -> bool:
    _SAID.append("".join(capsys.readouterr()))
    return any(words in said for said in _SAID)


async def test_half_a_character_in_a_name_costs_no_record(
    redis: Redis, engine: AsyncEngine, site: str
) -> None:
    await fill(redis, site, record(1, caller="\udce4+1\x00"))
    await writer(redis, engine, site).drain()
    assert await stored(engine) == ["c1"]


async def test_calls_go_on_while_redis_is_away_and_are_written_when_it_is_back(
    engine: AsyncEngine, site: str
) -> None:
    with running_redis(persistent=True) as server:
        redis = connect(server.url)
        history = writer(redis, engine, site)
        await history.start()
        history.journal.finish(record(1))
        await history.journal.flush()
        server.kill()
        history.journal.put("c3", b"talking")
        history.journal.finish(record(2))
        assert history.journal.waiting == 2
        server.start()
        await history.journal.flush()
        assert await history.journal.recover("a") == {"c3": b"talking"}
        await until(lambda: _count_is(engine, 2))
        await history.stop()
        await redis.aclose()


async def _count_is(engine: AsyncEngine, wanted: int) -> bool:
    async with reading(engine) as connection:
        return (await connection.execute(select(func.count()).select_from(records))).scalar_one() == wanted


async def test_what_a_dead_node_left_is_recovered_and_then_gone(
    redis: Redis, engine: AsyncEngine, site: str
) -> None:
    dead = Journal(redis, site=site, node="dead", linger_seconds=0.0)
    task = asyncio.create_task(dead.run())
    dead.put("c7", b"queued")
    await dead.flush()
    task.cancel()
    survivor = writer(redis, engine, site)
    await survivor.start()
    assert await survivor.journal.recover("dead") == {"c7": b"queued"}
    survivor.journal.finish(record(7, node="dead", outcome="failed", cause="node-died"))
    await survivor.journal.flush()
    assert await survivor.journal.recover("dead") == {}
    await survivor.stop()
    assert await stored(engine) == ["c7"]


async def test_a_living_node_inherits_the_calls_of_one_that_stays_away(
    redis: Redis, engine: AsyncEngine, site: str
) -> None:
    """Two heirs, and the dead node itself afterwards: one record. A node that hung has the last word."""
    dead = Journal(redis, site=site, node="dead", linger_seconds=0.0)
    task = asyncio.create_task(dead.run())
    for call in ("c7", "c8"):
        dead.put(call, b"talking")
    await dead.flush()
    up = {"dead"}
    history = writer(redis, engine, site)
    await history.start()

    def recover(documents: Mapping[str, bytes], died_at: float) -> list[str]:
        for call in documents:
            lost = record(int(call[1:]), node="dead", outcome="failed", cause=NODE_DIED, ended_at=died_at)
            history.journal.finish(lost)
        return []

    clock = FakeClock(1000.0)
    heirs = [Heir(history.journal, clock, 30.0, up.__contains__, recover) for _ in range(2)]
    for heir in heirs * 3:
        await heir.look()
    assert await stored(engine) == []
    up.clear()
    for heir in heirs:
        await heir.look()
    assert await history.journal.recover("dead") == {"c7": b"talking", "c8": b"talking"}
    for heir in heirs:
        await heir.look()
    await history.journal.flush()
    await until(lambda: _count_is(engine, 2))
    found = await RecordReader(engine, SystemClock()).record("c7")
    assert found is not None
    assert (found.cause, found.ended_at) == (NODE_DIED, 970.0)
    for heir in heirs:
        await heir.look()
    assert await history.journal.left_behind() == []

    dead.finish(record(8, node="dead"))
    await dead.flush()
    task.cancel()
    await until(lambda: _outcome_is(engine, "c8", "answered"))
    recover({"c8": b""}, 970.0)
    await history.stop()
    assert await stored(engine) == ["c7", "c8"]
    assert await _outcome_is(engine, "c8", "answered")


async def _outcome_is(engine: AsyncEngine, call: str, outcome: str) -> bool:
    found = await RecordReader(engine, SystemClock()).record(call)
    return found is not None and found.outcome == outcome


async def test_the_first_document_of_a_call_is_written_at_once_and_takes_those_that_linger_along(
    redis: Redis, site: str
) -> None:
    journal = Journal(redis, site=site, node="a", linger_seconds=3600.0)
    task = asyncio.create_task(journal.run())

    async def written() -> dict[bytes, bytes]:
        await journal.flush()
        return dict(await redis.hgetall(live_key(site, "a")))  # type: ignore[misc]

    journal.put("c1", b"new")
    assert await written() == {b"c1": b"new"}
    journal.put("c1", b"talking")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(journal.flush(), 0.2)
    journal.put("c2", b"new")
    assert await written() == {b"c1": b"talking", b"c2": b"new"}
    task.cancel()


async def test_a_call_has_begun_once_redis_has_a_document_of_it_or_it_is_over(
    redis: Redis, site: str
) -> None:
    journal = Journal(redis, site=site, node="a", linger_seconds=60.0)
    await journal.begun("never-heard-of")
    journal.put("c1", b"1")
    journal.put("c2", b"2")
    waiting = [asyncio.create_task(journal.begun(name)) for name in ("c1", "c2")]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    journal.finish(record(1))
    await asyncio.wait_for(waiting[0], patience(5))
    assert not await redis.exists(live_key(site, "a"))
    running = asyncio.create_task(journal.run())
    await asyncio.wait_for(waiting[1], patience(5))
    assert await redis.hkeys(live_key(site, "a")) == [b"c2"]
    await tasks.end(running)


async def test_records_of_the_last_minute_are_handed_in_again_to_a_redis_that_lost_them(
    redis: Redis, engine: AsyncEngine, site: str
) -> None:
    journal = Journal(redis, site=site, node="a", linger_seconds=0.0)
    task = asyncio.create_task(journal.run())
    journal.finish(record(1))
    await journal.flush()
    await redis.delete(outbox_key(site))
    assert journal.say_again() == 1
    await journal.flush()
    task.cancel()
    history = writer(redis, engine, site)
    await history.start()
    await until(lambda: _count_is(engine, 1))
    await history.stop()


async def test_records_that_redis_does_not_take_before_the_end_go_into_sql_all_the_same(
    engine: AsyncEngine, site: str
) -> None:
    with running_redis() as server:
        redis = connect(server.url)
        history = writer(redis, engine, site)
        await history.start()
        history.journal.put("c1", b"talking")
        await history.journal.flush()
        server.pause()
        history.journal.finish(record(1))
        began = time.monotonic()
        await history.stop(within_seconds=2.0)
        assert time.monotonic() - began < 10
        assert await stored(engine) == ["c1"]

        # Whoever takes the node for dead changes nothing of that.
        server.resume()
        later = writer(redis, engine, site)
        await later.start()
        later.journal.finish(record(1, outcome="failed", cause=NODE_DIED))
        await later.stop()
        await redis.aclose()
    assert await _outcome_is(engine, "c1", "answered")


async def test_a_document_that_comes_after_the_end_of_its_call_brings_no_ghost(
    redis: Redis, site: str
) -> None:
    journal = Journal(redis, site=site, node="a", linger_seconds=0.0)
    journal.finish(record(1))
    journal.put("c1", b"late")
    task = asyncio.create_task(journal.run())
    await journal.flush()
    task.cancel()
    assert await journal.recover("a") == {}


async def test_every_filter_and_the_pages_agree_with_a_plain_look_at_all_records(engine: AsyncEngine) -> None:
    made = [
        record(
            number,
            started_at=float(number // 3),
            queue=("billing", "sales", "")[number % 3],
            agent=("anna", "bert")[number % 2],
            outcome=("answered", "abandoned", "failed", "cleared")[number % 4],
        )
        for number in range(60)
    ]
    async with writing(engine) as connection:
        await connection.execute(
            records.insert(), [{**msgspec.to_builtins(each), "segments": []} for each in made]
        )
    reader = RecordReader(engine, SystemClock())
    for filters, matches in (
        (RecordFilter(), lambda r: True),
        (RecordFilter(queue="billing"), lambda r: r.queue == "billing"),
        (
            RecordFilter(agent="bert", outcome="abandoned"),
            lambda r: r.agent == "bert" and r.outcome == "abandoned",
        ),
        (RecordFilter(since=5.0, until=9.0), lambda r: 5.0 <= r.started_at < 9.0),
        (RecordFilter(queue="nobody's"), lambda r: False),
    ):
        expected = sorted(filter(matches, made), key=lambda r: (r.started_at, r.id), reverse=True)
        for limit in (1, 7, 1000):
            assert await _all_pages(reader, filters, limit) == [each.id for each in expected]


async def _all_pages(reader: RecordReader, filters: RecordFilter, limit: int) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = await reader.records(filters, cursor, limit)
        assert len(page.records) <= limit
        found += [each.id for each in page.records]
        if (cursor := page.next_cursor) is None:
            return found


async def test_records_that_come_meanwhile_do_not_shift_the_pages(engine: AsyncEngine) -> None:
    async def add(*numbers: int) -> None:
        async with writing(engine) as connection:
            rows = [{**msgspec.to_builtins(record(number)), "segments": []} for number in numbers]
            await connection.execute(records.insert(), rows)

    await add(1, 2, 3, 4)
    reader = RecordReader(engine, SystemClock())
    first = await reader.records(RecordFilter(), None, 2)
    await add(5, 6)
    second = await reader.records(RecordFilter(), first.next_cursor, 2)
    assert [r.id for r in (*first.records, *second.records)] == ["c4", "c3", "c2", "c1"]


@pytest.mark.parametrize("cursor", ["x", "!", "W10", "ä", "e30", "WzEsMl0"])
async def test_a_cursor_that_is_none_of_ours_is_refused(engine: AsyncEngine, cursor: str) -> None:
    with pytest.raises(ValueError, match="none of ours"):
        await RecordReader(engine, SystemClock()).records(RecordFilter(), cursor)
