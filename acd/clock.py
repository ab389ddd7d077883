"""Where time comes from. Shells take a Clock; pure code takes `now` as an argument."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two kinds of time, both in seconds."""

    def monotonic(self) -> float:
        """Seconds that never go back; for timers and durations."""
        ...

    def time(self) -> float:
        """Seconds since the Unix epoch; for anything stored or shown."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()
