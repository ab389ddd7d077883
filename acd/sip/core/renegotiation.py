"""Re-INVITEs of one leg, in both directions, and their races (RFC 3261 section 14, RFC 5407 section 3)."""

from __future__ import annotations

from typing import Protocol

from acd.sip.core.body import session_description
from acd.sip.core.dialog import Dialog
from acd.sip.core.events import EndedBy, LegReofferAnswered, LegReoffered, LegReofferRefused, SipEvent
from acd.sip.core.message import Response
from acd.sip.core.requests import SDP, Hub, ack_of, prove, send_within
from acd.sip.core.session_timer import SessionTimer
from acd.sip.core.timers import Timer
from acd.sip.core.transaction import ClientTransaction, Lost, ServerTransaction
from acd.sip.core.wire import ALLOW

_MAX_GLARES = 8
_GONE = (408, 481)
"""What says that the peer's side of the dialog is no more (section 12.2.1.2)."""


class Usage(Protocol):
    """The leg, as its renegotiation sees it."""

    name: str
    dialog: Dialog
    timer: SessionTimer

    @property
    def is_settled(self) -> bool:
        """Whether the dialog is confirmed and no ACK is awaited."""
        ...

    @property
    def is_over(self) -> bool: ...

    @property
    def is_caller(self) -> bool:
        """Whether the Call-ID is ours."""
        ...

    def emit(self, event: SipEvent) -> None: ...

    def send_2xx(self, transaction: ServerTransaction, sdp: bytes, now: float) -> None: ...

    def break_off(self, by: EndedBy, status: int, reason: str, now: float) -> None:
        """End a confirmed leg with a BYE."""
        ...


class Renegotiation:
    """One re-INVITE at a time; an offer of ours that has to wait is kept, and the latest one counts."""

    def __init__(self, hub: Hub, leg: Usage) -> None:
        self._hub = hub
        self._leg = leg
        self._theirs: ServerTransaction | None = None
        self._ours: ClientTransaction | None = None
        self._waiting: bytes | None = None
        self._pause: Timer | None = None
        self._glares = 0

    # Theirs.

    def receive(self, transaction: ServerTransaction, now: float) -> None:
        """A re-INVITE of the peer, or an UPDATE with an offer."""
        if self._is_answering:
            dice = self._hub.wire.dice() % 10
            transaction.respond(500, now, headers=[("Retry-After", str(dice))])  # section 14.2
        elif self._ours is not None:
            transaction.respond(491, now)
        else:
            if transaction.is_invite:
                transaction.respond(100, now)
            else:
                transaction.expect_answer(now)
            self._theirs = transaction
            self._leg.dialog.refresh_target(transaction.request)
            offer = session_description(transaction.request)
            self._leg.emit(LegReoffered(self._leg.name, offer))

    @property
    def _is_answering(self) -> bool:
        return self._theirs is not None and not self._theirs.is_answered

    def accept(self, sdp: bytes, now: float) -> None:
        if self._theirs is not None and self._is_answering:
            self._leg.send_2xx(self._theirs, sdp, now)

    def refuse(self, status: int, now: float) -> None:
        if self._theirs is not None and self._is_answering:
            self._theirs.respond(status, now)
            self.go_on(now)

    def cancel(self, transaction: ServerTransaction, now: float) -> None:
        """A CANCEL for a re-INVITE: the session stays as it was (section 14.1)."""
        if transaction is self._theirs:
            self.refuse(487, now)

    # Ours.

    def offer(self, sdp: bytes, now: float) -> None:
        """Send a re-INVITE as soon as nothing stands against it."""
        self._waiting = sdp
        self._glares = 0
        self.go_on(now)

    def renew(self, sdp: bytes, now: float) -> None:
        """Say the session again, where nothing newer is about to be said."""
        if self._waiting is None and self._ours is None:
            self.offer(sdp, now)

    def go_on(self, now: float) -> None:
        """Something that stood against an offer of ours may be gone."""
        if self._waiting is None or not self._leg.is_settled:
            return
        if self._is_answering or self._ours is not None or self._pause is not None:
            return
        sdp, self._waiting = self._waiting, None
        session = self._leg.timer.request_headers()
        headers = [("Contact", self._leg.dialog.contact), ("Allow", ALLOW), *session, SDP]
        self._ours = send_within(self._hub, self._leg.dialog, "INVITE", self, now, headers=headers, body=sdp)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """What the peer says to a re-INVITE of ours."""
        if response.status < 200:
            return
        if transaction is self._ours:
            self._ours = prove(self._hub, self._leg.dialog, self, transaction, response, now)
            if self._ours is not None:
                return
        if response.status < 300:
            self._on_answer(transaction, response, now)
        elif self._leg.is_over:
            return
        elif response.status == 491 and self._glares < _MAX_GLARES:
            self._on_glare(transaction, now)
        elif self._leg.timer.is_too_small(response):
            self._waiting = self._waiting or transaction.body
        elif response.status in _GONE:
            self._leg.break_off("remote", response.status, response.reason_header or response.reason, now)
        else:
            self._leg.emit(LegReofferRefused(self._leg.name, response.status))
        self.go_on(now)

    def _on_answer(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        dialog = self._leg.dialog
        dialog.refresh_target(response)
        transaction.acknowledge(response.to_tag, ack_of(self._hub.wire, dialog, transaction.number))
        self._glares = 0
        if not self._leg.is_over:
            self._leg.timer.confirm(response, now)
        self._leg.emit(LegReofferAnswered(self._leg.name, session_description(response)))

    def _on_glare(self, transaction: ClientTransaction, now: float) -> None:
        """Try again after 2.1-4 s where the Call-ID is ours, else after 0-2 s (section 14.1)."""
        self._glares += 1
        if self._waiting is None:
            self._waiting = transaction.body
        dice = self._hub.wire.dice()
        pause = 2.1 + dice % 191 / 100 if self._leg.is_caller else dice % 201 / 100
        self._pause = self._hub.wire.timers.set(now + pause, self._on_pause_over)

    def _on_pause_over(self, now: float) -> None:
        self._pause = None
        self.go_on(now)

    def on_no_response(self, transaction: ClientTransaction, why: Lost, now: float) -> None:
        if transaction is self._ours:
            self._ours = None
            self._leg.break_off(why, 408 if why == "timeout" else 503, "", now)

    # Both.

    def stop(self, now: float) -> None:
        """The leg is over: what is under way is brought to its end (RFC 5407 section 3.1.5)."""
        self._waiting = None
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self._theirs is not None:
            self._theirs.respond(487, now)
        if self._ours is not None:
            self._ours.give_up_at(now + self._hub.wire.config.patience)
