"""What one call says to the store, in order, without the call waiting for it.

A caller who hangs up is let go at once even while the store is away; the words about it are
said again until they are heard. Every operation of the store is safe to repeat.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from routing.ports import StoreUnavailable

Operation = Callable[[], Awaitable[None]]

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Lane(Protocol):
    """Says each operation again until the store has heard it, before the next."""

    def put(self, operation: Operation) -> None: ...

    def put_first(self, operation: Operation) -> asyncio.Future[None]: ...


class StoreLane:
    """A queue of store operations with one worker, which lives only while there is work.

    Few wait at a time, and an empty list is smaller than a deque.
    """

    def __init__(self, spawn: Callable[[Awaitable[None]], object]) -> None:
        self._spawn = spawn
        self._waiting: list[Operation] = []
        self._first: list[Operation] = []
        self._running = False

    def put(self, operation: Operation) -> None:
        self._waiting.append(operation)
        self._begin()

    def put_first(self, operation: Operation) -> asyncio.Future[None]:
        """Say this before everything that waits, even what is being said again. Returns when it was heard."""
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def first() -> None:
            try:
                await operation()
            except StoreUnavailable:
                raise
            except BaseException:
                _is_heard(heard)
                raise
            _is_heard(heard)

        self._first.append(first)
        self._begin()
        return heard

    def _begin(self) -> None:
        if not self._running:
            self._running = True
            self._spawn(self._work())

    async def _work(self) -> None:
        try:
            while self._first or self._waiting:
                await self._carry_out((self._first or self._waiting).pop(0))
        finally:
            self._running = False

    async def _carry_out(self, operation: Operation) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                await operation()
                return
            except StoreUnavailable as error:
                log.debug("store-unavailable", error=str(error), retry_seconds=pause)
            except Exception:
                log.exception("store-operation-failed")
                return
            await asyncio.sleep(pause)
            while self._first:
                await self._carry_out(self._first.pop(0))
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


def _is_heard(heard: asyncio.Future[None]) -> None:
    if not heard.done():
        heard.set_result(None)
