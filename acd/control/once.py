"""`Idempotency-Key`: a request that is sent again with its key has the answer of the first, and does no more.

Redis keys: `acd:{site}:once:<hash>` is what became of a request, for a day; `acd:{site}:onces` is a sorted
set of these by the time at which they were answered, of which the oldest go where there are too many.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Protocol

import msgspec
import structlog
from aiohttp import web
from redis.asyncio import Redis
from redis.exceptions import RedisError

from acd.clock import Clock
from acd.control.problems import Problem, status_of

log = structlog.get_logger(__name__)

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
LONGEST = 255
_FORM = re.compile(rf'^"?[\x21\x23-\x7e]{{1,{LONGEST}}}"?$')
_KEPT_SECONDS = 86_400
_UNDER_WAY_SECONDS = 60
_MOST = 50_000


class Kept(msgspec.Struct, frozen=True):
    """What is known of a request with a key. `status` is 0 while it is under way."""

    request: str
    """Hash of its body."""
    status: int = 0
    body: str = ""


class Onces(Protocol):
    """What became of requests with keys, for all nodes."""

    async def begin(self, name: str, request: str) -> Kept | None:
        """None: it is the first of its name, and now under way. Raises RedisError."""
        ...

    async def keep(self, name: str, kept: Kept) -> None: ...

    async def drop(self, name: str) -> None:
        """It did nothing: it may be sent again."""
        ...


class OnceStore:
    """Onces in Redis."""

    def __init__(self, redis: Redis, *, site: str, clock: Clock, most: int = _MOST) -> None:
        self._redis = redis
        self._prefix = f"acd:{{{site}}}:once:"
        self._index = f"acd:{{{site}}}:onces"
        self._clock = clock
        self._most = most

    async def begin(self, name: str, request: str) -> Kept | None:
        begun = msgspec.json.encode(Kept(request))
        if await self._redis.set(self._prefix + name, begun, nx=True, ex=_UNDER_WAY_SECONDS):
            return None
        found = await self._redis.get(self._prefix + name)
        return msgspec.json.decode(found, type=Kept) if found else Kept(request)

    async def keep(self, name: str, kept: Kept) -> None:
        async with self._redis.pipeline(transaction=True) as transaction:
            transaction.set(self._prefix + name, msgspec.json.encode(kept), ex=_KEPT_SECONDS)
            transaction.zadd(self._index, {name: self._clock.time()})
            transaction.expire(self._index, _KEPT_SECONDS)
            transaction.zcard(self._index)
            *_, count = await transaction.execute()
        if count > self._most:
            oldest: Any = await self._redis.zpopmin(self._index, count - self._most)
            await self._redis.delete(*(self._prefix + name.decode() for name, _ in oldest))

    async def drop(self, name: str) -> None:
        await self._redis.delete(self._prefix + name)


def key_of(request: web.Request) -> str:
    """The key of a request, with or without quotes; empty for none. Raises Problem 400."""
    key = request.headers.get(HEADER, "")
    if key and not _FORM.match(key):
        raise Problem(400, "idempotency-key-malformed", f"{HEADER} is 1 to {LONGEST} printable characters.")
    return key.strip('"')


async def once(
    onces: Onces, key: str, request: web.Request, handle: Callable[[], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer a request that has a key. Raises Problem 409, 422, and whatever `handle` raises.

    A key is of one token, one path and one body. A request that was refused has done nothing, and may be sent
    again; of one that failed it is not known, and its key is taken for a minute.
    """
    sent = hashlib.sha256(await request.read()).hexdigest()
    whose = "\n".join((request.headers.get("Authorization", ""), request.method, request.path, key))
    name = hashlib.sha256(whose.encode()).hexdigest()
    kept = await onces.begin(name, sent)
    if kept is not None:
        return _again(kept, sent)
    try:
        response = await handle()
    except Exception as error:
        if status_of(error) < HTTPStatus.INTERNAL_SERVER_ERROR:
            await onces.drop(name)
        raise
    assert isinstance(response, web.Response)
    try:
        await onces.keep(name, Kept(sent, response.status, response.text or ""))
    except (RedisError, OSError, TimeoutError) as error:
        log.warning("answer-not-kept", error=str(error))
    return response


def _again(kept: Kept, sent: str) -> web.Response:
    if kept.request != sent:
        raise Problem(422, "idempotency-key-reused", f"This {HEADER} came with another body before.")
    if not kept.status:
        headers = {"Retry-After": "1"}
        raise Problem(409, "idempotency-key-in-use", "The first request is under way.", headers=headers)
    headers = {REPLAYED: "true"}
    if not kept.body:
        return web.Response(status=kept.status, headers=headers)
    return web.Response(text=kept.body, status=kept.status, headers=headers, content_type="application/json")
