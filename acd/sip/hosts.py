"""The hosts of a trunk as addresses, and in which order they are asked. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Literal

Transport = Literal["udp", "tcp", "tls"]
DEFAULT_PORT = {"udp": 5060, "tcp": 5060, "tls": 5061}


@dataclass(frozen=True, slots=True)
class Peer:
    """One address of a trunk (RFC 3263): where messages go, and in which turn."""

    name: str
    """The host of the directory: what a certificate has to be for, and the host part of the URI."""
    transport: Transport
    address: tuple[str, int]
    priority: tuple[int, int] = (1, 0)
    """The directory's, then that of DNS; the least is first."""
    weight: int = 1
    by_srv: bool = False
    """The port came with the address: a URI has the name alone (RFC 3263 section 4)."""


def in_turn(
    peers: Iterable[Peer], is_up: Callable[[Peer], bool], dice: Callable[[], float]
) -> Sequence[Peer]:
    """All peers in the order in which a call tries them: by priority, by lot among equals (RFC 2782).

    Those that are down come last: they may be back, and nothing else is left then. `dice` gives 0 to 1.
    """
    up: list[Peer] = []
    down: list[Peer] = []
    for _, equals in groupby(sorted(peers, key=attrgetter("priority")), key=attrgetter("priority")):
        for peer in _drawn(list(equals), dice):
            (up if is_up(peer) else down).append(peer)
    return [*up, *down]


def _drawn(peers: list[Peer], dice: Callable[[], float]) -> Iterable[Peer]:
    """One after the other, each with the odds of its weight among those that are left."""
    # A weight of 0 has a small chance only while others are there.
    odds = {peer: max(peer.weight, 0.01) for peer in peers}
    left = list(peers)
    while left:
        mark = dice() * sum(odds[peer] for peer in left)
        chosen = left[-1]
        for peer in left:
            mark -= odds[peer]
            if mark < 0:
                chosen = peer
                break
        left.remove(chosen)
        yield chosen
