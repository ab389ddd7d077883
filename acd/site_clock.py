"""The time of the site: what all nodes say to the store, whatever the clock of each machine shows.

Leases, ring deadlines, the ends of wrap-ups and the order of callers are times that one node writes and
another compares. So a node does not use its own wall clock: it follows the store's, and between two looks at
that goes by its monotonic clock, which nobody sets.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from acd import tasks
from acd.clock import Clock

log = structlog.get_logger(__name__)

SLEW = 0.05
"""A difference is made up at this rate: time passes at 0.95 to 1.05 of its speed."""
STEP_SECONDS = 3600.0
"""What differs by more was a clock that was wrong altogether."""
ODD_SECONDS = 2.0
"""Who is behind the other nodes by more has slept, and follows them at once."""
WARN_SECONDS = 1.0
_EVERY_SECONDS = 1.0
LONGEST_LOOK_SECONDS = 0.5
"""An answer that took longer tells too little."""
_FRESH_SECONDS = 10.0
"""A node that has not said for so long how far ahead it is does not count."""


class SiteTime:
    """Pure: seconds since the epoch as this node knows them. `mono` is its monotonic clock, in seconds."""

    def __init__(self, mono: float, wall: float) -> None:
        self._at = mono
        self._time = wall
        self._error = 0.0
        """Still to be made up; positive where time has to hurry."""
        self._is_told = False

    def time(self, mono: float) -> float:
        """It never goes back, but where `hear` found it altogether wrong."""
        passed = max(0.0, mono - self._at)
        return self._time + passed + _made_up(self._error, passed)

    def ahead(self, mono: float, store: float) -> float:
        """By how much this node's time is before the store's, which shows `store` now (seconds)."""
        return self.time(mono) - store

    def hear(self, mono: float, store: float, others: Collection[float]) -> float:
        """The store's clock shows `store` now; `others` is how far ahead of it the other nodes are.

        A node that begins takes over the time of the others, so that all agree while they follow a store's
        clock that was set. Returns by how much the time jumped (seconds), mostly 0.
        """
        before = now = self.time(mono)
        if not self._is_told:
            now = store + max(others, default=0.0)
        elif abs(now - store) > STEP_SECONDS:
            now = store
        elif others and store + max(others) - now > ODD_SECONDS:
            now = store + max(others)
        jumped = now - before if self._is_told else 0.0
        self._is_told = True
        self._at, self._time, self._error = mono, now, store - now
        return jumped


def others_ahead(said: Mapping[str, tuple[float, float]], node: str, store: float) -> list[float]:
    """How far ahead of the store the other nodes are, of those who said so lately by the store's clock.

    `said` is how far and when, by node. Right after that clock was set nobody has.
    """
    return [ahead for name, (ahead, at) in said.items() if name != node and abs(store - at) < _FRESH_SECONDS]


def _read(words: bytes) -> tuple[float, float]:
    ahead, _, at = words.decode().partition(" ")
    return float(ahead), float(at)


def running_seconds() -> float:
    """A clock that nobody sets and that, where there is such a one, also runs while the machine sleeps."""
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot_time is None else time.clock_gettime(boot_time)


def _made_up(error: float, passed: float) -> float:
    most = SLEW * passed
    return max(-most, min(most, error))


class SiteClock:
    """The Clock of a node. Until `start` has heard of the store it is the machine's own."""

    def __init__(self, machine: Clock, running: Callable[[], float] = running_seconds) -> None:
        self._machine = machine
        self._running = running
        self._time = SiteTime(running(), machine.time())
        self._task: asyncio.Task[None] | None = None
        self._differs = False
        self.machine_ahead = 0.0
        """By how much the machine's wall clock was before the store's at the last look (seconds)."""

    def monotonic(self) -> float:
        return self._machine.monotonic()

    def time(self) -> float:
        return self._time.time(self._running())

    async def start(self, redis: Redis, *, site: str, node: str) -> None:
        """Take over the time of the site and keep to it. Raises RedisError, OSError."""
        self._redis, self._node, self._key = redis, node, f"acd:{{{site}}}:clocks"
        await self.look(patient=True)
        self._task = asyncio.create_task(self._follow(), name="site-clock")

    async def stop(self) -> None:
        await tasks.end(self._task)
        self._task = None

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            try:
                await self.look()
            except (RedisError, OSError, TimeoutError) as error:
                log.debug("site-clock-blind", error=str(error))
            except Exception:
                log.exception("site-clock-failed")

    async def look(self, *, patient: bool = False) -> None:
        """Ask the store for its time once. `patient`: also an answer that took long counts."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.time()
        pipe.hgetall(self._key)
        asked, asked_wall = self._running(), self._machine.time()
        (seconds, micros), said = await pipe.execute()
        took = self._running() - asked
        if took > LONGEST_LOOK_SECONDS and not patient:
            return
        store = seconds + micros / 1e6
        self._note_machine(asked_wall + took / 2 - store)
        heard = {node.decode(): _read(words) for node, words in said.items()}
        jumped = self._time.hear(asked + took / 2, store, others_ahead(heard, self._node, store))
        if jumped:
            log.warning("site-time-jumped", seconds=round(jumped, 3))
        ahead = self._time.ahead(asked + took / 2, store)
        await _reply(self._redis.hset(self._key, self._node, f"{ahead:.3f} {store:.3f}"))

    def _note_machine(self, ahead: float) -> None:
        self.machine_ahead = ahead
        differs = abs(ahead) > WARN_SECONDS
        if differs and not self._differs:
            log.warning(
                "clock-differs-from-store",
                seconds=round(ahead, 3),
                remedy="run NTP (chrony, systemd-timesyncd) on this machine and on that of the store",
            )
        elif self._differs and not differs:
            log.info("clock-agrees-with-store")
        self._differs = differs


async def _reply(command: Any) -> Any:
    """redis-py's types say that a command may be no awaitable."""
    return await command
