"""Callers who asked to be called back: what must hold of each until it has ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from acd.calls.callbacks import CallbackOrder
from acd.calls.model import Call
from routing.model import Ticket

if TYPE_CHECKING:
    from tests.sim.world import World


@dataclass(slots=True)
class Wish:
    order: CallbackOrder
    kept_in: str = ""
    """The run of the store that has taken it."""
    talks: int = 0
    rung: set[str] = field(default_factory=set)
    """Calls of ours for which the customer's phone rings, or is answered."""


class Wishes:
    """Raises AssertionError where one does not hold. The number is that of docs/simulation.md."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._wishes: dict[str, Wish] = {}

    # What nodes do.

    def asked(self, order: CallbackOrder, call: Call) -> None:
        """A caller who waits confirmed the number."""
        assert order.enqueued_at == (call.ranked_at or call.enqueued_at), f"13: {order} loses the place"
        self._wishes[order.id] = Wish(order)

    def keeps_place(self, call: Call, ticket: Ticket) -> None:
        """A call comes to a line."""
        if call.callback is not None:
            place = round(call.callback.enqueued_at * 1000), call.callback.priority
            assert (ticket.enqueued_ms, ticket.priority) == place, f"13: {call.callback} loses the place"

    def rings(self, order: CallbackOrder, call_id: str) -> None:
        """The customer is called."""
        wish = self._wishes[order.id]
        self._world.counts["customer rung twice"] += bool(wish.rung - {call_id})
        wish.rung.add(call_id)
        self._world.counts["attempts"] += 1

    def let_go(self, order: CallbackOrder, call_id: str) -> None:
        self._wishes[order.id].rung.discard(call_id)

    def talks(self, order: CallbackOrder) -> None:
        wish = self._wishes[order.id]
        wish.talks += 1
        self._world.counts["callback-talks"] += 1
        self._world.counts["customer talked twice"] += wish.talks > 1

    # What the store has.

    def taken(self, callback_id: str, in_force: str) -> None:
        """The store was told of it."""
        wish = self._wishes.get(callback_id)
        if wish is None:
            return
        if callback_id == in_force:
            wish.kept_in = self._world.run_of_store
        else:
            self._world.counts["callback known"] += 1

    def look(self) -> None:
        """One callback a number and queue, and none that has ended."""
        model = self._world.store.model.callbacks
        places = Counter((b.callback.queue, b.callback.number) for b in model.noted.values())
        twice = [place for place, n in places.items() if n > 1 and place[1]]
        assert not twice, f"13: more than one callback of {twice}"
        risen = model.noted.keys() & model.ended.keys()
        assert not risen, f"13: {risen} have ended"
        for callback_id, b in model.noted.items():
            assert b.attempts <= b.callback.attempts, f"13: {callback_id} is tried too often"
            assert (b.state == "making") <= bool(b.node), f"13: nobody makes {callback_id}"

    def all_ended(self) -> None:
        """When all is over, each has ended, or went with a store that lost everything."""
        ended = self._world.store.model.callbacks.ended
        for callback_id, wish in self._wishes.items():
            if callback_id not in ended and wish.kept_in:
                assert wish.kept_in != self._world.run_of_store, f"13: {callback_id} was forgotten"
                self._world.counts["callback lost"] += 1
        for how, n in Counter(ended.values()).items():
            self._world.counts[f"callback-{how}"] = n
        self._wishes = {}
