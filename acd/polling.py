"""Looking at something again and again: what others changed, who is there, what is to be done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from acd import tasks

log = structlog.get_logger(__name__)


class Poll:
    """Calls `look` every so many seconds until it is stopped, whatever it raises.

    A failure is logged as `trouble`, once until a look has succeeded again: one of `expected` in a line,
    which is for debugging where `told_elsewhere`; any other with its traceback. `blind` is called after each.
    With `at_once` the first look is now and not after the first pause; looks take at most `share_of_time`.
    """

    def __init__(
        self,
        look: Callable[[], Awaitable[object]],
        every_seconds: float,
        trouble: str,
        *,
        expected: tuple[type[Exception], ...] = (SQLAlchemyError, OSError),
        told_elsewhere: bool = False,
        blind: Callable[[], None] = lambda: None,
        at_once: bool = False,
        share_of_time: float = 1.0,
    ) -> None:
        self._look = look
        self._every = every_seconds
        self._trouble = trouble
        self._expected = expected
        self._told_elsewhere = told_elsewhere
        self._blind = blind
        self._at_once = at_once
        self._share_of_time = share_of_time
        self._failing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=self._trouble)

    async def stop(self) -> None:
        await tasks.end(self._task)
        self._task = None

    async def _run(self) -> None:
        now = asyncio.get_running_loop().time
        if not self._at_once:
            await asyncio.sleep(self._every)
        while True:
            began = now()
            await self._look_once()
            await asyncio.sleep(max(self._every, (now() - began) / self._share_of_time))

    async def _look_once(self) -> None:
        try:
            await self._look()
        except Exception as error:
            if not self._failing:
                self._tell(error)
            self._failing = True
            self._blind()
        else:
            self._failing = False

    def _tell(self, error: Exception) -> None:
        if not isinstance(error, self._expected):
            log.exception(self._trouble)
        elif self._told_elsewhere:
            log.debug(self._trouble, error=str(error))
        else:
            log.error(self._trouble, error=str(error))
