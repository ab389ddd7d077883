"""SIP as calls see it: who calls, agents to ring, legs to steer. Everything else is answered here."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import structlog

from acd.clock import Clock
from acd.config import Settings
from acd.directory.model import Directory, Srtp
from acd.sip.core.auth import DigestServer
from acd.sip.core.events import (
    Flow,
    FlowKind,
    InviteReceived,
    LegAnswered,
    LegEnded,
    LegEvent,
    LegReferred,
    PeerProbed,
    RegistrationDue,
    RegistrationFailed,
    RegistrationMade,
    RequestReceived,
    SipEvent,
    SubscriptionAsked,
    SubscriptionOver,
)
from acd.sip.core.refer import DialogId
from acd.sip.endpoint import SipEndpoint
from acd.sip.figures import SipFigures
from acd.sip.gate import Gate
from acd.sip.guard import RETRY_AFTER, Guard, Refused
from acd.sip.identity import Diverted
from acd.sip.incoming import Doorman, IncomingCall
from acd.sip.lamps import Lamps, Messages, no_messages
from acd.sip.nodes import BETWEEN_NODES
from acd.sip.overload import OverloadLimits
from acd.sip.phones import AgentPhones
from acd.sip.presenting import Presented
from acd.sip.providers import Providers
from acd.sip.reception import Reception
from acd.sip.registrar import ExpiryRules, Registrar
from acd.sip.resolving import NameServers
from acd.sip.site import Site
from acd.sip.trace import open_tracer
from acd.sip.trunk_calls import TrunkCalls
from acd.sip.trunks import LiveCalls
from acd.sip.watching import ExpiryBounds
from acd.sip.ways import Ways

log = structlog.get_logger(__name__)


class SipService:
    """Registrar, guard and endpoint behind one door."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        directory: Callable[[], Directory],
        site: Site,
        messages: Messages = no_messages,
    ) -> None:
        sip, srtp_without_tls = settings.sip, settings.media.srtp_without_tls
        self._settings = settings
        self._directory = directory
        self._site = site
        self._bindings = site.bindings
        self._nodes = site.nodes
        self._endpoint = endpoint = SipEndpoint(sip, clock)
        ways = Ways(endpoint.network, site.bindings, site.nodes)
        endpoint.be_edge(ways.as_edge(endpoint.trust))
        self._calls = LiveCalls()
        self.providers = Providers(endpoint, directory, clock, lambda: NameServers(sip.name_servers))
        """Trunks as we reach them."""
        self.outside = TrunkCalls(
            endpoint, self.providers, self._calls, clock, srtp_without_tls=srtp_without_tls
        )
        """Calls to numbers over trunks."""
        self.phones = AgentPhones(endpoint, directory, site.bindings, ways, srtp_without_tls=srtp_without_tls)
        expires = ExpiryBounds(sip.min_expires_seconds, sip.max_expires_seconds)
        self.lamps = Lamps(endpoint, directory, expires, messages=messages)
        """Phones that watch agents, and their own messages."""
        site.board.subscribe(self.lamps.phones_changed)
        site.subscribe(self._nodes_gone)
        self._guard = self._make_guard(clock)
        self._gate = Gate(
            self._guard, OverloadLimits(**dict(settings.overload)), lambda: len(self._calls), clock
        )
        self.tracer = open_tracer(settings.trace, clock)
        """What went over the wire, of calls that somebody asked for."""
        endpoint.watch(self.tracer)
        self.draining = False
        self._doorman = self._make_doorman(clock)
        idle = int(sip.connections.idle_seconds)
        expiry = ExpiryRules(sip.min_expires_seconds, sip.max_expires_seconds, idle)
        registrar = Registrar(site.bindings, expiry, clock)
        self._reception = Reception(endpoint, self._guard, registrar, self.lamps, lambda: self.draining)
        self.figures = SipFigures(
            endpoint, self._guard, site, directory, self._calls, self.providers, self.outside
        )
        """What is counted, for metrics."""
        self._on_leg: Callable[[LegEvent], None] = lambda event: None

    def _make_guard(self, clock: Clock) -> Guard:
        sip, bindings, nodes = self._settings.sip, self._bindings, self._nodes
        return Guard(
            DigestServer(
                sip.realm, secrets.token_bytes(32), accept_without_qop=sip.accept_digest_without_qop
            ),
            self._directory,
            lambda host: bindings.has_host(host) or nodes.has_host(host),
            clock,
            self._settings.security,
            certified=self._endpoint.network.peer_names,
            trunks_at=self.providers.trunks_at,
        )

    def _make_doorman(self, clock: Clock) -> Doorman:
        return Doorman(
            self._endpoint,
            self._guard,
            self._gate,
            self._calls,
            self._directory,
            self.tracer,
            lambda: self.draining,
            clock,
            srtp_without_tls=self._settings.media.srtp_without_tls,
        )

    async def start(self) -> None:
        """Raises OSError where an address cannot be had, redis.exceptions.RedisError."""
        self._endpoint.subscribe(
            self._on_event,
            on_opened=self._bindings.move_flow,
            on_closed=self._bindings.drop_flow,
            admit=self._admits,
            screen=self._gate.screen,
        )
        await self._bindings.start()
        try:
            await self._endpoint.start()
        except BaseException:
            await self._bindings.stop()
            raise
        try:
            await self._site.start(self._settings.sip.advertise, self._between_nodes())
        except BaseException:
            await self._endpoint.stop()
            await self._bindings.stop()
            raise
        self.providers.start()

    def _between_nodes(self) -> Sequence[tuple[FlowKind, str, int]]:
        """Where other nodes reach us: a wildcard stands for the address of our way out."""
        network, address = self._endpoint.network, self._settings.node.address
        return [
            (listen.transport, address or network.own_host(listen.local[0]), listen.local[1])
            for listen in network.listening
            if listen.transport in BETWEEN_NODES
        ]

    def _admits(self, flow: Flow) -> bool:
        """A connection of another node may be idle: it is there for the next call."""
        if flow.connection and self._nodes.has_host(flow.remote[0]):
            self._endpoint.trust(flow)
        return self._guard.admits(flow)

    def _nodes_gone(self, gone: frozenset[str]) -> None:
        """A node that hangs says nothing: phones that we ring through it are given up, as when it dies."""
        for node in gone:
            for _, host, port in self._nodes.addresses_of_gone(node):
                self._endpoint.network.give_up((host, port))

    def drain(self) -> None:
        """Take no new call, and let providers send theirs to other nodes."""
        self.draining = True
        self.providers.withdraw()

    def reload_certificate(self) -> bool:
        """Show a renewed certificate on new connections; False without one. Raises ConfigError."""
        return self._endpoint.network.reload_certificate()

    async def stop(self) -> None:
        self.lamps.end_all("deactivated")
        await self.providers.stop()
        await self._site.stop()
        await self._endpoint.stop()
        await self._bindings.stop()
        self.tracer.close()

    def subscribe(
        self,
        *,
        on_call: Callable[[IncomingCall], str],
        on_leg: Callable[[LegEvent], None],
        on_registration: Callable[[str, bool], None],
    ) -> None:
        """Name who takes calls, what happens to legs, and agents' phones that come and go."""
        self._doorman.subscribe(on_call)
        self._on_leg = on_leg
        self._bindings.subscribe(on_registration)

    @property
    def listening(self) -> tuple[Flow, ...]:
        return self._endpoint.network.listening

    @property
    def overloaded(self) -> bool:
        """Whether new calls are refused because there is too much to do."""
        return self._gate.overloaded

    def lagged(self, seconds: float) -> None:
        """Hear how late the event loop runs; to be told several times a second."""
        self._gate.lagged(seconds)

    def say_phones_again(self) -> int:
        """Redis has lost what it knew last: our registrations are written once more. How many."""
        return self._bindings.say_again()

    # Legs.

    def srtp_toward(self, agent_id: str) -> Srtp:
        """Whether an offer to the agent's phones names keys."""
        return self.phones.srtp_toward(agent_id)

    async def look_up(self, agent_id: str) -> None:
        """Ask the other nodes for an agent of whom no phone is known here."""
        await self._site.look_up(agent_id)

    def invite_agent(
        self,
        leg: str,
        agent_id: str,
        *,
        offer: bytes,
        caller: str,
        caller_name: str,
        queue: str,
        call_id: str,
    ) -> None:
        """Ring the agent's phones. Raises AgentUnreachable."""
        self.phones.ring(
            leg,
            agent_id,
            offer=offer,
            caller=caller,
            caller_name=caller_name,
            queue=queue,
            call_id=call_id,
            hops=self._doorman.hops.left(call_id),
        )

    def srtp_toward_trunk(self, trunk: str) -> Srtp:
        """Whether an offer to the trunk names keys."""
        return self.outside.srtp_toward(trunk)

    def invite_number(
        self,
        leg: str,
        trunk: str,
        number: str,
        *,
        offer: bytes,
        caller: str,
        caller_name: str,
        withheld: bool = False,
        diversions: tuple[Diverted, ...] = (),
        about: Mapping[str, str] = MappingProxyType({}),
        call_id: str,
    ) -> None:
        """Call a number over a trunk. Raises TrunkUnavailable.

        `withheld`: the called are not to see the caller's number. `diversions` are the numbers that the call
        was diverted from, ours last, where it goes on to the outside; `about` is what headers may tell.
        """
        configured = self._directory().trunks.get(trunk)
        is_trusted = configured is not None and configured.trusted
        self.outside.call(
            leg,
            trunk,
            number,
            offer=offer,
            caller=Presented(caller, caller_name, withheld, diversions),
            about=about,
            headers=(("X-ACD-Call-ID", call_id),) if is_trusted else (),
            call_id=call_id,
            hops=self._doorman.hops.left(call_id),
        )

    def ring(self, leg: str, status: int, sdp: bytes | None) -> None:
        self._endpoint.ring(leg, status=status, sdp=sdp)

    def accept(self, leg: str, sdp: bytes) -> None:
        self._endpoint.accept(leg, sdp)

    def refuse(self, leg: str, status: int, why: str = "") -> None:
        headers: list[tuple[str, str]] = [*RETRY_AFTER] if status == 503 else []
        if why:
            headers.append(("Reason", f'SIP;cause={status};text="{why}"'))
        self._endpoint.refuse(leg, status, headers=headers)

    def hangup(self, leg: str, reason: str = "") -> None:
        legs = (self.outside.hang_up(leg),) if self.outside.has(leg) else self.phones.targets(leg)
        for target in legs:
            self._endpoint.hangup(target, reason=reason)

    def _far_end(self, leg: str) -> str:
        """The leg of the phone, or the host, that has the call."""
        return self.outside.current(self.phones.talking(leg))

    def accept_reoffer(self, leg: str, sdp: bytes) -> None:
        self._endpoint.accept_reoffer(self._far_end(leg), sdp)

    def refuse_reoffer(self, leg: str, status: int) -> None:
        self._endpoint.refuse_reoffer(self._far_end(leg), status)

    def answer_refer(self, leg: str, status: int) -> None:
        self._endpoint.answer_refer(self._far_end(leg), status)

    def report_refer(self, leg: str, status: int) -> None:
        self._endpoint.report_refer(self._far_end(leg), status)

    def leg_of(self, dialog: DialogId) -> str | None:
        """The live leg that a Replaces names, as calls know it."""
        leg = self._endpoint.leg_of(dialog)
        return self.outside.known_as(self.phones.known_as(leg)) if leg else None

    # What comes in.

    def _on_event(self, event: SipEvent) -> None:
        match event:
            case InviteReceived():
                self._doorman.take(event)
            case RequestReceived():
                self._reception.take(event)
            case LegReferred():
                if self._may_refer(event):
                    self._take_leg_event(event)
            case SubscriptionAsked():
                self._reception.renew_watcher(event)
            case SubscriptionOver():
                self.lamps.over(event)
            case RegistrationMade() | RegistrationFailed() | RegistrationDue() | PeerProbed():
                self.providers.take_outward(event)
            case _:
                self._take_leg_event(event)

    def _may_refer(self, event: LegReferred) -> bool:
        """Only an agent transfers: known by the flow that their phone registered, else by the password."""
        agent = self.phones.agent_of(event.leg) or self._doorman.caller_of(event.leg)
        if not agent:
            self._guard.refuse(Refused(403, "refer-not-allowed"))
            self._endpoint.answer_refer(event.leg, 403)
            return False
        if any(binding.flow.remote == event.flow.remote for binding in self._bindings.lookup(agent)):
            return True
        who = self._guard.authenticate(event.request, event.flow)
        if isinstance(who, Refused):
            self._endpoint.answer_refer(event.leg, who.status, headers=who.headers)
        elif who.id != agent:
            self._endpoint.answer_refer(event.leg, 403)
        else:
            return True
        return False

    def _tell(self, event: LegEvent, told: LegEvent | None) -> None:
        """What happened to one of several phones or hosts, as calls are to hear of it."""
        if told is None:
            return
        if isinstance(event, LegAnswered):
            self.tracer.answered(told.leg, event.leg)
        self._on_leg(told)

    def _take_leg_event(self, event: LegEvent) -> None:
        if self.phones.has(event.leg):
            self._tell(event, self.phones.take(event))
            return
        if self.outside.has(event.leg):
            self._tell(event, self.outside.take(event))
            return
        if event.leg not in self._calls:
            return  # A leg that never became a call: a challenge, a refusal.
        if isinstance(event, LegEnded):
            self._doorman.forget(event.leg)
        self._on_leg(event)
