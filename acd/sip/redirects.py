"""Where a 3xx of a trunk may lead a call: to hosts of that same trunk, and nowhere else. Pure.

Whoever can redirect a call says what is dialled next, and who is paid for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from acd.sip.core.uri import Uri
from acd.sip.hosts import DEFAULT_PORT, Peer

_MAX_USER = 128
FOLLOWED = frozenset((300, 301, 302))
"""Not 305 (a proxy of the peer's choice) and 380 (another service)."""
MOST_REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class Target:
    """One attempt of a call: which host is asked for which number."""

    peer: Peer
    number: str


def targets_of(contacts: Iterable[Uri], peers: Sequence[Peer]) -> Sequence[Target]:
    """Those of the contacts that are at one of the peers, in their order."""
    found = (target_at(contact, peer) for contact in contacts for peer in peers)
    return tuple(dict.fromkeys(target for target in found if target is not None))


def target_at(contact: Uri, peer: Peer) -> Target | None:
    """The number at this peer, where the contact means the peer."""
    if contact.scheme not in ("sip", "sips") or not contact.user or len(contact.user) > _MAX_USER:
        return None
    if contact.scheme == "sips" and peer.transport != "tls":
        return None
    if contact.transport not in ("", peer.transport) or not contact.user.isprintable():
        return None
    if contact.host == peer.name and not _is_address(contact.host):
        # A name without a port is looked up, which led to this peer.
        is_there = contact.port in (None, peer.address[1])
    else:
        port = contact.port or DEFAULT_PORT[peer.transport]
        is_there = (contact.host, port) == peer.address
    return Target(peer, contact.user) if is_there else None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
