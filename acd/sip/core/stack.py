"""The SIP stack without I/O: bytes and the time in, bytes and events out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from acd.sip.core.dialog import Dialog, DialogId
from acd.sip.core.events import Flow, InviteReceived, LegEnded, RequestReceived, SipEvent
from acd.sip.core.grammar import SipSyntaxError
from acd.sip.core.leg import Leg, Stage, dialog_of_invite
from acd.sip.core.message import Header, Request, Response, parse
from acd.sip.core.transaction import (
    ClientKey,
    ClientOwner,
    ClientTransaction,
    ServerKey,
    ServerTransaction,
    server_key,
)
from acd.sip.core.uri import NameAddr, Uri
from acd.sip.core.wire import ALLOW, SipCounters, StackConfig, Wire, known

__all__ = ["SipCounters", "SipStack", "StackConfig"]

_OUTSIDE_DIALOGS = frozenset(
    ("REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE", "REFER", "PUBLISH", "NOTIFY", "INFO")
)
_ONLY_IN_DIALOGS = frozenset(("BYE", "PRACK", "UPDATE"))
_KEEP_ALIVE_BYTES = 4

_MergeKey = tuple[str, str, int, str]


class SipStack:
    """Transactions, dialogs and legs of one node. `token` makes unguessable text."""

    def __init__(self, config: StackConfig, token: Callable[[], str]) -> None:
        self.wire = Wire(config, token)
        self._servers: dict[ServerKey, ServerTransaction] = {}
        self._named: dict[str, ServerTransaction] = {}
        self._merged: dict[_MergeKey, ServerKey] = {}
        self._clients: dict[ClientKey, ClientTransaction] = {}
        self._legs: dict[str, Leg] = {}
        self._dialogs: dict[DialogId, Leg] = {}
        self._unacknowledged: dict[tuple[str, str], Leg] = {}
        self._events: list[SipEvent] = []

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
            message = parse(data, stream=flow.transport != "udp", max_headers=config.max_headers)
            if isinstance(message, Response):
                self._receive_response(message, now)
            else:
                self._receive_request(message, flow, now)
        except SipSyntaxError as error:
            self._count_error(error.part)

    def _count_error(self, part: str) -> None:
        errors = self.wire.counters.parse_errors
        key = part if part in errors or len(errors) < 64 else "other"
        errors[key] = errors.get(key, 0) + 1

    def _receive_response(self, response: Response, now: float) -> None:
        method = response.cseq.method
        transaction = self._clients.get((response.via.branch, method))
        if transaction is not None and len(response.raw("Via")) == 1:
            self.wire.count_response(response, method)
            _ = response.to_tag, response.from_tag, response.call_id
            transaction.receive(response, now)

    def _receive_request(self, request: Request, flow: Flow, now: float) -> None:
        received = self.wire.counters.requests_received
        method = known(request.method)
        received[method] = received.get(method, 0) + 1
        try:
            fault = self._fault_of(request)
            key = server_key(request)
        except SipSyntaxError as error:
            self._count_error(error.part)
            if request.method != "ACK" and request.raw("Via"):
                self.wire.respond(request, flow, 400, reason=f"Bad {error.part}")
            return
        if request.method == "ACK":
            if not fault:
                self._on_ack(request, key, now)
            return
        if request.method == "CANCEL":
            self._on_cancel(request, key, flow, now)
            return
        known_transaction = self._servers.get(key)
        if known_transaction is not None:
            self.wire.counters.retransmissions += 1
            known_transaction.receive_again()
            return
        if len(self._servers) >= self.wire.config.max_transactions:
            self.wire.respond(request, flow, 503, headers=[("Retry-After", "5")])
            return
        transaction = self._open(key, request, flow)
        if fault:
            transaction.respond(fault[0], now, headers=fault[1])
        else:
            self._dispatch(transaction, now)

    def _fault_of(self, request: Request) -> tuple[int, list[Header]] | None:
        """What is wrong with a request that can be answered (section 8.2). Raises SipSyntaxError."""
        cseq = request.cseq
        _ = request.via, request.call_id, request.from_tag, request.to_tag
        if request.version != "2.0":
            return 505, []
        if cseq.method != request.method or (
            not request.from_.tag and request.method == "INVITE" and request.to_tag
        ):
            return 400, []
        if request.method in ("ACK", "CANCEL"):
            return None
        if request.method == "INVITE" and request.max_forwards == 0:
            return 483, []
        wanted = {tag.lower() for tag in request.values("Require")} - self.wire.config.supported
        if wanted:
            return 420, [("Unsupported", ", ".join(sorted(wanted)))]
        if request.uri.scheme not in ("sip", "sips", "tel"):
            return 416, []
        return None

    def _open(self, key: ServerKey, request: Request, flow: Flow) -> ServerTransaction:
        transaction = ServerTransaction(self.wire, key, request, flow, self._forget_server)
        self._servers[key] = transaction
        self._named[transaction.name] = transaction
        return transaction

    def _forget_server(self, transaction: ServerTransaction) -> None:
        self._servers.pop(transaction.key, None)
        self._named.pop(transaction.name, None)
        merge = _merge_key(transaction.request)
        if self._merged.get(merge) == transaction.key:
            del self._merged[merge]

    def _dispatch(self, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        if request.to_tag:
            leg = self._dialogs.get((request.call_id, request.to_tag, request.from_tag))
            if leg is not None:
                leg.on_request(transaction, now)
            elif request.method in ("REGISTER", "OPTIONS"):
                self._events.append(RequestReceived(transaction.name, request, transaction.flow))
            else:
                transaction.respond(481, now)
        elif self._merged.setdefault(_merge_key(request), transaction.key) != transaction.key:
            transaction.respond(482, now)  # section 8.2.2.2: the same request came another way
        elif request.method == "INVITE":
            self._on_invite(transaction, now)
        elif request.method in _OUTSIDE_DIALOGS:
            self._events.append(RequestReceived(transaction.name, request, transaction.flow))
        elif request.method in _ONLY_IN_DIALOGS:
            transaction.respond(481, now)
        else:
            transaction.respond(501, now, headers=[("Allow", ALLOW)])

    def _on_invite(self, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        if len(self._legs) >= self.wire.config.max_legs:
            transaction.respond(503, now, headers=[("Retry-After", "5")])
            return
        if request.body and request.content_type != "application/sdp":
            transaction.respond(415, now, headers=[("Accept", "application/sdp")])
            return
        try:
            dialog = dialog_of_invite(self.wire, transaction)
        except SipSyntaxError as error:
            self._count_error(error.part)
            transaction.respond(400, now, reason=f"Bad {error.part}")
            return
        transaction.respond(100, now)
        leg = Leg(self, self.wire.token(), dialog, Stage.RINGING)
        leg.take_invite(transaction)
        self._legs[leg.name] = leg
        self.bind(leg)
        # A sloppy phone's ACK may carry any To tag: it is known by what it cannot get wrong.
        self._unacknowledged[dialog.call_id, dialog.remote_tag] = leg
        self._events.append(InviteReceived(leg.name, request, transaction.flow, request.body or None))

    def _on_ack(self, request: Request, key: ServerKey, now: float) -> None:
        transaction = self._servers.get(key)
        if transaction is not None:
            transaction.acknowledge(now)
        leg = self._dialogs.get((request.call_id, request.to_tag, request.from_tag))
        if leg is None:
            leg = self._unacknowledged.get((request.call_id, request.from_tag))
        if leg is not None:
            leg.on_ack(request, now)

    def _on_cancel(self, request: Request, key: ServerKey, flow: Flow, now: float) -> None:
        invite = self._servers.get(key)
        if invite is None:
            self.wire.respond(request, flow, 481, to_tag=self.wire.token())
            return
        self.wire.respond(request, flow, 200, to_tag=invite.to_tag)
        leg = self._dialogs.get((request.call_id, invite.to_tag, request.from_tag))
        if leg is not None:
            leg.on_cancel(request.reason_header, now)

    def flow_failed(self, flow: Flow, now: float) -> None:
        """A connection broke, or bytes could not be sent to a peer."""
        for transaction in [t for t in self._clients.values() if t.flow == flow]:
            transaction.fail(now)
        if flow.transport != "udp":
            for leg in [leg for leg in self._legs.values() if leg.dialog.flow == flow]:
                leg.on_flow_failed()

    def flow_opened(self, wanted: Flow, opened: Flow) -> None:
        """An outgoing connection that was asked for is now open."""
        for transaction in self._clients.values():
            if transaction.flow == wanted:
                transaction.flow = opened
        for leg in self._legs.values():
            if leg.dialog.flow == wanted:
                leg.dialog.flow = opened

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
        now: float,
    ) -> None:
        """Call somebody. Over the limit the leg ends at once, as 503 by us."""
        if leg in self._legs or len(self._legs) >= self.wire.config.max_legs:
            self._events.append(LegEnded(leg, "local", 503))
            return
        tag = self.wire.token()
        dialog = Dialog(
            call_id=self.wire.token(),
            local=str(from_.with_tag(tag)),
            remote=str(to),
            local_tag=tag,
            remote_tag="",
            flow=flow,
            target=str(uri),
            contact=self.wire.contact(flow, contact_user),
        )
        made = Leg(self, leg, dialog, Stage.CALLING)
        self._legs[leg] = made
        agent = ("User-Agent", self.wire.config.user_agent)
        made.start(str(uri), (agent, *headers), sdp, now)

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
        if found := self._named.get(transaction):
            found.respond(status, now, reason=reason, headers=headers, body=body)

    # What legs need.

    def emit(self, event: SipEvent) -> None:
        self._events.append(event)

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
    ) -> ClientTransaction:
        """Send a request and follow it to its end."""
        transaction = ClientTransaction(
            self.wire, method, uri, headers, body, flow, owner, self._forget_client, branch=branch
        )
        self._clients[transaction.key] = transaction
        transaction.start(now)
        return transaction

    def _forget_client(self, transaction: ClientTransaction) -> None:
        self._clients.pop(transaction.key, None)

    def bind(self, leg: Leg) -> None:
        self._dialogs[leg.dialog.id] = leg

    def release(self, leg: Leg) -> None:
        self._legs.pop(leg.name, None)
        self._dialogs.pop(leg.dialog.id, None)
        key = (leg.dialog.call_id, leg.dialog.remote_tag)
        if self._unacknowledged.get(key) is leg:
            del self._unacknowledged[key]


def _merge_key(request: Request) -> _MergeKey:
    return request.call_id, request.from_tag, request.cseq.number, request.method
