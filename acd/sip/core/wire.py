"""What transactions, legs and the stack share: settings, timers, bytes to send, counters."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from acd.sip.core.checks import Fault
from acd.sip.core.events import Flow
from acd.sip.core.grammar import SipSyntaxError
from acd.sip.core.message import Header, Request, Response, write
from acd.sip.core.timers import Timers
from acd.sip.core.uri import format_host

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REGISTER, REFER, SUBSCRIBE"

_NO_STREAM_SECONDS = 600.0
_MAX_NO_STREAM = 4096

REASONS = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    430: "Flow Failed",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    484: "Address Incomplete",
    483: "Too Many Hops",
    486: "Busy Here",
    489: "Bad Event",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    600: "Busy Everywhere",
    603: "Decline",
}

_KNOWN_METHODS = frozenset(
    [
        "INVITE",
        "ACK",
        "CANCEL",
        "BYE",
        "OPTIONS",
        "INFO",
        "UPDATE",
        "REGISTER",
        "PRACK",
        "MESSAGE",
        "SUBSCRIBE",
        "NOTIFY",
        "REFER",
        "PUBLISH",
    ]
)


def local_sent_by(flow: Flow) -> str:
    """The address that we listen on, as `host:port`."""
    return format_host(*flow.local)


def everything(request: Request, flow: Flow, now: float) -> Fault | None:
    """The screen that lets everything in."""
    return None


@dataclass(frozen=True, slots=True)
class StackConfig:
    """Limits and timers (seconds; RFC 3261 table 4)."""

    user_agent: str = "acd"
    sent_by: Callable[[Flow], str] = local_sent_by
    """`host:port` for Via and Contact on a flow: where the peer can reach us."""
    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0
    large_bytes: int | None = None
    """Longer requests to a datagram peer go by TCP (section 18.1.1); None: never."""
    max_message_bytes: int = 65536
    max_headers: int = 128
    max_legs: int = 20_000
    max_transactions: int = 100_000
    max_ring_seconds: float = 600.0
    """How long an INVITE of ours may stay unanswered before it is cancelled as timed out."""
    session_seconds: int = 1800
    """How often a session of ours is said again (RFC 4028); 0: only where the peer asks for it."""
    session_refresh_seconds: int = 0
    """How long we wait at most before we refresh one; 0: half of what was agreed."""
    max_forks: int = 16
    """Phones behind a proxy that may answer one INVITE of ours; one is kept, the others are hung up."""
    screen: Callable[[Request, Flow, float], Fault | None] = everything
    """Asked of each new request outside of dialogs before anything is kept for it; a fault is answered
    without a transaction (section 8.2.7)."""
    supported: frozenset[str] = frozenset(("100rel", "norefersub", "replaces", "timer"))
    """Option tags that may stand in Require (RFC 3261 section 20.32)."""

    @property
    def stream_patience(self) -> float:
        """How long a large request waits for a word over TCP before it goes by UDP."""
        return 4 * self.t1

    @property
    def patience(self) -> float:
        """64*T1: how long a transaction waits (timers B, F, H, J, L, M)."""
        return 64 * self.t1


@dataclass(slots=True)
class SipCounters:
    """Cheap totals for metrics. Methods that we do not know count as OTHER."""

    requests_received: dict[str, int] = field(default_factory=dict)
    responses_sent: dict[tuple[str, int], int] = field(default_factory=dict)
    responses_received: dict[tuple[str, int], int] = field(default_factory=dict)
    parse_errors: dict[str, int] = field(default_factory=dict)
    retransmissions: int = 0


def is_known(method: str) -> bool:
    """Whether a method is one that some RFC defines."""
    return method in _KNOWN_METHODS


def known(method: str) -> str:
    """A method as a label of bounded variety."""
    return method if method in _KNOWN_METHODS else "OTHER"


class Wire:
    """One stack's way out, its clockwork, and its source of unguessable text."""

    def __init__(self, config: StackConfig, token: Callable[[], str]) -> None:
        self.config = config
        self.token = token
        self.timers = Timers()
        self.counters = SipCounters()
        self.outgoing: list[tuple[Flow, bytes]] = []
        self._tag_key = token().encode()[:64]
        self._no_stream: dict[tuple[str, int], float] = {}
        """Datagram peers that take no TCP, and until when that is believed."""

    def send(self, flow: Flow, data: bytes) -> None:
        self.outgoing.append((flow, data))

    def dice(self) -> int:
        """A number that nobody can guess, 0 to 2^32-1."""
        return int.from_bytes(hashlib.sha256(self.token().encode()).digest()[:4], "big")

    def wants_stream(self, size: int, flow: Flow, now: float) -> bool:
        """Whether a request of this size to a datagram peer is to go by TCP (section 18.1.1)."""
        large = self.config.large_bytes
        return large is not None and size > large and self._no_stream.get(flow.remote, now) <= now

    def takes_no_stream(self, flow: Flow, now: float) -> None:
        """TCP was refused by a datagram peer, or led nowhere: spare it and us the next attempts."""
        if len(self._no_stream) >= _MAX_NO_STREAM:
            self._no_stream.clear()
        self._no_stream[flow.remote] = now + _NO_STREAM_SECONDS

    def respond(
        self,
        request: Request,
        flow: Flow,
        status: int,
        *,
        copied: Sequence[Header] | None = None,
        reason: str = "",
        headers: Sequence[Header] = (),
        body: bytes = b"",
    ) -> bytes:
        """Send a response back over the request's flow (RFC 3261 section 18.2.2, RFC 3581); its bytes.

        `copied` saves computing `response_headers` again where several responses are sent.
        """
        data = write(
            f"SIP/2.0 {status} {reason or REASONS.get(status, 'Unknown')}",
            (*(copied or response_headers(request, flow)), ("Server", self.config.user_agent), *headers),
            body,
        )
        key = (known(request.method), status)
        sent = self.counters.responses_sent
        sent[key] = sent.get(key, 0) + 1
        self.send(flow, data)
        return data

    def via(self, flow: Flow, branch: str) -> Header:
        return (
            "Via",
            f"SIP/2.0/{flow.transport.upper()} {self.config.sent_by(flow)};branch={branch};rport",
        )

    def contact(self, flow: Flow, user: str, *, secure: bool = False, line: str = "") -> str:
        """Our Contact as the peer of this flow can reach it; `secure` where it asked by a sips URI.

        `line` tells our Contacts apart.

        WebSocket has one transport parameter for both kinds (RFC 7118 section 5.4); sips with TLS says
        tcp (RFC 3261 section 26.2.2).
        """
        transport = {"udp": "", "wss": "ws"}.get(flow.transport, flow.transport)
        if secure and transport == "tls":
            transport = "tcp"
        at = f"{user}@" if user else ""
        tail = (f";transport={transport}" if transport else "") + (f";line={line}" if line else "")
        return f"<{'sips' if secure else 'sip'}:{at}{self.config.sent_by(flow)}{tail}>"

    def stable_tag(self, request: Request) -> str:
        """Our To tag where nothing is kept: the same for the same request, and not to be guessed."""
        seed = "\n".join((*request.raw("Via")[:1], *request.raw("Call-ID")[:1], *request.raw("CSeq")[:1]))
        data = seed.encode("utf-8", "surrogateescape")
        return hashlib.blake2b(data, key=self._tag_key, digest_size=8).hexdigest()

    def count_response(self, response: Response, method: str) -> None:
        received = self.counters.responses_received
        key = (known(method), response.status)
        received[key] = received.get(key, 0) + 1


