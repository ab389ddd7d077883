"""Calls that come in: who calls by what right, and whether the call is taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from acd.clock import Clock
from acd.directory.devices import device_of
from acd.directory.model import Agent, Directory, Srtp, Trunk
from acd.sip.core.events import InviteReceived
from acd.sip.core.grammar import SipSyntaxError
from acd.sip.core.refer import Replaces, replaces_of
from acd.sip.endpoint import SipEndpoint
from acd.sip.gate import Gate
from acd.sip.guard import RETRY_AFTER, Guard, Refused
from acd.sip.hops import Hops
from acd.sip.identity import Identity, Party, called_number, identity_of, wants_privacy
from acd.sip.secrecy import srtp_over
from acd.sip.trace.tracer import Tracer
from acd.sip.trunks import ArrivalRates, LiveCalls

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """A call that was let in; `trunk` or `agent` says by what right."""

    leg: str
    offer: bytes | None
    identity: Identity
    trunk: str
    agent: str
    sip_call_id: str
    source: str
    replaces: Replaces | None = None
    srtp: Srtp = "off"


class Doorman:
    """Lets calls in, and turns away those that may not or cannot be taken."""

    def __init__(
        self,
        endpoint: SipEndpoint,
        guard: Guard,
        gate: Gate,
        calls: LiveCalls,
        directory: Callable[[], Directory],
        tracer: Tracer,
        draining: Callable[[], bool],
        clock: Clock,
        *,
        srtp_without_tls: bool,
    ) -> None:
        self._endpoint = endpoint
        self._guard = guard
        self._gate = gate
        self._calls = calls
        self._directory = directory
        self._tracer = tracer
        self._draining = draining
        self._clock = clock
        self._srtp_without_tls = srtp_without_tls
        self._callers: dict[str, str] = {}
        """Leg of a call that an agent makes -> the agent."""
        self.hops = Hops()
        self._rates = ArrivalRates()
        self._on_call: Callable[[IncomingCall], str] = lambda call: ""

    def subscribe(self, on_call: Callable[[IncomingCall], str]) -> None:
        """Name who takes calls; returns the id of the call."""
        self._on_call = on_call

    def caller_of(self, leg: str) -> str:
        """The agent who made this call; empty for anybody else's."""
        return self._callers.get(leg, "")

    def forget(self, leg: str) -> None:
        """The call is over."""
        self._calls.discard(leg)
        self._callers.pop(leg, None)
        self.hops.over(leg)

    def take(self, event: InviteReceived) -> None:
        who = self._guard.identify_caller(event.request, event.flow)
        if isinstance(who, Refused):
            self._endpoint.refuse(event.leg, who.status, headers=who.headers)
            return
        refusal = self._refusal_of(who, event)
        if refusal is not None:
            self._guard.refuse(refusal)
            self._endpoint.refuse(event.leg, refusal.status, headers=refusal.headers)
            return
        try:
            call = self._incoming(event, who)
        except SipSyntaxError as error:
            self._endpoint.refuse(event.leg, 400, reason=f"Bad {error.part}")
            return
        self._endpoint.trust(event.flow)
        self._calls.add(event.leg, call.trunk)
        self._gate.took_call()
        if call.agent:
            self._callers[event.leg] = call.agent
        try:
            name = self._on_call(call)
        except Exception:
            log.exception("sip.call.not_taken", leg=event.leg)
            self.forget(event.leg)
            self._endpoint.refuse(event.leg, 500)
        else:
            self._tracer.belongs(call.sip_call_id, name, leg=event.leg, trunk=call.trunk)
            if call.replaces is None:
                self.hops.came(event.leg, name, event.request.max_forwards)

    def _refusal_of(self, who: Trunk | Agent, event: InviteReceived) -> Refused | None:
        if self._draining():
            return Refused(503, "draining", RETRY_AFTER)
        if isinstance(who, Trunk) and self._calls.on(who.name) >= who.max_calls:
            return Refused(503, "trunk-full", RETRY_AFTER)
        if self._srtp(who, event) is None:
            return Refused(488, "srtp-needs-tls")
        if isinstance(who, Trunk) and not self._rates.take(who, self._clock.monotonic()):
            return Refused(503, "trunk-rate", RETRY_AFTER)
        return None

    def _srtp(self, who: Trunk | Agent, event: InviteReceived) -> Srtp | None:
        if isinstance(who, Agent):
            rule = device_of(self._directory(), who, event.request.header("User-Agent") or "").srtp
        else:
            rule = who.srtp
        return srtp_over(rule, event.flow.transport, without_tls=self._srtp_without_tls)

    def _incoming(self, event: InviteReceived, who: Trunk | Agent) -> IncomingCall:
        """Raises SipSyntaxError."""
        request = event.request
        if isinstance(who, Trunk):
            identity, trunk, agent = identity_of(request, who), who.name, ""
        else:
            # An agent is who they proved to be, whatever their phone writes.
            identity = Identity(
                Party(who.extension, who.name), called_number(request), withheld=wants_privacy(request)
            )
            trunk, agent = "", who.id
        return IncomingCall(
            leg=event.leg,
            offer=event.offer,
            identity=identity,
            trunk=trunk,
            agent=agent,
            sip_call_id=request.call_id,
            source=event.flow.remote[0],
            replaces=replaces_of(request),
            srtp=self._srtp(who, event) or "off",
        )
