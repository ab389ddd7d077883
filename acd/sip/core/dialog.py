"""A dialog as data: who, where to, and in which order (RFC 3261 section 12)."""

from __future__ import annotations

from dataclasses import dataclass

from acd.sip.core.credentials import DigestClient
from acd.sip.core.events import Flow
from acd.sip.core.grammar import SipSyntaxError
from acd.sip.core.message import Header, Request, Response
from acd.sip.core.refer import DialogId
from acd.sip.core.uri import NameAddr

MOST_HOPS = 70
"""Max-Forwards of what begins with us (RFC 3261 section 8.1.1.6)."""
_MAX_ROUTES = 16


@dataclass(frozen=True, slots=True)
class Routes:
    """A route set. `strict` is the URI of a first router that does not know loose routing, else empty."""

    values: tuple[str, ...] = ()
    strict: str = ""

    @classmethod
    def recorded(cls, message: Request | Response) -> Routes:
        """The Record-Route of a message, turned round for the side that sent the request (section 12.1).

        Raises SipSyntaxError.
        """
        values = message.values("Record-Route")
        if not values:
            return _NO_ROUTES
        if len(values) > _MAX_ROUTES:
            raise SipSyntaxError("record-route", "too many")
        uris = [NameAddr.parse(value, "record-route").uri for value in values]
        if isinstance(message, Response):
            values.reverse()
            uris.reverse()
        return cls(tuple(values), "" if uris[0].param("lr") is not None else str(uris[0]))


_NO_ROUTES = Routes()


@dataclass(slots=True)
class Dialog:
    """`local` and `remote` are From and To as we write them, tags included."""

    call_id: str
    local: str
    remote: str
    local_tag: str
    remote_tag: str
    flow: Flow
    target: str
    """The peer's Contact URI: the Request-URI of what we send."""
    contact: str
    routes: Routes = _NO_ROUTES
    local_cseq: int = 0
    remote_cseq: int = -1
    proof: DigestClient | None = None
    """Proves to the peer who we are; None where we have nothing to prove with."""

    @property
    def id(self) -> DialogId:
        return self.call_id, self.local_tag, self.remote_tag

    def establish(self, response: Response) -> None:
        """Take the peer's side from its 2xx (section 12.1.2). Raises SipSyntaxError with nothing changed."""
        routes, tag, _ = Routes.recorded(response), response.to_tag, response.contacts
        self.routes, self.remote_tag = routes, tag
        self.remote = response.header("To") or self.remote
        self.refresh_target(response)

    def request_line(self) -> tuple[str, list[Header]]:
        """Request-URI and Route headers (section 12.2.1.1; a strict router takes the URI)."""
        values = self.routes.values
        if self.routes.strict:
            return self.routes.strict, [("Route", route) for route in (*values[1:], f"<{self.target}>")]
        return self.target, [("Route", route) for route in values]

    def headers(self, hops: int = MOST_HOPS) -> list[Header]:
        """What every request within the dialog carries, but for Via and CSeq."""
        return [
            ("Max-Forwards", str(hops)),
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
        ]

    def refresh_target(self, message: Request | Response) -> None:
        """A target refresh and its 2xx may move the peer (section 12.2.1.2). Raises SipSyntaxError."""
        contacts = message.contacts
        if contacts:
            self.target = str(contacts[0].uri)
