"""Which RTP ports are free, without I/O."""

from __future__ import annotations

from collections import deque

REUSE_SECONDS = 2.0
"""Rest of a port after a leg, so that the last packets to it do not reach the next one."""
FOREIGN_SECONDS = 60.0
"""Rest of a port that another program was found to have."""


class PortPool:
    """Even ports for RTP, each with the odd one above it for RTCP. `now` is in monotonic seconds."""

    def __init__(self, first: int, last: int) -> None:
        self._free = deque(range(first + first % 2, last, 2))
        self._resting: deque[tuple[float, int]] = deque()
        self._foreign: deque[tuple[float, int]] = deque()
        self.size = len(self._free)

    @property
    def free(self) -> int:
        """Pairs that no leg has, resting ones too."""
        return len(self._free) + len(self._resting) + len(self._foreign)

    def take(self, now: float) -> int | None:
        """The port that was unused for longest; None where all are in use or resting."""
        for resting in (self._resting, self._foreign):
            while resting and resting[0][0] <= now:
                self._free.append(resting.popleft()[1])
        return self._free.popleft() if self._free else None

    def give_back(self, port: int, now: float) -> None:
        self._resting.append((now + REUSE_SECONDS, port))

    def leave(self, port: int, now: float) -> None:
        """Another program has the port; try it again later."""
        self._foreign.append((now + FOREIGN_SECONDS, port))
