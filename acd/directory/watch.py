"""Keeps this node's snapshot of the directory up to date, whoever changed it."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from acd.clock import Clock
from acd.directory.model import Directory
from acd.directory.store import DirectoryStore
from acd.polling import Poll

log = structlog.get_logger(__name__)

Subscriber = Callable[[Directory, Directory], None]
"""Told (before, after) on the event loop, once the snapshot is swapped. Must neither block nor raise."""


class DirectoryWatcher:
    """`start` loads the snapshot and looks for changes each second until `stop`."""

    def __init__(self, store: DirectoryStore, clock: Clock, every_seconds: float = 1.0) -> None:
        self._store = store
        self._clock = clock
        self._current = Directory()
        self._checked_at = clock.monotonic()
        self._subscribers: list[Subscriber] = []
        # Calls go on with the snapshot that we have.
        self._watch = Poll(self.poll, every_seconds, "directory cannot be read; keeping the one in use")

    def current(self) -> Directory:
        """The newest snapshot. A call keeps the one it began with."""
        return self._current

    def subscribe(self, subscriber: Subscriber) -> None:
        self._subscribers.append(subscriber)

    @property
    def age_seconds(self) -> float:
        """How long ago the database last told us what is current."""
        return self._clock.monotonic() - self._checked_at

    async def start(self) -> None:
        """Load the snapshot, then watch. Raises SQLAlchemyError where it cannot be loaded."""
        await self.poll()
        self._watch.start()

    async def stop(self) -> None:
        await self._watch.stop()

    async def poll(self) -> bool:
        """Look once; whether the snapshot was swapped."""
        revision = await self._store.revision()
        self._checked_at = self._clock.monotonic()
        if revision == self._current.revision:
            return False
        before, self._current = self._current, await self._store.load()
        log.info("directory loaded", revision=self._current.revision)
        for subscriber in self._subscribers:
            subscriber(before, self._current)
        return True
