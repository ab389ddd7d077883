"""Looking into the database again and again for what others changed there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from acd import tasks

log = structlog.get_logger(__name__)


class Poll:
    """Calls `look` every so many seconds until it is stopped. A database that is away is said once."""

    def __init__(self, look: Callable[[], Awaitable[object]], every_seconds: float, trouble: str) -> None:
        self._look = look
        self._every = every_seconds
        self._trouble = trouble
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="poll")

    async def stop(self) -> None:
        await tasks.end(self._task)
        self._task = None

    async def _run(self) -> None:
        failing = False
        while True:
            await asyncio.sleep(self._every)
            try:
                await self._look()
                failing = False
            except (SQLAlchemyError, OSError) as error:
                if not failing:
                    log.error(self._trouble, error=str(error))
                failing = True
