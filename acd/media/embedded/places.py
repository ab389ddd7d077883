"""The media workers of a node, each with its share of the ports: in use, and held for legs to come."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from acd.errors import ConfigError
from acd.media.embedded import protocol
from acd.media.embedded.ports import PortPool
from acd.media.embedded.process import WorkerProcess

_RESERVED = 8
"""Ports that each worker holds for legs to come, and at most one in so many of its share."""
_RESERVED_SHARE = 16


@dataclass(slots=True, eq=False)
class Place:
    """A worker, its share of the ports and how many legs it has. Times are monotonic seconds."""

    worker: WorkerProcess
    ports: PortPool
    legs: int = 0
    reserved: deque[int] = field(default_factory=deque)
    """Ports that the worker holds for legs to come, so that opening one waits for nothing."""
    reserving: set[int] = field(default_factory=set)
    """Ports that it was asked to."""

    @property
    def ports_free(self) -> int:
        """Pairs of ports that no leg has."""
        return self.ports.free + len(self.reserved) + len(self.reserving)

    def reserve(self, now: float) -> None:
        """Have as many ports held as a burst of calls may want; few of a small share."""
        wanted = min(_RESERVED, self.ports.size // _RESERVED_SHARE)
        while self.worker.alive and len(self.reserved) + len(self.reserving) < wanted:
            port = self.ports.take(now)
            if port is None:
                return
            self.reserving.add(port)
            self.worker.send(protocol.Reserve(port))

    def settle_reserved(self, event: protocol.Ready | protocol.Reserved, now: float) -> None:
        """The worker begins, or has tried to have a port."""
        match event:
            case protocol.Ready():
                self.reserve(now)
            case protocol.Reserved(port=port, fault=fault):
                self.reserving.discard(port)
                if fault:
                    self.ports.leave(port, now)
                else:
                    self.reserved.append(port)

    def give_up_reserved(self, now: float) -> None:
        """The worker died, and its ports are free."""
        for port in (*self.reserved, *self.reserving):
            self.ports.give_back(port, now)
        self.reserved.clear()
        self.reserving.clear()


def share_ports(ports: tuple[int, int], workers: int) -> list[PortPool]:
    """One run of ports for each worker, of even length so that pairs stay whole. Raises ConfigError."""
    first = ports[0] + ports[0] % 2
    each = (ports[1] - first + 1) // 2 // workers
    if each == 0:
        raise ConfigError(
            f"media.ports {ports[0]}-{ports[1]} has no pair of ports for each of {workers} workers"
        )
    return [
        PortPool(first + 2 * each * index, first + 2 * each * (index + 1) - 1) for index in range(workers)
    ]
