"""The timers of a call: one of each kind at most."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from acd.calls import model as m
from acd.calls.model import Timer


class Timers:
    def __init__(self, post: Callable[[m.TimerFired], None]) -> None:
        self._post = post
        self._running: dict[Timer, tuple[asyncio.TimerHandle, m.TimerFired]] = {}

    def start(self, effect: m.StartTimer) -> None:
        self._stop(effect.timer)
        fired = m.TimerFired(effect.timer, effect.serial)
        handle = asyncio.get_running_loop().call_later(effect.seconds, self._post, fired)
        self._running[effect.timer] = (handle, fired)

    def stop(self, effect: m.StopTimer) -> None:
        self._stop(effect.timer)

    def _stop(self, timer: Timer) -> None:
        if running := self._running.pop(timer, None):
            running[0].cancel()

    def is_stale(self, event: m.TimerFired) -> bool:
        """A timer that was stopped or started anew after it fired and before it was heard."""
        running = self._running.get(event.timer)
        if running is None or running[1] is not event:
            return True
        del self._running[event.timer]
        return False

    def stop_all(self) -> None:
        for handle, _ in self._running.values():
            handle.cancel()
