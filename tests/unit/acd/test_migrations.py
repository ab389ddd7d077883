"""The tables: made from nothing, left alone when they are there, and the same as the code says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

import acd.control.tokens
import acd.directory.tables
import acd.history.tables
from acd.database import create_engine, metadata, reading, writing
from acd.errors import ConfigError
from acd.history.migrate import migrate

_OWNERS = (acd.control.tokens, acd.directory.tables, acd.history.tables)
"""Who adds tables to the metadata."""


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    opened = create_engine(f"sqlite+aiosqlite:///{tmp_path}/acd.sqlite3")
    yield opened
    await opened.dispose()


async def schema(engine: AsyncEngine) -> list[str]:
    async with reading(engine) as connection:
        rows = await connection.execute(
            text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY 1")
        )
        return list(rows.scalars())


async def test_from_nothing_come_the_tables_that_the_code_works_with(engine: AsyncEngine) -> None:
    await migrate(engine)
    async with reading(engine) as connection:
        difference = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), metadata)
        )
    assert difference == []


async def test_a_second_time_changes_nothing(engine: AsyncEngine) -> None:
    await migrate(engine)
    before = await schema(engine)
    await migrate(engine)
    assert await schema(engine) == before


async def test_several_at_once_make_the_tables_once(tmp_path: Path) -> None:
    engines = [create_engine(f"sqlite+aiosqlite:///{tmp_path}/acd.sqlite3") for _ in range(4)]
    await asyncio.gather(*(migrate(engine) for engine in engines))
    assert len(await schema(engines[0])) > 8
    await asyncio.gather(*(engine.dispose() for engine in engines))


async def test_the_tables_of_a_newer_release_are_left_alone(engine: AsyncEngine) -> None:
    await migrate(engine)
    async with writing(engine) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    before = await schema(engine)
    with pytest.raises(ConfigError, match="belongs to another release of acd"):
        await migrate(engine)
    assert await schema(engine) == before


async def test_a_database_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite+aiosqlite:///{tmp_path}/no/such/folder/acd.sqlite3")
    with pytest.raises(ConfigError, match="cannot be used: unable to open"):
        await migrate(engine)
    await engine.dispose()
