"""Hears from the other nodes where their phones are and what they do: by a stream, and at times all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from acd import tasks
from acd.sip.bindings import BindingStore, Removed, news_key
from acd.sip.contacts import Binding
from acd.sip.nodes import Nodes
from acd.sip.phone_board import PhoneBoard

log = structlog.get_logger(__name__)

_BLOCK_MS = 1000
_AT_ONCE = 500
_ALL_EVERY_SECONDS = 30.0
"""Whatever was missed (a stream that was cut, a store that lost it) is put right by then."""
_RETRY_SECONDS = 0.5
_BEGINNING = "0-0"


class Follower:
    """Keeps the copies of a BindingStore and of a PhoneBoard like what the other nodes hold."""

    def __init__(
        self, redis: Redis, bindings: BindingStore, board: PhoneBoard, nodes: Nodes, *, site: str, node: str
    ) -> None:
        self._redis = redis
        self._bindings = bindings
        self._board = board
        self._nodes = nodes
        self._node = node
        self._prefix = f"acd:{{{site}}}:reg"
        self._news = news_key(site)
        self._after = _BEGINNING
        self._all_due = 0.0
        self._running: asyncio.Task[None] | None = None
        self._bindings_of = msgspec.json.Decoder(Binding)
        self._removals_of = msgspec.json.Decoder(Removed)

    async def start(self) -> None:
        """Hear everything, then what changes. Raises RedisError."""
        await self._begin_anew()
        self._running = asyncio.create_task(self._follow(), name="bindings-follower")

    async def stop(self) -> None:
        await tasks.end(self._running)
        self._running = None

    async def _begin_anew(self) -> None:
        """After an error the stream may have begun anew, with smaller ids."""
        last = await _reply(self._redis.xrevrange(self._news, count=1))
        self._after = last[0][0].decode() if last else _BEGINNING
        await self.hear_all()
        for node in self._nodes.up:
            await self._board.hear_all(node)
        self._all_due = asyncio.get_running_loop().time() + _ALL_EVERY_SECONDS

    def look_again(self) -> None:
        """Read everything soon: a node has come."""
        self._all_due = 0.0

    async def hear_all(self) -> None:
        """Read what every other node holds. Raises RedisError."""
        for node in await self._nodes.known():
            held = await self._held_by(node)
            self._bindings.hear_all(node, held)
            if not held and not self._nodes.is_up(node):
                # Nodes may be named anew at each start: what is left of the old ones must not pile up.
                await self._nodes.strike(node)
                await self._redis.delete(f"{self._prefix}:{node}")

    async def _held_by(self, node: str) -> Sequence[Binding]:
        agents = sorted(
            agent.decode() for agent in await _reply(self._redis.smembers(f"{self._prefix}:{node}"))
        )
        found: list[Binding] = []
        for start in range(0, len(agents), _AT_ONCE):
            pipe = self._redis.pipeline(transaction=False)
            for agent in agents[start : start + _AT_ONCE]:
                pipe.hvals(f"{self._prefix}:{node}:{agent}")
            for texts in await pipe.execute():
                found += (binding for text in texts if (binding := self._read(text)) is not None)
        return found

    def _read(self, text: bytes) -> Binding | None:
        """Another version of the service may write what we cannot read."""
        try:
            return self._bindings_of.decode(text)
        except msgspec.MsgspecError:
            return None

    async def _follow(self) -> None:
        failing = False
        while True:
            try:
                await self._step()
            except (RedisError, OSError, TimeoutError) as error:
                if not failing:
                    log.warning("sip.bindings.not_followed", error=str(error))
                failing, self._all_due = True, 0.0
                await asyncio.sleep(_RETRY_SECONDS)
            except Exception:
                log.exception("sip.bindings.follower_failed")
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                failing = False

    async def _step(self) -> None:
        if asyncio.get_running_loop().time() >= self._all_due:
            await self._begin_anew()
        found = await _reply(self._redis.xread({self._news: self._after}, count=_AT_ONCE, block=_BLOCK_MS))
        for entry, fields in found[0][1] if found else ():
            self._after = entry.decode()
            self._hear({name.decode(): value for name, value in fields.items()})

    def _hear(self, fields: dict[str, bytes]) -> None:
        node = fields["n"].decode()
        if node == self._node:
            return
        if "call" in fields:
            self._board.hear(node, fields["call"].decode(), fields["phones"])
            return
        agent, key = fields["a"].decode(), fields["k"].decode()
        if "put" in fields:
            if (binding := self._read(fields["put"])) is not None:
                self._bindings.hear(node, agent, key, binding)
        else:
            self._bindings.hear(node, agent, key, self._removals_of.decode(fields["gone"]))


async def _reply(command: Any) -> Any:
    """redis-py's types say that a command may be no awaitable."""
    return await command
