"""Which addresses of a trunk are not to be asked now, and until when. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from acd.sip.hosts import Peer

NOT_OUT = -math.inf


@dataclass(frozen=True, slots=True)
class _Outage:
    until: float
    asked: bool
    """The host itself asked for it: no answer meanwhile ends it (RFC 3261 section 21.5.4)."""


class Outages:
    """Times are monotonic seconds; an outage that is over by the clock is one until `pass_over` is asked."""

    def __init__(self) -> None:
        self._of: dict[Peer, _Outage] = {}

    def is_up(self, peer: Peer) -> bool:
        return peer not in self._of

    def until(self, peer: Peer) -> float:
        """When the peer is taken for up again by itself; infinity where a probe has to tell first."""
        outage = self._of.get(peer)
        return outage.until if outage else NOT_OUT

    def has_asked(self, peer: Peer) -> bool:
        """Whether the peer wants to be left alone, also by probes."""
        outage = self._of.get(peer)
        return outage is not None and outage.asked

    def begin(self, peer: Peer, until: float, *, asked: bool = False) -> bool:
        """The peer was silent, or asked to be left alone. Whether it was up before."""
        before = self._of.get(peer)
        if before is None or asked or not before.asked:
            self._of[peer] = _Outage(until, asked)
        return before is None

    def answered(self, peer: Peer) -> bool:
        """The peer said something. Whether that ended an outage."""
        if self.is_up(peer) or self.has_asked(peer):
            return False
        del self._of[peer]
        return True

    def pass_over(self, now: float) -> Sequence[Peer]:
        """End what is over by the clock, and tell which."""
        over = [peer for peer, outage in self._of.items() if outage.until <= now]
        for peer in over:
            del self._of[peer]
        return over

    def keep(self, peers: Collection[Peer]) -> None:
        """Forget all others."""
        self._of = {peer: outage for peer, outage in self._of.items() if peer in peers}
