"""One live call: an inbox of events, the machine that decides, and the hands that carry out its effects."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import structlog

from acd.agents.codes import obey
from acd.calls import model as m
from acd.calls.booking import Booking
from acd.calls.errand import Errand
from acd.calls.facts import CallEnded, ConversationOver, LegClosed
from acd.calls.hands.agent import AgentLeg
from acd.calls.hands.audio import Audio
from acd.calls.hands.caller import CallerLeg
from acd.calls.hands.live import LiveCall, Registry
from acd.calls.hands.outside import OutsideLeg
from acd.calls.hands.seats import Seats
from acd.calls.hands.standing import Standing
from acd.calls.hands.timers import Timers
from acd.calls.hands.transfers import Transfers
from acd.calls.hands.voicemail import Voicemail
from acd.calls.inbox import Inbox
from acd.calls.lane import StoreLane
from acd.calls.machine import step
from acd.calls.model import Call, Effect, Event, Side, State
from acd.calls.ports import Services
from acd.calls.steps import ending
from acd.calls.steps.context import Context
from acd.calls.steps.phones import agents_outside, phones_of
from acd.directory.model import Srtp
from acd.media.engine import LegStatistics
from acd.sip.watching import PhoneState

INBOX_LIMIT = 512
"""More than a call can ever need; a flood of digits beyond it is dropped."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LegRegistry(Registry):
    """How a session makes its legs known, so that what happens to them finds it."""

    add: Callable[[str, CallSession], None]


@dataclass(frozen=True, slots=True)
class OfLeg:
    """Something happened to a leg, whose side is that of the moment when this is heard: seats may change."""

    leg: str
    event: m.LegOver | m.MediaLost


