"""A dialog as data: who, where to, and in which order (RFC 3261 section 12)."""

from __future__ import annotations

from dataclasses import dataclass, field

from acd.sip.core.events import Flow
from acd.sip.core.message import Header, Request, Response
from acd.sip.core.uri import NameAddr

DialogId = tuple[str, str, str]
"""Call-ID, our tag, the peer's tag."""

_MAX_ROUTES = 16


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
    routes: list[str] = field(default_factory=list)
    local_cseq: int = 0
    remote_cseq: int = 0

    @property
    def id(self) -> DialogId:
        return self.call_id, self.local_tag, self.remote_tag

    def request_line(self) -> tuple[str, list[Header]]:
        """Request-URI and Route headers (section 12.2.1.1; a strict router takes the URI)."""
        if not self.routes:
            return self.target, []
        first = NameAddr.parse(self.routes[0], "route").uri
        if first.param("lr") is not None:
            return self.target, [("Route", route) for route in self.routes]
        return str(first), [("Route", route) for route in (*self.routes[1:], f"<{self.target}>")]

    def headers(self, method: str, number: int) -> list[Header]:
        """What every request within the dialog carries."""
        return [
            ("Max-Forwards", "70"),
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{number} {method}"),
        ]

    def refresh_target(self, message: Request | Response) -> None:
        """A re-INVITE and its 2xx may move the peer (section 12.2.1.2)."""
        contacts = message.contacts
        if contacts:
            self.target = str(contacts[0].uri)


def routes_of(message: Request | Response) -> list[str]:
    """The Record-Route values in the order received."""
    return message.values("Record-Route")[:_MAX_ROUTES]
