"""Which leg of a call sits where. Pure."""

from __future__ import annotations

from acd.calls.model import Side


class Seats:
    """The legs of one call by side, and those that ring beside the agent's."""

    __slots__ = ("_by_side", "_rung")

    def __init__(self, caller: str) -> None:
        self._by_side: dict[Side, str] = {Side.CALLER: caller}
        self._rung: dict[int, str] = {}

    @property
    def caller(self) -> str:
        """The caller's leg, which every call has."""
        return self._by_side[Side.CALLER]

    def __getitem__(self, side: Side) -> str:
        """Raises KeyError where nobody sits there."""
        return self._by_side[side]

    def leg_of(self, side: Side) -> str | None:
        return self._by_side.get(side)

    def side_of(self, leg: str) -> Side | None:
        """Which side a leg is, or None for one that the call has let go."""
        return next((side for side, held in self._by_side.items() if held == leg), None)

    def seat(self, side: Side, leg: str) -> None:
        self._by_side[side] = leg

    def vacate(self, side: Side) -> str | None:
        """The leg that sat there."""
        return self._by_side.pop(side, None)

    def move(self, there: Side, to: Side) -> None:
        """Who sits there, if anybody does, sits elsewhere from now on."""
        if leg := self.vacate(there):
            self.seat(to, leg)

    # Several agents who are rung together, by the tokens of their offers.

    def ring(self, token: int, leg: str) -> None:
        self._rung[token] = leg

    def rung_for(self, leg: str) -> int | None:
        """The token of the offer for which this leg rings; None where one agent is rung alone."""
        return next((token for token, held in self._rung.items() if held == leg), None)

    def rung(self, token: int) -> str | None:
        return self._rung.get(token)

    def stop_ringing(self, token: int) -> str | None:
        """The leg that rang for this offer."""
        return self._rung.pop(token, None)

    def forget_rung(self) -> None:
        """It is settled who has the call."""
        self._rung.clear()

    def forget(self, leg: str) -> None:
        """This leg rings for nobody any more."""
        self._rung = {token: held for token, held in self._rung.items() if held != leg}