class CallSession:
    """Owns the legs, timers and media of one call from its first event to its record."""

    def __init__(
        self,
        services: Services,
        context: Context,
        call: Call,
        leg: str,
        legs: LegRegistry,
        near: str | None = None,
        *,
        srtp: Srtp = "off",
    ) -> None:
        """`near` is a leg of another call with which this one may be joined, `srtp` the caller's rule."""
        self._services = services
        self._context = context
        self._legs = legs
        self._inbox: Inbox[Event | OfLeg] = Inbox(INBOX_LIMIT)
        self._phones: tuple[PhoneState, ...] = ()
        self._agents_outside: frozenset[str] = frozenset()
        self.seats = Seats(leg)
        self._live = live = LiveCall(
            call, self.seats, services, context, legs, claim=self._claim, post=self.post
        )
        lane = StoreLane(legs.spawn)
        booking = Booking(services.store, call.node, services.clock, lane, self.post, legs.make)
        self._timers = Timers(self.post)
        self._caller = CallerLeg(live, near, srtp)
        self.agent = AgentLeg(live)
        self.outside = OutsideLeg(live)
        self.audio = Audio(live)
        self._voicemail = Voicemail(live, self.audio)
        self.transfers = Transfers(live, self.outside, booking)
        self.standing = Standing(live, booking)
        self._booking = booking
        hands = (self._caller, self.agent, self.outside, self.audio, self._voicemail, self.transfers)
        rest = (self.standing, booking, booking.errand, self._timers, self)
        self._hands = {type(hand): hand for hand in (*hands, *rest)}
        self._claim(leg)

    @property
    def call(self) -> Call:
        """The call as it is now."""
        return self._live.call

    def _claim(self, leg: str) -> None:
        self._legs.add(leg, self)

    def post(self, event: Event | OfLeg) -> None:
        """Hand in an event; never blocks."""
        if not self._inbox.put(event):
            log.warning("call-inbox-full", dropped=type(event).__name__)

    async def run(self) -> None:
        """Live through the call. Whatever goes wrong leaves by the one door."""
        structlog.contextvars.bind_contextvars(call_id=self.call.id, node=self.call.node)
        try:
            while self.call.state is not State.ENDED:
                event = self._heard(await self._inbox.get())
                if event is not None:
                    await self._take(event)
        except Exception:
            log.exception("call-failed")
            await self._leave("internal")
        except asyncio.CancelledError:
            await self._leave("shutdown")
            raise
        finally:
            self._timers.stop_all()

    def _heard(self, event: Event | OfLeg) -> Event | None:
        """None where it is about a leg that this call has let go meanwhile, or a timer that was stopped."""
        if isinstance(event, OfLeg):
            side = self.seats.side_of(event.leg)
            return None if side is None else replace(event.event, side=side)
        if isinstance(event, m.TimerFired) and self._timers.is_stale(event):
            return None
        return event

    async def _take(self, event: Event) -> None:
        before = self.call
        after, effects = step(self._context, before, event, self._services.clock.time())
        if after is not before:
            self._become(after)
        for effect in effects:
            await self._carry_out(effect)

    async def _leave(self, cause: str) -> None:
        now = self._services.clock.time()
        self._live.call, effects = ending.end(self.call, now, side="system", cause=cause)
        self._show_phones()
        for effect in effects:
            await self._carry_out(effect)

    def _become(self, call: Call) -> None:
        """The call moves on: what is said of it in the log and on lamps follows, and it is written down."""
        before, self._live.call = self.call, call
        if call.state is not before.state:
            log.debug("call-state", state=call.state.value, was=before.state.value)
        self._show_phones()
        if call.place is not before.place or call.offer is not before.offer:
            structlog.contextvars.bind_contextvars(queue=call.queue, agent=call.agent)
        self._live.write_down()

    def _show_phones(self) -> None:
        """Let lamps, and the count of calls to the outside, follow what the agents do in this call."""
        outside = agents_outside(self.call)
        if outside != self._agents_outside:
            self._agents_outside = outside
            self._services.outside.changed(self.call.id, outside)
        phones = phones_of(self.call)
        if phones != self._phones:
            self._phones = phones
            self._services.phones(self.call.id, phones)

    async def _carry_out(self, effect: Effect) -> None:
        hand, carry_out = _HANDS[type(effect)]
        pending = carry_out(self._hands[hand], effect)
        if pending is not None:
            await pending

    def _ask_desk(self, effect: m.AskDesk) -> None:
        async def ask() -> m.DeskAnswered:
            return m.DeskAnswered(await obey(self._services.desk, effect.agent, effect.action, effect.reason))

        self._live.ask(ask())

    def _finish(self, effect: m.FinishConversation) -> None:
        self._booking.finish(effect)
        if effect.wrapup:
            offer = effect.offer
            self._live.tell(ConversationOver(self.call.id, offer.queue, offer.agent_id))

    def _tell(self, effect: m.Tell) -> None:
        self._live.tell(effect.fact)

    async def _close(self, effect: m.Close) -> None:
        if self.transfers.is_joining:
            await self.transfers.drop_joined(m.DropJoined())
            await self._live.release(self.seats.vacate(Side.AGENT), effect.cause)
        self._legs.remove(self.seats.caller)
        statistics = await self._services.media.close(self.seats.caller)
        self._live.tell(LegClosed(self.call.id, Side.CALLER.value, statistics, self.seats.caller))
        record = ending.record_of(self.call, effect, self._services.clock.time())
        record = msgspec.structs.replace(record, **_figures(statistics))
        self._services.journal.finish(record)
        self._live.tell(CallEnded(record))
        log.info("call-ended", outcome=record.outcome, cause=record.cause, by=record.hangup_side)


_Carry = Callable[[Any, Any], Awaitable[None] | None]

