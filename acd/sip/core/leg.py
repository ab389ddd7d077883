"""One leg: an INVITE dialog usage (RFC 5057) from its INVITE to its end, with its races."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Protocol

from acd.sip.core import reliable
from acd.sip.core.acceptance import Acceptance
from acd.sip.core.body import session_description
from acd.sip.core.dialog import MOST_HOPS, Dialog
from acd.sip.core.events import (
    EndedBy,
    LegAnswered,
    LegConfirmed,
    LegEnded,
    LegInfoReceived,
    LegProgressed,
    LegReferred,
    LegReofferAnswered,
    SipEvent,
)
from acd.sip.core.grammar import plain
from acd.sip.core.message import Header, Request, Response
from acd.sip.core.referral import Referrals
from acd.sip.core.reliable import Acknowledger, Assurance
from acd.sip.core.renegotiation import Renegotiation
from acd.sip.core.requests import (
    SDP,
    SUPPORTED,
    Hub,
    ack_of,
    end_fork,
    reason_header,
    send_bye,
    send_cancel,
)
from acd.sip.core.session_timer import SessionTimer
from acd.sip.core.timers import Timer
from acd.sip.core.transaction import ClientTransaction, Lost, ServerTransaction
from acd.sip.core.verdict import redirected_to, retry_after
from acd.sip.core.wire import ALLOW, is_known

_MAX_REASON = 256


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


class LegHub(Hub, Protocol):
    """The stack, with what it keeps of legs."""

    def bind(self, leg: Leg) -> None:
        """The leg's dialog is known now."""

    def unbind(self, leg: Leg) -> None:
        """The leg's dialog is no more."""

    def release(self, leg: Leg) -> None:
        """The leg's story is told; its owner has nothing more to say to it."""


