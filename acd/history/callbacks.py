"""Callbacks in SQL beside the store, and put back from there into a Redis that has lost them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import structlog
from sqlalchemy import Executable, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from acd import tasks
from acd.calls.callbacks import entry_of, read_order
from acd.calls.kept_callbacks import KeptCallbacks
from acd.clock import Clock
from acd.database import writing
from acd.history.tables import callbacks
from routing.callbacks import Callback
from routing.ports import StoreUnavailable

log = structlog.get_logger(__name__)

RESTORED_AFTER_SECONDS = 5.0
"""Until then the other nodes have written down what they know, and said what they are at."""
_BATCH = 200
_MOST_WAITING = 20_000
_LINGER_SECONDS = 0.2
_RETRY_SECONDS = 2.0
_REMEMBERED_SECONDS = 2 * 86_400.0
_FORGET_EVERY_SECONDS = 3_600.0
_LONGEST_ATTEMPT_SECONDS = 3_600.0
_STILL_RUNG_SECONDS = 60.0
"""An attempt of which no more was heard may go on at a node that lives: so long nobody makes another."""


@dataclass(frozen=True, slots=True)
class _Row:
    document: str
    attempts: int
    making: bool
    changed_at: float


class SqlRegister:
    """Written behind: words wait in memory while the database is away, up to 20,000 of them."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._waiting: deque[Executable] = deque(maxlen=_MOST_WAITING)
        self._stirred = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._forget_at = 0.0

    # What is written down.

    def noted(self, callback: Callback) -> None:
        """It is to be made."""
        self._write(self._kept(callback.id, callback.document, callback.expires_ms / 1000, ""))

    def began(self, callback_id: str, attempt: int) -> None:
        """The customer is being called."""
        self._change(callback_id, attempt, making=True)

    def rests(self, callback_id: str, attempt: int) -> None:
        """That came to nothing; there may be a next."""
        self._change(callback_id, attempt, making=False)

    def ended(self, callback_id: str, how: str) -> None:
        """It is never to be made again. Nothing of whom it was for is kept."""
        ending = {"ended": how, "document": "", "making": False, "changed_at": self._clock.time()}
        insert = self._kept(callback_id, "", 0.0, how)
        self._write(insert)
        self._write(update(callbacks).where(callbacks.c.id == callback_id).values(**ending))

    def _change(self, callback_id: str, attempt: int, *, making: bool) -> None:
        known = (callbacks.c.id == callback_id) & (callbacks.c.attempts <= attempt)
        now = self._clock.time()
        self._write(update(callbacks).where(known).values(attempts=attempt, making=making, changed_at=now))

    def _kept(self, callback_id: str, document: str, expires_at: float, ended: str) -> Executable:
        """A row that is there stays as it is: another node may have been faster."""
        row = {
            "id": callback_id,
            "document": document,
            "attempts": 0,
            "making": False,
            "changed_at": self._clock.time(),
            "expires_at": expires_at,
            "ended": ended,
        }
        insert = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        return insert(callbacks).values(**row).on_conflict_do_nothing(index_elements=["id"])

    def _write(self, statement: Executable) -> None:
        if len(self._waiting) == _MOST_WAITING:
            log.error("callback-not-written-down", waiting=_MOST_WAITING)
        self._waiting.append(statement)
        self._stirred.set()

    # Writing.

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="callback-register")

    async def stop(self) -> None:
        """What waits is written first, if the database takes it."""
        await tasks.end(self._task)
        try:
            await self.flush()
        except (SQLAlchemyError, OSError) as error:
            log.error("callbacks-not-written-down", waiting=len(self._waiting), error=str(error))

    async def flush(self) -> None:
        """Write everything that waits. Raises SQLAlchemyError, OSError."""
        while self._waiting:
            batch = [self._waiting[n] for n in range(min(_BATCH, len(self._waiting)))]
            async with writing(self._engine) as connection:
                for statement in batch:
                    await connection.execute(statement)
            for _ in batch:
                self._waiting.popleft()

    async def _run(self) -> None:
        away = False
        while True:
            try:
                await self.flush()
                await self._forget()
            except (SQLAlchemyError, OSError) as error:
                if not away:
                    log.error("callbacks-wait-for-the-database", error=str(error))
                away = True
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            away = False
            self._stirred.clear()
            if not self._waiting:
                await self._stirred.wait()
            await asyncio.sleep(_LINGER_SECONDS)

    async def _forget(self) -> None:
        now = self._clock.time()
        if now < self._forget_at:
            return
        self._forget_at, before = now + _FORGET_EVERY_SECONDS, now - _REMEMBERED_SECONDS
        over = (callbacks.c.ended != "") & (callbacks.c.changed_at < before)
        expired = (callbacks.c.expires_at > 0) & (callbacks.c.expires_at < before)
        async with writing(self._engine) as connection:
            await connection.execute(delete(callbacks).where(over | expired))

    # What a store that lost everything is to be told.

    async def open(self) -> Sequence[Callback]:
        """Those that have not ended, with the attempts that were made. Raises SQLAlchemyError, OSError."""
        await self.flush()
        now = self._clock.time()
        lasts = (callbacks.c.expires_at == 0) | (callbacks.c.expires_at > now)
        wanted = select(callbacks).where((callbacks.c.ended == "") & lasts)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(wanted)).mappings().all()
        found = []
        for row in rows:
            kept = _Row(row["document"], row["attempts"], row["making"], row["changed_at"])
            if (callback := self._callback(row["id"], kept, now)) is not None:
                found.append(callback)
        return found

    def _callback(self, callback_id: str, row: _Row, now: float) -> Callback | None:
        try:
            callback = callback_of(row.document, row.attempts, row.making, row.changed_at, now)
        except msgspec.MsgspecError:
            log.exception("callback-unreadable", callback=callback_id)
            return None
        if callback is None:
            self.ended(callback_id, "failed")
        return callback


def callback_of(document: str, attempts: int, making: bool, changed_at: float, now: float) -> Callback | None:
    """What was written down as the store is told of it; None where all attempts were made.

    Raises msgspec.MsgspecError.
    """
    order = read_order(document)
    entry, made, due = entry_of(order), attempts, order.due_at
    if making and now - changed_at < _LONGEST_ATTEMPT_SECONDS:
        made, due = attempts - 1, now + order.ring_seconds + _STILL_RUNG_SECONDS
    elif attempts:
        due = changed_at + order.interval_seconds
    return None if made >= order.attempts else replace(entry, due_ms=round(due * 1000), made=made)


class CallbackRestorer:
    """Puts back what the store lacks: as the node starts, and after the store has lost something."""

    def __init__(self, kept: KeptCallbacks, clock: Clock, tell: Callable[[int], Any]) -> None:
        """`tell` hears how many were put back, where there were any."""
        self._kept = kept
        self._clock = clock
        self._tell = tell
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def ask(self) -> None:
        """The store may lack something."""
        self._asked.set()

    def start(self) -> None:
        self.ask()
        self._task = asyncio.create_task(self._run(), name="callback-restorer")

    async def stop(self) -> None:
        await tasks.end(self._task)

    async def _run(self) -> None:
        while True:
            await self._asked.wait()
            await asyncio.sleep(RESTORED_AFTER_SECONDS)
            self._asked.clear()
            try:
                if restored := await self._kept.restore(round(self._clock.time() * 1000)):
                    self._tell(restored)
            except (SQLAlchemyError, StoreUnavailable, OSError) as error:
                log.error("callbacks-not-restored", error=str(error))
                self._asked.set()
            except Exception:
                log.exception("callbacks-not-restored")
