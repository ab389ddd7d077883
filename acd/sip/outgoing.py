"""One call to a trunk, tried at its hosts one after the other (RFC 3263 section 4.3). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from acd.sip.core.events import LegEnded, LegEvent
from acd.sip.hosts import Peer
from acd.sip.redirects import FOLLOWED, MOST_REDIRECTS, Target, targets_of

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
    left: list[Target]
    """What was not tried yet, in turn."""
    followed_to: Sequence[Peer] = ()
    """Hosts that a redirect may lead to; none: it is a failure like another."""
    at: Target | None = None
    current: str = ""
    """The leg of the attempt under way."""
    redirects: int = 0
    """How often the call was sent elsewhere."""
    _attempts: int = 0
    _seen: set[Target] = field(default_factory=set)
    has_rung: bool = False
    """Somebody rings or answered: no other host is asked for the same."""
    _is_settled: bool = False
    """The caller hung up: nobody else is asked for anything."""

    def next(self) -> Target | None:
        """Go on to the next attempt; None where all were made."""
        if not self.left:
            return None
        self._attempts += 1
        self.current = self.leg if self._attempts == 1 else f"{self.leg}.{self._attempts}"
        self.at = self.left.pop(0)
        self._seen.add(self.at)
        return self.at

    def settle(self) -> None:
        """Stay with this host, whatever comes."""
        self._is_settled = True

    def told(self, event: LegEvent) -> LegEvent | None:
        """What calls hear of an event of the attempt; None where the next one is to be made instead."""
        if event.leg != self.current:
            return None  # An attempt that was given up: its last words are nobody's business.
        if not isinstance(event, LegEnded):
            self.has_rung = True
        elif not self._is_settled and (self._is_redirected(event) or self._is_to_be_made_up_for(event)):
            return None
        return replace(event, leg=self.leg)

    def _is_to_be_made_up_for(self, ended: LegEnded) -> bool:
        return bool(self.left) and not self.has_rung and is_worth_another(ended)

    def _is_redirected(self, ended: LegEnded) -> bool:
        """Put what the contacts of a 3xx lead to first in turn; never what was tried, and not for ever."""
        if ended.by != "remote" or ended.status not in FOLLOWED or self.redirects >= MOST_REDIRECTS:
            return False
        known = self._seen.union(self.left)
        new = [target for target in targets_of(ended.contacts, self.followed_to) if target not in known]
        if not new:
            return False
        self.redirects += 1
        self.has_rung = False
        self.left[:0] = new
        return True
