"""Who is not to be called: numbers as E.164, and beginnings of numbers, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from acd.clock import Clock
from acd.database import reading, writing
from acd.directory.tables import do_not_call

ANY_MORE = "*"
"""At the end of an entry: all numbers that begin so."""

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Listed:
    """`added_at` in seconds since the epoch."""

    entry: str
    note: str
    added_at: float


class DoNotCallList:
    """Every method raises sqlalchemy.exc.SQLAlchemyError where the database does."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def forbids(self, number: str) -> bool:
        """Whether the number stands there, or a beginning of it. One look-up, however long the list."""
        entries = [number, *(number[:length] + ANY_MORE for length in range(1, len(number) + 1))]
        query = select(do_not_call.c.entry).where(do_not_call.c.entry.in_(entries)).limit(1)
        async with reading(self._engine) as connection:
            return (await connection.execute(query)).first() is not None

    async def add(self, entries: Sequence[str], note: str) -> int:
        """Put entries on the list; how many of them were new."""
        wanted = list(dict.fromkeys(entries))
        added = 0
        async with writing(self._engine) as connection:
            for start in range(0, len(wanted), _AT_ONCE):
                part = wanted[start : start + _AT_ONCE]
                known = select(do_not_call.c.entry).where(do_not_call.c.entry.in_(part))
                there = set((await connection.execute(known)).scalars())
                rows = [
                    {"entry": entry, "note": note, "added_at": self._clock.time()}
                    for entry in part
                    if entry not in there
                ]
                if rows:
                    await connection.execute(insert(do_not_call), rows)
                added += len(rows)
        return added

    async def remove(self, entry: str) -> bool:
        """Take an entry off the list. False where it is not there."""
        async with writing(self._engine) as connection:
            done = await connection.execute(delete(do_not_call).where(do_not_call.c.entry == entry))
        return done.rowcount > 0

    async def entries(self, after: str, limit: int) -> Sequence[Listed]:
        """The entries after one, in their order."""
        query = select(do_not_call).where(do_not_call.c.entry > after).order_by(do_not_call.c.entry)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query.limit(limit))).mappings().all()
        return [Listed(**row) for row in rows]

    async def count(self) -> int:
        async with reading(self._engine) as connection:
            return (await connection.execute(select(func.count()).select_from(do_not_call))).scalar_one()
