"""Numbers put on caller lists, or taken off, while the service runs: in SQL, followed by every node."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from acd.clock import Clock
from acd.database import reading, writing
from acd.directory.tables import listed, listed_state
from acd.errors import AcdError
from acd.polling import Poll

MOST_NUMBERS = 100_000
"""Of one list, beside those of the directory."""
_TAKEN_OFF_KEPT_SECONDS = 86_400.0
_TRUSTED_SECONDS = 3_600.0
"""Who has not heard from the database for so long reads everything anew. Less than the above."""

log = structlog.get_logger(__name__)


class ListFull(AcdError):
    """A list holds MOST_NUMBERS already."""

    cause = "list-full"


@dataclass(frozen=True, slots=True)
class ListedNumber:
    """A number on a list; `changed_at` in seconds since the epoch."""

    number: str
    note: str
    changed_at: float
    changed_by: str


@dataclass(frozen=True, slots=True)
class ListChange:
    revision: int
    list: str
    number: str
    removed: bool


class ListStore:
    """Every method raises sqlalchemy.exc.SQLAlchemyError where the database does."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def put(self, name: str, number: str, note: str, by: str) -> None:
        """Put a number on a list; one that is there gets the note. Raises ListFull."""
        async with writing(self._engine) as connection:
            revision = await _next_revision(connection)
            there = listed.c.list == name, listed.c.removed.is_(False)
            count = select(func.count()).select_from(listed).where(*there, listed.c.number != number)
            if (await connection.execute(count)).scalar_one() >= MOST_NUMBERS:
                raise ListFull(f"list {name!r} has {MOST_NUMBERS} numbers; take some off, or use prefixes")
            values = {"revision": revision, "removed": False, "note": note}
            await self._write(connection, name, number, {**values, "changed_by": by})

    async def remove(self, name: str, number: str, by: str) -> bool:
        """Take a number off a list. False where it is not on it."""
        async with writing(self._engine) as connection:
            there = (listed.c.list == name, listed.c.number == number, listed.c.removed.is_(False))
            if (await connection.execute(select(listed.c.number).where(*there))).first() is None:
                return False
            revision = await _next_revision(connection)
            values = {"revision": revision, "removed": True, "note": "", "changed_by": by}
            await self._write(connection, name, number, values)
            past = self._clock.time() - _TAKEN_OFF_KEPT_SECONDS
            await connection.execute(
                delete(listed).where(listed.c.removed.is_(True), listed.c.changed_at < past)
            )
            return True

    async def _write(
        self, connection: AsyncConnection, name: str, number: str, values: dict[str, object]
    ) -> None:
        values = {**values, "changed_at": self._clock.time()}
        this = (listed.c.list == name, listed.c.number == number)
        if (await connection.execute(update(listed).where(*this).values(**values))).rowcount == 0:
            await connection.execute(insert(listed).values(list=name, number=number, **values))

    async def of(self, name: str, after: str = "", limit: int = 100) -> Sequence[ListedNumber]:
        """Those on a list, in the order of their numbers, from the one behind `after` on."""
        columns = listed.c
        query = (
            select(columns.number, columns.note, columns.changed_at, columns.changed_by)
            .where(columns.list == name, columns.removed.is_(False), columns.number > after)
            .order_by(columns.number)
            .limit(limit)
        )
        async with reading(self._engine) as connection:
            return [ListedNumber(*row) for row in (await connection.execute(query)).all()]

    async def changes(self, since: int) -> Sequence[ListChange]:
        """What changed after a revision, in order."""
        columns = listed.c
        query = (
            select(columns.revision, columns.list, columns.number, columns.removed)
            .where(columns.revision > since)
            .order_by(columns.revision)
        )
        async with reading(self._engine) as connection:
            return [ListChange(*row) for row in (await connection.execute(query)).all()]


async def _next_revision(connection: AsyncConnection) -> int:
    """The row is locked until the end of the transaction, so that no change is seen before an earlier one."""
    this = listed_state.c.id == 1
    await connection.execute(update(listed_state).where(this).values(revision=listed_state.c.revision + 1))
    found: int = (await connection.execute(select(listed_state.c.revision).where(this))).scalar_one()
    return found


class ListWatcher:
    """Keeps the members of all lists in memory. `start` loads them and looks for changes until `stop`."""

    def __init__(self, store: ListStore, clock: Clock, every_seconds: float = 1.0) -> None:
        self._store = store
        self._clock = clock
        self._members: dict[str, set[str]] = {}
        self._revision = -1
        self._heard_at = clock.monotonic()
        self._polling = asyncio.Lock()
        # Calls go on with the lists that we have.
        self._watch = Poll(self.poll, every_seconds, "caller lists cannot be read; keeping those in use")

    def members(self, name: str) -> Collection[str]:
        return self._members.get(name, frozenset())

    async def start(self) -> None:
        """Raises SQLAlchemyError where the lists cannot be loaded."""
        await self.poll()
        self._watch.start()

    async def stop(self) -> None:
        await self._watch.stop()

    async def poll(self) -> None:
        """Take what changed."""
        async with self._polling:
            stale = self._clock.monotonic() - self._heard_at > _TRUSTED_SECONDS
            changes = await self._store.changes(-1 if stale else self._revision)
            self._heard_at = self._clock.monotonic()
            if stale:
                self._members = {}
            for change in changes:
                members = self._members.setdefault(change.list, set())
                (members.discard if change.removed else members.add)(change.number)
                self._revision = change.revision

    async def put(self, name: str, number: str, note: str, by: str) -> None:
        """As ListStore.put; this node knows at once."""
        await self._store.put(name, number, note, by)
        await self.poll()

    async def remove(self, name: str, number: str, by: str) -> bool:
        """As ListStore.remove; this node knows at once."""
        done = await self._store.remove(name, number, by)
        await self.poll()
        return done

    async def of(self, name: str, after: str = "", limit: int = 100) -> Sequence[ListedNumber]:
        """As ListStore.of."""
        return await self._store.of(name, after, limit)
