"""Call records out of SQL, newest first, page by page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from sqlalchemy import ColumnElement, RowMapping, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from acd.agents.notes import Note, RefusedCall
from acd.calls.record import CallRecord
from acd.clock import Clock
from acd.database import reading
from acd.history.cursor import make_cursor, open_cursor
from acd.history.notes import calls_without_note, note_missing, notes_of
from acd.history.refusals import refusals_of
from acd.history.tables import records

MAX_LIMIT = 1000


class Filters(Protocol):
    """Which records; None matches all. `since` (inclusive) and `until` (exclusive) are for the start of the
    call, in seconds since the epoch."""

    @property
    def queue(self) -> str | None: ...
    @property
    def agent(self) -> str | None: ...
    @property
    def outcome(self) -> str | None: ...
    @property
    def note_missing(self) -> bool | None: ...
    @property
    def since(self) -> float | None: ...
    @property
    def until(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class RecordPage:
    """`next_cursor` is where the next page begins; None on the last."""

    records: tuple[CallRecord, ...]
    next_cursor: str | None
    notes: Mapping[str, tuple[Note, ...]] = field(default_factory=dict)
    """What agents noted about these calls, by call."""
    without_note: frozenset[str] = frozenset()
    """Those of these calls that lack a note which a queue requires."""
    refusals: Mapping[str, Mapping[str, RefusedCall]] = field(default_factory=dict)
    """Why agents did not take these calls, by call and agent."""


class RecordReader:
    """Every method raises sqlalchemy.exc.SQLAlchemyError where the database does."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def records(self, filters: Filters, cursor: str | None = None, limit: int = 100) -> RecordPage:
        """One page, by the start of the calls. Records that come while one pages do not shift the pages.

        Raises ValueError for a cursor that is none of ours."""
        limit = max(1, min(limit, MAX_LIMIT))
        now = self._clock.time()
        query = select(records).where(*_conditions(filters))
        if filters.note_missing is not None:
            missing = note_missing(records.c.id, now)
            query = query.where(missing if filters.note_missing else ~missing)
        if cursor is not None:
            query = query.where(tuple_(records.c.started_at, records.c.id) < tuple_(*open_cursor(cursor)))
        query = query.order_by(records.c.started_at.desc(), records.c.id.desc()).limit(limit + 1)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).mappings().all()
            page = tuple(_record(row) for row in rows[:limit])
            ids = [record.id for record in page]
            notes = await notes_of(connection, ids)
            without = await calls_without_note(connection, ids, now)
            refusals = await refusals_of(connection, ids)
        more = make_cursor(page[-1].started_at, page[-1].id) if len(rows) > limit else None
        return RecordPage(page, more, notes, without, refusals)

    async def record(self, call_id: str) -> CallRecord | None:
        """The record of one call."""
        async with reading(self._engine) as connection:
            row = (
                (await connection.execute(select(records).where(records.c.id == call_id))).mappings().first()
            )
        return None if row is None else _record(row)


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    columns = records.c
    wanted: list[tuple[Any, Callable[[Any], ColumnElement[bool]]]] = [
        (filters.queue, columns.queue.__eq__),
        (filters.agent, columns.agent.__eq__),
        (filters.outcome, columns.outcome.__eq__),
        (filters.since, columns.started_at.__ge__),
        (filters.until, columns.started_at.__lt__),
    ]
    return [compare(value) for value, compare in wanted if value is not None]


def _record(row: RowMapping) -> CallRecord:
    # SQLAlchemy's column names are a kind of str that msgspec does not take for one.
    return msgspec.convert({str(name): value for name, value in row.items()}, CallRecord)
