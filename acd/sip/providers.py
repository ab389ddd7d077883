"""Trunks as we reach them: their hosts, looked up and probed, and our registrations with them."""

from __future__ import annotations

import asyncio
import math
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from acd import tasks
from acd.clock import Clock
from acd.directory.model import Directory, Trunk
from acd.errors import AcdError
from acd.sip.buckets import TokenBuckets
from acd.sip.core.credentials import Credentials
from acd.sip.core.events import (
    Flow,
    OutwardEvent,
    PeerProbed,
    RegistrationDue,
    RegistrationFailed,
    RegistrationMade,
)
from acd.sip.core.registrant import Account
from acd.sip.core.uri import Uri
from acd.sip.endpoint import SipEndpoint
from acd.sip.hosts import DEFAULT_PORT, Peer, in_turn
from acd.sip.lines import line_of
from acd.sip.outages import Outages
from acd.sip.resolving import Dns, NameNotFound, peers_of
from acd.sip.trunk_status import HostStatus
from acd.sip.trunks import limit_of

log = structlog.get_logger(__name__)

_CARE_SECONDS = 1.0
_LOOK_UP_SECONDS = 60.0
_LOOK_UP_AGAIN_SECONDS = 10.0
_PROBE_PATIENCE_SECONDS = 4.0
_REST_SECONDS = 30.0
"""How long a silent host is passed over where no probe tells that it is back."""


class TrunkUnavailable(AcdError):
    """No call can go out over the trunk now."""

    sip_status = 503
    cause = "trunk-unavailable"

    def __init__(self, text: str, why: str) -> None:
        super().__init__(text)
        self.why = why
        """A fixed word."""


@dataclass(slots=True)
class Provider:
    """What is known now of one trunk that has hosts. Times are monotonic seconds."""

    trunk: Trunk
    rate: TokenBuckets | None
    peers: tuple[Peer, ...] = ()
    outages: Outages = field(default_factory=Outages)
    looked_up_at: float | None = None
    look_up_after: float = 0.0
    probed_at: float = 0.0
    is_looking: bool = False
    is_bound: bool = False
    registers_over: Peer | None = None


