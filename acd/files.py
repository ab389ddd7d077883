"""As many open files as the system lets this process have, and a word in the log when they run short.

Without one, a new connection is simply not taken: the event loop closes it and says nothing.
"""

from __future__ import annotations

import asyncio
import errno
import os
import resource
from pathlib import Path

import structlog

from acd import tasks

log = structlog.get_logger(__name__)

LOOK_SECONDS = 2.0
_MOST_FILES = 65_536
_LOW, _ENOUGH = 0.9, 0.8
"""Shares of the limit from which on files are short, and below which they are no more."""
_OPEN = Path("/proc/self/fd")


def allow_open_files() -> None:
    """As many connections and calls as the system lets this process have (the soft limit is often 1024)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class FileWatch:
    """Looks every two seconds. Tells when files become short and when they are no more, once each."""

    def __init__(self, folder: Path = _OPEN) -> None:
        self._folder = folder
        self._is_short = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="file-watch")

    async def stop(self) -> None:
        await tasks.end(self._task)
        self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Compare how many are open with how many may be."""
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            count = len(os.listdir(self._folder))
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                return  # a system that does not show them
            count = limit
        share = count / limit if limit > 0 else 0.0
        if share >= _LOW and not self._is_short:
            self._is_short = True
            log.error(
                "file-descriptors-low",
                open=count,
                limit=limit,
                remedy="new connections are turned away; raise LimitNOFILE of the service",
            )
        elif share < _ENOUGH and self._is_short:
            self._is_short = False
            log.info("file-descriptors-enough", open=count, limit=limit)
