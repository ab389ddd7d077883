"""Timers with time as an argument: a heap of what falls due, in order."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

Action = Callable[[float], None]
"""Called with the time."""


class Timer:
    """One thing to do at a time; `cancel` makes it nothing."""

    __slots__ = ("action", "due")

    def __init__(self, due: float, action: Action) -> None:
        self.due = due
        self.action: Action | None = action

    def cancel(self) -> None:
        self.action = None


class Timers:
    """Setting and cancelling cost O(log n) and O(1); cancelled ones leave when due, or when they are many."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = count()

    def __len__(self) -> int:
        """Timers that still have something to do."""
        return sum(1 for _, _, timer in self._heap if timer.action is not None)

    def set(self, due: float, action: Action) -> Timer:
        timer = Timer(due, action)
        heapq.heappush(self._heap, (due, next(self._numbers), timer))
        return timer

    def next_due(self) -> float | None:
        while self._heap and self._heap[0][2].action is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def run(self, now: float) -> None:
        """Do everything due by now."""
        while self._heap and self._heap[0][0] <= now:
            _, _, timer = heapq.heappop(self._heap)
            if timer.action is not None:
                action, timer.action = timer.action, None
                action(now)
