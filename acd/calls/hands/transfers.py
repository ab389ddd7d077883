"""Legs that change seats: transfers, legs handed from call to call, a phone that another takes over."""

from __future__ import annotations

from dataclasses import dataclass

from acd.calls import model as m
from acd.calls.booking import Booking
from acd.calls.hands.live import LiveCall
from acd.calls.hands.outside import OutsideLeg
from acd.calls.model import Side, State
from acd.directory.model import Srtp
from acd.errors import AcdError
from routing.model import Offer


@dataclass(frozen=True, slots=True)
class Joining:
    """A leg that has just joined the call, and the one whose place it took."""

    side: Side
    left: str | None
    offer: Offer | None = None
    """The reservation that came with it."""


class Transfers:
    def __init__(self, live: LiveCall, outside: OutsideLeg, booking: Booking) -> None:
        self._live = live
        self._outside = outside
        self._booking = booking
        self._joining: Joining | None = None

    @property
    def is_joining(self) -> bool:
        """Whether a leg has joined of which the call has not heard yet."""
        return self._joining is not None

    # What the phone that transfers is told.

    def answer_refer(self, effect: m.AnswerRefer) -> None:
        if leg := self._live.seats.leg_of(effect.side):
            self._live.services.sip.answer_refer(leg, effect.status)

    def report_refer(self, effect: m.ReportRefer) -> None:
        if leg := self._live.seats.leg_of(effect.side):
            self._live.services.sip.report_refer(leg, effect.status)

    # Seats.

    def park_agent(self, effect: m.ParkAgentLeg) -> None:
        self._live.seats.move(Side.AGENT, to=Side.TRANSFEROR)

    def reclaim_agent(self, effect: m.ReclaimAgentLeg) -> None:
        self._live.seats.move(Side.TRANSFEROR, to=Side.AGENT)

    def change_seats(self, effect: m.ChangeSeats) -> None:
        seats = self._live.seats
        agent = seats[Side.AGENT]
        seats.move(Side.CALLER, to=Side.TRANSFEROR)
        seats.seat(Side.CALLER, agent)
        seats.vacate(Side.AGENT)

    def change_seats_back(self, effect: m.ChangeSeatsBack) -> None:
        seats = self._live.seats
        transferor = seats[Side.TRANSFEROR]
        seats.move(Side.CALLER, to=Side.AGENT)
        seats.seat(Side.CALLER, transferor)
        seats.vacate(Side.TRANSFEROR)

    async def release_transferor(self, effect: m.ReleaseTransferor) -> None:
        await self._live.release(self._live.seats.vacate(Side.TRANSFEROR), effect.reason)

    # From call to call.

    def ask_hand_over(self, effect: m.AskHandOver) -> None:
        if other := self._live.registry.find(effect.other_call):
            other.post(m.HandOverAsked(self._live.call.id))
        else:
            self._live.post(m.HandOverRefused())

    def pass_on(self, effect: m.PassOn) -> None:
        if other := self._live.registry.find(effect.to_call):
            other.post(m.TransferAsked(self._live.call.called, by_phone=True))

    async def hand_over(self, effect: m.HandOver) -> None:
        leg = self._live.seats.vacate(Side.AGENT)
        other = self._live.registry.find(effect.to_call)
        if leg is not None and other is not None and other.transfers.adopt(leg, effect):
            return
        await self._live.release(leg, "normal")
        self._booking.finish(m.FinishConversation(effect.offer))

    async def hand_over_outside(self, effect: m.HandOverOutside) -> None:
        leg = self._live.seats.caller
        self._live.seats.seat(Side.CALLER, f"{self._live.call.id}-given")
        other = self._live.registry.find(effect.to_call)
        if other is None or not other.transfers.adopt_outside(leg, effect):
            await self._live.release(leg, "normal", Side.CALLER)

    def adopt(self, leg: str, given: m.HandOver) -> bool:
        """Take over an agent whom another call has reached. False where this call cannot."""
        if not self._can_join():
            return False
        self._join(leg, given.offer)
        self._live.post(m.TargetJoined(given.offer, given.place, given.holds))
        return True

    def adopt_outside(self, leg: str, given: m.HandOverOutside) -> bool:
        """The same with a number outside."""
        if not self._can_join():
            return False
        self._join(leg, None)
        self._outside.take(leg)
        self._live.post(m.OutsideJoined(given.outside, given.holds))
        return True

    def _can_join(self) -> bool:
        return self._live.call.state is not State.ENDED and self._joining is None

    def _join(self, leg: str, offer: Offer | None) -> None:
        # From here on, what the old phone does is no longer this call's business: it may hang up at once.
        self._joining = Joining(Side.AGENT, self._live.seats.leg_of(Side.AGENT), offer)
        self._live.seats.seat(Side.AGENT, leg)
        self._live.claim(leg)

    # From phone to phone.

    async def replace_phone(self, side: Side, leg: str, offer: bytes | None, srtp: Srtp) -> None:
        """Another phone of the same person takes over a side (RFC 3891): answer it, then change over."""
        live, sip, media = self._live, self._live.services.sip, self._live.services.media
        old = live.seats.leg_of(side)
        if offer is None or old is None or self._joining is not None or live.call.state is not State.TALKING:
            sip.refuse(leg, 488 if offer is None else 491)
            return
        self._joining = Joining(side, old)
        live.seats.seat(side, leg)
        live.claim(leg)
        try:
            sip.accept(leg, await media.answer(leg, offer, near=old, srtp=srtp))
        except AcdError as error:
            sip.refuse(leg, error.sip_status)
            await self.drop_joined(m.DropJoined())
        else:
            live.post(m.PhoneMoved(side))

    # The verdict on a leg that has joined.

    async def take_joined(self, effect: m.TakeJoined) -> None:
        joining, self._joining = self._joining, None
        if joining is not None:
            if joining.left is not None and effect.report:
                self._live.services.sip.report_refer(joining.left, effect.report)
            await self._live.release(joining.left, effect.reason, joining.side)

    async def drop_joined(self, effect: m.DropJoined) -> None:
        joining, self._joining = self._joining, None
        if joining is None:
            return
        leg = self._live.seats.vacate(joining.side)
        if joining.left is not None:
            self._live.seats.seat(joining.side, joining.left)
        await self._live.release(leg, "normal", joining.side)
        if joining.offer is not None:
            self._booking.finish(m.FinishConversation(joining.offer))
