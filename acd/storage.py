"""What a node keeps things in: its Redis and its database, opened before everything else and closed last."""

from __future__ import annotations

from contextlib import AsyncExitStack

import structlog
from redis.asyncio import Redis
from sqlalchemy.exc import SQLAlchemyError

from acd.callers.members import ListStore, ListWatcher
from acd.clock import SystemClock
from acd.config import Settings
from acd.database import open_engine
from acd.directory.do_not_call import DoNotCallList
from acd.directory.store import DirectoryStore
from acd.directory.watch import DirectoryWatcher
from acd.errors import ConfigError
from acd.history.migrate import migrate
from acd.history.notes import NoteStore
from acd.history.refusals import RefusalStore
from acd.history.writer import HistoryWriter
from acd.redis_server import EmbeddedRedis
from acd.site_clock import SiteClock
from routing.store.redis_store import connect

log = structlog.get_logger(__name__)


class Storage:
    """Redis, the database, and what stands in them. `redis` and `history` are there from the start on."""

    redis: Redis
    history: HistoryWriter

    def __init__(self, settings: Settings) -> None:
        self._node = settings.node
        self._server = EmbeddedRedis(settings.redis.url, settings.node.data_dir)
        self.clock = SiteClock(SystemClock())
        self.engine = open_engine(settings)
        self.directory = DirectoryWatcher(DirectoryStore(self.engine, self.clock), self.clock)
        self.lists = ListWatcher(ListStore(self.engine, self.clock), self.clock)
        self.do_not_call = DoNotCallList(self.engine, self.clock)
        self.notes = NoteStore(self.engine)
        self.refusals = RefusalStore(self.engine)

    async def start(self, running: AsyncExitStack) -> None:
        """Open all of it; `running` closes it. Raises AcdError or OSError naming what is missing."""
        await self._start_redis(running)
        await self._start_database(running)
        self.history = HistoryWriter(self.redis, self.engine, site=self._node.site, node=self._node.id)
        await self.history.start()
        running.push_async_callback(self.history.stop)

    async def _start_redis(self, running: AsyncExitStack) -> None:
        server = await self._server.start()
        running.push_async_callback(self._server.stop)
        log.info("redis", kind=server.kind.value, version=server.version)
        self.redis = connect(server.url)
        running.push_async_callback(self.redis.aclose)
        await self.clock.start(self.redis, site=self._node.site, node=self._node.id)
        running.push_async_callback(self.clock.stop)

    async def _start_database(self, running: AsyncExitStack) -> None:
        running.push_async_callback(self.engine.dispose)
        try:
            await migrate(self.engine)
            await self.directory.start()
            await self.lists.start()
        except SQLAlchemyError as error:
            raise ConfigError(f"database.url: the database cannot be used: {error}") from error
        running.push_async_callback(self.directory.stop)
        running.push_async_callback(self.lists.stop)
        if self.directory.current().revision == 0:
            log.warning("directory-empty", remedy="no number leads anywhere; fill it with `acd apply FILE`")
