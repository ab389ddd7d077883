"""The asynchronous shell of the SIP stack: sockets, one timer, and events in order.

Commands flush what they send before they return. Events they cause come on a later turn of the event
loop, so that a command never calls its caller back; events of received bytes are delivered at once.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from acd.clock import Clock
from acd.config import SipSection
from acd.sip.core.checks import Fault
from acd.sip.core.credentials import Credentials
from acd.sip.core.dialog import MOST_HOPS
from acd.sip.core.edge import Edge, EdgeOwner
from acd.sip.core.events import Flow, SipEvent
from acd.sip.core.message import Request
from acd.sip.core.refer import DialogId
from acd.sip.core.registrant import Account
from acd.sip.core.stack import SipCounters, SipStack, StackConfig
from acd.sip.core.uri import NameAddr, Uri
from acd.sip.core.wire import everything
from acd.sip.network import Network

_log = structlog.get_logger(__name__)

_LEAST_TIMER_SECONDS = 0.001
_LARGE_BYTES = 1300
"""RFC 3261 section 18.1.1, where the MTU of the path is not known."""

Screen = Callable[[Request, Flow, float], Fault | None]


class Tap(Protocol):
    """Who looks at every message; only asked while `active`."""

    active: bool

    def saw(self, data: bytes, flow: Flow, *, sent: bool) -> None: ...

    def belongs(self, sip_id: str, call: str, *, leg: str, trunk: str = "") -> None:
        """The leg with this Call-ID is one of a call, over a trunk where one is named."""


class _NoTap:
    """Looks at nothing."""

    active = False

    def saw(self, data: bytes, flow: Flow, *, sent: bool) -> None:
        return

    def belongs(self, sip_id: str, call: str, *, leg: str, trunk: str = "") -> None:
        return


def _nobody(event: SipEvent) -> None:
    """The subscriber until there is one."""


def _everyone(flow: Flow) -> bool:
    """The admission rule until there is one."""
    return True


def _no_matter(*flows: Flow) -> None:
    """The listener of connections until there is one."""


class SipEndpoint:
    """Owns the stack, its timer and its transports. Nothing raised in here reaches the event loop."""

    def __init__(self, settings: SipSection, clock: Clock) -> None:
        """Raises ConfigError where a file of `sip.tls` cannot be used."""
        self._clock = clock
        self._tap: Tap = _NoTap()
        self.network = Network(
            settings, clock, on_message=self._received, on_opened=self._opened, on_lost=self._lost
        )
        self._stack = SipStack(
            StackConfig(
                sent_by=self.network.sent_by,
                screen=self._screened,
                large_bytes=_LARGE_BYTES if settings.large_requests_over_tcp else None,
                session_seconds=settings.session_seconds,
                session_refresh_seconds=settings.session_refresh_seconds,
            ),
            lambda: secrets.token_hex(10),
        )
        self._subscriber: Callable[[SipEvent], None] = _nobody
        self._admit: Callable[[Flow], bool] = _everyone
        self._screen: Screen = everything
        self._on_opened: Callable[[Flow, Flow], None] = _no_matter
        self._on_closed: Callable[[Flow], None] = _no_matter
        self._events: deque[SipEvent] = deque()
        self._delivering = False
        self._delivery: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._running = False
        self.dropped = 0
        """Datagrams of sources that are over their limit, dropped unread."""

    @property
    def counters(self) -> SipCounters:
        """Messages by method and code, and what was wrong with others."""
        return self._stack.counters

    @property
    def passed(self) -> int:
        """Total of messages passed on between phones of this node and other nodes."""
        return self._stack.edge.passed if self._stack.edge is not None else 0

    def subscribe(
        self,
        on_event: Callable[[SipEvent], None],
        *,
        on_opened: Callable[[Flow, Flow], None] = _no_matter,
        on_closed: Callable[[Flow], None] = _no_matter,
        admit: Callable[[Flow], bool] = _everyone,
        screen: Screen = everything,
    ) -> None:
        """Name the receiver of events, the rule that lets bytes in, and the one that lets requests in.

        `on_opened` hears that a connection which was asked for is there, as (wanted, opened);
        `on_closed` of a flow that cannot be used any more.
        """
        self._subscriber = on_event
        self._on_opened = on_opened
        self._on_closed = on_closed
        self._admit = admit
        self._screen = screen

    async def start(self) -> None:
        """Bind every address. Raises OSError or ConfigError naming what is wrong, with nothing left open."""
        self._running = True
        try:
            await self.network.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Let go of every address and connection. Legs are not ended: that is the owner's business."""
        if self._running:
            self._flush()
        self._running = False
        for handle in (self._timer, self._delivery):
            if handle is not None:
                handle.cancel()
        self._timer = self._delivery = None
        await self.network.stop()

    # Commands, as those of the stack.

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
        headers: Sequence[tuple[str, str]] = (),
        credentials: Credentials | None = None,
        patience: float | None = None,
        named: tuple[str, str] | None = None,
        hops: int = MOST_HOPS,
        call: str = "",
        trunk: str = "",
    ) -> None:
        """Call somebody. `call` and `trunk` are for who looks on: what the leg is a part of."""
        now = self._clock.monotonic()
        sip_id = self._stack.invite(
            leg,
            uri=uri,
            flow=flow,
            from_=from_,
            to=to,
            contact_user=contact_user,
            sdp=sdp,
            headers=headers,
            credentials=credentials,
            patience=patience,
            named=named,
            hops=hops,
            now=now,
        )
        self._tap.belongs(sip_id, call, leg=leg, trunk=trunk)
        self._after_command()

    def ring(self, leg: str, *, status: int = 180, sdp: bytes | None = None) -> None:
        """Send a provisional response."""
        self._stack.ring(leg, now=self._clock.monotonic(), status=status, sdp=sdp)
        self._after_command()

    def accept(self, leg: str, sdp: bytes) -> None:
        """Answer 200."""
        self._stack.accept(leg, sdp, now=self._clock.monotonic())
        self._after_command()

    def refuse(
        self, leg: str, status: int, *, reason: str = "", headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Answer with a final failure."""
        self._stack.refuse(leg, status, now=self._clock.monotonic(), reason=reason, headers=headers)
        self._after_command()

    def hangup(self, leg: str, *, reason: str = "") -> None:
        """End the leg, whatever its state."""
        self._stack.hangup(leg, now=self._clock.monotonic(), reason=reason)
        self._after_command()

    def reoffer(self, leg: str, sdp: bytes) -> None:
        """Send a re-INVITE."""
        self._stack.reoffer(leg, sdp, now=self._clock.monotonic())
        self._after_command()

    def accept_reoffer(self, leg: str, sdp: bytes) -> None:
        """Answer a re-INVITE with 200."""
        self._stack.accept_reoffer(leg, sdp, now=self._clock.monotonic())
        self._after_command()

    def refuse_reoffer(self, leg: str, status: int) -> None:
        """Answer a re-INVITE with a failure; the session stays as it was."""
        self._stack.refuse_reoffer(leg, status, now=self._clock.monotonic())
        self._after_command()

    def answer_refer(self, leg: str, status: int, *, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Answer a REFER; 202 begins to tell of the progress."""
        self._stack.answer_refer(leg, status, now=self._clock.monotonic(), headers=headers)
        self._after_command()

    def report_refer(self, leg: str, status: int) -> None:
        """Tell how a transfer goes; a final status is the last word."""
        self._stack.report_refer(leg, status, now=self._clock.monotonic())
        self._after_command()

    def leg_of(self, dialog: DialogId) -> str | None:
        """The live leg that has this dialog."""
        return self._stack.leg_of(dialog)

    def accept_subscription(self, transaction: str, seconds: int) -> str | None:
        """Make a watcher; its name. Raises SipSyntaxError with nothing sent."""
        name = self._stack.accept_subscription(transaction, seconds, now=self._clock.monotonic())
        self._after_command()
        return name

    def renew_subscription(self, name: str, transaction: str, seconds: int) -> None:
        """Answer a SUBSCRIBE of a watcher."""
        self._stack.renew_subscription(name, transaction, seconds, now=self._clock.monotonic())
        self._after_command()

    def notify(self, name: str, content_type: str, body: bytes) -> None:
        """Tell a watcher a state."""
        self._stack.notify(name, content_type, body, now=self._clock.monotonic())
        self._after_command()

    def end_subscription(self, name: str, reason: str, content_type: str, body: bytes) -> None:
        """Tell a watcher the last state."""
        self._stack.end_subscription(name, reason, content_type, body, now=self._clock.monotonic())
        self._after_command()

    def respond(
        self, transaction: str, status: int, *, reason: str = "", headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Answer a request outside a dialog."""
        now = self._clock.monotonic()
        self._stack.respond(transaction, status, now=now, reason=reason, headers=headers)
        self._after_command()

    def enrol(self, name: str, account: Account) -> None:
        """Know an account of ours with a provider."""
        self._stack.outward.enrol(name, account, self._clock.monotonic())
        self._after_command()

    def withdraw(self, name: str) -> None:
        """Be registered by this account no longer."""
        self._stack.outward.withdraw(name, self._clock.monotonic())
        self._after_command()

    def register(self, name: str, flow: Flow) -> None:
        """Register an account over this flow."""
        self._stack.outward.register(name, flow, self._clock.monotonic())
        self._after_command()

    def probe(self, name: str, uri: Uri, flow: Flow, seconds: float) -> None:
        """Ask a peer whether it is there."""
        self._stack.outward.probe(name, uri, flow, seconds, self._clock.monotonic())
        self._after_command()

    def be_edge(self, owner: EdgeOwner) -> None:
        """Pass messages on between phones of this node and the other nodes."""
        self._stack.edge = Edge(self._stack.wire, owner)

    def trust(self, flow: Flow) -> None:
        """The peer on this connection has proven who it is."""
        self.network.trust(flow)

    def is_open(self, flow: Flow) -> bool:
        """Whether the flow can still be used; a datagram flow always can."""
        return self.network.is_open(flow)

    def host_for(self, flow: Flow) -> str:
        """Our host as this peer can reach it: for Via and Contact."""
        return self.network.host_for(flow)

    def watch(self, tap: Tap) -> None:
        """Show every message that is read or sent."""
        self._tap = tap

    def handle_timeout(self) -> None:
        """Let the stack act on the time that has passed."""
        self._timer = None
        try:
            self._stack.handle_timeout(self._clock.monotonic())
        except Exception:
            _log.exception("sip.stack.timeout_failed")
        self._after_bytes()

    # What comes in.

    def _received(self, data: bytes, flow: Flow) -> None:
        if not self._admit(flow):
            self.dropped += 1
            return
        if self._tap.active:
            self._tap.saw(data, flow, sent=False)
        try:
            self._stack.receive(data, flow, self._clock.monotonic())
        except Exception:
            _log.exception("sip.stack.receive_failed", transport=flow.transport, source=flow.remote[0])
        self._after_bytes()

    def _screened(self, request: Request, flow: Flow, now: float) -> Fault | None:
        return self._screen(request, flow, now)

    def _opened(self, wanted: Flow, opened: Flow) -> None:
        self._stack.flow_opened(wanted, opened)
        self._on_opened(wanted, opened)
        self._after_command()

    def _lost(self, flow: Flow) -> None:
        """Nothing can be sent on this flow any more."""
        if not self._running:  # then we close it ourselves, and nobody became unreachable
            return
        try:
            self._on_closed(flow)
            self._stack.flow_failed(flow, self._clock.monotonic())
        except Exception:
            _log.exception("sip.flow.not_ended", transport=flow.transport)
        self._after_command()

    # What goes out.

    def _after_command(self) -> None:
        self._flush()
        if self._events and not self._delivering and self._delivery is None and self._running:
            self._delivery = asyncio.get_running_loop().call_soon(self._deliver)

    def _after_bytes(self) -> None:
        self._flush()
        self._deliver()

    def _flush(self) -> None:
        """Send what the stack has written, take in its events, and set the timer."""
        while True:
            outgoing = self._stack.take_outgoing()
            if not outgoing:
                break
            for flow, data in outgoing:
                if self._tap.active:
                    self._tap.saw(data, flow, sent=True)
                if not self.network.send(flow, data):
                    self._stack.flow_failed(flow, self._clock.monotonic())
        self._events.extend(self._stack.take_events())
        self._arm()

    def _deliver(self) -> None:
        """Hand out events in order; those that a subscriber causes meanwhile come after."""
        if self._delivering:
            return
        self._delivery = None
        self._delivering = True
        try:
            while self._events:
                event = self._events.popleft()
                try:
                    self._subscriber(event)
                except Exception:
                    _log.exception("sip.subscriber_failed", event_type=type(event).__name__)
        finally:
            self._delivering = False

    def _arm(self) -> None:
        due = self._stack.next_timeout()
        # A timer that is too early costs one empty turn; moving it with every message costs more.
        if not self._running or due is None or (self._timer is not None and self._timer_due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        delay = max(_LEAST_TIMER_SECONDS, due - self._clock.monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay, self.handle_timeout)
