"""From the name of a trunk's host to its addresses: NAPTR, SRV, A and AAAA (RFC 3263 section 4)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal, Protocol

import aiodns

from acd.directory.model import TrunkHost
from acd.sip.hosts import DEFAULT_PORT, Peer, Transport

_MOST_ADDRESSES = 16
_MOST_SERVICES = 16
_SERVICES: dict[str, Transport] = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls"}
_SRV_NAMES: dict[Transport, str] = {"udp": "_sip._udp.", "tcp": "_sip._tcp.", "tls": "_sips._tcp."}


class NameNotFound(OSError):
    """No address is known for a host; or the name servers do not answer."""


@dataclass(frozen=True, slots=True)
class Service:
    """One SRV record (RFC 2782)."""

    host: str
    port: int
    priority: int
    weight: int


class Dns(Protocol):
    """The records of names. Each is empty where there is none; NameNotFound where nobody could be asked."""

    async def naptr(self, name: str) -> Sequence[tuple[int, str, str]]:
        """(order and preference as one number, service, replacement)."""
        ...

    async def srv(self, name: str) -> Sequence[Service]: ...

    async def addresses(self, name: str) -> Sequence[str]: ...


async def peers_of(host: TrunkHost, dns: Dns) -> Sequence[Peer]:
    """Every address of a host. Raises NameNotFound where there is none."""
    if _is_address(host.host):
        return [_peer(host, host.transport or "udp", host.host, host.port)]
    if host.port:
        # A port says that no SRV is to be asked for (section 4.2).
        return await _at(host, dns, host.transport or "udp", [Service(host.host, host.port, 0, 1)])
    for transport, name in await _service_names(host, dns):
        if services := await dns.srv(name):
            return await _at(host, dns, transport, services)
    fallback = host.transport or "udp"
    return await _at(host, dns, fallback, [Service(host.host, DEFAULT_PORT[fallback], 0, 1)])


async def _service_names(host: TrunkHost, dns: Dns) -> Sequence[tuple[Transport, str]]:
    """Which SRV names to ask for, the best first (section 4.1)."""
    if host.transport:
        return [(host.transport, _SRV_NAMES[host.transport] + host.host)]
    named = [
        (_SERVICES[service.upper()], replacement)
        for _, service, replacement in sorted(await dns.naptr(host.host))[:_MOST_SERVICES]
        if service.upper() in _SERVICES and replacement
    ]
    plain: list[Transport] = ["udp", "tcp"]
    return named or [(transport, _SRV_NAMES[transport] + host.host) for transport in plain]


async def _at(host: TrunkHost, dns: Dns, transport: Transport, services: Sequence[Service]) -> Sequence[Peer]:
    first = sorted(services, key=lambda service: service.priority)[:_MOST_SERVICES]
    found = await asyncio.gather(*(dns.addresses(service.host) for service in first))
    peers = [
        _peer(host, transport, address, service.port, service)
        for service, addresses in zip(first, found, strict=True)
        for address in addresses[:_MOST_ADDRESSES]
    ]
    if not peers:
        raise NameNotFound(f"no address is known for {host.host!r}")
    return peers[:_MOST_ADDRESSES]


def _peer(
    host: TrunkHost, transport: Transport, address: str, port: int, service: Service | None = None
) -> Peer:
    where = (address, port or DEFAULT_PORT[transport])
    if service is None:
        return Peer(host.host, transport, where, (host.priority, 0), host.weight)
    weight = host.weight * max(service.weight, 1)
    priority = (host.priority, service.priority)
    return Peer(host.host, transport, where, priority, weight, by_srv=not host.port)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


_Kind = Literal["NAPTR", "SRV", "A", "AAAA"]


class NameServers:
    """The name servers that are given, else those of this machine; and its hosts file.

    Each is an address, with its port where that is not 53: "192.0.2.53", "[2001:db8::53]:5353". Belongs to
    one event loop.
    """

    def __init__(self, servers: Sequence[str] = ()) -> None:
        self._resolver = aiodns.DNSResolver(servers, timeout=2.0, tries=2)

    async def naptr(self, name: str) -> Sequence[tuple[int, str, str]]:
        return [
            (data.order * 65536 + data.preference, _text(data.service), data.replacement)
            for data in await self._query(name, "NAPTR")
        ]

    async def srv(self, name: str) -> Sequence[Service]:
        return [
            Service(data.target, data.port, data.priority, data.weight)
            for data in await self._query(name, "SRV")
        ]

    async def addresses(self, name: str) -> Sequence[str]:
        try:
            found = (await self._resolver.getaddrinfo(name)).nodes
        except aiodns.error.DNSError:
            return []
        return list(dict.fromkeys(_text(node.addr[0]) for node in found))

    async def _query(self, name: str, kind: _Kind) -> Sequence[Any]:
        try:
            answer = (await self._resolver.query_dns(name, kind)).answer
        except aiodns.error.DNSError as error:
            if error.args and error.args[0] in _NOTHING:
                return []
            raise NameNotFound(f"the name servers do not tell of {name!r}: {error.args[-1]}") from error
        return [record.data for record in answer]


def _text(value: str | bytes) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value


_NOTHING = frozenset((aiodns.error.ARES_ENODATA, aiodns.error.ARES_ENOTFOUND))
