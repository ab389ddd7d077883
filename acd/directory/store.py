"""The directory in SQL: read as one snapshot, changed in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import RowMapping, Table, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from acd.clock import Clock
from acd.database import reading, writing
from acd.directory import tables
from acd.directory.diff import Kind, compare
from acd.directory.model import (
    Directory,
)
from acd.directory.rows import ROWS, directory_of
from acd.errors import ConfigError

_TABLES: Mapping[Kind, Table] = {
    "trunk": tables.trunks,
    "number": tables.numbers,
    "skill": tables.skills,
    "queue": tables.queues,
    "agent": tables.agents,
    "code": tables.codes,
    "device": tables.devices,
    "box": tables.boxes,
    "webhook": tables.webhooks,
    "priority": tables.priorities,
    "caller-list": tables.caller_lists,
    "team": tables.teams,
    "route": tables.routes,
    "dialling": tables.dialling,
}


class DirectoryStore:
    """Every method raises sqlalchemy.exc.SQLAlchemyError where the database does."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def revision(self) -> int:
        """The number of the newest change; 0 before the first. Cheap: one row."""
        async with reading(self._engine) as connection:
            return (await _state(connection))[0]

    async def realm(self) -> str | None:
        """The realm that the passwords were hashed for; None before the first change."""
        async with reading(self._engine) as connection:
            return (await _state(connection))[1]

    async def load(self) -> Directory:
        """The whole directory as it was at one moment."""
        async with reading(self._engine) as connection:
            return await _load(connection)

    async def apply(self, wanted: Directory, *, realm: str, expected: int | None = None) -> int:
        """Make the directory equal to `wanted`; all of it or, on an error, nothing. Returns the revision.

        Without a difference nothing is written and the revision stays. `expected` is the revision that the
        change was looked at against; raises ConfigError where another change came in between.
        """
        async with writing(self._engine) as connection:
            current = await _load(connection)
            if expected is not None and current.revision != expected:
                raise ConfigError("the directory was changed by someone else meanwhile; apply it again")
            revision, applied_realm = await _state(connection)
            if not await _write(connection, current, wanted) and applied_realm in (realm, None):
                return revision
            state = {"revision": revision + 1, "realm": realm, "applied_at": self._clock.time()}
            done = await connection.execute(
                update(tables.state).where(tables.state.c.id == 1).values(**state)
            )
            if done.rowcount == 0:
                await connection.execute(insert(tables.state).values(id=1, **state))
            return revision + 1


async def _state(connection: AsyncConnection) -> tuple[int, str | None]:
    query = select(tables.state.c.revision, tables.state.c.realm).where(tables.state.c.id == 1)
    row = (await connection.execute(query)).one_or_none()
    return (row.revision, row.realm) if row else (0, None)


async def _load(connection: AsyncConnection) -> Directory:
    revision, _ = await _state(connection)
    rows = {kind: await _rows_of(connection, table) for kind, table in _TABLES.items()}
    return directory_of(revision, rows)


async def _write(connection: AsyncConnection, current: Directory, wanted: Directory) -> bool:
    """Write the difference; whether there was one."""
    changes = compare(current, wanted)
    for kind, table in _TABLES.items():
        key = next(iter(table.primary_key.columns))
        # A changed row goes and comes again, so that two agents may swap their extensions.
        gone = [change.name for change in changes if change.kind == kind and change.action != "add"]
        new = {change.name for change in changes if change.kind == kind and change.action != "remove"}
        if gone:
            await connection.execute(
                delete(table).where(key == bindparam("gone")), [{"gone": name} for name in gone]
            )
        if new:
            rows = [row for row in ROWS[kind](wanted) if row[key.name] in new]
            await connection.execute(insert(table), rows)
    return bool(changes)


async def _rows_of(connection: AsyncConnection, table: Table) -> Sequence[RowMapping]:
    return (await connection.execute(select(table))).mappings().all()
