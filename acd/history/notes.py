"""What agents noted about calls, in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from sqlalchemy import ColumnElement, RowMapping, delete, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from acd.agents.notes import Note, Owed
from acd.database import reading, writing
from acd.history.tables import note_duties, notes


class NoteStore:
    """Every method raises sqlalchemy.exc.SQLAlchemyError where the database does."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def put(self, note: Note) -> None:
        """Keep a note; it replaces an earlier one of the same agent and call."""
        mine = (notes.c.call_id == note.call_id) & (notes.c.agent == note.agent)
        row = {
            "call_id": note.call_id,
            "agent": note.agent,
            "queue": note.queue,
            "code": note.code,
            "fields": dict(note.fields),
            "given_at": note.given_at,
            "complete": note.complete,
        }
        async with writing(self._engine) as connection:
            await connection.execute(delete(notes).where(mine))
            await connection.execute(insert(notes).values(**row))

    async def expect(self, call_id: str, agent: str, queue: str, due_at: float) -> None:
        """The queue requires a note about this conversation, by this time; the last one of the two counts."""
        mine = (note_duties.c.call_id == call_id) & (note_duties.c.agent == agent)
        row = {"call_id": call_id, "agent": agent, "queue": queue, "due_at": due_at}
        async with writing(self._engine) as connection:
            await connection.execute(delete(note_duties).where(mine))
            await connection.execute(insert(note_duties).values(**row))

    async def fall_due(self, call_id: str, agent: str, now: float) -> bool:
        """The wrap-up has ended. Whether the note is missing."""
        mine = (note_duties.c.call_id == call_id) & (note_duties.c.agent == agent)
        async with writing(self._engine) as connection:
            await connection.execute(
                update(note_duties).where(mine, note_duties.c.due_at > now).values(due_at=now)
            )
            found = await connection.execute(select(note_duties.c.call_id).where(mine, _unfulfilled()))
            return found.first() is not None

    async def owed(self, agent: str, since: float) -> Owed | None:
        """The newest conversation of an agent whose wrap-up ended since then and that lacks its note."""
        query = select(note_duties.c.call_id, note_duties.c.queue)
        query = query.where(note_duties.c.agent == agent, note_duties.c.due_at >= since, _unfulfilled())
        async with reading(self._engine) as connection:
            row = (await connection.execute(query.order_by(note_duties.c.due_at.desc()).limit(1))).first()
        return Owed(row.call_id, row.queue) if row else None

    async def of(self, call_id: str) -> Sequence[Note]:
        """The notes about one call, the earliest first."""
        async with reading(self._engine) as connection:
            return (await notes_of(connection, [call_id])).get(call_id, ())


def _unfulfilled() -> ColumnElement[bool]:
    """Of a duty: there is no complete note."""
    mine = (notes.c.call_id == note_duties.c.call_id) & (notes.c.agent == note_duties.c.agent)
    return ~exists().where(mine, notes.c.complete)


def note_missing(call_id: ColumnElement[str], now: float) -> ColumnElement[bool]:
    """Of a call: some agent's wrap-up has ended without the note that the queue requires."""
    return exists().where(note_duties.c.call_id == call_id, note_duties.c.due_at <= now, _unfulfilled())


async def calls_without_note(
    connection: AsyncConnection, call_ids: Sequence[str], now: float
) -> frozenset[str]:
    """Those of these calls that lack a note."""
    query = select(note_duties.c.call_id).where(
        note_duties.c.call_id.in_(call_ids), note_duties.c.due_at <= now, _unfulfilled()
    )
    return frozenset((await connection.execute(query)).scalars())


async def notes_of(connection: AsyncConnection, call_ids: Sequence[str]) -> Mapping[str, tuple[Note, ...]]:
    """The notes about each of these calls that has any, the earliest first."""
    query = select(notes).where(notes.c.call_id.in_(call_ids)).order_by(notes.c.given_at, notes.c.agent)
    found: dict[str, tuple[Note, ...]] = {}
    for row in (await connection.execute(query)).mappings():
        found[row["call_id"]] = (*found.get(row["call_id"], ()), _note(row))
    return found


def _note(row: RowMapping) -> Note:
    return Note(**{**row, "fields": MappingProxyType(row["fields"])})
