"""Takes up callbacks that are due and that no node looks after."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import structlog

from acd.calls.callbacks import CallbackOrder, read_order
from acd.clock import Clock
from acd.polling import Poll
from routing.callbacks import CallbackStore
from routing.ports import StoreUnavailable

log = structlog.get_logger(__name__)

EVERY_SECONDS = 1.0
AT_ONCE = 100
"""Callbacks that a node takes up in one look, so that several nodes share what a dead one leaves."""


class CallbackKeeper:
    """Looks every second. Safe beside the keepers of other nodes: the store gives each callback to one."""

    def __init__(
        self,
        node: str,
        store: CallbackStore,
        clock: Clock,
        make: Callable[[CallbackOrder], None],
        may_take: Callable[[], bool],
    ) -> None:
        """`make` puts one in line, and does nothing with one that is; `may_take` is False while draining."""
        self._node = node
        self._store = store
        self._clock = clock
        self._make = make
        self._may_take = may_take
        self._poll = Poll(
            self._look_if_open,
            EVERY_SECONDS,
            "callback-keeper-blind",
            expected=(StoreUnavailable,),
            told_elsewhere=True,
            at_once=True,
        )

    def start(self) -> None:
        self._poll.start()

    async def stop(self) -> None:
        await self._poll.stop()

    async def look(self) -> None:
        """Take up what is there. Raises StoreUnavailable."""
        now_ms = round(self._clock.time() * 1000)
        for callback_id, document in await self._store.claim(self._node, AT_ONCE, now_ms):
            try:
                order = read_order(document)
            except msgspec.MsgspecError:
                log.exception("callback-unreadable", callback=callback_id)
                await self._store.cancel(callback_id, self._node, now_ms)
            else:
                self._make(order)

    async def _look_if_open(self) -> None:
        if self._may_take():
            await self.look()
