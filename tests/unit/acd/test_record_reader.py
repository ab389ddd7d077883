"""Records come back from the database as they were written, newest first, by filter and by page."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import insert

from acd.calls.record import CallRecord, Segment
from acd.clock import SystemClock
from acd.control.ports import RecordFilter
from acd.database import create_engine
from acd.history.reader import RecordReader
from acd.history.tables import records
from tests.support.database import migrate


def record(number: int, **changes: object) -> CallRecord:
    made = CallRecord(
        id=f"c{number}",
        node="a",
        caller="+1",
        called="+2",
        queue="billing",
        outcome="answered",
        started_at=float(number),
        ended_at=number + 9.0,
        hangup_side="caller",
        cause="normal",
        segments=(Segment("queued", float(number), "billing"),),
    )
    return msgspec.structs.replace(made, **changes)


@pytest.fixture
async def reader(tmp_path):  # type: ignore[no-untyped-def]
    engine = create_engine(f"sqlite+aiosqlite:///{tmp_path}/x.sqlite3")
    await migrate(engine)
    rows = [record(1), record(2, queue="sales"), record(3, outcome="abandoned")]
    async with engine.begin() as connection:
        await connection.execute(
            insert(records),
            [
                msgspec.to_builtins(row) | {"segments": [msgspec.to_builtins(part) for part in row.segments]}
                for row in rows
            ],
        )
    yield RecordReader(engine, SystemClock())
    await engine.dispose()


async def test_a_record_comes_back_whole(reader: RecordReader) -> None:
    assert await reader.record("c1") == record(1)


async def test_filters_and_pages(reader: RecordReader) -> None:
    page = await reader.records(RecordFilter(), None, 2)
    assert [found.id for found in page.records] == ["c3", "c2"]
    last = await reader.records(RecordFilter(), page.next_cursor, 2)
    assert ([found.id for found in last.records], last.next_cursor) == (["c1"], None)
    assert [r.id for r in (await reader.records(RecordFilter(queue="sales"))).records] == ["c2"]
    assert [r.id for r in (await reader.records(RecordFilter(outcome="abandoned"))).records] == ["c3"]
    assert [r.id for r in (await reader.records(RecordFilter(since=2.0, until=3.0))).records] == ["c2"]
