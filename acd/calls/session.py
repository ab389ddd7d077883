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
from acd.calls.facts import CallEnded, ConversationOver, LegClosed
from acd.calls.hands.agent import AgentLeg
from acd.calls.hands.audio import Audio
from acd.calls.hands.caller import CallerLeg
from acd.calls.hands.live import LegRegistry, LiveCall
from acd.calls.hands.outside import OutsideLeg
from acd.calls.hands.seats import Seats
from acd.calls.hands.standing import Standing
from acd.calls.hands.timers import Timers
from acd.calls.hands.transfers import Transfers
from acd.calls.hands.voicemail import Voicemail
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
        self._inbox: asyncio.Queue[Event | OfLeg] = asyncio.Queue(INBOX_LIMIT)
        self._phones: tuple[PhoneState, ...] = ()
        self._agents_outside: frozenset[str] = frozenset()
        self.seats = Seats(leg)
        self._live = live = LiveCall(
            call, self.seats, services, context, legs, claim=self._claim, post=self.post
        )
        booking = Booking(services.store, call.node, services.clock, legs.spawn, self.post, legs.make)
        self._timers = Timers(self.post)
        self._caller = CallerLeg(live, near, srtp)
        self.agent = AgentLeg(live)
        self.outside = OutsideLeg(live)
        self.audio = Audio(live)
        self._voicemail = Voicemail(live, self.audio)
        self.transfers = Transfers(live, self.outside, booking)
        self.standing = Standing(live, booking)
        self._booking = booking
        self._hands = self._effects(booking)
        self._claim(leg)

    @property
    def call(self) -> Call:
        """The call as it is now."""
        return self._live.call

    def _claim(self, leg: str) -> None:
        self._legs.add(leg, self)

    def post(self, event: Event | OfLeg) -> None:
        """Hand in an event; never blocks."""
        try:
            self._inbox.put_nowait(event)
        except asyncio.QueueFull:
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
        pending = self._hands[type(effect)](effect)
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
        self._live.tell(LegClosed(self.call.id, Side.CALLER.value, statistics))
        record = ending.record_of(self.call, effect, self._services.clock.time())
        record = msgspec.structs.replace(record, **_figures(statistics))
        self._services.journal.finish(record)
        self._live.tell(CallEnded(record))
        log.info("call-ended", outcome=record.outcome, cause=record.cause, by=record.hangup_side)

    def _effects(self, booking: Booking) -> Mapping[type[Any], Callable[[Any], Awaitable[None] | None]]:
        """Which hand carries out what."""
        caller, agent, outside, audio = self._caller, self.agent, self.outside, self.audio
        transfers, voicemail, standing = self.transfers, self._voicemail, self.standing
        return {
            m.OpenCallerMedia: caller.open_media,
            m.AskCaller: caller.ask_who,
            m.AnswerCaller: caller.answer,
            m.RefuseCaller: caller.refuse,
            m.ApplyCallerAnswer: caller.apply_answer,
            m.HangUp: caller.hang_up,
            m.PlayToCaller: audio.play,
            m.PlayMusic: audio.play_music,
            m.PlaySilence: audio.play_silence,
            m.PlayEcho: audio.play_echo,
            m.BridgeLegs: audio.bridge,
            m.AcceptReoffer: audio.accept_reoffer,
            m.RefuseReoffer: audio.refuse_reoffer,
            m.EnterQueue: standing.enter,
            m.ChangeNeeds: standing.change_needs,
            m.SayPlaceAgain: standing.say_place_again,
            m.LeaveQueue: booking.leave,
            m.AskPosition: standing.ask_position,
            m.AskSituation: standing.ask_situation,
            m.ConfirmOffer: standing.confirm,
            m.ConfirmMaker: booking.confirm_maker,
            m.RejectOffer: booking.reject,
            m.FinishConversation: self._finish,
            m.RingAgent: agent.ring,
            m.ReleaseAgentLeg: agent.release,
            m.RingRival: agent.ring_rival,
            m.ReleaseRival: agent.release_rival,
            m.TakeRival: agent.take_rival,
            m.AskLeave: outside.ask_leave,
            m.NoteRefusedDial: outside.note_refused,
            m.CallOutside: outside.call,
            m.SeatAgent: outside.seat_agent,
            m.TellRinging: outside.tell_ringing,
            m.NoteCallback: booking.errand.note,
            m.MakeCallback: booking.errand.make,
            m.DropCallback: booking.errand.drop,
            m.BeginAttempt: standing.begin_attempt,
            m.CallbackMade: standing.callback_made,
            m.SettleCallback: standing.settle_callback,
            m.TakeMessage: voicemail.take,
            m.EndMessage: voicemail.end,
            m.OpenMailbox: voicemail.open_box,
            m.PlayMessage: voicemail.play,
            m.MarkHeard: voicemail.mark_heard,
            m.DeleteMessage: voicemail.delete,
            m.AnswerRefer: transfers.answer_refer,
            m.ReportRefer: transfers.report_refer,
            m.ParkAgentLeg: transfers.park_agent,
            m.ReclaimAgentLeg: transfers.reclaim_agent,
            m.ChangeSeats: transfers.change_seats,
            m.ChangeSeatsBack: transfers.change_seats_back,
            m.ReleaseTransferor: transfers.release_transferor,
            m.AskHandOver: transfers.ask_hand_over,
            m.HandOver: transfers.hand_over,
            m.HandOverOutside: transfers.hand_over_outside,
            m.PassOn: transfers.pass_on,
            m.TakeJoined: transfers.take_joined,
            m.DropJoined: transfers.drop_joined,
            m.StartTimer: self._timers.start,
            m.StopTimer: self._timers.stop,
            m.AskDesk: self._ask_desk,
            m.Tell: self._tell,
            m.Close: self._close,
        }


def _figures(statistics: LegStatistics) -> dict[str, Any]:
    return {
        "packets_lost": statistics.packets_lost,
        "jitter_seconds": round(statistics.jitter_seconds, 6),
    }
