"""A node as a process: signals, its limits, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from pathlib import Path

import structlog
from redis.exceptions import RedisError

from acd import log as logs
from acd.app import Node
from acd.config import Settings
from acd.errors import ConfigError
from acd.files import allow_open_files
from routing.ports import StoreUnavailable

log = structlog.get_logger(__name__)


def _spare_the_collector() -> None:
    """What was made at the start stays and need not be looked through again and again.

    A leg and its parts know each other, some 12 KB a call that only a collection of the oldest finds: one
    comes about every few thousand calls.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 5, 1)


async def serve(settings: Settings, file: Path | None = None) -> None:
    """Run one node until SIGTERM or SIGINT, which drain; a second signal ends it at once. SIGHUP reloads.

    `file` is where the settings come from; it is only told.
    """
    logs.configure(settings.log, settings.node.id)
    log.info("configuration", file=str(file or "none: every key has its default"))
    allow_open_files()
    asked, again = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask() -> None:
        (again if asked.is_set() else asked).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask)
    node = Node(settings)
    try:
        await node.start()
    except (StoreUnavailable, RedisError) as error:
        raise ConfigError(f"redis.url: the store cannot be used: {error}") from error
    loop.add_signal_handler(signal.SIGHUP, node.reload)
    _spare_the_collector()
    await asked.wait()
    log.info("stopping", drain_seconds=settings.node.drain_seconds)
    stopping = asyncio.create_task(node.stop(settings.node.drain_seconds))
    hurry = asyncio.create_task(again.wait())
    await asyncio.wait({stopping, hurry}, return_when=asyncio.FIRST_COMPLETED)
    hurry.cancel()
    if not stopping.done():
        stopping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await stopping
        await node.stop(0)
    else:
        stopping.result()
