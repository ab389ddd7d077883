"""How many hops further the calls of this node may go, so that a circle comes to an end.

What begins a new call because of another one has no hops of its own: else a number that goes to a provider
who sends it back here made calls until all are taken (RFC 5393; RFC 3261 section 16.6, step 3).
"""

from __future__ import annotations

from acd.sip.core.dialog import MOST_HOPS


class Hops:
    """By call, while the leg that brought it stands."""

    def __init__(self) -> None:
        self._left: dict[str, int] = {}
        self._calls: dict[str, str] = {}

    def came(self, leg: str, call: str, max_forwards: int) -> None:
        """A call came in by this leg with so many hops left, of which we are one."""
        if call:
            self._calls[leg] = call
            self._left[call] = max_forwards - 1

    def left(self, call: str) -> int:
        """Max-Forwards for a leg of this call."""
        return self._left.get(call, MOST_HOPS)

    def over(self, leg: str) -> None:
        """Forget the call of a leg; an unknown one is passed over."""
        self._left.pop(self._calls.pop(leg, ""), None)
