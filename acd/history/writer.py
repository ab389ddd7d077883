"""From the outbox in Redis into SQL: in batches, each record once, patient with either being away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import Insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from acd import tasks
from acd.calls.record import NODE_DIED, CallRecord
from acd.database import writing
from acd.history.journal import Journal, decode_record, outbox_key, reply
from acd.history.tables import records

log = structlog.get_logger(__name__)

BATCH = 500
_KEPT_REFUSED = 1000
_REDIS_SECONDS = 5.0
_SQL_SECONDS = 30.0
_FIRST_RETRY_SECONDS = 0.25
_LONGEST_RETRY_SECONDS = 4.0

_UNFIT = (IntegrityError, DataError, ValueError, OverflowError, TypeError)
"""What the database says of a record that it will never take."""


class HistoryWriter:
    """Owns the journal of this node and the way of its records into SQL.

    `linger_seconds` gathers records before a transaction; `look_seconds` is how often it looks for records
    that others left in the outbox.
    """

    def __init__(
        self,
        redis: Redis,
        engine: AsyncEngine,
        *,
        site: str,
        node: str,
        linger_seconds: float = 0.5,
        look_seconds: float = 5.0,
    ) -> None:
        self._redis = redis
        self._engine = engine
        self._outbox = outbox_key(site)
        self._refused = f"{self._outbox}-refused"
        self._linger = linger_seconds
        self._look = look_seconds
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.journal = Journal(redis, site=site, node=node, on_outbox=self._wake.set)

    async def start(self) -> None:
        """Begin to write; what an earlier run left in the outbox goes first."""
        self._tasks = [
            asyncio.create_task(self.journal.run(), name="history-journal"),
            asyncio.create_task(self._run(), name="history-drain"),
        ]
        for task in self._tasks:
            task.add_done_callback(_report)

    async def stop(self, within_seconds: float = 5.0) -> None:
        """Bring everything into SQL, as far as that is possible within the time; the rest stays in Redis.

        Records that Redis does not take in two fifths of the time go into SQL without it.
        """
        deadline = asyncio.get_running_loop().time() + within_seconds
        try:
            async with asyncio.timeout(0.4 * within_seconds):
                await self.journal.flush()
        except TimeoutError:
            log.error("calls could not be written to redis before the end", waiting=self.journal.waiting)
        await tasks.end(*self._tasks)
        self._tasks = []
        try:
            async with asyncio.timeout_at(deadline):
                if unsaid := self.journal.unsaid():
                    await self._store(unsaid)
                while await self.drain() == BATCH:
                    pass
        except (RedisError, SQLAlchemyError, OSError) as error:
            log.error(
                "records stay in the outbox until the next start", error=str(error) or "no answer in time"
            )

    async def drain(self) -> int:
        """Move one batch from the outbox into SQL; how many. Raises RedisError, SQLAlchemyError, OSError."""
        async with asyncio.timeout(_REDIS_SECONDS):
            batch: list[bytes] = await reply(self._redis.lrange(self._outbox, 0, BATCH - 1))
        if not batch:
            return 0
        async with asyncio.timeout(_SQL_SECONDS):
            refused = await self._store(batch)
        async with asyncio.timeout(_REDIS_SECONDS):
            await self._clear(batch, refused)
        return len(batch)

    async def _run(self) -> None:
        pause = 0.0
        while True:
            try:
                full = await self.drain() == BATCH
            except (RedisError, SQLAlchemyError, OSError) as error:
                if not pause:
                    log.error("records wait in the outbox", error=str(error) or "no answer in time")
                pause = min(max(pause * 2, _FIRST_RETRY_SECONDS), _LONGEST_RETRY_SECONDS)
                await asyncio.sleep(pause)
                continue
            if pause:
                log.info("records leave the outbox again")
            pause = 0.0
            if not full:
                await self._news()

    async def _news(self) -> None:
        try:
            async with asyncio.timeout(self._look):
                await self._wake.wait()
        except TimeoutError:
            return
        await asyncio.sleep(self._linger)
        self._wake.clear()

    async def _store(self, batch: Sequence[bytes]) -> list[bytes]:
        """Commit the batch; returns those that can never be stored."""
        rows: dict[bytes, dict[str, Any]] = {}
        refused = []
        for data in batch:
            try:
                rows[data] = _row(decode_record(data))
            except msgspec.DecodeError as error:
                log.error("record cannot be read; set aside", error=str(error), key=self._refused)
                refused.append(data)
        if not rows:
            return refused
        try:
            async with writing(self._engine) as connection:
                await self._insert(connection, list(rows.values()))
        except (*_UNFIT, StatementError) as error:
            if _may_pass(error):
                raise
            refused += await self._store_singly(rows)
        return refused

    async def _store_singly(self, rows: dict[bytes, dict[str, Any]]) -> list[bytes]:
        refused = []
        for data, row in rows.items():
            try:
                async with writing(self._engine) as connection:
                    await self._insert(connection, [row])
            except (*_UNFIT, StatementError) as error:
                if _may_pass(error):
                    raise
                log.error("record cannot be stored; set aside", call_id=row["id"], error=str(error))
                refused.append(data)
        return refused

    async def _insert(self, connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
        await connection.execute(_keep_one(self._engine.dialect.name), rows)

    async def _clear(self, batch: Sequence[bytes], refused: Sequence[bytes]) -> None:
        # By value: another node may be clearing the same ones.
        async with self._redis.pipeline(transaction=True) as transaction:
            for data in batch:
                transaction.lrem(self._outbox, 1, data)  # type: ignore[arg-type]
            if refused:
                transaction.rpush(self._refused, *refused)
                transaction.ltrim(self._refused, -_KEPT_REFUSED, -1)
            await transaction.execute()


def _keep_one(dialect: str) -> Insert:
    """The first record of a call stays, unless it was written by others who took its node for dead."""
    insert = postgresql.insert(records) if dialect == "postgresql" else sqlite.insert(records)
    return insert.on_conflict_do_update(
        index_elements=["id"],
        set_={column.name: column for column in insert.excluded if column.name != "id"},
        where=(records.c.cause == NODE_DIED) & (insert.excluded.cause != NODE_DIED),
    )


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("history task ended", task=task.get_name(), exc_info=error)


def _may_pass(error: Exception) -> bool:
    """Whether it is the database that ails (locked, full, away), and not the record.

    SQLAlchemy wraps what a driver's own conversion raises in a bare StatementError.
    """
    if isinstance(error, _UNFIT):
        return False
    return not (type(error) is StatementError and isinstance(error.orig, _UNFIT))


def _row(record: CallRecord) -> dict[str, Any]:
    row = {name: _storable(getattr(record, name)) for name in record.__struct_fields__}
    lists = {name: msgspec.to_builtins(row[name]) for name in ("segments", "attempts")}
    return {**row, **lists}


def _storable(value: Any) -> Any:
    # PostgreSQL has no NUL in texts.
    return value.replace("\x00", "") if isinstance(value, str) else value
