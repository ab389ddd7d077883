"""Who talked to a caller before, out of the call records."""

from __future__ import annotations

import asyncio

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from acd.calls.model import Spoken
from acd.database import reading
from acd.history.tables import records

_SECONDS = 1.0
"""A caller is kept waiting for the answer no longer than this."""
_MOST_CALLS = 10
"""The newest conversations that are looked at."""

log = structlog.get_logger(__name__)


class ContactReader:
    """Asks the database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def spoke_with(self, number: str, since: float) -> tuple[Spoken, ...]:
        """The newest first; nobody where the database fails or is slow."""
        try:
            async with asyncio.timeout(_SECONDS):
                return await self._find(number, since)
        except (TimeoutError, SQLAlchemyError, OSError) as error:
            log.warning("caller-not-looked-up", error=type(error).__name__)
            return ()

    async def _find(self, number: str, since: float) -> tuple[Spoken, ...]:
        columns = records.c
        query = (
            select(columns.started_at, columns.attempts)
            .where(columns.caller == number, columns.started_at >= since, columns.answered_at.is_not(None))
            .order_by(columns.started_at.desc())
            .limit(_MOST_CALLS)
        )
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        return tuple(
            Spoken(attempt["agent"], attempt["at"])
            for _, attempts in rows
            for attempt in reversed(attempts)
            if attempt["result"] == "answered"
        )
