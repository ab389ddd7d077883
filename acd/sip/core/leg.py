"""One leg: an INVITE dialog usage (RFC 5057) from its INVITE to its end, with its races."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Literal, Protocol

from acd.sip.core.dialog import Dialog, routes_of
from acd.sip.core.events import (
    EndedBy,
    Flow,
    LegAnswered,
    LegConfirmed,
    LegEnded,
    LegInfoReceived,
    LegProgressed,
    LegReofferAnswered,
    LegReoffered,
    LegReofferRefused,
    SipEvent,
)
from acd.sip.core.grammar import SipSyntaxError, plain
from acd.sip.core.message import Header, Request, Response, write
from acd.sip.core.timers import Timer
from acd.sip.core.transaction import ClientOwner, ClientTransaction, ServerTransaction
from acd.sip.core.uri import NameAddr
from acd.sip.core.wire import ALLOW, Wire

_SDP: Header = ("Content-Type", "application/sdp")


class Stage(Enum):
    RINGING = "ringing"
    """Theirs: no final response sent yet."""
    ACCEPTED = "accepted"
    """Theirs: 2xx sent, ACK awaited."""
    CALLING = "calling"
    """Ours: nothing heard yet, so that a CANCEL has to wait (RFC 3261 section 9.1)."""
    PROCEEDING = "proceeding"
    CANCELLING = "cancelling"
    CONFIRMED = "confirmed"
    OVER = "over"


class Hub(Protocol):
    """What a leg needs of its stack."""

    wire: Wire

    def emit(self, event: SipEvent) -> None: ...

    def request(
        self,
        method: str,
        uri: str,
        headers: Sequence[Header],
        body: bytes,
        flow: Flow,
        owner: ClientOwner,
        now: float,
        *,
        branch: str = "",
    ) -> ClientTransaction: ...

    def bind(self, leg: Leg) -> None:
        """The leg's dialog is known now."""

    def release(self, leg: Leg) -> None:
        """Nothing more will be said to this leg."""


class Deaf:
    """Sends a request whose answer changes nothing (BYE, CANCEL)."""

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """The peer has heard; that is all there is to know."""

    def on_no_response(
        self, transaction: ClientTransaction, why: Literal["timeout", "transport"], now: float
    ) -> None:
        """The peer is gone, which is what was asked for."""


class _Unacknowledged:
    """A 2xx of ours, repeated until its ACK (RFC 3261 section 13.3.1.4)."""

    __slots__ = ("had_offer", "is_first", "number", "timers")

    def __init__(self, number: int, *, is_first: bool, had_offer: bool) -> None:
        self.number = number
        self.is_first = is_first
        self.had_offer = had_offer
        self.timers: list[Timer] = []

    def stop(self) -> None:
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()


