"""A 2xx of ours to an INVITE: repeated until its ACK, over any transport (RFC 3261 section 13.3.1.4)."""

from __future__ import annotations

from collections.abc import Callable

from acd.sip.core.events import Flow
from acd.sip.core.timers import Timer
from acd.sip.core.transaction import ServerTransaction
from acd.sip.core.wire import Wire


class Acceptance:
    """Waits for the ACK with the INVITE's CSeq number; calls `on_no_ack` after 64*T1."""

    __slots__ = ("_data", "_ending", "_flow", "_repeating", "_wire", "had_offer", "number")

    def __init__(
        self,
        wire: Wire,
        transaction: ServerTransaction,
        data: bytes,
        on_no_ack: Callable[[float], None],
        now: float,
    ) -> None:
        self.number = transaction.request.cseq.number
        self.had_offer = bool(transaction.request.body)
        """Without one the 2xx carries our offer, and the ACK the answer."""
        self._wire = wire
        self._flow: Flow = transaction.flow
        self._data = data
        self._ending: Timer = wire.timers.set(now + wire.config.patience, on_no_ack)
        self._repeating = self._repeat(now, wire.config.t1)

    def _repeat(self, now: float, interval: float) -> Timer:
        def again(then: float) -> None:
            self._wire.send(self._flow, self._data)
            self._wire.counters.retransmissions += 1
            self._repeating = self._repeat(then, min(interval * 2, self._wire.config.t2))

        return self._wire.timers.set(now + interval, again)

    def stop(self) -> None:
        self._ending.cancel()
        self._repeating.cancel()
