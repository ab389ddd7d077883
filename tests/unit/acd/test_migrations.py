"""The tables: made from nothing, left alone when they are there, and the same as the code says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

import acd.control.tokens
import acd.directory.tables
import acd.history.tables
import acd.voicemail.tables
from acd.database import create_engine, metadata, reading, writing
from acd.directory.model import Refusals
from acd.directory.store import DirectoryStore
from acd.errors import ConfigError
from acd.history.migrate import migrate
from tests.support.clock import FakeClock

_OWNERS = (acd.control.tokens, acd.directory.tables, acd.history.tables, acd.voicemail.tables)
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


def upgrade_to(revision: str) -> Callable[[Connection], None]:
    def upgrade(connection: Connection) -> None:
        config = Config()
        config.set_main_option(
            "script_location", str(Path(acd.history.tables.__file__).parent / "migrations")
        )
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    return upgrade


async def test_what_agents_had_of_their_phones_is_kept_as_profiles(engine: AsyncEngine) -> None:
    columns = "id, extension, name, ha1_md5, ha1_sha256, skills, sign_in, team, srtp, auto_answer"
    async with writing(engine) as connection:
        await connection.run_sync(upgrade_to("0009"))
        for name, srtp in (("anna", "require"), ("bela", "off"), ("cleo", "require")):
            row = f"'{name}', '{name}', '', '', '', '{{}}', 'api', '', '{srtp}', 'off'"
            await connection.execute(text(f"INSERT INTO agents ({columns}) VALUES ({row})"))
        await connection.run_sync(upgrade_to("head"))
        agents = await connection.execute(text("SELECT id, device FROM agents ORDER BY id"))
        devices = await connection.execute(text("SELECT name, srtp, auto_answer FROM devices"))
        assert agents.all() == [("anna", "srtp-require_off"), ("bela", ""), ("cleo", "srtp-require_off")]
        assert devices.all() == [("srtp-require_off", "require", "off")]


async def test_how_often_agents_may_not_answer_is_kept_as_a_rule(engine: AsyncEngine) -> None:
    async with writing(engine) as connection:
        await connection.run_sync(upgrade_to("0012"))
        names = "name, requires, strategy, ring_seconds, wrapup_seconds, service_level_seconds"
        names += ", announce_position_seconds, music, not_answering_after"
        for name, after in (("usual", 3), ("strict", 1)):
            row = f"'{name}', '{{}}', 'linear', 9, 0, 20, 0, 'none', {after}"
            await connection.execute(text(f"INSERT INTO queues ({names}) VALUES ({row})"))
        await connection.run_sync(upgrade_to("head"))
    queues = (await DirectoryStore(engine, FakeClock()).load()).queues
    assert queues["usual"].refusals == Refusals()
    after = queues["strict"].refusals
    assert (after.no_answer.not_answering_after, after.unreachable.not_answering_after) == (1, 1)
    assert (after.no_answer.rest_seconds, after.busy) == (0.0, Refusals().busy)
