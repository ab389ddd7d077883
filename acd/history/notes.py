"""What agents noted about calls, in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from sqlalchemy import RowMapping, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from acd.agents.notes import Note
from acd.database import reading, writing
from acd.history.tables import notes


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
        }
        async with writing(self._engine) as connection:
            await connection.execute(delete(notes).where(mine))
            await connection.execute(insert(notes).values(**row))

    async def of(self, call_id: str) -> Sequence[Note]:
        """The notes about one call, the earliest first."""
        async with reading(self._engine) as connection:
            return (await notes_of(connection, [call_id])).get(call_id, ())


async def notes_of(connection: AsyncConnection, call_ids: Sequence[str]) -> Mapping[str, tuple[Note, ...]]:
    """The notes about each of these calls that has any, the earliest first."""
    query = select(notes).where(notes.c.call_id.in_(call_ids)).order_by(notes.c.given_at, notes.c.agent)
    found: dict[str, tuple[Note, ...]] = {}
    for row in (await connection.execute(query)).mappings():
        found[row["call_id"]] = (*found.get(row["call_id"], ()), _note(row))
    return found


def _note(row: RowMapping) -> Note:
    return Note(**{**row, "fields": MappingProxyType(row["fields"])})
