"""Virtual time: what happens when, in one order that depends on nothing else."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

START_MS = 1_790_000_000_000


class Schedule:
    """Things to come. `now` is in milliseconds since the epoch and jumps to the next of them."""

    def __init__(self) -> None:
        self.now = START_MS
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0

    def after(self, ms: int, work: Callable[..., None], *arguments: Any) -> None:
        """Do this in so many milliseconds; things of one millisecond in the order in which they were said."""
        self._count += 1
        heapq.heappush(self._heap, (self.now + ms, self._count, work, arguments))

    def go_on(self) -> None:
        """Do the next thing."""
        self.now, _, work, arguments = heapq.heappop(self._heap)
        work(*arguments)
