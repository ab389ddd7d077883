"""What a leg sends within its dialog, and what it needs of its stack for that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from acd.sip.core.credentials import Credentials, DigestClient
from acd.sip.core.dialog import Dialog, Routes
from acd.sip.core.events import Flow, SipEvent
from acd.sip.core.grammar import SipSyntaxError, plain
from acd.sip.core.message import Header, Response, write
from acd.sip.core.transaction import COOKIE, ClientOwner, ClientTransaction, Lost, ServerTransaction
from acd.sip.core.uri import NameAddr, Uri
from acd.sip.core.wire import Wire

SDP: Header = ("Content-Type", "application/sdp")
SUPPORTED: Header = ("Supported", "timer, 100rel, replaces, norefersub")
_NEW_IN_A_REPETITION = frozenset(("Via", "CSeq", "Authorization", "Proxy-Authorization"))


class Hub(Protocol):
    """The stack, as legs see it."""

    wire: Wire

    def emit(self, event: SipEvent) -> None: ...

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
        ...


class Farewell:
    """Sends a request whose answer changes nothing (BYE, CANCEL); tells when it is through.

    Where it is named the dialog, it proves who we are if that is asked for.
    """

    __slots__ = ("_dialog", "_hub", "_on_done")

    def __init__(
        self,
        on_done: Callable[[], None] | None = None,
        *,
        hub: Hub | None = None,
        dialog: Dialog | None = None,
    ) -> None:
        self._on_done = on_done
        self._hub = hub
        self._dialog = dialog

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        if response.status < 200:
            return
        hub, dialog = self._hub, self._dialog
        if hub is None or dialog is None or prove(hub, dialog, self, transaction, response, now) is None:
            self._done()

    def on_no_response(self, transaction: ClientTransaction, why: Lost, now: float) -> None:
        self._done()

    def _done(self) -> None:
        if self._on_done is not None:
            self._on_done()


def send_within(
    hub: Hub,
    dialog: Dialog,
    method: str,
    owner: ClientOwner,
    now: float,
    *,
    headers: Sequence[Header] = (),
    body: bytes = b"",
) -> ClientTransaction:
    """Send the next request of a dialog."""
    dialog.local_cseq += 1
    uri, routes = dialog.request_line()
    proof = dialog.proof.headers(method, uri) if dialog.proof else []
    all_headers = [*routes, *dialog.headers(), *proof, *headers]
    return hub.request(method, uri, dialog.local_cseq, all_headers, body, dialog.flow, owner, now)


def prove(
    hub: Hub,
    dialog: Dialog,
    owner: ClientOwner,
    transaction: ClientTransaction,
    response: Response,
    now: float,
) -> ClientTransaction | None:
    """Send a challenged request of a dialog again, with what it asks for; None where that cannot be."""
    if dialog.proof is None or not dialog.proof.accept(response):
        return None
    dialog.local_cseq += 1
    kept = [header for header in transaction.headers if header[0] not in _NEW_IN_A_REPETITION]
    headers = [*kept, *dialog.proof.headers(transaction.method, transaction.uri)]
    body, flow = transaction.body, transaction.dialog_flow
    return hub.request(
        transaction.method, transaction.uri, dialog.local_cseq, headers, body, flow, owner, now
    )


def send_bye(
    hub: Hub, dialog: Dialog, now: float, *, reason: str = "", on_done: Callable[[], None] | None = None
) -> None:
    """End a dialog; `on_done` is called when the peer has answered or will not."""
    farewell = Farewell(on_done, hub=hub, dialog=dialog)
    send_within(hub, dialog, "BYE", farewell, now, headers=reason_header(reason))


def ack_of(wire: Wire, dialog: Dialog, number: int) -> bytes:
    """The ACK to a 2xx: a request of its own, with a branch of its own (section 13.2.2.4)."""
    uri, routes = dialog.request_line()
    via = wire.via(dialog.flow, COOKIE + wire.token())
    proof = dialog.proof.last if dialog.proof else []
    headers = [via, *routes, *dialog.headers(), *proof, ("CSeq", f"{number} ACK")]
    return write(f"ACK {uri} SIP/2.0", headers)


def reason_header(reason: str) -> list[Header]:
    """RFC 3326: why we end a leg, for the peer's log."""
    text = plain(reason)[:64].replace("\\", "/").replace('"', "'")
    return [("Reason", f'SIP;cause=200;text="{text}"')] if text else []


def send_cancel(hub: Hub, dialog: Dialog, invite: ClientTransaction, reason: str, now: float) -> None:
    """Cancel an INVITE that something was heard of (section 9.1)."""
    routes = [header for header in invite.headers if header[0] == "Route"]
    headers = [*routes, *dialog.headers(), *reason_header(reason)]
    hub.request(
        "CANCEL",
        invite.uri,
        invite.number,
        headers,
        b"",
        invite.flow,
        Farewell(),
        now,
        branch=invite.branch,
    )
    # A peer that answers the CANCEL and never the INVITE must not keep the leg.
    invite.give_up_at(now + hub.wire.config.patience)


def end_fork(hub: Hub, mine: Dialog, invite: ClientTransaction, response: Response, now: float) -> None:
    """Hang up a phone behind a proxy that answered after another one did (section 13.2.2.4)."""
    fork = Dialog(
        call_id=mine.call_id,
        local=mine.local,
        remote="",
        local_tag=mine.local_tag,
        remote_tag="",
        flow=invite.dialog_flow,
        target=invite.uri,
        contact=mine.contact,
        local_cseq=mine.local_cseq,
    )
    fork.establish(response)
    invite.acknowledge(fork.remote_tag, ack_of(hub.wire, fork, invite.number))
    send_bye(hub, fork, now)


def dialog_of(wire: Wire, transaction: ServerTransaction, user: str) -> Dialog:
    """The dialog that a request of the peer asks for; `user` is for our Contact. Raises SipSyntaxError."""
    request = transaction.request
    contacts = request.contacts
    if len(contacts) != 1:
        raise SipSyntaxError("contact", f"{request.method} has exactly one")
    return Dialog(
        call_id=request.call_id,
        local=f"{request.header('To')};tag={transaction.to_tag}",
        remote=request.header("From") or "",
        local_tag=transaction.to_tag,
        remote_tag=request.from_tag,
        flow=transaction.flow,
        target=str(contacts[0].uri),
        contact=wire.contact(transaction.flow, user, secure=request.uri_text[:5].lower() == "sips:"),
        routes=Routes.recorded(request),
        remote_cseq=request.cseq.number,
    )


def dialog_of_invite(wire: Wire, transaction: ServerTransaction) -> Dialog:
    """That of an INVITE, whose Request-URI may be of any scheme. Raises SipSyntaxError."""
    user = transaction.request.uri_text.partition(":")[2].rpartition("@")[0]
    return dialog_of(wire, transaction, user.partition(";")[0].partition(":")[0])


def dialog_to_make(
    wire: Wire,
    uri: Uri,
    flow: Flow,
    from_: NameAddr,
    to: NameAddr,
    contact_user: str,
    credentials: Credentials | None = None,
    named: tuple[str, str] | None = None,
) -> Dialog:
    """The dialog that an INVITE of ours asks for; `named` are its Call-ID and our tag."""
    call_id, tag = named or (wire.token(), wire.token())
    return Dialog(
        call_id=call_id,
        local=str(from_.with_tag(tag)),
        remote=str(to),
        local_tag=tag,
        remote_tag="",
        flow=flow,
        target=str(uri),
        contact=wire.contact(flow, contact_user, secure=uri.scheme == "sips"),
        proof=DigestClient(credentials, wire.token) if credentials else None,
    )
