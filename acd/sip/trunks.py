"""Which carrier a call comes from, and how many of its calls are live."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address

from acd.directory.model import Trunk
from acd.sip.buckets import TokenBuckets

_MAX_REMEMBERED = 4096

_Address = IPv4Address | IPv6Address


class TrunkTable:
    """The trunks of one directory snapshot; the longest matching prefix wins."""

    def __init__(self, trunks: Mapping[str, Trunk]) -> None:
        self._source = trunks
        networks: dict[tuple[int, int], dict[int, Trunk]] = {}
        for trunk in trunks.values():
            for network in trunk.match:
                sized = networks.setdefault((network.version, network.prefixlen), {})
                sized[int(network.network_address)] = trunk
        self._networks = sorted(networks.items(), key=lambda item: -item[0][1])
        self._by_name = {name: trunk for trunk in trunks.values() for name in trunk.tls_names}
        self._remembered: dict[str, Trunk | None] = {}

    def is_of(self, trunks: Mapping[str, Trunk]) -> bool:
        """Whether this table was made from these trunks."""
        return self._source is trunks

    def named(self, names: frozenset[str]) -> Trunk | None:
        """The trunk whose certificate carries one of these names."""
        return next((self._by_name[name] for name in sorted(names) if name in self._by_name), None)

    def find(self, host: str) -> Trunk | None:
        """The trunk that a source address belongs to."""
        if host in self._remembered:
            return self._remembered[host]
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        found = self._search(host)
        self._remembered[host] = found
        return found

    def _search(self, host: str) -> Trunk | None:
        address = _address(host)
        if address is None:
            return None
        bits = address.max_prefixlen
        for (version, length), sized in self._networks:
            if version == address.version:
                found = sized.get(int(address) >> (bits - length) << (bits - length))
                if found is not None:
                    return found
        return None


def _address(host: str) -> _Address | None:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


class ArrivalRates:
    """How fast each trunk may bring new calls, with as many at once as may come in a second."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, TokenBuckets]] = {}

    def take(self, trunk: Trunk, now: float) -> bool:
        """Whether one more call may come in from the trunk now."""
        rate = trunk.calls_per_second_in
        if not rate:
            return True
        known = self._buckets.get(trunk.name)
        if known is None or known[0] != rate:  # a limit that was changed begins anew
            known = self._buckets[trunk.name] = (rate, limit_of(rate))
        return known[1].take(trunk.name, now)


def limit_of(calls_per_second: float) -> TokenBuckets:
    """A limit of new calls, by name of the trunk."""
    return TokenBuckets(rate=calls_per_second, burst=max(1, round(calls_per_second)))


class LiveCalls:
    """Live incoming legs, in all and by trunk ("" for agents)."""

    def __init__(self) -> None:
        self._trunk_of: dict[str, str] = {}
        self._by_trunk: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._trunk_of)

    def __contains__(self, leg: str) -> bool:
        return leg in self._trunk_of

    def on(self, trunk: str) -> int:
        """Live legs of one trunk."""
        return self._by_trunk.get(trunk, 0)

    def add(self, leg: str, trunk: str) -> None:
        """A call came in."""
        self._trunk_of[leg] = trunk
        self._by_trunk[trunk] = self._by_trunk.get(trunk, 0) + 1

    def discard(self, leg: str) -> None:
        """A call is over; an unknown leg is passed over."""
        trunk = self._trunk_of.pop(leg, None)
        if trunk is None:
            return
        self._by_trunk[trunk] -= 1
        if not self._by_trunk[trunk]:
            del self._by_trunk[trunk]
