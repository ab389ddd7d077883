"""The live calls of the other nodes, as these wrote them down (acd.history.journal)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from acd.calls.model import Call
from acd.calls.steps.context import Context
from acd.calls.view import CallView, Reasons, reasons_of, view_of
from acd.clock import Clock
from acd.history.journal import live_key, reply

log = structlog.get_logger(__name__)

_PATIENCE_SECONDS = 2.0
_AT_ONCE = 100
"""Calls that are read before others may have the loop."""


class CallsUnseen(Exception):
    """What the other nodes have cannot be seen now."""


class CallsElsewhere:
    """Read when somebody asks: what is written down is a moment old. `nodes` are the others that live."""

    def __init__(
        self,
        redis: Redis,
        *,
        site: str,
        nodes: Callable[[], Collection[str]],
        clock: Clock,
        context: Callable[[], Context],
    ) -> None:
        self._redis = redis
        self._site = site
        self._nodes = nodes
        self._clock = clock
        self._context = context

    async def live(self) -> Sequence[CallView]:
        """All of them. Raises CallsUnseen."""
        found: list[CallView] = []
        for node in sorted(self._nodes()):
            documents = await self._ask(node)
            for start in range(0, len(documents), _AT_ONCE):
                found += self._views(documents[start : start + _AT_ONCE])
                await asyncio.sleep(0)
        return found

    async def find(self, call_id: str) -> CallView | None:
        """One of them. Raises CallsUnseen."""
        for node in sorted(self._nodes()):
            if view := self._views(await self._ask(node, call_id)):
                return view[0]
        return None

    async def why(self, call_id: str) -> Reasons | None:
        """Why one of them is where it is. Raises CallsUnseen."""
        for node in sorted(self._nodes()):
            for call in self._calls(await self._ask(node, call_id)):
                return reasons_of(self._context(), call, self._clock.time())
        return None

    async def _ask(self, node: str, call_id: str = "") -> Sequence[bytes]:
        key = live_key(self._site, node)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                if call_id:
                    document = await reply(self._redis.hget(key, call_id))
                    return [document] if document else []
                return list(await reply(self._redis.hvals(key)))
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("calls-of-other-nodes-unseen", node=node, error=str(error))
            raise CallsUnseen("the calls of the other nodes cannot be seen") from error

    def _views(self, documents: Sequence[bytes]) -> list[CallView]:
        now = self._clock.time()
        return [view_of(call, now) for call in self._calls(documents)]

    def _calls(self, documents: Sequence[bytes]) -> list[Call]:
        """Another version of the service may write what we cannot read."""
        found = []
        for document in documents:
            try:
                found.append(msgspec.msgpack.decode(document, type=Call))
            except msgspec.MsgspecError:
                log.debug("call-of-other-node-unreadable")
        return found
