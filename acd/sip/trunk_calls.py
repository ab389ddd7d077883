"""Calls to numbers outside, over trunks: admitted, signed with our account, tried host after host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from acd.clock import Clock
from acd.directory.model import Srtp, Trunk
from acd.sip.core.dialog import MOST_HOPS
from acd.sip.core.events import LegAnswered, LegEnded, LegEvent
from acd.sip.core.message import Header
from acd.sip.core.uri import NameAddr
from acd.sip.endpoint import SipEndpoint
from acd.sip.hosts import Peer
from acd.sip.outgoing import OutgoingCall
from acd.sip.presenting import Presented, own_headers, presented
from acd.sip.providers import Provider, Providers, TrunkUnavailable, credentials_for, uri_of
from acd.sip.redirects import Target
from acd.sip.secrecy import srtp_over
from acd.sip.trunks import LiveCalls

log = structlog.get_logger(__name__)

_FIRST_WORD_SECONDS = 4.0
"""How long a host may be silent before the next one is asked, where there is one."""
_LAST_WORD_SECONDS = 8.0
"""How long the last one may be: there may be another trunk."""


@dataclass(frozen=True, slots=True)
class _Invitation:
    """What is the same for each host that is asked to take the call."""

    trunk: Trunk
    number: str
    offer: bytes
    caller: Presented
    headers: Sequence[Header]
    call_id: str
    hops: int


class TrunkCalls:
    """Calls know each by one leg, whichever host it is at."""

    def __init__(
        self,
        endpoint: SipEndpoint,
        providers: Providers,
        calls: LiveCalls,
        clock: Clock,
        *,
        srtp_without_tls: bool,
    ) -> None:
        self._endpoint = endpoint
        self._providers = providers
        self._calls = calls
        self._clock = clock
        self._srtp_without_tls = srtp_without_tls
        self._outgoing: dict[str, OutgoingCall] = {}
        """By the leg that calls know, and by the leg of the attempt."""
        self._invitations: dict[str, _Invitation] = {}
        """What each host is told, by the leg that calls know."""
        self.made: Counter[str] = Counter()
        """Calls by trunk."""
        self.answered: Counter[str] = Counter()
        self.failovers: Counter[str] = Counter()
        """Attempts by trunk that another host had to make up for."""
        self.refused: Counter[tuple[str, str]] = Counter()
        """Calls that did not go out, by trunk and why (a word of acd.sip.trunk_status.REFUSALS)."""

    def srtp_toward(self, trunk_name: str) -> Srtp:
        """Whether an offer to the trunk names keys; only if each of its hosts can be told in secret."""
        try:
            provider = self._providers.available(trunk_name)
        except TrunkUnavailable:
            return "off"
        wanted = provider.trunk.srtp
        policies = {self._secrecy(provider.trunk, peer) for peer in provider.peers}
        return wanted if policies == {wanted} else "off"

    def _secrecy(self, trunk: Trunk, peer: Peer) -> Srtp | None:
        return srtp_over(trunk.srtp, peer.transport, without_tls=self._srtp_without_tls)

    def call(
        self,
        leg: str,
        trunk_name: str,
        number: str,
        *,
        offer: bytes,
        caller: Presented,
        about: Mapping[str, str],
        headers: Sequence[Header] = (),
        call_id: str = "",
        hops: int = MOST_HOPS,
    ) -> None:
        """Call a number over a trunk, host after host. Raises TrunkUnavailable.

        `about` is what the trunk's own headers may tell of the call; `headers` go with it as they are.
        `hops` is how much further the call may go.
        """
        try:
            provider = self._admit(trunk_name)
            turn = self._turn(provider)
        except TrunkUnavailable as refused:
            self.refused[trunk_name, refused.why] += 1
            raise
        trunk = provider.trunk
        own = (*headers, *own_headers(trunk, about))
        followed_to = turn if trunk.redirects == "follow" else ()
        outgoing = OutgoingCall(leg, trunk_name, [Target(peer, number) for peer in turn], followed_to)
        self._outgoing[leg] = outgoing
        self._invitations[leg] = _Invitation(trunk, number, offer, caller, own, call_id, hops)
        self._calls.add(leg, trunk_name)
        self.made[trunk_name] += 1
        self._try_next(outgoing)

    def _invite(self, outgoing: OutgoingCall, target: Target) -> None:
        wanted = self._invitations[outgoing.leg]
        trunk = wanted.trunk
        flow = self._providers.flow(target.peer)
        uri = uri_of(target.peer, target.number)
        from_, identity = presented(wanted.caller, trunk, trunk.realm or self._endpoint.host_for(flow), uri)
        self._endpoint.invite(
            outgoing.current,
            uri=uri,
            flow=flow,
            from_=from_,
            to=NameAddr(uri_of(target.peer, wanted.number)),
            contact_user=trunk.username or "acd",
            sdp=wanted.offer,
            headers=(*identity, *wanted.headers),
            credentials=credentials_for(trunk),
            patience=_FIRST_WORD_SECONDS if outgoing.left else _LAST_WORD_SECONDS,
            hops=wanted.hops,
            call=wanted.call_id,
            trunk=outgoing.trunk,
        )

    def _admit(self, name: str) -> Provider:
        provider = self._providers.available(name)
        if self._calls.on(name) >= provider.trunk.max_calls:
            raise TrunkUnavailable(f"trunk {name!r} has all the calls that it may have", "trunk-full")
        if provider.rate is not None and not provider.rate.take(name, self._clock.monotonic()):
            raise TrunkUnavailable(f"trunk {name!r} gets new calls too fast", "trunk-rate")
        return provider

    def _turn(self, provider: Provider) -> Sequence[Peer]:
        trunk = provider.trunk
        # Who asked to be left alone is; who was silent may be back.
        willing = [peer for peer in self._providers.in_turn(provider) if not provider.outages.has_asked(peer)]
        turn = [peer for peer in willing if self._secrecy(trunk, peer) is not None]
        if not turn:
            raise TrunkUnavailable(f"no host of trunk {trunk.name!r} can be called", "no-host")
        return turn

    def _try_next(self, outgoing: OutgoingCall) -> None:
        target = outgoing.next()
        assert target is not None
        self._outgoing[outgoing.current] = outgoing
        self._invite(outgoing, target)

    # What becomes of calls.

    def has(self, leg: str) -> bool:
        """Whether this is the leg of a call to a trunk."""
        return leg in self._outgoing

    def known_as(self, leg: str) -> str:
        """The leg as calls know it."""
        outgoing = self._outgoing.get(leg)
        return outgoing.leg if outgoing else leg

    def current(self, leg: str) -> str:
        """The leg of the attempt that the call is at."""
        outgoing = self._outgoing.get(leg)
        return outgoing.current if outgoing else leg

    def hang_up(self, leg: str) -> str:
        """The caller wants no more: no other host is tried. The leg to end."""
        outgoing = self._outgoing[leg]
        outgoing.settle()
        return outgoing.current

    def take(self, event: LegEvent) -> LegEvent | None:
        """Something happened to an attempt; what calls are to hear of it."""
        outgoing = self._outgoing[event.leg]
        is_current = event.leg == outgoing.current
        if is_current and outgoing.at is not None:
            self._learn(outgoing, outgoing.at.peer, event)
        redirects = outgoing.redirects
        told = outgoing.told(event)
        if is_current and isinstance(event, LegAnswered):
            self.answered[outgoing.trunk] += 1
        if isinstance(event, LegEnded):
            if event.leg != outgoing.leg:
                del self._outgoing[event.leg]
            if told is None and is_current:
                if outgoing.redirects > redirects:
                    log.info("trunk-call-redirected", trunk=outgoing.trunk, status=event.status)
                else:
                    self.failovers[outgoing.trunk] += 1
                self._try_next(outgoing)
            elif told is not None:
                self._outgoing.pop(outgoing.leg, None)
                self._invitations.pop(outgoing.leg, None)
                self._calls.discard(outgoing.leg)
        return told

    def _learn(self, outgoing: OutgoingCall, peer: Peer, event: LegEvent) -> None:
        """What an attempt says of the host it was made at."""
        trunk = outgoing.trunk
        if isinstance(event, LegEnded) and event.by in ("timeout", "transport"):
            if not outgoing.has_rung:  # a phone that rang for too long was silent itself
                self._providers.silent(trunk, peer)
        elif isinstance(event, LegEnded) and event.by == "remote" and event.status == 503:
            # Without a Retry-After it is like a 500: of this call alone (RFC 3261 section 21.5.4).
            if event.retry_after:
                self._providers.asked_to_wait(trunk, peer, event.retry_after)
        elif not (isinstance(event, LegEnded) and event.by == "local"):
            self._providers.answered(trunk, peer)
