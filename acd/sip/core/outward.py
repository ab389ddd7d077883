"""What we ask of others outside of calls: registrations of ours, and OPTIONS to see who is there."""

from __future__ import annotations

from acd.sip.core.dialog import MOST_HOPS
from acd.sip.core.events import Flow, PeerProbed
from acd.sip.core.message import Header, Response
from acd.sip.core.registrant import Account, Registrant
from acd.sip.core.requests import Hub
from acd.sip.core.transaction import ClientTransaction, Lost
from acd.sip.core.uri import NameAddr, Uri
from acd.sip.core.verdict import retry_after


class Outward:
    """Registrations by name, and probes under way."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._registrants: dict[str, Registrant] = {}

    def enrol(self, name: str, account: Account, now: float) -> None:
        """Know an account; one of that name that was there before is ended. It begins with `register`."""
        self.withdraw(name, now)
        self._registrants[name] = Registrant(self._hub, name, account)

    def withdraw(self, name: str, now: float) -> None:
        """Be bound no longer by this account, and forget it."""
        if registrant := self._registrants.pop(name, None):
            registrant.end(now)

    def register(self, name: str, flow: Flow, now: float) -> None:
        """Register an account over this flow."""
        if registrant := self._registrants.get(name):
            registrant.register(flow, now)

    def flow_lost(self, flow: Flow, now: float) -> None:
        """A connection broke: who registered over it is to do so again."""
        for registrant in self._registrants.values():
            if registrant.flow == flow:
                registrant.lost(now)

    def probe(self, name: str, uri: Uri, flow: Flow, seconds: float, now: float) -> None:
        """Ask a peer whether it is there; it has so many seconds. `PeerProbed` tells."""
        _Probe(self._hub, name).send(uri, flow, seconds, now)


class _Probe:
    """One OPTIONS (RFC 3261 section 11)."""

    def __init__(self, hub: Hub, name: str) -> None:
        self._hub = hub
        self._name = name

    def send(self, uri: Uri, flow: Flow, seconds: float, now: float) -> None:
        wire = self._hub.wire
        contact = wire.contact(flow, "")
        from_ = NameAddr(Uri.parse(contact.strip("<>")))
        headers: list[Header] = [
            ("Max-Forwards", str(MOST_HOPS)),
            ("From", str(from_.with_tag(wire.token()))),
            ("To", str(NameAddr(uri))),
            ("Call-ID", wire.token()),
            ("Contact", contact),
            ("Accept", "application/sdp"),
            ("User-Agent", wire.config.user_agent),
        ]
        asked = self._hub.request("OPTIONS", str(uri), 1, headers, b"", flow, self, now)
        asked.give_up_at(now + seconds)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        if response.status >= 200:
            self._hub.emit(PeerProbed(self._name, response.status, retry_after(response)))

    def on_no_response(self, transaction: ClientTransaction, why: Lost, now: float) -> None:
        self._hub.emit(PeerProbed(self._name, 0))
