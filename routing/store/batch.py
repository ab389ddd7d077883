"""Coalesces the commands of one turn of the event loop into one round trip."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from routing.ports import StoreUnavailable
from routing.store.link import Command, ConnectionLost, Greeting, Link, in_words, is_refusal

_MOST_IN_A_BATCH = 500
_LIMIT_SECONDS = 5.0

log = logging.getLogger(__name__)

_Asked = tuple[Command, "asyncio.Future[Any]"]


class Batcher:
    """Commands in, replies out, in order, over one connection that is always pipelined.

    While one batch is under way the next one gathers. A batch whose connection broke is said once
    more over a new one: whether the server had heard it is unknown, but every script changes nothing
    when it is said again.
    """

    def __init__(self, redis: Redis, prepare: Command, greeting: Greeting) -> None:
        self._link = Link(redis, prepare, greeting)
        self._prepare = prepare
        self._waiting: list[_Asked] = []
        self._worker: asyncio.Task[None] | None = None
        self.scripts_reloaded = 0
        """How often the server had lost the scripts."""

    def submit(self, command: Command) -> asyncio.Future[Any]:
        """The reply to come. It raises StoreUnavailable, or ResponseError for a command that is wrong."""
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((command, reply))
        if self._worker is None:
            self._worker = loop.create_task(self._work())
        return reply

    async def close(self, within_seconds: float) -> None:
        """Send what waits, as far as that is heard within the time, then close the connection."""
        if (worker := self._worker) is not None:
            _, unheard = await asyncio.wait([worker], timeout=within_seconds)
            if unheard:
                log.warning("routing: the store did not hear the last words of this node")
                worker.cancel()
                await asyncio.wait([worker])
        await self._link.close()

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch = self._waiting[:_MOST_IN_A_BATCH]
                del self._waiting[:_MOST_IN_A_BATCH]
                await self._carry_out(batch)
        finally:
            self._worker = None

    async def _carry_out(self, batch: list[_Asked]) -> None:
        try:
            replies = await self._exchange([command for command, _ in batch])
        except asyncio.CancelledError:
            _fail(batch + self._waiting, StoreUnavailable("the store is being closed"))
            raise
        except Exception as error:
            _fail(batch, error)
            return
        for (_, reply), value in zip(batch, replies, strict=True):
            _settle(reply, value)

    async def _exchange(self, commands: list[Command]) -> list[Any]:
        try:
            replies = await self._link.exchange(commands, _LIMIT_SECONDS)
        except ConnectionLost:
            replies = await self._link.exchange(commands, _LIMIT_SECONDS)
        unheard = [i for i, reply in enumerate(replies) if _is_unheard(reply)]
        if unheard:
            # Somebody flushed the scripts: those that were unknown did nothing yet.
            self.scripts_reloaded += 1
            log.warning("routing: the store had lost its scripts; they are loaded again")
            again = [self._prepare, *(commands[i] for i in unheard)]
            _, *found = await self._link.exchange(again, _LIMIT_SECONDS)
            for i, reply in zip(unheard, found, strict=True):
                replies[i] = reply
        return replies


def _is_unheard(reply: Any) -> bool:
    """Whether the server does not know the script."""
    return isinstance(reply, ResponseError) and str(reply) == "Function not found"


def _settle(reply: asyncio.Future[Any], value: Any) -> None:
    if reply.done():
        return
    if isinstance(value, ResponseError) and is_refusal(value):
        reply.set_exception(StoreUnavailable(in_words(value)))
    elif isinstance(value, Exception):
        reply.set_exception(value)
    else:
        reply.set_result(value)


def _fail(batch: list[_Asked], error: Exception) -> None:
    for _, reply in batch:
        if not reply.done():
            reply.set_exception(error)
