"""Callers who asked to be called back: what must hold of each until it has ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from acd.calls.callbacks import CallbackOrder
from acd.calls.model import Call
from acd.history.callbacks import callback_of
from routing.callbacks import Callback
from routing.model import Ticket
from tests.sim.schedule import Schedule

if TYPE_CHECKING:
    from tests.sim.world import World


@dataclass(slots=True)
class _Row:
    document: str
    expires_ms: int
    attempts: int = 0
    making: bool = False
    changed_at: float = 0.0
    ended: str = ""


@dataclass(slots=True)
class Wish:
    order: CallbackOrder
    kept_in: str = ""
    """The run of the store that has taken it."""
    talks: int = 0
    rung: set[str] = field(default_factory=set)
    """Calls of ours for which the customer's phone rings, or is answered."""


class MemoryRegister:
    """The database of callbacks, as acd.history.callbacks.SqlRegister; it is beyond all faults."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._rows: dict[str, _Row] = {}

    def __contains__(self, callback_id: str) -> bool:
        return callback_id in self._rows

    def all_ended(self) -> Mapping[str, str]:
        """How each of those ended that have; of what expired nothing is said here."""
        now = self._schedule.now
        ended = {i: row.ended or "expired" * (0 < row.expires_ms <= now) for i, row in self._rows.items()}
        return {callback_id: how for callback_id, how in ended.items() if how}

    def noted(self, callback: Callback) -> None:
        self._rows.setdefault(callback.id, _Row(callback.document, callback.expires_ms))

    def began(self, callback_id: str, attempt: int) -> None:
        self._change(callback_id, attempt, making=True)

    def rests(self, callback_id: str, attempt: int) -> None:
        self._change(callback_id, attempt, making=False)

    def ended(self, callback_id: str, how: str) -> None:
        row = self._rows.setdefault(callback_id, _Row("", 0))
        row.ended = row.ended or how

    def _change(self, callback_id: str, attempt: int, *, making: bool) -> None:
        row = self._rows.get(callback_id)
        if row is not None and row.attempts <= attempt:
            row.attempts, row.making, row.changed_at = attempt, making, self._schedule.now / 1000

    async def open(self) -> Sequence[Callback]:
        now, found = self._schedule.now / 1000, []
        for callback_id, row in self._rows.items():
            if row.ended or 0 < row.expires_ms <= self._schedule.now:
                continue
            callback = callback_of(row.document, row.attempts, row.making, row.changed_at, now)
            if callback is None:
                self.ended(callback_id, "failed")
            else:
                found.append(callback)
        return found


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
        """When all is over."""
        world = self._world
        ended = {**world.register.all_ended(), **world.store.model.callbacks.ended}
        for callback_id, wish in self._wishes.items():
            if callback_id in ended:
                world.counts[f"callback-{ended[callback_id]}"] += 1
            elif wish.kept_in:
                # The node died before it had heard that the store took it, which lost it then.
                lost = wish.kept_in != world.run_of_store and callback_id not in world.register
                assert lost, f"13: {callback_id} was forgotten"
                world.counts["callback lost"] += 1
        self._wishes = {}
