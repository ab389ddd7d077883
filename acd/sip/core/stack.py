"""The SIP stack without I/O: bytes and the time in, bytes and events out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from acd.sip.core.events import Flow, SipEvent
from acd.sip.core.uri import NameAddr, Uri, format_host


def local_sent_by(flow: Flow) -> str:
    """The address that we listen on, as `host:port`."""
    return format_host(*flow.local)


@dataclass(frozen=True, slots=True)
class StackConfig:
    """Limits and timers (seconds; RFC 3261 table 4)."""

    user_agent: str = "acd"
    sent_by: Callable[[Flow], str] = local_sent_by
    """`host:port` for Via and Contact on a flow: where the peer can reach us."""
    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0
    max_message_bytes: int = 65536
    max_headers: int = 128
    max_legs: int = 20_000
    max_transactions: int = 100_000
    max_ring_seconds: float = 600.0
    """How long an INVITE of ours may stay unanswered before it is cancelled as timed out."""
    supported: frozenset[str] = frozenset()
    """Option tags that may stand in Require (RFC 3261 section 20.32)."""


@dataclass(slots=True)
class SipCounters:
    """Cheap totals for metrics. Methods that we do not know count as OTHER."""

    requests_received: dict[str, int] = field(default_factory=dict)
    responses_sent: dict[tuple[str, int], int] = field(default_factory=dict)
    responses_received: dict[tuple[str, int], int] = field(default_factory=dict)
    parse_errors: dict[str, int] = field(default_factory=dict)
    retransmissions: int = 0


class SipStack:
    def __init__(self, config: StackConfig, token: Callable[[], str]) -> None: ...
    counters: SipCounters
    def receive(self, data: bytes, flow: Flow, now: float) -> None: ...
    def flow_failed(self, flow: Flow, now: float) -> None: ...
    def flow_opened(self, wanted: Flow, opened: Flow) -> None: ...
    def invite(self, leg: str, *, uri: Uri, flow: Flow, from_: NameAddr, to: NameAddr, contact_user: str,
               sdp: bytes, headers: Sequence[tuple[str, str]] = (), now: float) -> None: ...
    def ring(self, leg: str, *, now: float, status: int = 180, sdp: bytes | None = None) -> None: ...
    def accept(self, leg: str, sdp: bytes, *, now: float) -> None: ...
    def refuse(self, leg: str, status: int, *, now: float, reason: str = "", headers: Sequence[tuple[str, str]] = ()) -> None: ...
    def hangup(self, leg: str, *, now: float, reason: str = "") -> None: ...
    def reoffer(self, leg: str, sdp: bytes, *, now: float) -> None: ...
    def accept_reoffer(self, leg: str, sdp: bytes, *, now: float) -> None: ...
    def refuse_reoffer(self, leg: str, status: int, *, now: float) -> None: ...
    def respond(self, transaction: str, status: int, *, now: float, reason: str = "",
                headers: Sequence[tuple[str, str]] = (), body: bytes = b"") -> None: ...
    def take_events(self) -> list[SipEvent]: ...
    def take_outgoing(self) -> list[tuple[Flow, bytes]]: ...
    def next_timeout(self) -> float | None: ...
    def handle_timeout(self, now: float) -> None: ...