def response_headers(request: Request, flow: Flow, to_tag: str = "") -> list[Header]:
    """What a response copies from its request (RFC 3261 section 8.2.6.2); our tag where it has none."""
    vias = request.raw("Via")
    to = request.header("To") or ""
    if to_tag and not _has_tag(request):
        to = f"{to};tag={to_tag}"
    headers: list[Header] = [("Via", via) for via in vias]
    if vias:
        headers[0] = ("Via", stamped(vias[0], flow))
    headers += (
        ("From", request.header("From") or ""),
        ("To", to),
        ("Call-ID", request.header("Call-ID") or ""),
        ("CSeq", request.header("CSeq") or ""),
    )
    return headers


def _has_tag(request: Request) -> bool:
    try:
        return bool(request.to_tag)
    except SipSyntaxError:
        return True


def stamped(line: str, flow: Flow) -> str:
    """The topmost Via with where the request really came from (section 18.2.1, RFC 3581 section 4)."""
    top, comma, rest = line.partition(",")
    host, port = flow.remote
    kept: list[str] = []
    asked = False
    for part in top.split(";"):
        name = part.partition("=")[0].strip(" \t").lower()
        if name == "rport":
            asked = True
        elif name != "received":
            kept.append(part)
    stamped = f"{';'.join(kept)};received={host}" + (f";rport={port}" if asked else "")
    return f"{stamped}{comma}{rest}"