class Providers:
    """All trunks of the directory that have hosts. Owned by the SIP service, on its event loop."""

    def __init__(
        self,
        endpoint: SipEndpoint,
        directory: Callable[[], Directory],
        clock: Clock,
        dns: Callable[[], Dns],
    ) -> None:
        self._endpoint = endpoint
        self._directory = directory
        self._clock = clock
        self._make_dns = dns
        self._dns: Dns | None = None
        self._known: Mapping[str, Trunk] = {}
        self._providers: dict[str, Provider] = {}
        self._by_address: dict[str, tuple[str, ...]] = {}
        self._probes: dict[str, tuple[str, Peer]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_leaving = False

    # Care.

    def start(self) -> None:
        self._dns = self._make_dns()
        self._spawn(self._care_for_ever())

    def withdraw(self) -> None:
        """Be bound nowhere any more, so that calls come to other nodes. Calls still go out."""
        self._is_leaving = True
        for name, provider in self._providers.items():
            provider.is_bound = False
            if provider.trunk.register_seconds:
                self._endpoint.withdraw(name)

    async def stop(self) -> None:
        self.withdraw()
        await tasks.end(*self._tasks)

    def _spawn(self, work: object) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _care_for_ever(self) -> None:
        while True:
            try:
                self.care(self._clock.monotonic())
            except Exception:
                log.exception("trunks-not-cared-for")
            await asyncio.sleep(_CARE_SECONDS)

    def care(self, now: float) -> None:
        """Take up a new directory, and begin what is due: look-ups and probes."""
        if self._directory().trunks is not self._known:
            self._follow(self._directory().trunks)
        for provider in self._providers.values():
            for peer in provider.outages.pass_over(now):
                self._tell(provider, peer)
            if now >= provider.look_up_after and not provider.is_looking:
                provider.is_looking = True
                self._spawn(self._look_up(provider))
            every = provider.trunk.probe_seconds
            if provider.peers and every and now >= provider.probed_at + every:
                provider.probed_at = now
                self._probe(provider)

    def _follow(self, trunks: Mapping[str, Trunk]) -> None:
        """Take up a new directory; what did not change goes on undisturbed."""
        self._known = trunks
        for name, provider in list(self._providers.items()):
            if trunks.get(name) != provider.trunk:
                del self._providers[name]
                if provider.trunk.register_seconds:
                    self._endpoint.withdraw(name)
        for name, trunk in trunks.items():
            if trunk.hosts and name not in self._providers:
                rate = trunk.calls_per_second
                self._providers[name] = Provider(trunk, limit_of(rate) if rate else None)
        self._index()

    def _index(self) -> None:
        found: dict[str, dict[str, None]] = {}
        for name in self._known:
            for peer in self._providers[name].peers if name in self._providers else ():
                found.setdefault(peer.address[0], {})[name] = None
        self._by_address = {address: tuple(names) for address, names in found.items()}

    async def _look_up(self, provider: Provider) -> None:
        assert self._dns is not None
        found: list[Peer] = []
        for host in provider.trunk.hosts:
            try:
                found += await peers_of(host, self._dns)
            except NameNotFound as error:
                log.warning("trunk-host-unknown", trunk=provider.trunk.name, error=str(error))
        now = self._clock.monotonic()
        provider.is_looking = False
        # Names that were known stay in use while the name servers are silent.
        provider.look_up_after = now + (_LOOK_UP_SECONDS if found else _LOOK_UP_AGAIN_SECONDS)
        if not found or self._providers.get(provider.trunk.name) is not provider:
            return
        provider.peers = tuple(dict.fromkeys(found))
        provider.outages.keep(provider.peers)
        self._index()
        for peer in provider.peers:
            if peer.transport == "tls":
                self._endpoint.network.expect_name(peer.address, peer.name)
        if provider.looked_up_at is None and provider.trunk.register_seconds and not self._is_leaving:
            self._enrol(provider)
        provider.looked_up_at = now

    # Probes.

    def _probe(self, provider: Provider) -> None:
        for peer in provider.peers:
            if provider.outages.has_asked(peer):
                continue
            name = secrets.token_hex(8)
            self._probes[name] = (provider.trunk.name, peer)
            self._endpoint.probe(name, uri_of(peer), self.flow(peer), _PROBE_PATIENCE_SECONDS)

    def _probed(self, event: PeerProbed) -> None:
        name, peer = self._probes.pop(event.probe, ("", None))
        if peer is None:
            return
        # Any answer but "I am out of service" says that somebody is there (RFC 3261 section 11).
        if event.status not in (0, 408, 503):
            self.answered(name, peer)
        elif event.retry_after:
            self.asked_to_wait(name, peer, event.retry_after)
        else:
            self.silent(name, peer)

    def answered(self, trunk: str, peer: Peer) -> None:
        """A host said something that shows it is there."""
        provider = self._provider_at(trunk, peer)
        if provider is not None and provider.outages.answered(peer):
            self._tell(provider, peer)
            over = provider.registers_over
            if over is not None and (over == peer or not provider.outages.is_up(over)):
                self._register(trunk)  # It may have forgotten us, say by a restart; or nobody else was there.

    def silent(self, trunk: str, peer: Peer) -> None:
        """A host did not answer, or does not serve: calls ask the others first until it is back."""
        provider = self._provider_at(trunk, peer)
        if provider is None:
            return
        until = math.inf if provider.trunk.probe_seconds else self._clock.monotonic() + _REST_SECONDS
        if provider.outages.begin(peer, until):
            self._tell(provider, peer)
            self._leave(provider, peer)

    def asked_to_wait(self, trunk: str, peer: Peer, seconds: float) -> None:
        """A host said 503 with Retry-After: for that time it is not asked (RFC 3261 section 21.5.4)."""
        provider = self._provider_at(trunk, peer)
        if provider is not None and provider.outages.begin(
            peer, self._clock.monotonic() + seconds, asked=True
        ):
            self._tell(provider, peer, seconds=round(seconds))
            self._leave(provider, peer)

    def _provider_at(self, trunk: str, peer: Peer) -> Provider | None:
        provider = self._providers.get(trunk)
        return provider if provider is not None and peer in provider.peers else None

    def _tell(self, provider: Provider, peer: Peer, **more: int) -> None:
        said = {"trunk": provider.trunk.name, "host": peer.name, "address": peer.address[0], **more}
        if provider.outages.is_up(peer):
            log.info("trunk-host-up", **said)
        else:
            log.warning("trunk-host-down", **said)

    # Registrations.

    def _enrol(self, provider: Provider) -> None:
        trunk = provider.trunk
        account = Account(
            Uri(host=trunk.realm, user=trunk.username),
            trunk.username,
            trunk.register_seconds,
            credentials_for(trunk),
            line_of(trunk),
        )
        self._endpoint.enrol(trunk.name, account)
        self._register(trunk.name)

    def _register(self, name: str) -> None:
        """Over the host that is first in turn; after a failure that is another one, where there is one."""
        provider = self._providers.get(name)
        if provider is None or not provider.peers or self._is_leaving:
            return
        peer = self.in_turn(provider)[0]
        provider.registers_over = peer
        self._endpoint.register(name, self.flow(peer))

    def _leave(self, provider: Provider, peer: Peer) -> None:
        """Be bound over another host, where one is up: calls would come over the one that is down."""
        if provider.registers_over == peer and provider.outages.is_up(self.in_turn(provider)[0]):
            self._register(provider.trunk.name)

    def take_outward(self, event: OutwardEvent) -> None:
        """Something came of a registration or a probe."""
        match event:
            case PeerProbed():
                self._probed(event)
            case RegistrationDue(registration=name):
                self._register(name)
            case RegistrationMade(registration=name):
                if (provider := self._providers.get(name)) and not provider.is_bound:
                    provider.is_bound = True
                    log.info("trunk-registered", trunk=name, seconds=event.seconds)
            case RegistrationFailed(registration=name):
                self._not_registered(name, event)

    def _not_registered(self, name: str, event: RegistrationFailed) -> None:
        provider = self._providers.get(name)
        if provider is None:
            return
        provider.is_bound = False
        log.warning(
            "trunk-not-registered",
            trunk=name,
            status=event.status,
            why=event.why,
            retry_seconds=round(event.retry_seconds),
        )
        failed = provider.registers_over
        if failed is None or not (event.why in ("timeout", "transport") or event.status == 503):
            return
        # The time to wait is that host's; another one may have us at once.
        if not provider.outages.is_up(failed):
            self._leave(provider, failed)
        elif event.retry_after:
            self.asked_to_wait(name, failed, event.retry_after)
        else:
            self.silent(name, failed)

    # For calls.

    def available(self, name: str) -> Provider:
        """A trunk that has hosts. Raises TrunkUnavailable."""
        provider = self._providers.get(name)
        if provider is None or not provider.peers:
            raise TrunkUnavailable(f"trunk {name!r} has no host that is known", "no-host")
        return provider

    def in_turn(self, provider: Provider) -> Sequence[Peer]:
        """The hosts in the order in which they are to be asked now."""
        return in_turn(provider.peers, provider.outages.is_up, random.random)

    def flow(self, peer: Peer) -> Flow:
        """The way to a peer; a connection is opened when something is sent."""
        return self._endpoint.network.way_to(peer.transport, peer.address)

    # What is shown.

    def trunks_at(self, address: str) -> tuple[str, ...]:
        """The trunks that have a host here, in the order of the directory."""
        return self._by_address.get(address, ())

    def hosts_of(self, name: str) -> tuple[HostStatus, ...]:
        provider = self._providers.get(name)
        if provider is None:
            return ()
        return tuple(
            HostStatus(
                host=peer.name,
                transport=peer.transport,
                address=peer.address,
                priority=peer.priority[0],
                weight=peer.weight,
                is_up=provider.outages.is_up(peer),
                out_seconds=self._out_seconds(provider, peer),
            )
            for peer in provider.peers
        )

    def _out_seconds(self, provider: Provider, peer: Peer) -> float | None:
        until = provider.outages.until(peer)
        return max(until - self._clock.monotonic(), 0.0) if math.isfinite(until) else None

    def is_registered(self, name: str) -> bool | None:
        """Whether a trunk has bound us; None where we do not register there."""
        provider = self._providers.get(name)
        return provider.is_bound if provider and provider.trunk.register_seconds else None

    def registers_over(self, name: str) -> tuple[str, int] | None:
        """The address that was asked last to bind us; None for nobody yet."""
        provider = self._providers.get(name)
        return provider.registers_over.address if provider and provider.registers_over else None


def credentials_for(trunk: Trunk) -> Credentials | None:
    if not trunk.username:
        return None
    return Credentials(trunk.username, trunk.realm, trunk.ha1_md5, trunk.ha1_sha256)


def uri_of(peer: Peer, user: str = "") -> Uri:
    """The host by its name: what a proxy knows itself by, whatever address it has."""
    is_usual = peer.by_srv or peer.address[1] == DEFAULT_PORT[peer.transport]
    port = None if is_usual else peer.address[1]
    params = (("transport", peer.transport),) if peer.transport != "udp" else ()
    return Uri(host=peer.name, user=user, port=port, params=params)
