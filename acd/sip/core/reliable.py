"""Provisional responses that are sure to arrive (RFC 3262), in both directions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from acd.sip.core.dialog import Dialog
from acd.sip.core.message import Header, Request, Response
from acd.sip.core.requests import Farewell, Hub, send_within
from acd.sip.core.timers import Timer
from acd.sip.core.transaction import ClientTransaction, ServerTransaction
from acd.sip.core.wire import Wire

TAG = "100rel"


def asks_for(message: Request | Response) -> bool:
    """Whether it says Require: 100rel."""
    return any(tag.lower() == TAG for tag in message.values("Require"))


class Acknowledger:
    """Acknowledges, by PRACK, what the phones behind one INVITE of ours say reliably."""

    def __init__(self, hub: Hub, dialog: Dialog, max_forks: int) -> None:
        self._hub = hub
        self._dialog = dialog
        self._max_forks = max_forks
        self._early: dict[str, tuple[Dialog, int]] = {}
        self.answers: dict[str, bytes] = {}
        """The SDP answer that each phone gave before its 2xx, which need not repeat it."""

    def receive(self, invite: ClientTransaction, response: Response, now: float) -> bool:
        """Whether the response says something new; one out of order is passed over (section 4)."""
        number = response.number("RSeq")
        if not asks_for(response) or not number:
            return True
        tag = response.to_tag
        known = self._early.get(tag)
        if known is None and len(self._early) >= self._max_forks:
            return False
        if known is not None and number != known[1] + 1:
            return False
        early = known[0] if known else self._dialog_with(response, invite)
        self._early[tag] = early, number
        if response.body:
            self.answers.setdefault(tag, response.body)
        rack = ("RAck", f"{number} {invite.number} INVITE")
        send_within(self._hub, early, "PRACK", Farewell(), now, headers=[rack])
        return True

    def _dialog_with(self, response: Response, invite: ClientTransaction) -> Dialog:
        early = replace(self._dialog, flow=invite.dialog_flow, local_cseq=invite.number)
        early.establish(response)
        return early

    def last_cseq(self, tag: str) -> int:
        """The number of the last request that was sent to a phone before its 2xx."""
        return self._early[tag][0].local_cseq if tag in self._early else 0


class Assurance:
    """Repeats a provisional response of ours until its PRACK; one at a time, the others wait (section 3)."""

    def __init__(
        self, wire: Wire, transaction: ServerTransaction, first: int, on_lost: Callable[[float], None]
    ) -> None:
        """`first` is the first RSeq, 1 to 2^31-1; `on_lost` is called where no PRACK came in 64*T1."""
        self._wire = wire
        self._transaction = transaction
        self._number = first - 1
        self._on_lost = on_lost
        self._waiting: list[tuple[int, Sequence[Header], bytes]] = []
        self._timers: list[Timer] = []
        self._then: Callable[[float], None] | None = None

    @property
    def is_pending(self) -> bool:
        return bool(self._timers)

    def send(self, status: int, headers: Sequence[Header], body: bytes, now: float) -> None:
        """Say it, now or when what was said before has been acknowledged."""
        if self.is_pending:
            self._waiting = [*self._waiting[-1:], (status, headers, body)]
            return
        self._number += 1
        reliable = [("Require", TAG), ("RSeq", str(self._number)), *headers]
        data = self._transaction.respond(status, now, headers=reliable, body=body)
        if data:
            config = self._wire.config
            self._timers = [self._wire.timers.set(now + config.patience, self._lose)]
            self._timers.append(self._repeat(data, now, config.t1))

    def _repeat(self, data: bytes, now: float, interval: float) -> Timer:
        def again(then: float) -> None:
            self._wire.send(self._transaction.flow, data)
            self._wire.counters.retransmissions += 1
            self._timers[1] = self._repeat(data, then, interval * 2)

        return self._wire.timers.set(now + interval, again)

    def acknowledge(self, request: Request, now: float) -> bool:
        """Whether this PRACK is for what is being said."""
        number, cseq, method = (*(request.header("RAck") or "").split(), "", "", "")[:3]
        ours = (str(self._number), str(self._transaction.request.cseq.number), "INVITE")
        if not self.is_pending or (number, cseq, method.upper()) != ours:
            return False
        self.stop()
        if self._waiting:
            self.send(*self._waiting.pop(0), now)
        elif self._then is not None:
            then, self._then = self._then, None
            then(now)
        return True

    def after(self, action: Callable[[float], None]) -> None:
        """Do this when all is acknowledged: a 2xx must not overtake an answer (section 3)."""
        self._then = action

    def _lose(self, now: float) -> None:
        self.stop()
        self._on_lost(now)

    def stop(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers = []
