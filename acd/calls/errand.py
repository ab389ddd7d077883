"""What one call says to the store about a callback: the caller's wish, or the one that it is made for."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from acd.calls import model as m
from acd.calls.callbacks import CallbackOrder, entry_of
from acd.calls.lane import Lane
from ivr.interpreter import Noted
from routing.model import Ticket
from routing.ports import QueueStore

log = structlog.get_logger(__name__)


class Errand:
    """Says it in the lane of the call, so in order with its place and its offers."""

    def __init__(
        self,
        store: QueueStore,
        node: str,
        now_ms: Callable[[], int],
        lane: Lane,
        post: Callable[[m.Event], None],
        make: Callable[[CallbackOrder], None],
    ) -> None:
        self._store = store
        self._node = node
        self._now_ms = now_ms
        self._lane = lane
        self._post = post
        self._make = make
        self._attempt = 0
        self._is_made = False
        self._noted: CallbackOrder | None = None

    def note(self, effect: m.NoteCallback) -> None:
        order = effect.order

        async def note() -> None:
            in_force = await self._store.callbacks.add(entry_of(order), self._node, self._now_ms())
            result = Noted.NOTED if in_force == order.id else Noted.KNOWN
            self._noted = order if result is Noted.NOTED else None
            log.info("callback-noted", queue=order.queue, callback=in_force, result=result.value)
            self._post(m.CallbackAnswered(order.id, effect.step, result))

        self._lane.put(note)

    def make(self, effect: m.MakeCallback) -> None:
        """Put what was noted in line, now that the caller has left it."""

        async def make() -> None:
            if self._noted is not None:
                self._make(self._noted)

        self._lane.put(make)

    def drop(self, effect: m.DropCallback) -> None:
        async def drop() -> None:
            await self._store.callbacks.cancel(effect.id, "", self._now_ms())

        self._lane.put(drop)

    def begin(self, order: CallbackOrder) -> None:
        async def begin() -> None:
            begin, now = self._store.callbacks.begin, self._now_ms()
            attempt = await begin(order.id, self._node, now)
            if not attempt and await self._is_ours(order):
                attempt = await begin(order.id, self._node, now)
            self._attempt = attempt
            self._post(m.AttemptAllowed(attempt))

        self._lane.put(begin)

    def made(self, callback_id: str) -> None:
        async def made() -> None:
            self._is_made = True
            if not await self._store.callbacks.done(callback_id, self._node, self._now_ms()):
                log.warning("callback-unknown-to-store", callback=callback_id)

        self._lane.put(made)

    def settle(self, callback_id: str, effect: m.SettleCallback) -> None:
        """Whether an attempt had begun is known here, when it is this word's turn."""

        async def settle() -> None:
            callbacks, now = self._store.callbacks, self._now_ms()
            if self._attempt:
                how = await callbacks.unreached(callback_id, self._node, self._attempt, effect.why, now)
                log.info("callback-unreached", callback=callback_id, why=effect.why, then=how)
            elif effect.cancel:
                await callbacks.cancel(callback_id, self._node, now)
            else:
                await callbacks.release(callback_id, self._node, now)

        self._lane.put(settle)

    def say_again(self, order: CallbackOrder, ticket: Ticket) -> None:
        """Put it back where it was lost, and its place; leave it where it ended or is another node's."""

        async def say() -> None:
            if await self._is_ours(order):
                await self._store.enqueue(ticket, self._now_ms())
            else:
                self._post(m.CallbackGone("taken"))

        self._lane.put(say)

    async def correct(self, order: CallbackOrder) -> bool:
        """Say how far it has come to a store that has lost what it knew last. False where it is not ours."""
        callbacks, now = self._store.callbacks, self._now_ms()
        if self._is_made:
            await callbacks.done(order.id, self._node, now)
            return True
        if not self._attempt:
            return await self._is_ours(order)
        if await callbacks.begin(order.id, self._node, now, said=self._attempt):
            return True
        await self._is_ours(order)
        return await callbacks.begin(order.id, self._node, now, said=self._attempt) > 0

    async def _is_ours(self, order: CallbackOrder) -> bool:
        """Whether this node looks after it, which nobody does where it was lost."""
        now = self._now_ms()
        held = await self._store.callbacks.hold(order.id, self._node, now)
        if held is None:
            return await self._store.callbacks.add(entry_of(order), self._node, now) == order.id
        return held
