"""What the store is told of a call, and what is asked of it: a place in line, reservations, callbacks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from acd.calls import model as m
from acd.calls.booking import Booking, rank_of
from acd.calls.hands.live import LiveCall
from acd.calls.lookout import WaitingPlace, waiting_place
from acd.calls.view import needs_of
from routing.model import Requirement, Ticket


class Standing:
    """How the call stands in the store; the words themselves are the booking's."""

    def __init__(self, live: LiveCall, booking: Booking) -> None:
        self._live = live
        self._booking = booking
        self._ticket: Ticket | None = None
        """The last that was put in line."""

    def enter(self, effect: m.EnterQueue) -> None:
        if effect.ticket.call_id == self._live.call.entry:
            self._ticket = effect.ticket
        # A node that dies with a call in line leaves a document of it: others make the record.
        self._booking.say(lambda: self._live.services.journal.begun(self._live.call.id))
        self._booking.enter(effect)

    def change_needs(self, effect: m.ChangeNeeds) -> None:
        self._ticket = effect.ticket
        self._booking.change_needs(effect)

    def say_place_again(self, effect: m.SayPlaceAgain) -> None:
        self.say_again()

    def ask_position(self, effect: m.AskPosition) -> None:
        self._booking.ask_position(self._live.call.entry, self._live.services.lookout.expected)

    def ask_situation(self, effect: m.AskSituation) -> None:
        if place := self.waiting_place():
            self._booking.say(lambda: self._live.services.lookout.joining(place))

    def confirm(self, effect: m.ConfirmOffer) -> None:
        self._live.seats.forget_rung()
        self._booking.confirm(effect)

    # The callback that this call makes.

    def begin_attempt(self, effect: m.BeginAttempt) -> None:
        if order := self._live.call.callback:
            self._booking.errand.begin(order)

    def callback_made(self, effect: m.CallbackMade) -> None:
        if order := self._live.call.callback:
            self._booking.errand.made(order.id)

    def settle_callback(self, effect: m.SettleCallback) -> None:
        if order := self._live.call.callback:
            self._booking.errand.settle(order.id, effect)

    # What others ask.

    def say_again(self) -> str:
        """Say again what this call is doing, to a store that may have forgotten it. Returns that in a word,
        or nothing of a call that the store need not know."""
        return self._booking.say_again(self._live.context, self._live.call)

    def correct(self) -> tuple[str, Sequence[asyncio.Future[None]]]:
        """The same to a store that has lost what it knew last, and when each part of it was heard. What a
        crash would leave behind of the call is written down again, too."""
        self._live.write_down()
        return self._booking.correct(self._live.context, lambda: self._live.call)

    def rank(self) -> int:
        """Who is said again first: the least."""
        return rank_of(self._live.context, self._live.call)

    def needs(self) -> Requirement | None:
        """What the caller waits for now; None for one who does not wait."""
        return needs_of(self._live.context, self._live.call, self._live.services.clock.time())

    def waiting_place(self) -> WaitingPlace | None:
        """Where the caller waits who may go elsewhere by the rules of the queue."""
        live = self._live
        return waiting_place(live.context, live.call, self._ticket, self._now_ms(), live.post)

    def _now_ms(self) -> int:
        return round(self._live.services.clock.time() * 1000)
