"""Callbacks in Redis: each operation one atomic script."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from routing.callbacks import Callback, CallbackState, CallbackStatus, check_callback
from routing.store.replies import pairs


class RedisCallbackStore:
    """The CallbackStore beside the queues of a site."""

    def __init__(self, run: Callable[..., Awaitable[Any]], tell: Callable[[int], None]) -> None:
        """`tell` hears each deadline (ms) that is made here."""
        self._run = run
        self._tell = tell

    async def add(self, callback: Callback, node: str, now_ms: int) -> str:
        """Note it. Returns the id that is in force for its number."""
        check_callback(callback)
        in_force: str = await self._run(
            "callback_add",
            now_ms,
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
        )
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

    async def begin(self, callback_id: str, node: str, now_ms: int) -> int:
        """The number of the attempt that may be made now, or 0."""
        attempt: int = await self._run("callback_begin", now_ms, callback_id, node)
        return attempt

    async def unreached(self, callback_id: str, node: str, attempt: int, why: str, now_ms: int) -> str:
        """The attempt came to nothing. Returns what becomes of the callback."""
        how: str = await self._run("callback_unreached", now_ms, callback_id, node, attempt, why)
        return how

    async def release(self, callback_id: str, node: str, now_ms: int) -> None:
        """Look after it no longer."""
        await self._run("callback_release", now_ms, callback_id, node)

    async def done(self, callback_id: str, node: str, now_ms: int) -> bool:
        """The two have talked. False where it had ended."""
        return bool(await self._run("callback_end", now_ms, callback_id, "done", node))

    async def cancel(self, callback_id: str, node: str, now_ms: int) -> bool | None:
        """It is not to be made. None where it is being made."""
        found = await self._run("callback_end", now_ms, callback_id, "cancelled", node)
        return None if found < 0 else bool(found)

    async def find(self, callback_id: str) -> CallbackStatus | None:
        """One that has not ended."""
        return next(map(_status, await self._run("callback_find", callback_id)), None)

    async def of(self, queue: str, most: int) -> Sequence[CallbackStatus]:
        """The oldest of a queue."""
        return list(map(_status, await self._run("callback_list", queue, most)))


def _status(found: Sequence[str]) -> CallbackStatus:
    callback_id, state, made, due, document = found
    return CallbackStatus(callback_id, CallbackState(state), int(made), int(due) if due else None, document)
