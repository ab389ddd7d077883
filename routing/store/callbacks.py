"""Callbacks in Redis: each operation one atomic script."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from routing.callbacks import Callback, CallbackState, CallbackStatus, check_callback
from routing.limits import CALLBACK_WORDS_KEPT, CALLBACK_WORDS_KEPT_MS
from routing.store.replies import pairs


class RedisCallbackStore:
    """The CallbackStore beside the queues of a site."""

    def __init__(self, run: Callable[..., Awaitable[Any]], tell: Callable[[int], None]) -> None:
        """`tell` hears each deadline (ms) that is made here."""
        self._run = run
        self._tell = tell
        self._latest: deque[tuple[int, str, tuple[Any, ...]]] = deque(maxlen=CALLBACK_WORDS_KEPT)
        """When, and the script with its arguments: words that changed what becomes of a callback."""

    async def add(self, callback: Callback, node: str, now_ms: int) -> str:
        """Note it. Returns the id that is in force for its number."""
        check_callback(callback)
        words = (
            callback.id,
            callback.queue,
            callback.number,
            callback.enqueued_ms,
            callback.due_ms,
            callback.expires_ms,
            callback.attempts,
            callback.interval_ms,
            callback.document,
            node,
            callback.made,
        )
        in_force: str = await self._run("callback_add", now_ms, *words)
        if in_force == callback.id:
            self._keep(now_ms, "callback_add", *words)
        for due in (callback.due_ms, callback.expires_ms):
            if due > now_ms:
                self._tell(due)
        return in_force

    async def claim(self, node: str, most: int, now_ms: int) -> Sequence[tuple[str, str]]:
        """Look after what nobody does; id and document of all that this node is to put in line."""
        return list(pairs(await self._run("callback_claim", now_ms, node, most)).items())

    async def hold(self, callback_id: str, node: str, now_ms: int) -> bool | None:
        """Whether this node still looks after it; None where it is not known."""
        found = await self._run("callback_hold", now_ms, callback_id, node)
        return None if found < 0 else bool(found)

    async def begin(self, callback_id: str, node: str, now_ms: int, *, said: int = 0) -> int:
        """The number of the attempt that may be made now, or 0; `said` is one that has begun."""
        attempt: int = await self._run("callback_begin", now_ms, callback_id, node, said)
        return attempt

    async def unreached(self, callback_id: str, node: str, attempt: int, why: str, now_ms: int) -> str:
        """The attempt came to nothing. Returns what becomes of the callback."""
        words = ("callback_unreached", callback_id, node, attempt, why)
        how: str = await self._run(words[0], now_ms, *words[1:])
        self._keep(now_ms, *words)
        return how

    async def release(self, callback_id: str, node: str, now_ms: int) -> None:
        """Look after it no longer."""
        await self._run("callback_release", now_ms, callback_id, node)

    async def done(self, callback_id: str, node: str, now_ms: int) -> bool:
        """The two have talked. False where it had ended."""
        words = ("callback_end", callback_id, "done", node)
        found: int = await self._run(words[0], now_ms, *words[1:])
        self._keep(now_ms, *words)
        return bool(found)

    async def cancel(self, callback_id: str, node: str, now_ms: int) -> bool | None:
        """It is not to be made. None where it is being made."""
        words = ("callback_end", callback_id, "cancelled", node)
        found: int = await self._run(words[0], now_ms, *words[1:])
        if found > 0:
            self._keep(now_ms, *words)
        return None if found < 0 else bool(found)

    async def find(self, callback_id: str) -> CallbackStatus | None:
        """One that has not ended."""
        return next(map(_status, await self._run("callback_find", callback_id)), None)

    async def say_again(self, now_ms: int) -> int:
        """The words of the last minute once more, in order; repeated, each changes nothing. How many."""
        self._forget(now_ms)
        words = tuple(self._latest)
        for _, script, arguments in words:
            await self._run(script, now_ms, *arguments)
        return len(words)

    def _keep(self, now_ms: int, script: str, *arguments: Any) -> None:
        self._forget(now_ms)
        self._latest.append((now_ms, script, arguments))

    def _forget(self, now_ms: int) -> None:
        while self._latest and self._latest[0][0] <= now_ms - CALLBACK_WORDS_KEPT_MS:
            self._latest.popleft()

    async def of(self, queue: str, most: int) -> Sequence[CallbackStatus]:
        """The oldest of a queue."""
        return list(map(_status, await self._run("callback_list", queue, most)))


def _status(found: Sequence[str]) -> CallbackStatus:
    callback_id, state, made, due, document = found
    return CallbackStatus(callback_id, CallbackState(state), int(made), int(due) if due else None, document)
