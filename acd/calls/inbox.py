"""What a call is yet to hear, in order."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Inbox(Generic[_T]):
    """A bounded queue with one reader. asyncio.Queue would take 3 KB of each call that waits."""

    __slots__ = ("_awaited", "_items", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: list[_T] = []
        self._awaited: asyncio.Future[None] | None = None

    def put(self, item: _T) -> bool:
        """Hand in; never blocks. False where it is full."""
        if len(self._items) >= self._limit:
            return False
        self._items.append(item)
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(None)
        return True

    async def get(self) -> _T:
        """The oldest, once there is one."""
        while not self._items:
            self._awaited = asyncio.get_running_loop().create_future()
            try:
                await self._awaited
            finally:
                self._awaited = None
        return self._items.pop(0)