class Leg:
    """Emits one story of events that ends in exactly one LegEnded."""

    def __init__(self, hub: Hub, name: str, dialog: Dialog, stage: Stage) -> None:
        self.name = name
        self.dialog = dialog
        self.stage = stage
        self._hub = hub
        self._invite_in: ServerTransaction | None = None
        self._invite_out: ClientTransaction | None = None
        self._reinvite_in: ServerTransaction | None = None
        self._reinvite_out: ClientTransaction | None = None
        self._unacknowledged: _Unacknowledged | None = None
        self._retry: Timer | None = None
        self._ring_limit: Timer | None = None
        self._ended = False
        self._end_as: EndedBy = "local"
        self._acks: dict[int, bytes] = {}

    # Theirs: answer it.

    def take_invite(self, transaction: ServerTransaction) -> None:
        self._invite_in = transaction

    def ring(self, status: int, sdp: bytes | None, now: float) -> None:
        if self.stage is Stage.RINGING and self._invite_in is not None:
            headers = [*self._establishing(self._invite_in.request), *([_SDP] if sdp else [])]
            self._invite_in.respond(status, now, headers=headers, body=sdp or b"")

    def accept(self, sdp: bytes, now: float) -> None:
        if self.stage is not Stage.RINGING or self._invite_in is None:
            return
        self.stage = Stage.ACCEPTED
        self._send_2xx(self._invite_in, sdp, now, is_first=True)

    def refuse(self, status: int, reason: str, headers: Sequence[Header], now: float) -> None:
        if self.stage is Stage.RINGING and self._invite_in is not None:
            self._invite_in.respond(status, now, reason=reason, headers=headers)
            self._end("local", status, reason)

    def _establishing(self, request: Request) -> list[Header]:
        routes: list[Header] = [("Record-Route", route) for route in request.raw("Record-Route")]
        return [*routes, ("Contact", self.dialog.contact), ("Allow", ALLOW)]

    def _send_2xx(self, transaction: ServerTransaction, sdp: bytes, now: float, *, is_first: bool) -> None:
        headers = [*self._establishing(transaction.request), _SDP]
        data = transaction.respond(200, now, headers=headers, body=sdp)
        if not data:
            return
        waiting = _Unacknowledged(
            transaction.request.cseq.number, is_first=is_first, had_offer=bool(transaction.request.body)
        )
        self._unacknowledged = waiting
        config = self._hub.wire.config
        waiting.timers.append(self._hub.wire.timers.set(now + config.patience, self._on_no_ack))
        self._repeat_2xx(waiting, data, transaction.flow, now, config.t1)

    def _repeat_2xx(
        self, waiting: _Unacknowledged, data: bytes, flow: Flow, now: float, interval: float
    ) -> None:
        def repeat(then: float) -> None:
            self._hub.wire.send(flow, data)
            self._hub.wire.counters.retransmissions += 1
            self._repeat_2xx(waiting, data, flow, then, min(interval * 2, self._hub.wire.config.t2))

        waiting.timers.append(self._hub.wire.timers.set(now + interval, repeat))

    def _on_no_ack(self, now: float) -> None:
        self._send_bye("", now)
        self._end("timeout", 0)

    def on_ack(self, request: Request, now: float) -> None:
        """The ACK to a 2xx of ours; a repeated one says nothing new."""
        waiting = self._unacknowledged
        if waiting is None or waiting.number != request.cseq.number:
            return
        waiting.stop()
        self._unacknowledged = None
        if self._ended:
            self._send_bye("", now)
            self._hub.release(self)
            return
        self.stage = Stage.CONFIRMED
        sdp = request.body or None
        if waiting.is_first:
            self._hub.emit(LegConfirmed(self.name, sdp))
        elif not waiting.had_offer:
            self._hub.emit(LegReofferAnswered(self.name, sdp))

    @property
    def awaited_ack(self) -> int | None:
        """The CSeq number of the ACK that is due."""
        return self._unacknowledged.number if self._unacknowledged else None

    def on_cancel(self, reason: str, now: float) -> None:
        """A CANCEL for the INVITE; one that crosses our 2xx changes nothing (RFC 5407 section 3.1)."""
        if self.stage is Stage.RINGING and self._invite_in is not None:
            self._invite_in.respond(487, now)
            self._end("remote", 487, reason)

    # Ours: make it.

    def start(self, uri: str, headers: Sequence[Header], sdp: bytes, now: float) -> None:
        dialog = self.dialog
        dialog.local_cseq = 1
        base = [*dialog.headers("INVITE", 1), ("Contact", dialog.contact), ("Allow", ALLOW)]
        self._invite_out = self._hub.request(
            "INVITE", uri, [*base, *headers, _SDP], sdp, dialog.flow, self, now
        )
        limit = now + self._hub.wire.config.max_ring_seconds
        self._ring_limit = self._hub.wire.timers.set(limit, self._on_rung_too_long)

    def _on_rung_too_long(self, now: float) -> None:
        if self.stage in (Stage.CALLING, Stage.PROCEEDING):
            self._end_as = "timeout"
            self.hangup("", now)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        if transaction is self._reinvite_out or transaction.request.method != "INVITE":
            self._on_reinvite_response(transaction, response, now)
        elif transaction is self._invite_out:
            self._on_invite_response(transaction, response, now)

    def _on_invite_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        if response.status < 200:
            self._on_provisional(transaction, response, now)
        elif response.status < 300:
            self._on_answer(transaction, response, now)
        else:
            cancelled = self.stage is Stage.CANCELLING
            status = 408 if self._end_as == "timeout" else response.status
            self._end(self._end_as if cancelled else "remote", status, self._why(response))

    def _on_provisional(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        if self._ended:
            return
        if self.stage is Stage.CALLING:
            self.stage = Stage.PROCEEDING
        elif self.stage is Stage.CANCELLING and not self._retry:
            self._send_cancel(transaction, now)
        if response.status > 100 and self.stage is Stage.PROCEEDING:
            self._hub.emit(LegProgressed(self.name, response.status, response.body or None))

    def _on_answer(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        tag = response.to_tag
        if self.stage in (Stage.CONFIRMED, Stage.OVER) and tag != self.dialog.remote_tag:
            self._end_fork(transaction, response, now)  # Another phone behind a proxy answered as well.
            return
        if 1 in self._acks and tag == self.dialog.remote_tag:
            self._hub.wire.send(self.dialog.flow, self._acks[1])
            return
        dialog = self.dialog
        dialog.remote, dialog.remote_tag = response.header("To") or dialog.remote, tag
        dialog.routes = routes_of(response)[::-1]
        dialog.refresh_target(response)
        self._acks[1] = self._send_ack(dialog, 1)
        cancelled = self.stage is Stage.CANCELLING
        self.stage = Stage.CONFIRMED
        if cancelled or self._ended:
            self._send_bye("", now)
            self._end(self._end_as, 487)
            return
        if self._ring_limit is not None:
            self._ring_limit.cancel()
        self._hub.bind(self)
        self._hub.emit(LegAnswered(self.name, response.body or None))

    def _end_fork(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        mine = self.dialog
        fork = Dialog(
            call_id=mine.call_id,
            local=mine.local,
            remote=response.header("To") or "",
            local_tag=mine.local_tag,
            remote_tag=response.to_tag,
            flow=mine.flow,
            target=mine.target,
            contact=mine.contact,
            routes=routes_of(response)[::-1],
            local_cseq=1,
        )
        fork.refresh_target(response)
        self._send_ack(fork, 1)
        self._bye(fork, "", now)

    def on_no_response(
        self, transaction: ClientTransaction, why: Literal["timeout", "transport"], now: float
    ) -> None:
        if transaction is self._invite_out:
            self._end(
                self._end_as if self.stage is Stage.CANCELLING else why, 408 if why == "timeout" else 503
            )
        elif transaction is self._reinvite_out:
            self._reinvite_out = None
            self._send_bye("", now)
            self._end(why, 408 if why == "timeout" else 503)

    # Both: end it.

    def hangup(self, reason: str, now: float) -> None:
        """End the leg in whichever way its stage asks for."""
        if self.stage is Stage.RINGING and self._invite_in is not None:
            self._invite_in.respond(480, now, headers=_reason_header(reason))
            self._end("local", 480, reason)
        elif self.stage is Stage.ACCEPTED:
            # No BYE before the ACK (section 15): it follows when the ACK comes, or is given up.
            self._tell_end("local", 0, reason)
        elif self.stage in (Stage.CALLING, Stage.PROCEEDING) and self._invite_out is not None:
            proceeding = self.stage is Stage.PROCEEDING
            self.stage = Stage.CANCELLING
            if proceeding:
                self._cancel(self._invite_out, now, reason)
        elif self.stage is Stage.CONFIRMED:
            self._send_bye(reason, now)
            self._end("local", 0, reason)

    def _cancel(self, transaction: ClientTransaction, now: float, reason: str) -> None:
        self.stage = Stage.CANCELLING
        self._send_cancel(transaction, now, reason)

    def _send_cancel(self, transaction: ClientTransaction, now: float, reason: str = "") -> None:
        invite = transaction.request
        copied = [
            (n, v) for n, v in invite.headers if n in ("From", "To", "Call-ID", "Route", "Max-Forwards")
        ]
        headers = [*copied, ("CSeq", f"{invite.cseq.number} CANCEL"), *_reason_header(reason)]
        self._hub.request(
            "CANCEL", invite.uri_text, headers, b"", transaction.flow, Deaf(), now, branch=transaction.branch
        )
        # A peer that answers the CANCEL and never the INVITE must not keep the leg (section 9.1).
        transaction.give_up_at(now + self._hub.wire.config.patience)

    def _send_bye(self, reason: str, now: float) -> None:
        self._bye(self.dialog, reason, now)

    def _bye(self, dialog: Dialog, reason: str, now: float) -> None:
        dialog.local_cseq += 1
        uri, routes = dialog.request_line()
        headers = [*dialog.headers("BYE", dialog.local_cseq), *routes, *_reason_header(reason)]
        self._hub.request("BYE", uri, headers, b"", dialog.flow, Deaf(), now)

    def _send_ack(self, dialog: Dialog, number: int) -> bytes:
        uri, routes = dialog.request_line()
        via = self._hub.wire.via(dialog.flow, "z9hG4bK" + self._hub.wire.token())
        data = write(f"ACK {uri} SIP/2.0", [via, *dialog.headers("ACK", number), *routes])
        self._hub.wire.send(dialog.flow, data)
        return data

    def on_bye(self, transaction: ServerTransaction, now: float) -> None:
        transaction.respond(200, now)
        if self._reinvite_in is not None:
            self._reinvite_in.respond(487, now)  # RFC 5407 section 3.1.5
        if self._invite_in is not None and not self._invite_in.is_answered:
            self._invite_in.respond(487, now)
        self._end("remote", 0, transaction.request.reason_header)

    def on_flow_failed(self) -> None:
        """The connection broke: a call in set-up cannot be answered over it any more."""
        if self.stage is Stage.RINGING:
            self._end("transport", 503)

    def _end(self, by: EndedBy, status: int, reason: str = "") -> None:
        self._tell_end(by, status, reason)
        self.stage = Stage.OVER
        if self._unacknowledged is not None:
            self._unacknowledged.stop()
            self._unacknowledged = None
        for timer in (self._retry, self._ring_limit):
            if timer is not None:
                timer.cancel()
        self._hub.release(self)

    def _tell_end(self, by: EndedBy, status: int, reason: str) -> None:
        if not self._ended:
            self._ended = True
            self._hub.emit(LegEnded(self.name, by, status, plain(reason)[:256]))

    @staticmethod
    def _why(response: Response) -> str:
        return response.reason_header or response.reason

    # Both: change it.

    def on_request(self, transaction: ServerTransaction, now: float) -> None:
        """A request within the dialog."""
        request = transaction.request
        if request.cseq.number <= self.dialog.remote_cseq and request.method != "ACK":
            transaction.respond(500, now, reason="CSeq out of order")
            return
        self.dialog.remote_cseq = request.cseq.number
        handlers: dict[str, Callable[[ServerTransaction, float], None]] = {
            "BYE": self.on_bye,
            "INVITE": self._on_reinvite,
            "INFO": self._on_info,
            "UPDATE": self._on_update,
            "OPTIONS": lambda asked, then: void(asked.respond(200, then, headers=[("Allow", ALLOW)])),
        }
        handler = handlers.get(request.method)
        if handler is None:
            known = request.method in (
                "PRACK",
                "REFER",
                "NOTIFY",
                "MESSAGE",
                "SUBSCRIBE",
                "REGISTER",
                "PUBLISH",
            )
            transaction.respond(405 if known else 501, now, headers=[("Allow", ALLOW)])
        else:
            handler(transaction, now)

    def _on_info(self, transaction: ServerTransaction, now: float) -> None:
        transaction.respond(200, now)
        request = transaction.request
        self._hub.emit(LegInfoReceived(self.name, request.content_type, request.body))

    def _on_update(self, transaction: ServerTransaction, now: float) -> None:
        # A session refresh has no body; an offer belongs into a re-INVITE here.
        transaction.respond(488 if transaction.request.body else 200, now)

    def _on_reinvite(self, transaction: ServerTransaction, now: float) -> None:
        if self._reinvite_out is not None or self.stage is not Stage.CONFIRMED:
            transaction.respond(491, now)  # RFC 3261 section 14.2
            return
        if self._reinvite_in is not None and not self._reinvite_in.is_answered:
            transaction.respond(500, now, headers=[("Retry-After", "1")])
            return
        self._reinvite_in = transaction
        self.dialog.flow = transaction.flow
        self.dialog.refresh_target(transaction.request)
        self._hub.emit(LegReoffered(self.name, transaction.request.body or None))

    def accept_reoffer(self, sdp: bytes, now: float) -> None:
        if self._reinvite_in is not None and self.stage is Stage.CONFIRMED:
            self._send_2xx(self._reinvite_in, sdp, now, is_first=False)

    def refuse_reoffer(self, status: int, now: float) -> None:
        if self._reinvite_in is not None:
            self._reinvite_in.respond(status, now)

    def reoffer(self, sdp: bytes, now: float) -> None:
        """Send a re-INVITE; one at a time."""
        if self.stage is not Stage.CONFIRMED or self._reinvite_out is not None:
            return
        self._retry = None
        dialog = self.dialog
        dialog.local_cseq += 1
        uri, routes = dialog.request_line()
        headers = [*dialog.headers("INVITE", dialog.local_cseq), ("Contact", dialog.contact), *routes, _SDP]
        self._reinvite_out = self._hub.request("INVITE", uri, headers, sdp, dialog.flow, self, now)

    def _on_reinvite_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        number = transaction.request.cseq.number
        if number in self._acks and response.status < 300:
            self._hub.wire.send(self.dialog.flow, self._acks[number])
            return
        if response.status < 200:
            return
        self._reinvite_out = None
        if response.status < 300:
            self.dialog.refresh_target(response)
            self._acks[number] = self._send_ack(self.dialog, number)
            self._hub.emit(LegReofferAnswered(self.name, response.body or None))
        elif response.status == 491:
            body = transaction.request.body
            self._retry = self._hub.wire.timers.set(
                now + self._glare_pause(), lambda then: self.reoffer(body, then)
            )
        elif response.status in (408, 481):
            self._send_bye("", now)
            self._end("remote", response.status, self._why(response))
        else:
            self._hub.emit(LegReofferRefused(self.name, response.status))

    def _glare_pause(self) -> float:
        """2.1-4 s for the side that made the Call-ID, 0-2 s for the other (section 14.1)."""
        dice = int.from_bytes(hashlib.sha256(self._hub.wire.token().encode()).digest()[:4], "big")
        return 2.1 + (dice % 190) / 100 if self._invite_out is not None else (dice % 200) / 100


def void(_: object) -> None:
    """A response whose bytes nobody needs."""


def _reason_header(reason: str) -> list[Header]:
    """RFC 3326: why we end a leg, for the peer's log."""
    text = plain(reason)[:64].replace('"', "'")
    return [("Reason", f'SIP;cause=200;text="{text}"')] if text else []


def dialog_of_invite(wire: Wire, transaction: ServerTransaction) -> Dialog:
    """The dialog that an INVITE of the peer asks for. Raises SipSyntaxError."""
    request = transaction.request
    contacts = request.contacts
    if len(contacts) != 1:
        raise SipSyntaxError("contact", "an INVITE has exactly one")
    return Dialog(
        call_id=request.call_id,
        local=f"{request.header('To')};tag={transaction.to_tag}",
        remote=request.header("From") or "",
        local_tag=transaction.to_tag,
        remote_tag=request.from_tag,
        flow=transaction.flow,
        target=str(contacts[0].uri),
        contact=wire.contact(transaction.flow, _user_of(request)),
        routes=routes_of(request),
        remote_cseq=request.cseq.number,
    )


def _user_of(request: Request) -> str:
    text = str(NameAddr(request.uri).uri)
    return text.partition(":")[2].rpartition("@")[0].partition(";")[0]