_BY_HAND: Mapping[type[Any], Mapping[type[Any], _Carry]] = {
    CallerLeg: {
        m.OpenCallerMedia: CallerLeg.open_media,
        m.AskCaller: CallerLeg.ask_who,
        m.AnswerCaller: CallerLeg.answer,
        m.RefuseCaller: CallerLeg.refuse,
        m.ApplyCallerAnswer: CallerLeg.apply_answer,
        m.HangUp: CallerLeg.hang_up,
    },
    Audio: {
        m.PlayToCaller: Audio.play,
        m.PlayMusic: Audio.play_music,
        m.PlaySilence: Audio.play_silence,
        m.PlayEcho: Audio.play_echo,
        m.BridgeLegs: Audio.bridge,
        m.AcceptReoffer: Audio.accept_reoffer,
        m.RefuseReoffer: Audio.refuse_reoffer,
    },
    Standing: {
        m.EnterQueue: Standing.enter,
        m.ChangeNeeds: Standing.change_needs,
        m.SayPlaceAgain: Standing.say_place_again,
        m.AskPosition: Standing.ask_position,
        m.AskSituation: Standing.ask_situation,
        m.ConfirmOffer: Standing.confirm,
        m.BeginAttempt: Standing.begin_attempt,
        m.CallbackMade: Standing.callback_made,
        m.SettleCallback: Standing.settle_callback,
    },
    Booking: {
        m.LeaveQueue: Booking.leave,
        m.ConfirmMaker: Booking.confirm_maker,
        m.RejectOffer: Booking.reject,
    },
    AgentLeg: {
        m.RingAgent: AgentLeg.ring,
        m.ReleaseAgentLeg: AgentLeg.release,
        m.RingRival: AgentLeg.ring_rival,
        m.ReleaseRival: AgentLeg.release_rival,
        m.TakeRival: AgentLeg.take_rival,
    },
    OutsideLeg: {
        m.AskLeave: OutsideLeg.ask_leave,
        m.NoteRefusedDial: OutsideLeg.note_refused,
        m.CallOutside: OutsideLeg.call,
        m.SeatAgent: OutsideLeg.seat_agent,
        m.TellRinging: OutsideLeg.tell_ringing,
    },
    Errand: {
        m.NoteCallback: Errand.note,
        m.MakeCallback: Errand.make,
        m.DropCallback: Errand.drop,
    },
    Voicemail: {
        m.TakeMessage: Voicemail.take,
        m.EndMessage: Voicemail.end,
        m.OpenMailbox: Voicemail.open_box,
        m.PlayMessage: Voicemail.play,
        m.MarkHeard: Voicemail.mark_heard,
        m.DeleteMessage: Voicemail.delete,
    },
    Transfers: {
        m.AnswerRefer: Transfers.answer_refer,
        m.ReportRefer: Transfers.report_refer,
        m.ParkAgentLeg: Transfers.park_agent,
        m.ReclaimAgentLeg: Transfers.reclaim_agent,
        m.ChangeSeats: Transfers.change_seats,
        m.ChangeSeatsBack: Transfers.change_seats_back,
        m.ReleaseTransferor: Transfers.release_transferor,
        m.AskHandOver: Transfers.ask_hand_over,
        m.HandOver: Transfers.hand_over,
        m.HandOverOutside: Transfers.hand_over_outside,
        m.PassOn: Transfers.pass_on,
        m.TakeJoined: Transfers.take_joined,
        m.DropJoined: Transfers.drop_joined,
    },
    Timers: {
        m.StartTimer: Timers.start,
        m.StopTimer: Timers.stop,
    },
    CallSession: {
        m.FinishConversation: CallSession._finish,
        m.AskDesk: CallSession._ask_desk,
        m.Tell: CallSession._tell,
        m.Close: CallSession._close,
    },
}
"""Which hand carries out what. One table for all calls: bound to the hands of each it takes 7 KB a call."""

_HANDS: Mapping[type[Any], tuple[type[Any], _Carry]] = {
    effect: (hand, carry) for hand, table in _BY_HAND.items() for effect, carry in table.items()
}


def _figures(statistics: LegStatistics) -> dict[str, Any]:
    return {
        "packets_lost": statistics.packets_lost,
        "jitter_seconds": round(statistics.jitter_seconds, 6),
    }
