"""Calls to numbers outside, over trunks: admitted, signed with our account, tried host after host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from acd.clock import Clock
from acd.directory.model import Srtp, Trunk
from acd.sip.core.events import LegEnded, LegEvent
from acd.sip.core.grammar import plain
from acd.sip.core.uri import NameAddr, Uri
from acd.sip.endpoint import SipEndpoint
from acd.sip.hosts import Peer
from acd.sip.identity import ANONYMOUS
from acd.sip.outgoing import OutgoingCall
from acd.sip.providers import Provider, Providers, TrunkUnavailable, credentials_for, uri_of
from acd.sip.secrecy import srtp_over
from acd.sip.trunks import LiveCalls

_FIRST_WORD_SECONDS = 4.0
"""How long a host may be silent before the next one is asked, where there is one."""


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
        self._invitations: dict[str, Callable[[str, Peer], None]] = {}
        """How to call, by the leg that calls know."""
        self.failovers: Counter[str] = Counter()
        """Attempts by trunk that another host had to make up for."""

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
        caller: str,
        caller_name: str,
        headers: Sequence[tuple[str, str]],
    ) -> None:
        """Call a number over a trunk, host after host. Raises TrunkUnavailable."""
        provider = self._admit(trunk_name)
        trunk = provider.trunk
        turn = [peer for peer in self._providers.in_turn(provider) if self._secrecy(trunk, peer) is not None]
        if not turn:
            raise TrunkUnavailable(f"no host of trunk {trunk_name!r} can be called", "no-host")

        def invite(attempt: str, peer: Peer) -> None:
            flow = self._providers.flow(peer)
            host = trunk.realm or self._endpoint.host_for(flow)
            caller_uri = Uri(host=host, user=caller or ANONYMOUS.number)
            asserted = NameAddr(caller_uri, plain(caller_name))
            identity = (("P-Asserted-Identity", str(asserted)),) if trunk.trusted and caller else ()
            self._endpoint.invite(
                attempt,
                uri=uri_of(peer, number),
                flow=flow,
                from_=NameAddr(caller_uri, plain(caller_name)),
                to=NameAddr(uri_of(peer, number)),
                contact_user=trunk.username or "acd",
                sdp=offer,
                headers=(*identity, *headers),
                credentials=credentials_for(trunk),
                patience=_FIRST_WORD_SECONDS if outgoing.left else None,
            )

        outgoing = OutgoingCall(leg, trunk_name, turn)
        self._outgoing[leg] = outgoing
        self._invitations[leg] = invite
        self._calls.add(leg, trunk_name)
        self._try_next(outgoing)

    def _admit(self, name: str) -> Provider:
        provider = self._providers.available(name)
        if self._calls.on(name) >= provider.trunk.max_calls:
            raise TrunkUnavailable(f"trunk {name!r} has all the calls that it may have", "trunk-full")
        if provider.rate is not None and not provider.rate.take(name, self._clock.monotonic()):
            raise TrunkUnavailable(f"trunk {name!r} gets new calls too fast", "trunk-rate")
        return provider

    def _try_next(self, outgoing: OutgoingCall) -> None:
        peer = outgoing.next()
        assert peer is not None
        self._outgoing[outgoing.current] = outgoing
        self._invitations[outgoing.leg](outgoing.current, peer)

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
        told = outgoing.told(event)
        if isinstance(event, LegEnded):
            if event.leg != outgoing.leg:
                del self._outgoing[event.leg]
            is_current = event.leg == outgoing.current
            if is_current and event.by in ("timeout", "transport") and outgoing.at is not None:
                self._providers.mark(outgoing.trunk, outgoing.at, is_up=False)
            if told is None and is_current:
                self.failovers[outgoing.trunk] += 1
                self._try_next(outgoing)
            elif told is not None:
                self._outgoing.pop(outgoing.leg, None)
                self._invitations.pop(outgoing.leg, None)
                self._calls.discard(outgoing.leg)
        return told
