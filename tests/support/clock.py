"""A clock that stands still until it is told to go on."""

from __future__ import annotations


class FakeClock:
    """Both kinds of time, moved by hand."""

    def __init__(self, start: float = 1_000_000.0) -> None:
        self.now = start

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
