"""Databases with every table, as copies of one: to go through all migrations takes a third of a second."""

from __future__ import annotations

import asyncio
import functools
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from acd.database import create_engine
from acd.history import migrate as real


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """A database of the test's own, with every table."""
    opened = create_engine(f"sqlite+aiosqlite:///{tmp_path}/acd.sqlite3")
    await migrate(opened)
    yield opened
    await opened.dispose()


async def migrate(engine: AsyncEngine) -> None:
    """The same as `acd.history.migrate.migrate`, sooner; for SQLite in a file."""
    assert engine.url.database is not None
    fill(Path(engine.url.database))
    await real.migrate(engine)


def fill(file: Path) -> None:
    """Give a SQLite file its tables, unless it has some."""
    if not file.exists() or file.stat().st_size == 0:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_bytes(_migrated())


@functools.cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as apart:
        file = Path(folder) / "acd.sqlite3"
        apart.submit(asyncio.run, _make(file)).result()
        return file.read_bytes()


async def _make(file: Path) -> None:
    engine = create_engine(f"sqlite+aiosqlite:///{file}")
    await real.migrate(engine)
    await engine.dispose()
