"""The SQL database: one engine, one metadata, and what makes SQLite fit for a service.

Tables stand in the package that owns them and join `metadata`; acd.history.migrations makes them.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakSet

import aiosqlite
import structlog
from sqlalchemy import Connection, Engine, MetaData, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from acd.config import Settings
from acd.errors import ConfigError

log = structlog.get_logger(__name__)

BUSY_TIMEOUT_MS = 10_000
"""How long a writer of SQLite waits for another one."""

_WRITES = "acd_writes"
_WAL_PAUSE_SECONDS = 0.01
_THREAD_SECONDS = 5.0

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)


def open_engine(settings: Settings) -> AsyncEngine:
    """An engine for the configured database; the embedded one gets its folder. Raises ConfigError."""
    if not settings.database.url:
        _prepare_embedded(settings)
    return create_engine(settings.database_url)


def create_engine(url: str) -> AsyncEngine:
    """An engine for `url` (SQLite by aiosqlite, or PostgreSQL). Connects at first use. Raises ConfigError."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise ConfigError(f"database.url: {parsed.drivername} is not served; use sqlite or postgresql")
        engine = create_async_engine(parsed, pool_pre_ping=parsed.get_backend_name() == "postgresql")
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigError(f"database.url is not one that SQLAlchemy knows: {error}") from error
    except ModuleNotFoundError as error:
        raise ConfigError(f"database.url needs the Python package {error.name}; install it") from error
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine.sync_engine, parsed)
    return engine


@asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction that writes: committed at the end, undone on an error.

    SQLite's write lock is taken at its beginning, since one taken later fails at once where another
    connection wrote in between.
    """
    async with engine.connect() as connection:
        await connection.execution_options(**{_WRITES: True})
        async with connection.begin():
            yield connection


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One consistent view of the database for several queries."""
    async with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execution_options(isolation_level="REPEATABLE READ")
        async with connection.begin():
            yield connection


async def _write_ahead(driver: aiosqlite.Connection) -> None:
    """Readers and a writer side by side. While another connection makes this first change of a new file,
    SQLite says at once that it is locked, whatever the busy timeout.
    """
    async with asyncio.timeout(BUSY_TIMEOUT_MS / 1000):
        while True:
            try:
                async with driver.execute("PRAGMA journal_mode = WAL"):
                    return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
            await asyncio.sleep(_WAL_PAUSE_SECONDS)


def _prepare_embedded(settings: Settings) -> None:
    folder = settings.node.data_dir
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Password hashes lie in it: for our own eyes (its -wal and -shm take over the mode).
        os.close(os.open(folder / "acd.sqlite3", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise ConfigError(f"node.data_dir: cannot keep the database in {folder}: {error.strerror}") from error


def _prepare_sqlite(engine: Engine, url: URL) -> None:
    in_memory = not url.database or url.database == ":memory:"

    _end_threads_with(engine)

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # The driver begins nothing by itself; `begin` below does.
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        if not in_memory:
            connection.run_async(_write_ahead)
        # A record leaves the outbox once it is committed, so the commit has to be on the disk.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _end_threads_with(engine: Engine) -> None:
    """Once the engine is disposed, no thread of its connections is left.

    A query that is cancelled takes its connection along, out of the pool, and that one's thread goes on with
    the query. It would tell the result to an event loop that may be closed by then.
    """
    threads: WeakSet[threading.Thread] = WeakSet()

    def connect(*arguments: Any, **options: Any) -> aiosqlite.Connection:
        connection = aiosqlite.connect(*arguments, **options)
        thread: threading.Thread = getattr(connection, "_thread", connection)  # type: ignore[arg-type]
        thread.daemon = True
        threads.add(thread)
        return connection

    @event.listens_for(engine, "do_connect")
    def noted(_dialect: object, _record: object, _arguments: object, options: dict[str, Any]) -> None:
        options["async_creator_fn"] = connect

    @event.listens_for(engine, "engine_disposed")
    def ended(_engine: Engine) -> None:
        await_only(_over(list(threads)))


async def _over(threads: Collection[threading.Thread]) -> None:
    deadline = asyncio.get_running_loop().time() + _THREAD_SECONDS
    for thread in threads:
        if thread.is_alive():
            left = max(0.0, deadline - asyncio.get_running_loop().time())
            await asyncio.to_thread(thread.join, left)
    if left_open := sum(thread.is_alive() for thread in threads):
        log.warning("database-connections-left-open", connections=left_open)
