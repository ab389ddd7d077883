"""What nodes expect of their queues, by a plain formula: so many seconds for each place in the line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.sim.world import World

LOOK_MS = 20_000
A_PLACE_SECONDS = 4.0


class Forecast:
    """As acd.forecast: a look now and then, and what is expected shrinks until the next."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._calls: Mapping[str, float] = {}
        self._queues: Mapping[str, float] = {}
        self._at = 0
        self._look()

    def of_queue(self, queue: str) -> float | None:
        """Seconds for somebody who came now."""
        return self._queues.get(queue)

    def of_call(self, entry: str) -> float | None:
        """Seconds from now for this waiting call."""
        expected = self._calls.get(entry)
        return None if expected is None else max(0.0, expected - (self._world.schedule.now - self._at) / 1000)

    def _look(self) -> None:
        self._at = self._world.schedule.now
        line: dict[str, int] = defaultdict(int)
        calls: dict[str, float] = {}
        for call in sorted(
            self._world.store.model.calls.values(), key=lambda call: (call.score, call.arrival)
        ):
            if call.state == "waiting":
                line[call.queue] += 1
                calls[call.ticket.call_id] = A_PLACE_SECONDS * line[call.queue]
        self._calls = calls
        self._queues = {queue: A_PLACE_SECONDS * (length + 1) for queue, length in line.items()}
        self._world.schedule.after(LOOK_MS, self._look)
