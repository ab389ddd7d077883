"""Live calls and finished records on their way to Redis, such that a crash anywhere leaves one record a call.

A call is either in its node's hash of live calls or in the outbox, and moves in one transaction. What a dead
node left in the hash is recovered by whoever ends those calls; a record that comes twice is stored once,
since the outbox may repeat and the history keeps one of an id: the first, but rather the one of the node
that had the call than one of those that took that node for dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from acd.calls.record import CallRecord

log = structlog.get_logger(__name__)

_T = TypeVar("_T")

_BATCH = 1000
_REMEMBERED_SECONDS = 60.0
"""A record is kept so long after it was handed in, should Redis lose what it acknowledged."""
_ATTEMPT_SECONDS = 5.0
_FIRST_RETRY_SECONDS = 0.05
_LONGEST_RETRY_SECONDS = 2.0


def outbox_key(site: str) -> str:
    """A list of encoded records, the oldest first."""
    return f"acd:{{{site}}}:outbox"


def live_key(site: str, node: str) -> str:
    """A hash: call id to the newest document of that call."""
    return f"acd:{{{site}}}:live:{node}"


def nodes_key(site: str) -> str:
    """A set of the nodes that may have live calls."""
    return f"acd:{{{site}}}:live-nodes"


class Journal:
    """Written behind: the newest document of each call goes out with those of the other calls.

    The first document of a call and its record go at once: between them a kill -9 leaves a record that says
    so. `linger_seconds` gathers the documents of quick steps into one, and is what a kill -9 can lose.
    While Redis is away, `max_live` documents and `max_finished` records wait in memory; what exceeds them is
    logged and dropped. `on_outbox` is called when records have reached the outbox.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        site: str,
        node: str,
        on_outbox: Callable[[], None] = lambda: None,
        linger_seconds: float = 0.05,
        max_live: int = 20_000,
        max_finished: int = 100_000,
    ) -> None:
        self._redis = redis
        self._site = site
        self._node = node
        self._on_outbox = on_outbox
        self._linger = linger_seconds
        self._max_live = max_live
        self._max_finished = max_finished
        self._live: dict[str, bytes] = {}
        self._finished: dict[str, CallRecord] = {}
        self._begun: set[str] = set()
        """Live calls that Redis has a document of, or is about to."""
        self._unheard_of: set[str] = set()
        """Those of them that it has none of yet."""
        self._told = asyncio.Event()
        self._recent: dict[str, tuple[float, CallRecord]] = {}
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._clean = asyncio.Event()
        self._clean.set()

    def put(self, call_id: str, document: bytes) -> None:
        """The call is now as `document` says; it replaces an earlier one."""
        if call_id in self._finished:
            return
        if len(self._live) >= self._max_live and call_id not in self._live:
            log.error("journal is full; a live call is not written down", call_id=call_id)
            return
        self._live[call_id] = document
        if call_id not in self._begun:
            self._begun.add(call_id)
            self._unheard_of.add(call_id)
            self._urgent.set()
        self._stir()

    def finish(self, record: CallRecord) -> None:
        """The call is over: out of the live ones and into the outbox, at once in both."""
        self._live.pop(record.id, None)
        self._begun.discard(record.id)
        self._now_heard_of((record.id,))
        if len(self._finished) >= self._max_finished:
            log.error("journal is full; a record is lost", record=msgspec.to_builtins(record))
            return
        self._finished.setdefault(record.id, record)
        self._urgent.set()
        self._remember(record)
        self._stir()

    def _now_heard_of(self, calls: Iterable[str]) -> None:
        self._unheard_of.difference_update(calls)
        self._told.set()

    async def begun(self, call_id: str) -> None:
        """Return once Redis has a document of this live call, or it is over. Needs `run` to be running.

        Whatever a node does about a call for which others can find it after that, they also find the call.
        """
        while call_id in self._unheard_of:
            self._told.clear()
            await self._told.wait()

    def _remember(self, record: CallRecord) -> None:
        now = time.monotonic()
        self._recent[record.id] = (now, record)
        while self._recent:
            oldest, (at, _) = next(iter(self._recent.items()))
            if len(self._recent) <= self._max_live and now - at < _REMEMBERED_SECONDS:
                return
            del self._recent[oldest]

    def say_again(self) -> int:
        """Redis has lost what it knew last: the records of the last minute go once more. How many."""
        recent = [record for _, record in self._recent.values()]
        for record in recent:
            self.finish(record)
        return len(recent)

    async def recover(self, node: str) -> Mapping[str, bytes]:
        """The live calls that `node` left behind when it died, by id. Each must come to `finish`, whose
        record carries that node's name. Raises RedisError."""
        found: dict[bytes, bytes] = await reply(self._redis.hgetall(live_key(self._site, node)))
        return {key.decode(): document for key, document in found.items()}

    async def left_behind(self) -> Sequence[str]:
        """Other nodes that may have live calls; those that live have. Raises RedisError."""
        found: set[bytes] = await reply(self._redis.smembers(nodes_key(self._site)))
        return sorted(name.decode() for name in found if name.decode() != self._node)

    async def strike(self, node: str) -> None:
        """That node has no live calls; it says so itself when it has. Raises RedisError."""
        await reply(self._redis.srem(nodes_key(self._site), node))

    async def flush(self) -> None:
        """Return once everything put or finished so far is in Redis. Needs `run` to be running."""
        await self._clean.wait()

    def unsaid(self) -> Sequence[bytes]:
        """Records that Redis has not got, as they would stand in the outbox."""
        return [_encode(record) for record in self._finished.values()]

    @property
    def waiting(self) -> int:
        """Documents and records that are not in Redis yet."""
        return len(self._live) + len(self._finished)

    async def run(self) -> None:
        """Write until cancelled. Redis being away is waited out."""
        pause = 0.0
        while True:
            await self._wake.wait()
            await (asyncio.sleep(pause) if pause else self._gather())
            self._wake.clear()
            self._urgent.clear()
            error = await self._send()
            if error is None:
                if pause:
                    log.info("journal reaches redis again")
                pause = 0.0
            else:
                if not pause:
                    log.warning("journal cannot reach redis; retrying", error=error, waiting=self.waiting)
                self._wake.set()
                pause = min(max(pause * 2, _FIRST_RETRY_SECONDS), _LONGEST_RETRY_SECONDS)

    async def _gather(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._linger):
                await self._urgent.wait()

    def _stir(self) -> None:
        self._wake.set()
        self._clean.clear()

    async def _send(self) -> str | None:
        """Write what waits, as far as one batch takes it. Returns what was in the way."""
        live = _take(self._live)
        finished = _take(self._finished)
        try:
            async with asyncio.timeout(_ATTEMPT_SECONDS):
                await self._write(live, finished)
        except (RedisError, OSError, TimeoutError) as error:
            self._take_back(live, finished)
            return str(error) or "no answer in time"
        except asyncio.CancelledError:
            self._take_back(live, finished)
            raise
        self._now_heard_of(live)
        if finished:
            self._on_outbox()
        if self.waiting:
            self._wake.set()
        else:
            self._clean.set()
        return None

    def _take_back(self, live: dict[str, bytes], finished: dict[str, CallRecord]) -> None:
        # What came meanwhile is newer. To write twice what Redis did take changes nothing.
        self._finished = {**finished, **self._finished}
        self._live = {k: v for k, v in {**live, **self._live}.items() if k not in self._finished}

    async def _write(self, live: Mapping[str, bytes], finished: Mapping[str, CallRecord]) -> None:
        mine = live_key(self._site, self._node)
        async with self._redis.pipeline(transaction=True) as transaction:
            if live:
                # Another node may have struck this one while it hung.
                transaction.sadd(nodes_key(self._site), self._node)
                transaction.hset(mine, mapping=live)  # type: ignore[arg-type]
            for record in finished.values():
                transaction.hdel(live_key(self._site, record.node), record.id)
            if finished:
                transaction.rpush(outbox_key(self._site), *map(_encode, finished.values()))
            await transaction.execute()


def decode_record(data: bytes) -> CallRecord:
    """The record that stands in the outbox. Raises msgspec.DecodeError (msgspec.ValidationError)."""
    return msgspec.json.decode(data, type=CallRecord)


def _take(pending: dict[str, _T]) -> dict[str, _T]:
    """The oldest of what is pending, out of it."""
    taken = dict(islice(pending.items(), _BATCH))
    for key in taken:
        del pending[key]
    return taken


def _encode(record: CallRecord) -> bytes:
    try:
        return msgspec.json.encode(record)
    except UnicodeEncodeError:
        # A caller's name with half a character in it must not cost the record.
        texts = {
            name: value.encode(errors="replace").decode()
            for name in record.__struct_fields__
            if isinstance(value := getattr(record, name), str)
        }
        return msgspec.json.encode(msgspec.structs.replace(record, **texts))


async def reply(command: Any) -> Any:
    """redis-py types its replies for both of its clients; ours is the asyncio one."""
    return await command
