"""The SIP stack without I/O: bytes and the time in, bytes and events out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from acd.sip.core.body import session_description
from acd.sip.core.checks import Fault, check_response, fault_of
from acd.sip.core.credentials import Credentials
from acd.sip.core.dialog import MOST_HOPS
from acd.sip.core.edge import Edge
from acd.sip.core.events import Flow, InviteReceived, LegEnded, RequestReceived, SipEvent
from acd.sip.core.flows import FlowUsers
from acd.sip.core.grammar import SipSyntaxError
from acd.sip.core.leg import Leg
from acd.sip.core.message import Header, Request, Response, parse
from acd.sip.core.outward import Outward
from acd.sip.core.refer import DialogId
from acd.sip.core.requests import dialog_of_invite, dialog_to_make
from acd.sip.core.servers import Servers
from acd.sip.core.subscription import Subscriptions
from acd.sip.core.transaction import (
    ClientKey,
    ClientOwner,
    ClientTransaction,
    ServerKey,
    ServerTransaction,
    server_key,
)
from acd.sip.core.uri import NameAddr, Uri
from acd.sip.core.wire import ALLOW, SipCounters, StackConfig, Wire, known, response_headers

__all__ = ["SipCounters", "SipStack", "StackConfig"]

_OUTSIDE_DIALOGS = frozenset(
    ("REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE", "REFER", "PUBLISH", "NOTIFY", "INFO")
)
_ONLY_IN_DIALOGS = frozenset(("BYE", "PRACK", "UPDATE"))
_KEEP_ALIVE_BYTES = 4
_MAX_ERROR_KINDS = 64
_BUSY: tuple[Header, ...] = (("Retry-After", "5"),)

_STREAMS = ("tcp", "tls")
"""Where messages end is told by Content-Length only; a message of WebSocket is a whole one."""


class SipStack:
    """Transactions, dialogs and legs of one node. `token` makes unguessable text."""

    def __init__(self, config: StackConfig, token: Callable[[], str]) -> None:
        self.wire = Wire(config, token)
        self._flows = FlowUsers()
        self._servers = Servers(self._flows)
        self._clients: dict[ClientKey, ClientTransaction] = {}
        self._legs: dict[str, Leg] = {}
        """Legs whose story is not told yet."""
        self._dialogs: dict[DialogId, Leg] = {}
        self._callers: dict[tuple[str, str], Leg] = {}
        """Legs that a peer made, by its Call-ID and From tag."""
        self._events: list[SipEvent] = []
        self._watchers = Subscriptions(self)
        self.outward = Outward(self)
        """What we ask of others outside of calls: registrations of ours, and whether they are there."""
        self.edge: Edge | None = None
        """The way of other nodes to phones of ours; None where there are no other nodes."""

    @property
    def counters(self) -> SipCounters:
        return self.wire.counters

    @property
    def live(self) -> tuple[int, int, int]:
        """Legs, dialogs and transactions held now."""
        return len(self._legs), len(self._dialogs), len(self._servers) + len(self._clients)

    # What the owner takes out.

    def take_events(self) -> list[SipEvent]:
        events, self._events = self._events, []
        return events

    def take_outgoing(self) -> list[tuple[Flow, bytes]]:
        outgoing, self.wire.outgoing = self.wire.outgoing, []
        return outgoing

    def next_timeout(self) -> float | None:
        return self.wire.timers.next_due()

    def handle_timeout(self, now: float) -> None:
        self.wire.timers.run(now)

    # What the network brings.

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """One datagram or one framed message. Hostile bytes are counted, and answered by the book."""
        config = self.wire.config
        if len(data) <= _KEEP_ALIVE_BYTES:
            return
        if len(data) > config.max_message_bytes:
            self._count_error("too-large")
            return
        try:
            message = parse(data, stream=flow.transport in _STREAMS, max_headers=config.max_headers)
            if isinstance(message, Response):
                self._receive_response(message, now)
            else:
                self._receive_request(message, flow, now)
        except SipSyntaxError as error:
            self._count_error(error.part)

    def _count_error(self, part: str) -> None:
        errors = self.wire.counters.parse_errors
        key = part if part in errors or len(errors) < _MAX_ERROR_KINDS else "other"
        errors[key] = errors.get(key, 0) + 1

    def _receive_response(self, response: Response, now: float) -> None:
        branch, _ = response.via_key
        method = response.cseq.method
        transaction = self._clients.get((branch, method))
        if transaction is None or len(response.raw("Via")) != 1:
            if transaction is None and self.edge is not None:
                self.edge.take_response(response)
            return
        self.wire.count_response(response, method)
        check_response(response, method)
        transaction.receive(response, now)

    def _receive_request(self, request: Request, flow: Flow, now: float) -> None:
        received = self.wire.counters.requests_received
        method = known(request.method)
        received[method] = received.get(method, 0) + 1
        if request.version != "2.0":
            self._answer_once(request, flow, Fault(505))
            return
        try:
            passed = self.edge.take_request(request, flow) if self.edge is not None else False
            if passed is True:
                return
            fault = passed or fault_of(request, self.wire.config.supported)
            key = server_key(request)
        except SipSyntaxError as error:
            self._count_error(error.part)
            self._answer_once(request, flow, Fault(400, f"Bad {error.part}"))
            return
        if isinstance(passed, Fault):
            self._answer_once(request, flow, passed)
        elif method == "ACK":
            self._on_ack(request, key, now)
        elif fault is not None and fault.status == 400:
            self._answer_once(request, flow, fault)
        elif method == "CANCEL":
            self._on_cancel(request, key, flow, now)
        elif (known_already := self._servers.get(key)) is not None:
            self.wire.counters.retransmissions += 1
            known_already.receive_again()
        else:
            self._on_new(request, key, flow, fault, now)

    def _answer_once(self, request: Request, flow: Flow, fault: Fault) -> None:
        """Answer without a transaction (section 8.2.7): the same request again gets the same answer."""
        if request.method != "ACK" and request.raw("Via"):
            copied = response_headers(request, flow, self.wire.stable_tag(request))
            self.wire.respond(
                request, flow, fault.status, copied=copied, reason=fault.reason, headers=fault.headers
            )

    def _on_new(self, request: Request, key: ServerKey, flow: Flow, fault: Fault | None, now: float) -> None:
        to_tag = request.to_tag
        leg = self._dialogs.get((request.call_id, to_tag, request.from_tag)) if to_tag else None
        # Calls that go on are served for longer than what is new.
        limit = self.wire.config.max_transactions * (2 if leg is not None else 1)
        if len(self._servers) >= limit:
            self._answer_once(request, flow, Fault(503, headers=_BUSY))
            return
        if leg is None and (refused := self._screened(request, flow, now)):
            self._answer_once(request, flow, refused)
            return
        transaction = ServerTransaction(self.wire, key, request, flow, self._servers.forget)
        self._servers.add(transaction)
        if fault is not None:
            transaction.respond(fault.status, now, reason=fault.reason, headers=fault.headers)
        elif leg is not None:
            leg.on_request(transaction, now)
        elif to_tag and request.method != "REGISTER":
            asked = self._watchers.asked((request.call_id, to_tag, request.from_tag), transaction, now)
            if asked is not None:
                self._ask(transaction, asked, now)
        elif self._servers.is_merged(transaction):
            transaction.respond(482, now)
        elif request.method == "INVITE":
            self._on_invite(transaction, now)
        else:
            self._on_outside_dialogs(transaction, now)

    def _screened(self, request: Request, flow: Flow, now: float) -> Fault | None:
        """The answer to what is not worth a transaction: unknown dialogs, and what the owner refuses."""
        if request.to_tag and request.method != "REGISTER":
            dialog = (request.call_id, request.to_tag, request.from_tag)
            return None if self._watchers.knows(dialog) else Fault(481)
        return self.wire.config.screen(request, flow, now)

    def _on_outside_dialogs(self, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        if request.method in _OUTSIDE_DIALOGS:
            self._ask(transaction, RequestReceived(transaction.name, request, transaction.flow), now)
        elif request.method in _ONLY_IN_DIALOGS:
            transaction.respond(481, now)
        else:
            transaction.respond(501, now, headers=[("Allow", ALLOW)])

    def _ask(self, transaction: ServerTransaction, event: SipEvent, now: float) -> None:
        """Let the owner answer."""
        self._servers.leave_to_owner(transaction, now)
        self._events.append(event)

    def _on_invite(self, transaction: ServerTransaction, now: float) -> None:
        if len(self._legs) >= self.wire.config.max_legs:
            transaction.respond(503, now, headers=_BUSY)
            return
        request = transaction.request
        try:
            dialog = dialog_of_invite(self.wire, transaction)
        except SipSyntaxError as error:
            self._count_error(error.part)
            transaction.respond(400, now, reason=f"Bad {error.part}")
            return
        transaction.respond(100, now)
        leg = Leg(self, transaction.name, dialog, transaction)
        self._legs[leg.name] = leg
        self.bind(leg)
        self._callers[dialog.call_id, dialog.remote_tag] = leg
        self._events.append(InviteReceived(leg.name, request, transaction.flow, session_description(request)))

    def _on_ack(self, request: Request, key: ServerKey, now: float) -> None:
        transaction = self._servers.get(key)
        if transaction is not None:
            transaction.acknowledge(now)
        leg = self._dialogs.get((request.call_id, request.to_tag, request.from_tag))
        if leg is None:
            # A sloppy phone's ACK carries any To tag: it is known by what it cannot get wrong.
            leg = self._callers.get((request.call_id, request.from_tag))
        if leg is not None:
            leg.on_ack(request, now)

    def _on_cancel(self, request: Request, key: ServerKey, flow: Flow, now: float) -> None:
        invite = self._servers.get(key)
        if invite is None:
            self._answer_once(request, flow, Fault(481))
            return
        our_tag = invite.request.to_tag or invite.to_tag
        self.wire.respond(request, flow, 200, copied=response_headers(request, flow, our_tag))
        leg = self._dialogs.get((request.call_id, our_tag, request.from_tag))
        if leg is not None:
            leg.on_cancel(invite, request.reason_header, now)

    def flow_failed(self, flow: Flow, now: float) -> None:
        """A connection broke, or bytes could not be sent to a peer.

        What is under way on the flow fails; an answered call goes on, for its audio may well be fine.
        """
        self._flows.fail(flow, now)
        self.outward.flow_lost(flow, now)
        if self.edge is not None:
            self.edge.flow_failed(flow)

    def flow_opened(self, wanted: Flow, opened: Flow) -> None:
        """An outgoing connection that was asked for is now open."""
        self._flows.move(wanted, opened)

    # What the owner wants. A leg that is over, or that never was, hears nothing: races are ordinary.

    def invite(
        self,
        leg: str,
        *,
        uri: Uri,
        flow: Flow,
        from_: NameAddr,
        to: NameAddr,
        contact_user: str,
        sdp: bytes,
        headers: Sequence[Header] = (),
        credentials: Credentials | None = None,
        patience: float | None = None,
        named: tuple[str, str] | None = None,
        hops: int = MOST_HOPS,
        now: float,
    ) -> str:
        """Call somebody; the Call-ID. Over the limit the leg ends at once, as 503 by us, without one.

        `named` are the Call-ID and our tag, where they had to be known before; unguessable, and never used.
        `credentials` answer the peer's challenges; `patience` is how many seconds to wait for its first word;
        `hops` is the Max-Forwards of the INVITE.

        Raises ValueError for the name of a leg that is not over.
        """
        if leg in self._legs:
            raise ValueError(f"leg {leg!r} is in use")
        if len(self._legs) >= self.wire.config.max_legs:
            self._events.append(LegEnded(leg, "local", 503))
            return ""
        dialog = dialog_to_make(self.wire, uri, flow, from_, to, contact_user, credentials, named)
        made = Leg(self, leg, dialog)
        self._legs[leg] = made
        agent = ("User-Agent", self.wire.config.user_agent)
        made.start(str(uri), (agent, *headers), sdp, now, patience, hops)
        return dialog.call_id

    def ring(self, leg: str, *, now: float, status: int = 180, sdp: bytes | None = None) -> None:
        if found := self._legs.get(leg):
            found.ring(status, sdp, now)

    def accept(self, leg: str, sdp: bytes, *, now: float) -> None:
        if found := self._legs.get(leg):
            found.accept(sdp, now)

    def refuse(
        self, leg: str, status: int, *, now: float, reason: str = "", headers: Sequence[Header] = ()
    ) -> None:
        if found := self._legs.get(leg):
            found.refuse(status, reason, headers, now)

    def hangup(self, leg: str, *, now: float, reason: str = "") -> None:
        if found := self._legs.get(leg):
            found.hangup(reason, now)

    def reoffer(self, leg: str, sdp: bytes, *, now: float) -> None:
        if found := self._legs.get(leg):
            found.reoffer(sdp, now)

    def accept_reoffer(self, leg: str, sdp: bytes, *, now: float) -> None:
        if found := self._legs.get(leg):
            found.accept_reoffer(sdp, now)

    def refuse_reoffer(self, leg: str, status: int, *, now: float) -> None:
        if found := self._legs.get(leg):
            found.refuse_reoffer(status, now)

    def answer_refer(self, leg: str, status: int, *, now: float, headers: Sequence[Header] = ()) -> None:
        if found := self._legs.get(leg):
            found.answer_refer(status, headers, now)

    def report_refer(self, leg: str, status: int, *, now: float) -> None:
        if found := self._legs.get(leg):
            found.report_refer(status, now)

    def leg_of(self, dialog: DialogId) -> str | None:
        """The live leg that has this dialog."""
        found = self._dialogs.get(dialog)
        return found.name if found is not None and found.name in self._legs else None

    def accept_subscription(self, transaction: str, seconds: int, *, now: float) -> str | None:
        """Answer a SUBSCRIBE with 200; the name of the watcher. Raises SipSyntaxError with nothing sent."""
        found = self._servers.asked(transaction)
        return self._watchers.accept(found, seconds, now) if found else None

    def renew_subscription(self, name: str, transaction: str, seconds: int, *, now: float) -> None:
        if found := self._servers.asked(transaction):
            self._watchers.renew(name, found, seconds, now)

    def notify(self, name: str, content_type: str, body: bytes, *, now: float) -> None:
        self._watchers.notify(name, content_type, body, now)

    def end_subscription(self, name: str, reason: str, content_type: str, body: bytes, *, now: float) -> None:
        self._watchers.end(name, reason, content_type, body, now)

    def respond(
        self,
        transaction: str,
        status: int,
        *,
        now: float,
        reason: str = "",
        headers: Sequence[Header] = (),
        body: bytes = b"",
    ) -> None:
        """Answer a request outside of dialogs."""
        if found := self._servers.asked(transaction):
            found.respond(status, now, reason=reason, headers=headers, body=body)

    # What legs need.

    def emit(self, event: SipEvent) -> None:
        self._events.append(event)

    def request(
        self,
        method: str,
        uri: str,
        number: int,
        headers: Sequence[Header],
        body: bytes,
        flow: Flow,
        owner: ClientOwner,
        now: float,
        *,
        branch: str = "",
    ) -> ClientTransaction:
        """Send a request and follow it to its end."""
        transaction = ClientTransaction(
            self.wire,
            method,
            uri,
            number,
            headers,
            body,
            flow,
            owner,
            self._forget_client,
            self._flows.shift,
            branch=branch,
        )
        self._clients[transaction.key] = transaction
        self._flows.add(transaction)
        transaction.start(now)
        return transaction

    def _forget_client(self, transaction: ClientTransaction) -> None:
        self._clients.pop(transaction.key, None)
        self._flows.remove(transaction)

    def bind(self, leg: Leg) -> None:
        """The leg's dialog is known now."""
        self._dialogs[leg.dialog.id] = leg

    def unbind(self, leg: Leg) -> None:
        """The leg's dialog is no more."""
        self._dialogs.pop(leg.dialog.id, None)
        caller = (leg.dialog.call_id, leg.dialog.remote_tag)
        if self._callers.get(caller) is leg:
            del self._callers[caller]

    def release(self, leg: Leg) -> None:
        """The leg's story is told."""
        self._legs.pop(leg.name, None)
