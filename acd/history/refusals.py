"""Why agents did not take a call, in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from acd.agents.notes import RefusedCall
from acd.database import reading, writing
from acd.history.tables import refusal_words

RINGING_SECONDS = 300.0
"""A reason may be given so long before the call is refused, while it rings."""


class RefusalStore:
    """Every method raises sqlalchemy.exc.SQLAlchemyError where the database does."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def refused(self, call: RefusedCall) -> None:
        """The agent did not take it; a reason that was given while it rang is kept."""
        async with writing(self._engine) as connection:
            before = (await refusals_of(connection, [call.call_id])).get(call.call_id, {}).get(call.agent)
            recent = before and before.refused_at >= call.refused_at - RINGING_SECONDS
            await _replace(connection, call, before.reason if before and recent else None)

    async def give(self, call: RefusedCall, reason: str) -> None:
        """Why the agent did not take it, or is about not to."""
        async with writing(self._engine) as connection:
            await _replace(connection, call, reason)

    async def last(self, agent: str, since: float) -> RefusedCall | None:
        """What the agent did not take last, since then."""
        words = refusal_words.c
        query = select(refusal_words).where(words.agent == agent, words.refused_at >= since)
        async with reading(self._engine) as connection:
            row = (
                (await connection.execute(query.order_by(words.refused_at.desc()).limit(1)))
                .mappings()
                .first()
            )
        return RefusedCall(**row) if row else None

    async def of(self, call_id: str) -> Mapping[str, RefusedCall]:
        """The refusals of a call that are known here, by agent."""
        async with reading(self._engine) as connection:
            return (await refusals_of(connection, [call_id])).get(call_id, {})


async def refusals_of(
    connection: AsyncConnection, call_ids: Sequence[str]
) -> Mapping[str, Mapping[str, RefusedCall]]:
    """Of each of these calls, what is known of who did not take it, by agent."""
    query = select(refusal_words).where(refusal_words.c.call_id.in_(call_ids))
    found: dict[str, dict[str, RefusedCall]] = {}
    for row in (await connection.execute(query)).mappings():
        found.setdefault(row["call_id"], {})[row["agent"]] = RefusedCall(**row)
    return found


async def _replace(connection: AsyncConnection, call: RefusedCall, reason: str | None) -> None:
    mine = (refusal_words.c.call_id == call.call_id) & (refusal_words.c.agent == call.agent)
    row = {
        "call_id": call.call_id,
        "agent": call.agent,
        "queue": call.queue,
        "refused_at": call.refused_at,
        "required": call.required,
        "reason": reason,
    }
    await connection.execute(delete(refusal_words).where(mine))
    await connection.execute(insert(refusal_words).values(**row))
