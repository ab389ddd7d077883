"""What SIP counts of itself, for metrics: totals since the process began, and numbers of this moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from acd.directory.model import Directory
from acd.sip.endpoint import SipEndpoint
from acd.sip.guard import Guard
from acd.sip.providers import Providers
from acd.sip.site import Site
from acd.sip.trunk_calls import TrunkCalls
from acd.sip.trunk_status import REFUSALS, TrunkStatus
from acd.sip.trunks import LiveCalls


class SipFigures:
    """Read once a scrape, from the parts that keep them."""

    def __init__(
        self,
        endpoint: SipEndpoint,
        guard: Guard,
        site: Site,
        directory: Callable[[], Directory],
        calls: LiveCalls,
        providers: Providers,
        outside: TrunkCalls,
    ) -> None:
        self._endpoint = endpoint
        self._guard = guard
        self._site = site
        self._directory = directory
        self._calls = calls
        self._providers = providers
        self._outside = outside

    @property
    def trunks(self) -> Mapping[str, TrunkStatus]:
        """All trunks of the directory, as they are now."""
        names = self._directory().trunks
        return {name: self._trunk_status(name, only_brings=not names[name].hosts) for name in names}

    def _trunk_status(self, name: str, *, only_brings: bool) -> TrunkStatus:
        outside, providers = self._outside, self._providers
        return TrunkStatus(
            hosts=providers.hosts_of(name),
            only_brings=only_brings,
            is_registered=providers.is_registered(name),
            registers_over=providers.registers_over(name),
            calls=self._calls.on(name),
            calls_out=outside.made[name],
            answered_out=outside.answered[name],
            failovers=outside.failovers[name],
            refused_out={why: outside.refused[name, why] for why in REFUSALS},
        )

    @property
    def responses(self) -> Mapping[tuple[str, int], int]:
        """Total of responses sent, by method and status."""
        return self._endpoint.counters.responses_sent

    @property
    def retransmissions(self) -> int:
        """Total of messages that we said again, since nobody had answered."""
        return self._endpoint.counters.retransmissions

    @property
    def dropped(self) -> int:
        """Total of datagrams and messages of strangers over their limit, dropped unread."""
        return self._endpoint.dropped

    @property
    def rejected(self) -> Mapping[str, int]:
        """Total of requests turned away, by a short fixed reason."""
        return self._guard.rejected

    @property
    def connections(self) -> Mapping[str, int]:
        """Open connections by transport."""
        return self._endpoint.network.streams.by_transport()

    @property
    def broken_connections(self) -> Mapping[str, int]:
        """Total of connections refused or broken off by us, by cause."""
        return self._endpoint.network.streams.broken_off

    @property
    def registrations(self) -> int:
        """Contacts bound now."""
        return self._site.bindings.active

    @property
    def passed(self) -> int:
        """Total of messages passed on between phones of this node and other nodes."""
        return self._endpoint.passed

    @property
    def nodes_up(self) -> int:
        """Other nodes that live."""
        return len(self._site.nodes.up)
