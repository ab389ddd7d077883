"""Brings the tables up to date. Run at every start, by whoever comes first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from acd.config import Settings
from acd.database import open_engine, reading, writing
from acd.errors import ConfigError

_SCRIPTS = Path(__file__).parent / "migrations"
_POSTGRESQL_LOCK = 7_202_501
"""Any number, as long as nothing else of this database uses it as an advisory lock."""


@asynccontextmanager
async def migrated(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """The database of these settings, up to date and open for so long. Raises as `migrate` does."""
    engine = open_engine(settings)
    try:
        await migrate(engine)
        yield engine
    finally:
        await engine.dispose()


async def migrate(engine: AsyncEngine) -> None:
    """Make or change the tables; nothing where they are up to date. Safe from several processes at once.

    Raises ConfigError where the database cannot be used or belongs to a newer release.
    """
    try:
        async with reading(engine) as connection:
            if await connection.run_sync(_is_current):
                return
        async with writing(engine) as connection:
            if engine.dialect.name == "postgresql":
                await connection.execute(
                    text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRESQL_LOCK}
                )
            await connection.run_sync(_upgrade)
    except (DBAPIError, OSError) as error:
        # The password in the URL is hidden by SQLAlchemy.
        url = engine.url.render_as_string()
        raise ConfigError(f"the database {url} cannot be used: {getattr(error, 'orig', error)}") from error


def _is_current(connection: Connection) -> bool:
    from alembic.script import ScriptDirectory

    if not inspect(connection).has_table("alembic_version"):
        return False
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    return found == [ScriptDirectory(str(_SCRIPTS)).get_current_head()]


def _upgrade(connection: Connection) -> None:
    # Takes a tenth of a second to import, and most starts do not get here.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigError(
            f"the database belongs to another release of acd ({error}); start that one, or restore a backup"
        ) from error
