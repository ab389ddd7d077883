"""What agents' phones do in the calls of all nodes: ours are told to the others, theirs are heard.

Redis keys: `acd:{site}:phones:<node>` is a hash of call id -> what phones do in it, which goes by itself when
the node has not written for a while; changes go into the stream by which nodes tell each other of their
phones (acd.sip.bindings). While no other node is up, nothing is written.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from acd import tasks
from acd.sip.bindings import NEWS_KEPT, news_key
from acd.sip.watching import PhoneState

log = structlog.get_logger(__name__)

Phones = tuple[PhoneState, ...]
Listener = Callable[[str, Phones], None]
"""Hears what phones do in a call (by its id), whenever that changes; nothing once it is over."""

_LINGER_SECONDS = 0.02
"""Gathers the quick steps of calls."""
_BATCH = 500
_AGAIN_SECONDS = 30.0
_KEPT_SECONDS = 120
_RETRY_SECONDS = 1.0


def _ignore(call_id: str, phones: Phones) -> None:
    """The listener until there is one."""


class PhoneBoard:
    """`others` names the other nodes that live."""

    def __init__(self, redis: Redis, *, site: str, node: str, others: Callable[[], Collection[str]]) -> None:
        self._redis = redis
        self._node = node
        self._others = others
        self._prefix = f"acd:{{{site}}}:phones:"
        self._news = news_key(site)
        self._listener: Listener = _ignore
        self._held: dict[str, Phones] = {}
        """Our calls."""
        self._copies: dict[str, str] = {}
        """Calls of others -> the node that told of them."""
        self._unwritten: dict[str, Phones] = {}
        self._is_stale = False
        """What was written holds no longer."""
        self._wake = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._decoder = msgspec.json.Decoder(Phones)

    def subscribe(self, listener: Listener) -> None:
        """Name the one listener, who hears of the calls of all nodes."""
        self._listener = listener

    async def start(self) -> None:
        """Of what a process of before had on the phone nothing is left. Raises RedisError."""
        await self._redis.delete(self._prefix + self._node)
        self._writer = asyncio.create_task(self._write_forever(), name="phone-board")

    async def stop(self) -> None:
        await tasks.end(self._writer)
        self._writer = None

    # Ours.

    def changed(self, call_id: str, phones: Phones) -> None:
        """What phones do in a call of ours; nothing once it is over."""
        self._held.pop(call_id, None)
        if phones:
            self._held[call_id] = phones
        self._listener(call_id, phones)
        if self._others():
            self._unwritten[call_id] = phones
            self._wake.set()
        else:
            self._unwritten.clear()  # who comes is told of everything

    def say_again(self) -> None:
        """A node has come, or Redis has lost something: all that is so is written once more."""
        if self._others():
            self._is_stale = True
            self._unwritten.update(self._held)
            self._wake.set()

    # Theirs.

    def hear(self, node: str, call_id: str, said: bytes) -> None:
        """Another node tells of one of its calls."""
        try:
            phones = self._decoder.decode(said)
        except msgspec.MsgspecError:
            return  # another version of the service may write what we cannot read
        if call_id in self._held:
            return
        self._copies.pop(call_id, None)
        if phones:
            self._copies[call_id] = node
        self._listener(call_id, phones)

    async def hear_all(self, node: str) -> None:
        """Read all that a node has on the phone; what it has no longer is forgotten. Raises RedisError."""
        found: Mapping[bytes, bytes] = await _reply(self._redis.hgetall(self._prefix + node))
        held = {call_id.decode(): said for call_id, said in found.items()}
        self._forget([call_id for call_id in self._calls_of(node) if call_id not in held])
        for call_id, said in held.items():
            self.hear(node, call_id, said)

    def forget(self, node: str) -> None:
        """A node is gone, and its calls with it."""
        self._forget(self._calls_of(node))

    def _calls_of(self, node: str) -> Collection[str]:
        return [call_id for call_id, owner in self._copies.items() if owner == node]

    def _forget(self, calls: Iterable[str]) -> None:
        for call_id in calls:
            del self._copies[call_id]
            self._listener(call_id, ())

    # Written behind.

    async def _write_forever(self) -> None:
        failing = False
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_SECONDS):
                    await self._wake.wait()
            await asyncio.sleep(_RETRY_SECONDS if failing else _LINGER_SECONDS)
            self._wake.clear()
            try:
                await self.flush()
            except (RedisError, OSError, TimeoutError) as error:
                if not failing:
                    log.warning("phones-not-told", error=str(error))
                failing = True
                self._wake.set()
            else:
                failing = False

    async def flush(self) -> None:
        """Write what is unwritten now. Raises RedisError; it is then kept."""
        mine = self._prefix + self._node
        while self._unwritten or self._is_stale:
            batch = dict(islice(self._unwritten.items(), _BATCH))
            async with self._redis.pipeline(transaction=True) as transaction:
                if self._is_stale:
                    transaction.delete(mine)
                for call_id, phones in batch.items():
                    said = msgspec.json.encode(phones)
                    if phones:
                        transaction.hset(mine, call_id, said)
                    else:
                        transaction.hdel(mine, call_id)
                    news: dict[Any, Any] = {"n": self._node, "call": call_id, "phones": said}
                    transaction.xadd(self._news, news, maxlen=NEWS_KEPT, approximate=True)
                transaction.expire(mine, _KEPT_SECONDS)
                await transaction.execute()
            self._is_stale = False
            for call_id, phones in batch.items():
                if self._unwritten.get(call_id) is phones:
                    del self._unwritten[call_id]
        if self._held and self._others():
            await self._redis.expire(mine, _KEPT_SECONDS)


async def _reply(command: Any) -> Any:
    """redis-py's types say that a command may be no awaitable."""
    return await command
