"""What is done to calls, at whichever node: the one that is asked passes it on to the one that has the call.

Redis keys: `acd:{site}:orders:<node>` is a list of what a node is to read: orders of other nodes, and their
verdicts on its own. It goes by itself when nobody reads it. An order is carried out once or not at all, and
not when it comes too late for whoever asked.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from acd import tasks
from acd.calls.view import CallView
from acd.clock import Clock
from acd.control.problems import FieldError, Problem, not_found, problem_of
from acd.history.journal import reply

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 3.0
"""For the verdict of the other node; requests may take ten."""
_BLOCK_SECONDS = 1
_RETRY_SECONDS = 0.5
_KEPT_MS = 10_000
_MOST = 1000
"""Words that a node has not read; the oldest go."""


class HangUp(msgspec.Struct, frozen=True, tag="hang-up"):
    call: str


class Transfer(msgspec.Struct, frozen=True, tag="transfer"):
    """`by` is the agent on the line who asks for it; empty for a supervisor."""

    call: str
    to: str
    preferred: str
    by: str


class Trace(msgspec.Struct, frozen=True, tag="trace"):
    """Keep the messages of a call from now on."""

    call: str


Order = HangUp | Transfer | Trace
CarryOut = Callable[[Order], None]
"""Does it, or raises what `problem_of` knows."""


class Verdict(msgspec.Struct, frozen=True):
    """What became of an order; a status of 0: it is done."""

    status: int = 0
    kind: str = ""
    detail: str = ""
    errors: tuple[tuple[str, str], ...] = ()
    """Pointer and detail of each field that is wrong."""


class _Given(msgspec.Struct, frozen=True, tag="order"):
    id: str
    node: str
    """Who asks."""
    until: float
    """Who asks waits no longer. Seconds since the epoch, by the clock that all nodes go by."""
    order: Order


class _Answered(msgspec.Struct, frozen=True, tag="verdict"):
    id: str
    verdict: Verdict


class Orders(Protocol):
    async def give(self, node: str, order: Order) -> None:
        """Have it done by the node that has the call. Raises Problem."""
        ...


class Target(Protocol):
    """The calls of this node."""

    def find(self, call_id: str) -> CallView | None: ...

    def hang_up(self, call_id: str) -> bool:
        """Begin to end a call. False where there is none of that id."""
        ...

    def transfer(self, call_id: str, to: str, preferred: str, by: str) -> bool:
        """Begin to send a caller elsewhere. False where there is no call of that id.

        `preferred` is the agent who should take the call there first; empty for nobody in particular. `by`
        is the agent on the line who asks for it, with whose rights; empty for a supervisor. Raises
        acd.calls.targets.UnknownTarget, UnknownPreferred, TransferImpossible; acd.calls.outward.NotAllowed.
        """
        ...


def carry_out(calls: Target, follow: Callable[[str], None], order: Order) -> None:
    """Do it to a call of this node; `follow` traces one. Raises Problem 404 where it is over, and what
    `transfer` raises."""
    match order:
        case HangUp(call):
            found = calls.hang_up(call)
        case Transfer(call, to, preferred, by):
            found = calls.transfer(call, to, preferred, by)
        case Trace(call):
            found = calls.find(call) is not None
            if found:
                follow(call)
    if not found:
        raise not_found("live call")


class NodeOrders:
    """Orders of this node and to it. One reader, and one connection, however many are under way."""

    def __init__(self, redis: Redis, *, site: str, node: str, clock: Clock, do: CarryOut) -> None:
        self._redis = redis
        self._site = site
        self._node = node
        self._clock = clock
        self._do = do
        self._waiting: dict[str, asyncio.Future[Verdict]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._words: msgspec.msgpack.Decoder[_Given | _Answered] = msgspec.msgpack.Decoder(_Given | _Answered)

    def start(self) -> None:
        self._reading = asyncio.create_task(self._read_forever(), name="orders")

    async def stop(self) -> None:
        await tasks.end(self._reading)
        self._reading = None

    async def give(self, node: str, order: Order) -> None:
        """Have it done. Raises Problem (504 where the other node says nothing), RedisError, OSError."""
        if node == self._node:
            self._do(order)
            return
        name = secrets.token_hex(8)
        answer = self._waiting[name] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                until = self._clock.time() + PATIENCE_SECONDS
                await self._say(node, _Given(name, self._node, until, order))
                verdict = await answer
        except TimeoutError:
            raise _silent(node) from None
        finally:
            del self._waiting[name]
        if verdict.status:
            errors = [FieldError(pointer=pointer, detail=detail) for pointer, detail in verdict.errors]
            raise Problem(verdict.status, verdict.kind, verdict.detail, errors=errors)

    def _key(self, node: str) -> str:
        return f"acd:{{{self._site}}}:orders:{node}"

    async def _say(self, node: str, word: _Given | _Answered) -> None:
        key = self._key(node)
        async with self._redis.pipeline(transaction=True) as transaction:
            transaction.rpush(key, msgspec.msgpack.encode(word))
            transaction.ltrim(key, -_MOST, -1)
            transaction.pexpire(key, _KEPT_MS)
            await transaction.execute()

    async def _read_forever(self) -> None:
        failing = False
        while True:
            try:
                found: Any = await reply(self._redis.blpop([self._key(self._node)], timeout=_BLOCK_SECONDS))
                if found:
                    await self._take(found[1])
            except (RedisError, OSError, TimeoutError) as error:
                if not failing:
                    log.warning("orders-not-read", error=str(error))
                failing = True
                await asyncio.sleep(_RETRY_SECONDS)
            except Exception:
                log.exception("order-failed")
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                failing = False

    async def _take(self, data: bytes) -> None:
        try:
            word = self._words.decode(data)
        except msgspec.MsgspecError:
            log.warning("order-unreadable", remedy="the nodes run different versions; update them all")
            return
        if isinstance(word, _Answered):
            answer = self._waiting.get(word.id)
            if answer is not None and not answer.done():
                answer.set_result(word.verdict)
        elif self._clock.time() < word.until:
            await self._say(word.node, _Answered(word.id, self._judge(word)))

    def _judge(self, given: _Given) -> Verdict:
        try:
            self._do(given.order)
        except Exception as error:
            problem = problem_of(error)
            if problem is None:
                log.exception("order-failed", call_id=given.order.call)
                return Verdict(500, "internal", "The service failed to do it; see its log.")
            errors = tuple((one.pointer, one.detail) for one in problem.errors)
            return Verdict(problem.status, problem.kind, problem.detail, errors)
        what = type(given.order).__struct_config__.tag
        log.info("order-taken", what=what, call_id=given.order.call, asked_at=given.node)
        return Verdict()


def _silent(node: str) -> Problem:
    detail = f"The call is at node {node!r}, which says nothing; what was asked may still be done there."
    return Problem(504, "node-silent", detail)
