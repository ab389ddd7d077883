"""Spreads the work of many legs over time: frames over the 2 ms slots of 20 ms, chores over a second."""

from __future__ import annotations

from acd.media.embedded.leg import Leg

SLOT_SECONDS = 0.002
_SLOTS = 10
_ROUNDS = 50
"""Rounds of all slots in a second."""


class Pacer:
    """Each paced leg keeps its slot, so its packets stay 20 ms apart whatever the source."""

    def __init__(self) -> None:
        self._slots: list[dict[Leg, None]] = [{} for _ in range(_SLOTS)]
        self._slot_of: dict[Leg, int] = {}
        self._chores: list[dict[Leg, None]] = [{} for _ in range(_ROUNDS)]
        self._chore_of: dict[Leg, int] = {}
        self._count = 0

    def add(self, leg: Leg) -> None:
        """A new leg, which has chores from now on."""
        place = min(range(_ROUNDS), key=lambda place: len(self._chores[place]))
        self._chores[place][leg] = None
        self._chore_of[leg] = place

    def remove(self, leg: Leg) -> None:
        self._rest(leg)
        del self._chores[self._chore_of.pop(leg)][leg]

    def review(self, leg: Leg) -> None:
        """Give the leg a slot, or take it, as it wants now."""
        if not leg.paced:
            self._rest(leg)
        elif leg not in self._slot_of:
            slot = min(range(_SLOTS), key=lambda place: len(self._slots[place]))
            self._slots[slot][leg] = None
            self._slot_of[leg] = slot

    def _rest(self, leg: Leg) -> None:
        slot = self._slot_of.pop(leg, None)
        if slot is not None:
            del self._slots[slot][leg]

    def next_slot(self, now: float) -> None:
        """Let the legs of the next slot send; after the last slot, let some do their chores."""
        for leg in tuple(self._slots[self._count % _SLOTS]):
            leg.tick(now)
            if not leg.paced:
                self._rest(leg)
        self._count += 1
        if self._count % _SLOTS == 0:
            for leg in tuple(self._chores[self._count // _SLOTS % _ROUNDS]):
                leg.every_second(now)
