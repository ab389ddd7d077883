"""How late the event loop runs what is due: the first sign that a node has too much to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_EVERY_SECONDS = 0.1


class LoopLag:
    """Tells `observe` ten times a second by how many seconds a timer of this loop came late."""

    def __init__(self, observe: Callable[[float], None]) -> None:
        self._observe = observe
        self._timer: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + _EVERY_SECONDS
        self._timer = loop.call_at(due, self._fire, loop, due)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._observe(max(loop.time() - due, 0.0))
        self.start(loop)
