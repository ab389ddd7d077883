"""Which web servers we may ask or tell something: webhooks and look-ups of callers.

Judged for the very address of each connection, so that neither a name that leads inward nor one that is
looked up anew (DNS rebinding) reaches what only this machine can.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from acd.errors import ConfigError

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_NAT64 = ip_network("64:ff9b::/96")
"""RFC 6052: the last 32 bits are an IPv4 address."""


class AddressRefused(OSError):
    """The address is none of the public internet and none that `allow_networks` names."""


def trusted(ca: str, key: str) -> ssl.SSLContext:
    """The system's CAs and those of a PEM file, where one is named. Raises ConfigError that names the key."""
    context = ssl.create_default_context()
    if ca:
        try:
            context.load_verify_locations(ca)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"{key}: {ca}: cannot be read as PEM: {error}") from error
    return context


def may_reach(address: str, allowed: Sequence[Network]) -> bool:
    """Whether a connection to this address may be made."""
    ip = ip_address(address.partition("%")[0])
    if any(ip in network for network in allowed):
        return True
    return all(one.is_global and not one.is_multicast for one in (ip, *_within(ip)))


def _within(ip: Address) -> tuple[Address, ...]:
    """IPv4 addresses that packets to an IPv6 address may end at."""
    if isinstance(ip, IPv4Address):
        return ()
    found = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    if ip in _NAT64:
        found.append(IPv4Address(int(ip) & 0xFFFF_FFFF))
    return tuple(one for one in found if one is not None)


def guarded_sockets(allowed: Sequence[Network]) -> Callable[[Any], socket.socket]:
    """What aiohttp asks for a socket when it is about to connect it. Raises AddressRefused."""

    def make(info: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
        family, kind, protocol, _, address = info
        if not may_reach(str(address[0]), allowed):
            raise AddressRefused(f"{address[0]} is not a public address")
        return socket.socket(family, kind, protocol)

    return make
