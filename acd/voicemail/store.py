"""Voice messages in SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import RowMapping, case, delete, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncEngine

from acd.database import reading, writing
from acd.history.cursor import make_cursor, open_cursor
from acd.voicemail.model import BoxCount, Message
from acd.voicemail.tables import messages

MAX_LIMIT = 1000
_GONE = messages.c.deleted_at.is_not(None)
_THERE = messages.c.deleted_at.is_(None)
_FIELDS = [column for column in messages.c if column.name != "deleted_at"]


@dataclass(frozen=True, slots=True)
class MessagePage:
    """`next_cursor` is where the next page begins; None on the last."""

    messages: tuple[Message, ...]
    next_cursor: str | None


class MessageStore:
    """Every method raises sqlalchemy.exc.SQLAlchemyError where the database does."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, message: Message) -> bool:
        """Keep a message; False where one of its id is, or was, there."""
        row = {field: getattr(message, field) for field in message.__struct_fields__}
        async with writing(self._engine) as connection:
            known = await connection.execute(select(messages.c.id).where(messages.c.id == message.id))
            if known.first() is not None:
                return False
            await connection.execute(insert(messages).values(**row))
            return True

    async def counts(self) -> Mapping[str, BoxCount]:
        """Of every box that has messages."""
        new = func.sum(case((messages.c.heard_at.is_(None), 1), else_=0))
        query = select(messages.c.box, func.count(), new).where(_THERE).group_by(messages.c.box)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        return {box: BoxCount(int(unheard), int(count) - int(unheard)) for box, count, unheard in rows}

    async def of(self, box: str, cursor: str | None = None, limit: int = 100) -> MessagePage:
        """One page, the newest first. Raises ValueError for a cursor that is none of ours."""
        limit = max(1, min(limit, MAX_LIMIT))
        order = tuple_(messages.c.received_at, messages.c.id)
        query = select(*_FIELDS).where(_THERE, messages.c.box == box)
        if cursor is not None:
            query = query.where(order < tuple_(*open_cursor(cursor)))
        query = query.order_by(messages.c.received_at.desc(), messages.c.id.desc()).limit(limit + 1)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).mappings().all()
        page = tuple(map(_message, rows[:limit]))
        more = len(rows) > limit
        return MessagePage(page, make_cursor(page[-1].received_at, page[-1].id) if more else None)

    async def find(self, message_id: str) -> Message | None:
        query = select(*_FIELDS).where(_THERE, messages.c.id == message_id)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).mappings().first()
        return None if row is None else _message(row)

    async def mark(self, message_id: str, heard_at: float | None, by: str) -> bool:
        """Heard, by the first who did, or (None) new again. False where there is no such message."""
        values: dict[str, Any] = {"heard_at": heard_at, "heard_by": by if heard_at is not None else ""}
        change = update(messages).where(_THERE, messages.c.id == message_id)
        async with writing(self._engine) as connection:
            found = await connection.execute(
                select(messages.c.heard_at).where(_THERE, messages.c.id == message_id)
            )
            row = found.first()
            if row is not None and (heard_at is None or row.heard_at is None):
                await connection.execute(change.values(**values))
            return row is not None

    async def drop(self, message_id: str, now: float) -> bool:
        """Nobody hears of it any more. False where there is no such message."""
        change = update(messages).where(_THERE, messages.c.id == message_id).values(deleted_at=now)
        async with writing(self._engine) as connection:
            return (await connection.execute(change)).rowcount > 0

    async def expire(self, box: str, before: float, now: float) -> int:
        """Drop what came to a box before then; how many."""
        old = messages.c.received_at < before
        change = update(messages).where(_THERE, messages.c.box == box, old).values(deleted_at=now)
        async with writing(self._engine) as connection:
            return (await connection.execute(change)).rowcount

    async def dropped(self, most: int) -> Sequence[tuple[str, str, float]]:
        """Id, node and time of those that were dropped and whose rows are still here."""
        query = select(messages.c.id, messages.c.node, messages.c.deleted_at).where(_GONE).limit(most)
        async with reading(self._engine) as connection:
            return [(row.id, row.node, row.deleted_at) for row in await connection.execute(query)]

    async def forget(self, message_ids: Collection[str]) -> None:
        """Their audio is gone."""
        async with writing(self._engine) as connection:
            await connection.execute(delete(messages).where(_GONE, messages.c.id.in_(message_ids)))


def _message(row: RowMapping) -> Message:
    return msgspec.convert({str(name): value for name, value in row.items()}, Message)
