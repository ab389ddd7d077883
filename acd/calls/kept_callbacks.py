"""The callbacks of the store, each written down elsewhere too: what becomes of them survives the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from routing.callbacks import Callback, CallbackStatus, CallbackStore


class Register(Protocol):
    """Where it is written down. Each may be said again, and late; `open` raises what a database raises."""

    def noted(self, callback: Callback) -> None: ...

    def began(self, callback_id: str, attempt: int) -> None: ...

    def rests(self, callback_id: str, attempt: int) -> None: ...

    def ended(self, callback_id: str, how: str) -> None: ...

    async def open(self) -> Sequence[Callback]: ...


class KeptCallbacks:
    """A CallbackStore: says each word to the store, and then to the register what came of it.

    What the store ends by itself is not heard of here: `expires_ms` is in what was noted, and of an attempt
    that died with its node the beginning.
    """

    def __init__(self, store: CallbackStore, register: Register) -> None:
        self._store = store
        self._register = register

    async def add(self, callback: Callback, node: str, now_ms: int) -> str:
        in_force = await self._store.add(callback, node, now_ms)
        if in_force == callback.id:
            self._register.noted(callback)
        return in_force

    async def claim(self, node: str, most: int, now_ms: int) -> Sequence[tuple[str, str]]:
        return await self._store.claim(node, most, now_ms)

    async def hold(self, callback_id: str, node: str, now_ms: int) -> bool | None:
        return await self._store.hold(callback_id, node, now_ms)

    async def begin(self, callback_id: str, node: str, now_ms: int, *, said: int = 0) -> int:
        attempt = await self._store.begin(callback_id, node, now_ms, said=said)
        if attempt:
            self._register.began(callback_id, attempt)
        return attempt

    async def unreached(self, callback_id: str, node: str, attempt: int, why: str, now_ms: int) -> str:
        how = await self._store.unreached(callback_id, node, attempt, why, now_ms)
        if how in ("failed", "expired"):
            self._register.ended(callback_id, how)
        else:
            self._register.rests(callback_id, attempt)
        return how

    async def release(self, callback_id: str, node: str, now_ms: int) -> None:
        await self._store.release(callback_id, node, now_ms)

    async def done(self, callback_id: str, node: str, now_ms: int) -> bool:
        found = await self._store.done(callback_id, node, now_ms)
        self._register.ended(callback_id, "done")
        return found

    async def cancel(self, callback_id: str, node: str, now_ms: int) -> bool | None:
        cancelled = await self._store.cancel(callback_id, node, now_ms)
        if cancelled or (cancelled is False and node):
            self._register.ended(callback_id, "cancelled")
        return cancelled

    async def find(self, callback_id: str) -> CallbackStatus | None:
        return await self._store.find(callback_id)

    async def say_again(self, now_ms: int) -> int:
        return await self._store.say_again(now_ms)

    async def of(self, queue: str, most: int) -> Sequence[CallbackStatus]:
        return await self._store.of(queue, most)

    async def restore(self, now_ms: int) -> int:
        """Tell the store of all that have not ended; those that it knows, or knows to have ended, stay as
        they are. How many it lacked. Raises StoreUnavailable, and what the register raises."""
        restored = 0
        for callback in await self._register.open():
            known = await self._store.find(callback.id) is not None
            in_force = await self._store.add(callback, "", now_ms)
            if known:
                continue
            if in_force != callback.id:
                self._register.ended(callback.id, "replaced")
            elif await self._store.find(callback.id) is None:
                self._register.ended(callback.id, "gone")
            else:
                restored += 1
        return restored
