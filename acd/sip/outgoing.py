"""One call to a trunk, tried at its hosts one after the other (RFC 3263 section 4.3). Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from acd.sip.core.events import LegEnded, LegEvent
from acd.sip.hosts import Peer

_HOST_DOES_NOT = frozenset((408, 500, 502, 503, 504))
"""What says more of the host than of the number that was called."""


def is_worth_another(ended: LegEnded) -> bool:
    """Whether another host may do what this one did not."""
    return ended.by in ("timeout", "transport") or (ended.by == "remote" and ended.status in _HOST_DOES_NOT)


@dataclass(slots=True)
class OutgoingCall:
    """Calls know it by `leg` alone, whichever host it is at."""

    leg: str
    trunk: str
    left: list[Peer]
    """Hosts that were not tried yet, in turn."""
    at: Peer | None = None
    current: str = ""
    """The leg of the attempt under way."""
    _attempts: int = 0
    _is_settled: bool = field(default=False)
    """Somebody rings or answered, or the caller hung up: no other host is asked."""

    def next(self) -> Peer | None:
        """Go on to the next host; None where all were tried."""
        if not self.left:
            return None
        self._attempts += 1
        self.current = self.leg if self._attempts == 1 else f"{self.leg}.{self._attempts}"
        self.at = self.left.pop(0)
        return self.at

    def settle(self) -> None:
        """Stay with this host, whatever comes."""
        self._is_settled = True

    def told(self, event: LegEvent) -> LegEvent | None:
        """What calls hear of an event of the attempt; None where the next host is to be tried instead."""
        if event.leg != self.current:
            return None  # An attempt that was given up: its last words are nobody's business.
        if isinstance(event, LegEnded):
            if not self._is_settled and self.left and is_worth_another(event):
                return None
        else:
            self._is_settled = True
        return replace(event, leg=self.leg)
