"""What an engine leaves behind when it is disposed: nothing."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from sqlalchemy import text

from acd.database import create_engine, reading

LONG = text(
    "WITH RECURSIVE n(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM n WHERE x < 2000000) "
    "SELECT count(*) FROM n"
)


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if "_connection_worker_thread" in thread.name}


def cut_off_a_query(path: Path, after: float) -> set[threading.Thread]:
    """Begin to read, be cancelled, dispose of the engine; what is left as the loop closes."""

    async def read_and_leave() -> set[threading.Thread]:
        engine = create_engine(f"sqlite+aiosqlite:///{path}")

        async def read() -> None:
            async with reading(engine) as connection:
                await connection.execute(LONG)

        task = asyncio.create_task(read())
        await asyncio.wait([task], timeout=after)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])
        await engine.dispose()
        return threads()

    return asyncio.run(read_and_leave())


def test_a_query_that_is_cut_off_leaves_no_thread_behind(tmp_path: Path) -> None:
    assert cut_off_a_query(tmp_path / "x.sqlite3", 0.1) == set()


def test_a_connection_that_is_cut_off_as_it_opens_leaves_no_thread_behind(tmp_path: Path) -> None:
    assert cut_off_a_query(tmp_path / "x.sqlite3", 0.0) == set()