class Leg:
    """Emits one story of events that ends in exactly one LegEnded."""

    def __init__(
        self, hub: LegHub, name: str, dialog: Dialog, invite: ServerTransaction | None = None
    ) -> None:
        self.name = name
        self.dialog = dialog
        self.stage = Stage.RINGING if invite else Stage.CALLING
        self._hub = hub
        self._theirs = invite
        self._ours: ClientTransaction | None = None
        self._again: Callable[[float], None] | None = None
        """Sends our INVITE once more, with what is asked for now."""
        self.timer = SessionTimer(hub, self)
        self._change = Renegotiation(hub, self)
        self._assurance: Assurance | None = None
        self._acknowledger: Acknowledger | None = None
        self._sdp = b""
        """What we said last of our side of the session."""
        self._acceptance: Acceptance | None = None
        self._referrals = Referrals(hub, dialog)
        self._ring_limit: Timer | None = None
        self._patience: float | None = None
        self._is_told = False
        self._end_as: EndedBy = "local"
        self._cancel_reason: str | None = None
        """Why to CANCEL, while a CANCEL is still to be sent."""
        if invite is not None:
            invite.on_lost = self._on_lost

    # What renegotiation asks.

    @property
    def is_settled(self) -> bool:
        return self.stage is Stage.CONFIRMED and self._acceptance is None

    @property
    def is_over(self) -> bool:
        return self.stage is Stage.OVER

    @property
    def is_caller(self) -> bool:
        return self._theirs is None

    def emit(self, event: SipEvent) -> None:
        """Tell the owner, who hears nothing of a leg that is over."""
        if not self._is_told:
            self._hub.emit(event)

    # Theirs: answer it.

    def ring(self, status: int, sdp: bytes | None, now: float) -> None:
        if self.stage is Stage.RINGING and self._theirs is not None:
            headers = [*self._establishing(self._theirs.request), *([SDP] if sdp else [])]
            if reliable.asks_for(self._theirs.request):
                self._assure(self._theirs).send(status, headers, sdp or b"", now)
            else:
                self._theirs.respond(status, now, headers=headers, body=sdp or b"")

    def _assure(self, transaction: ServerTransaction) -> Assurance:
        if self._assurance is None:
            wire = self._hub.wire
            self._assurance = Assurance(wire, transaction, 1 + wire.dice() % 2**30, self._on_no_prack)
        return self._assurance

    def _on_no_prack(self, now: float) -> None:
        self.refuse(504, "No PRACK", (), now)

    def accept(self, sdp: bytes, now: float) -> None:
        if self._assurance is not None and self._assurance.is_pending:
            self._assurance.after(lambda then: self.accept(sdp, then))
        elif self.stage is Stage.RINGING and self._theirs is not None:
            self.stage = Stage.ACCEPTED
            self.send_2xx(self._theirs, sdp, now)

    def refuse(self, status: int, reason: str, headers: Sequence[Header], now: float) -> None:
        if self.stage is Stage.RINGING and self._theirs is not None:
            self._theirs.respond(status, now, reason=reason, headers=headers)
            self._end("local", status, reason, now)

    def _establishing(self, request: Request) -> list[Header]:
        routes: list[Header] = [("Record-Route", route) for route in request.raw("Record-Route")]
        return [*routes, ("Contact", self.dialog.contact), ("Allow", ALLOW)]

    def send_2xx(self, transaction: ServerTransaction, sdp: bytes, now: float) -> None:
        """Accept an INVITE, whose 2xx is repeated until its ACK, or an UPDATE."""
        self._sdp = sdp
        session = self.timer.accept(transaction.request, now)
        headers = [*self._establishing(transaction.request), SUPPORTED, *session, SDP]
        data = transaction.respond(200, now, headers=headers, body=sdp)
        if data and transaction.is_invite:
            self._stop_acceptance()
            self._acceptance = Acceptance(self._hub.wire, transaction, data, self._on_no_ack, now)

    def _stop_acceptance(self) -> None:
        if self._acceptance is not None:
            self._acceptance.stop()
            self._acceptance = None

    def _on_no_ack(self, now: float) -> None:
        self.break_off("timeout", 0, "", now)

    def on_ack(self, request: Request, now: float) -> None:
        """The ACK to a 2xx of ours; a repeated one says nothing new."""
        acceptance = self._acceptance
        if acceptance is None or acceptance.number != request.cseq.number:
            return
        self._stop_acceptance()
        sdp = session_description(request)
        if self._is_told:  # It was hung up meanwhile, and the BYE had to wait for this.
            self.break_off("local", 0, "", now)
        elif self.stage is Stage.ACCEPTED:
            self.stage = Stage.CONFIRMED
            self.emit(LegConfirmed(self.name, sdp))
        elif not acceptance.had_offer:
            self.emit(LegReofferAnswered(self.name, sdp))
        self._change.go_on(now)

    def on_cancel(self, transaction: ServerTransaction, reason: str, now: float) -> None:
        """A CANCEL for an INVITE; one that crosses our final response changes nothing."""
        if transaction is not self._theirs:
            self._change.cancel(transaction, now)
        elif self.stage is Stage.RINGING:
            transaction.respond(487, now)
            self._end("remote", 487, reason, now)

    def _on_lost(self, now: float) -> None:
        """The connection broke: the INVITE cannot be answered over it any more."""
        self._end("transport", 503, "", now)

    # Ours: make it.

    def start(
        self,
        uri: str,
        headers: Sequence[Header],
        sdp: bytes,
        now: float,
        patience: float | None = None,
        hops: int = MOST_HOPS,
    ) -> None:
        """`patience` is how long to wait for a first word, in seconds; None: 64*T1. `hops`: Max-Forwards."""
        dialog = self.dialog
        self._patience = patience
        self._sdp = sdp
        limit = now + self._hub.wire.config.max_ring_seconds
        self._ring_limit = self._hub.wire.timers.set(limit, self._on_rung_too_long)
        common = [*dialog.headers(hops), ("Contact", dialog.contact), ("Allow", ALLOW), *headers]
        self._invite(uri, common, now)

    def _invite(self, uri: str, common: Sequence[Header], now: float) -> None:
        self.dialog.local_cseq += 1
        proof = self.dialog.proof.headers("INVITE", uri) if self.dialog.proof else []
        headers = [*common, *proof, *self.timer.request_headers(), SDP]
        flow, number = self.dialog.flow, self.dialog.local_cseq
        self.stage = Stage.CALLING
        self._ours = self._hub.request("INVITE", uri, number, headers, self._sdp, flow, self, now)
        if self._patience is not None:
            self._ours.give_up_at(now + self._patience)  # a provisional response takes that back
        self._again = lambda then: self._invite(uri, common, then)

    def _on_rung_too_long(self, now: float) -> None:
        self._end_as = "timeout"
        self.hangup("", now)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        if response.status < 200:
            self._on_provisional(transaction, response, now)
        elif response.status < 300:
            self._on_2xx(transaction, response, now)
        elif self.stage is Stage.CANCELLING:
            timed_out = self._end_as == "timeout"
            self._end(self._end_as, 408 if timed_out else response.status, _why(response), now)
        elif self._again is not None and self._is_worth_repeating(response):
            self._again(now)
        else:
            self._end("remote", response.status, _why(response), now, response)

    def _is_worth_repeating(self, response: Response) -> bool:
        """Whether it asks for a longer session (422), or for proof that we can give (401, 407)."""
        if self.timer.is_too_small(response):
            return True
        return self.dialog.proof is not None and self.dialog.proof.accept(response)

    def _on_provisional(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        if self.stage is Stage.CANCELLING:
            self._send_cancel(transaction, now)
        elif self.stage is Stage.CALLING:
            self.stage = Stage.PROCEEDING
        is_new = response.status > 100 and self._is_new(transaction, response, now)
        if is_new and self.stage is Stage.PROCEEDING:
            self.emit(LegProgressed(self.name, response.status, session_description(response)))

    def _is_new(self, transaction: ClientTransaction, response: Response, now: float) -> bool:
        """Acknowledge a reliable one; whether it was not heard before."""
        if not reliable.asks_for(response):
            return True
        if self._acknowledger is None:
            self._acknowledger = Acknowledger(self._hub, self.dialog, self._hub.wire.config.max_forks)
        return self._acknowledger.receive(transaction, response, now)

    def _on_2xx(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        if self.stage in (Stage.CONFIRMED, Stage.OVER):
            end_fork(self._hub, self.dialog, transaction, response, now)
            return
        dialog = self.dialog
        dialog.flow = transaction.dialog_flow
        dialog.establish(response)
        sdp = session_description(response)
        if self._acknowledger is not None:
            dialog.local_cseq = max(dialog.local_cseq, self._acknowledger.last_cseq(dialog.remote_tag))
            sdp = sdp or self._acknowledger.answers.get(dialog.remote_tag)
        transaction.acknowledge(dialog.remote_tag, ack_of(self._hub.wire, dialog, transaction.number))
        cancelled = self.stage is Stage.CANCELLING
        self.stage = Stage.CONFIRMED
        self._stop_ring_limit()
        self._hub.bind(self)
        if cancelled:
            self.break_off(self._end_as, 408 if self._end_as == "timeout" else 0, "", now)
        else:
            self.timer.confirm(response, now)
            self.emit(LegAnswered(self.name, sdp))

    def on_no_response(self, transaction: ClientTransaction, why: Lost, now: float) -> None:
        by = self._end_as if self.stage is Stage.CANCELLING else why
        self._end(by, 408 if why == "timeout" else 503, "", now)

    # Both: end it.

    def hangup(self, reason: str, now: float) -> None:
        """End the leg in whichever way its stage asks for."""
        if self.stage is Stage.RINGING and self._theirs is not None:
            self._theirs.respond(480, now, headers=reason_header(reason))
            self._end("local", 480, reason, now)
        elif self.stage is Stage.ACCEPTED:
            # No BYE before the ACK (section 15): it follows when the ACK comes, or is given up.
            self._tell_end("local", 0, reason)
        elif self.stage in (Stage.CALLING, Stage.PROCEEDING) and self._ours is not None:
            is_heard = self.stage is Stage.PROCEEDING
            self.stage = Stage.CANCELLING
            self._stop_ring_limit()
            self._cancel_reason = reason
            if is_heard:
                self._send_cancel(self._ours, now)
        elif self.stage is Stage.CONFIRMED:
            self.break_off("local", 0, reason, now)

    def _send_cancel(self, invite: ClientTransaction, now: float) -> None:
        if self._cancel_reason is not None:
            reason, self._cancel_reason = self._cancel_reason, None
            send_cancel(self._hub, self.dialog, invite, reason, now)

    def break_off(self, by: EndedBy, status: int, reason: str, now: float) -> None:
        """Say BYE. The dialog is kept until that is answered, for what crosses it (RFC 5407 section 3.3)."""
        self._tell_end(by, status, reason)
        self._close(now)
        why = reason if by == "local" else ""
        send_bye(self._hub, self.dialog, now, reason=why, on_done=lambda: self._hub.unbind(self))

    def _end(
        self, by: EndedBy, status: int, reason: str, now: float, verdict: Response | None = None
    ) -> None:
        """End without a BYE: there is no dialog, or the peer has ended it."""
        self._tell_end(by, status, reason, verdict)
        self._close(now)
        self._hub.unbind(self)

    def _close(self, now: float) -> None:
        self.stage = Stage.OVER
        self._stop_acceptance()
        self._stop_ring_limit()
        self.timer.stop()
        if self._assurance is not None:
            self._assurance.stop()
        self._change.stop(now)
        self._referrals.stop(now)

    def _stop_ring_limit(self) -> None:
        if self._ring_limit is not None:
            self._ring_limit.cancel()
            self._ring_limit = None

    def _tell_end(self, by: EndedBy, status: int, reason: str, verdict: Response | None = None) -> None:
        if not self._is_told:
            self._is_told = True
            more = (retry_after(verdict), redirected_to(verdict)) if verdict else ()
            self._hub.emit(LegEnded(self.name, by, status, plain(reason)[:_MAX_REASON], *more))
            self._hub.release(self)

    # Both: within the dialog.

    def on_request(self, transaction: ServerTransaction, now: float) -> None:
        """A request within the dialog."""
        request, dialog = transaction.request, self.dialog
        if request.cseq.number <= dialog.remote_cseq:
            transaction.respond(500, now, reason="CSeq out of order")  # section 12.2.2
            return
        dialog.remote_cseq = request.cseq.number
        dialog.flow = transaction.flow
        match request.method:
            case "BYE":
                self._on_bye(transaction, now)
            case _ if self.is_over:
                transaction.respond(481, now)
            case "INVITE" if self.stage is Stage.CONFIRMED:
                self._change.receive(transaction, now)
            case "INVITE":
                transaction.respond(491, now)
            case "PRACK":
                known = self._assurance is not None and self._assurance.acknowledge(request, now)
                transaction.respond(200 if known else 481, now)
            case "INFO":
                transaction.respond(200, now)
                self.emit(LegInfoReceived(self.name, request.content_type, request.body))
            case "REFER" if self.stage is Stage.CONFIRMED:
                self._on_refer(transaction, now)
            case "UPDATE":
                self._on_update(transaction, now)
            case "OPTIONS":
                transaction.respond(200, now, headers=[("Allow", ALLOW), ("Accept", "application/sdp")])
            case method:
                transaction.respond(405 if is_known(method) else 501, now, headers=[("Allow", ALLOW)])

    def _on_bye(self, transaction: ServerTransaction, now: float) -> None:
        transaction.respond(200, now)
        if self.is_over:
            return  # It crossed ours.
        if self._theirs is not None:
            self._theirs.respond(487, now)
        self._end("remote", 0, transaction.request.reason_header, now)

    def _on_refer(self, transaction: ServerTransaction, now: float) -> None:
        if (wanted := self._referrals.receive(transaction, now)) is not None:
            self.emit(LegReferred(self.name, wanted, transaction.request, transaction.flow))

    def answer_refer(self, status: int, headers: Sequence[Header], now: float) -> None:
        self._referrals.answer(status, headers, now)

    def report_refer(self, status: int, now: float) -> None:
        self._referrals.report(status, now)

    def _on_update(self, transaction: ServerTransaction, now: float) -> None:
        """A change or a refresh without an ACK (RFC 3311)."""
        self.dialog.refresh_target(transaction.request)
        if session_description(transaction.request) is None:
            session = self.timer.accept(transaction.request, now) if self.is_settled else []
            transaction.respond(200, now, headers=[("Contact", self.dialog.contact), SUPPORTED, *session])
        elif self.stage is Stage.CONFIRMED:
            self._change.receive(transaction, now)
        else:
            transaction.respond(491, now)

    def renew_session(self, now: float) -> None:
        self._change.renew(self._sdp, now)

    def reoffer(self, sdp: bytes, now: float) -> None:
        """Send a re-INVITE, at once or as soon as the one under way is done."""
        if not self._is_told and self.stage in (Stage.ACCEPTED, Stage.CONFIRMED):
            self._sdp = sdp
            self._change.offer(sdp, now)

    def accept_reoffer(self, sdp: bytes, now: float) -> None:
        self._change.accept(sdp, now)

    def refuse_reoffer(self, status: int, now: float) -> None:
        self._change.refuse(status, now)


def _why(response: Response) -> str:
    return response.reason_header or response.reason
