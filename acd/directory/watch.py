"""Keeps this node's snapshot of the directory up to date, whoever changed it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from acd import tasks
from acd.clock import Clock
from acd.directory.model import Directory
from acd.directory.store import DirectoryStore

log = structlog.get_logger(__name__)

Subscriber = Callable[[Directory, Directory], None]
"""Told (before, after) on the event loop, once the snapshot is swapped. Must neither block nor raise."""


class DirectoryWatcher:
    """`start` loads the snapshot and looks for changes each second until `stop`."""

    def __init__(self, store: DirectoryStore, clock: Clock, every_seconds: float = 1.0) -> None:
        self._store = store
        self._clock = clock
        self._every = every_seconds
        self._current = Directory()
        self._checked_at = clock.monotonic()
        self._subscribers: list[Subscriber] = []
        self._task: asyncio.Task[None] | None = None

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
        self._task = asyncio.create_task(self._run(), name="directory-watcher")

    async def stop(self) -> None:
        await tasks.end(self._task)
        self._task = None

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

    async def _run(self) -> None:
        failing = False
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.poll()
                failing = False
            except (SQLAlchemyError, OSError) as error:
                # Calls go on with the snapshot that we have.
                if not failing:
                    log.error("directory cannot be read; keeping the one in use", error=str(error))
                failing = True
