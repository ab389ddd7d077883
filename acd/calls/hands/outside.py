"""The leg of a number outside: whether it may be called, by which way, and what is heard of it."""

from __future__ import annotations

import structlog

from acd.calls import model as m
from acd.calls.facts import DialRefused
from acd.calls.hands.live import LiveCall
from acd.calls.leave import leave_to_dial
from acd.calls.model import Side, State
from acd.calls.outside import Way
from acd.calls.outward import NoRoute, about
from acd.errors import AcdError
from acd.log import mask
from acd.sip.identity import Diverted

_CALLS_OUTSIDE = frozenset({State.DIALLING, State.CALLING, State.FORWARDING})

log = structlog.get_logger(__name__)


class OutsideLeg:
    def __init__(self, live: LiveCall) -> None:
        self._live = live
        self._leg: str | None = None
        """Of the number that is called, or was last."""
        self._legs = 0

    def ask_leave(self, effect: m.AskLeave) -> None:
        services = self._live.services
        self._live.ask(leave_to_dial(services.do_not_call, effect.outside, services.outside.of))

    def note_refused(self, effect: m.NoteRefusedDial) -> None:
        log.warning("dial-refused", agent=effect.agent, number=mask(effect.number), cause=effect.cause)
        self._live.tell(DialRefused(self._live.call.id, effect.agent, effect.cause))

    async def call(self, effect: m.CallOutside) -> None:
        """By one way; what was tried before is let go."""
        live, side, way = self._live, effect.side, effect.outside.way
        await live.release(self._leg, "", side)
        self._legs += 1
        leg = self._leg = f"{live.call.id}-out{self._legs}"
        live.seats.seat(side, leg)
        live.claim(leg)
        near = live.seats.leg_of(Side.AGENT if side is Side.CALLER else Side.CALLER)
        try:
            if way is None:
                raise NoRoute("no route leads over any trunk")
            await self._invite(leg, way, effect.outside.shown, near)
        except AcdError as error:
            log.info("trunk-did-not-take-the-call", trunk=way.trunk if way else "", cause=error.cause)
            live.post(m.NumberUnreachable(error.cause))

    async def _invite(self, leg: str, way: Way, shown: str, near: str | None) -> None:
        """Raises AcdError."""
        call, services = self._live.call, self._live.services
        srtp = services.sip.srtp_toward_trunk(way.trunk)
        offer = await services.media.offer(leg, near=near, srtp=srtp)
        services.sip.invite_number(
            leg,
            way.trunk,
            way.digits,
            offer=offer,
            caller=shown,
            caller_name="",
            withheld=call.withheld,
            diversions=(*call.diversions, Diverted(call.called)) if call.state is State.FORWARDING else (),
            about=about(self._live.context.directory, call),
            call_id=call.id,
        )

    def take(self, leg: str) -> None:
        """Another call has reached it for this one."""
        self._leg = leg

    def is_called(self, leg: str) -> bool:
        """Whether this is the leg of the number that is called now."""
        return leg == self._leg and self._live.call.state in _CALLS_OUTSIDE

    def progressed(self, status: int, sdp: bytes | None) -> None:
        """It rings there, or something is played before anybody answers."""
        early = bool(sdp) and self._live.call.hears_early and self._takes_answer(sdp or b"", early=True)
        self._live.post(m.NumberProgressed(status, early))

    def answered(self, sdp: bytes | None) -> None:
        """The number sent 200."""
        if self._takes_answer(sdp or b"", early=False):
            self._live.post(m.NumberAnswered())

    def _takes_answer(self, sdp: bytes, *, early: bool) -> bool:
        try:
            self._live.services.media.apply_answer(self._leg or "", sdp, early=early)
        except AcdError as error:
            log.info("answer-of-trunk-not-used", cause=error.cause, early=early)
            if not early:
                self._live.post(m.NumberUnreachable(error.cause))
            return False
        return True

    # The agent who calls there.

    def seat_agent(self, effect: m.SeatAgent) -> None:
        seats = self._live.seats
        seats.seat(Side.AGENT, seats.caller)
        seats.seat(Side.CALLER, f"{self._live.call.id}-outside")

    def tell_ringing(self, effect: m.TellRinging) -> None:
        if leg := self._live.seats.leg_of(Side.AGENT):
            self._live.services.sip.ring(leg, effect.status, effect.sdp)
