"""Timers with time as an argument: a heap of what falls due, in order."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

Action = Callable[[float], None]
"""Called with the time."""

_WORTH_SWEEPING = 256


class Timer:
    """One thing to do at a time; `cancel` makes it nothing."""

    __slots__ = ("_owner", "action")

    def __init__(self, owner: Timers, action: Action) -> None:
        self._owner = owner
        self.action: Action | None = action

    def cancel(self) -> None:
        if self.action is not None:
            self.action = None
            self._owner.note_cancelled()


class Timers:
    """Setting costs O(log n), cancelling O(1): cancelled timers leave when due, or when they are the most."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = count()
        self._cancelled = 0

    def __len__(self) -> int:
        """Timers that still have something to do."""
        return len(self._heap) - self._cancelled

    def set(self, due: float, action: Action) -> Timer:
        timer = Timer(self, action)
        heapq.heappush(self._heap, (due, next(self._numbers), timer))
        return timer

    def note_cancelled(self) -> None:
        """One more in the heap has nothing to do."""
        self._cancelled += 1
        if self._cancelled > _WORTH_SWEEPING and self._cancelled * 2 > len(self._heap):
            self._heap = [item for item in self._heap if item[2].action is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def next_due(self) -> float | None:
        while self._heap and self._heap[0][2].action is None:
            heapq.heappop(self._heap)
            self._cancelled -= 1
        return self._heap[0][0] if self._heap else None

    def run(self, now: float) -> None:
        """Do everything due by now."""
        while self._heap and self._heap[0][0] <= now:
            timer = heapq.heappop(self._heap)[2]
            action, timer.action = timer.action, None
            if action is None:
                self._cancelled -= 1
            else:
                action(now)
