"""One live call: an inbox of events, the machine that decides, and the effects carried out in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import structlog

from acd.agents.codes import obey
from acd.calls import model as m
from acd.calls.booking import Booking
from acd.calls.callbacks import CallbackOrder
from acd.calls.facts import CallEnded, CallFact, DialRefused, LegClosed
from acd.calls.leave import leave_to_dial
from acd.calls.lookout import Seeking, WaitingPlace, states_of
from acd.calls.machine import step
from acd.calls.messages import BoxFull
from acd.calls.model import Call, Effect, Event, Side, State, Timer
from acd.calls.outward import NoRoute, about
from acd.calls.ports import Services
from acd.calls.steps import ending
from acd.calls.steps.context import Context
from acd.calls.steps.guiding import ticket_of
from acd.calls.steps.phones import agents_outside, phones_of
from acd.directory.model import Srtp
from acd.errors import AcdError
from acd.log import mask
from acd.media.engine import LegStatistics
from acd.sip.core.events import LegAnswered, LegEnded, LegEvent
from acd.sip.watching import PhoneState
from ivr.mailbox import Waiting
from ivr.prompts import UnknownPrompt
from routing.model import Offer, Requirement, Ticket
from routing.requirement import first_score, in_force, still_asked

_CALLS_OUTSIDE = frozenset({State.DIALLING, State.CALLING, State.FORWARDING})


@dataclass(frozen=True, slots=True)
class OfLeg:
    """Something happened to a leg, whose side is that of the moment when this is heard: seats may change."""

    leg: str
    event: m.LegOver | m.MediaLost


INBOX_LIMIT = 512
"""More than a call can ever need; a flood of digits beyond it is dropped."""

_MAILBOX_SECONDS = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LegRegistry:
    """How a session makes its legs known, so that what happens to them finds it."""

    add: Callable[[str, CallSession], None]
    remove: Callable[[str], None]
    spawn: Callable[[Awaitable[None]], object]
    find: Callable[[str], CallSession | None]
    """A live call by its id."""
    make: Callable[[CallbackOrder], None]
    """Put somebody in line who is to be called."""


@dataclass(frozen=True, slots=True)
class Joining:
    """A leg that has just joined the call, and the one whose place it took."""

    side: Side
    left: str | None
    offer: Offer | None = None
    """The reservation that came with it."""


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
        self.call = call
        self._near = near
        self._srtp: Srtp = srtp
        self._services = services
        self._context = context
        self._side_legs: dict[Side, str] = {Side.CALLER: leg}
        self._rung: dict[int, str] = {}
        """Where several agents are rung together, their legs by the tokens of their offers."""
        self._joining: Joining | None = None
        self._ticket: Ticket | None = None
        """The last that was put in line."""
        self._phones: tuple[PhoneState, ...] = ()
        self._agents_outside: frozenset[str] = frozenset()
        self._outside_leg: str | None = None
        """Of the number outside that is called, or was last."""
        self._outside_legs = 0
        self._legs = legs
        self._booking = Booking(services.store, call.node, services.clock, legs.spawn, self.post, legs.make)
        self._inbox: asyncio.Queue[Event | OfLeg] = asyncio.Queue(INBOX_LIMIT)
        self._timers: dict[Timer, tuple[asyncio.TimerHandle, m.TimerFired]] = {}
        legs.add(leg, self)

    def post(self, event: Event | OfLeg) -> None:
        """Hand in an event; never blocks."""
        try:
            self._inbox.put_nowait(event)
        except asyncio.QueueFull:
            log.warning("call-inbox-full", dropped=type(event).__name__)

    def side_of(self, leg: str) -> Side | None:
        """Which side a leg is, or None for one that this call has let go."""
        return next((side for side, held in self._side_legs.items() if held == leg), None)

    def leg_of(self, side: Side) -> str | None:
        return self._side_legs.get(side)

    async def run(self) -> None:
        """Live through the call. Whatever goes wrong leaves by the one door."""
        call = self.call
        structlog.contextvars.bind_contextvars(call_id=call.id, node=call.node)
        try:
            while self.call.state is not State.ENDED:
                event = self._heard(await self._inbox.get())
                if event is None:
                    continue
                if not (isinstance(event, m.TimerFired) and self._is_stale(event)):
                    await self._take(event)
        except Exception:
            log.exception("call-failed")
            await self._leave("internal")
        except asyncio.CancelledError:
            await self._leave("shutdown")
            raise
        finally:
            for handle, _ in self._timers.values():
                handle.cancel()

    def _heard(self, event: Event | OfLeg) -> Event | None:
        """None where it is about a leg that this call has let go meanwhile."""
        if not isinstance(event, OfLeg):
            return event
        side = self.side_of(event.leg)
        return None if side is None else replace(event.event, side=side)

    async def _take(self, event: Event) -> None:
        now = self._services.clock.time()
        before = self.call
        self.call, effects = step(self._context, before, event, now)
        if self.call.state is not before.state:
            log.debug("call-state", state=self.call.state.value, was=before.state.value)
        if self.call is not before:
            self._show_phones()
        if self.call.place is not before.place or self.call.offer is not before.offer:
            structlog.contextvars.bind_contextvars(queue=self.call.queue, agent=self.call.agent)
        if self.call is not before and self.call.state is not State.ENDED:
            self._services.journal.put(self.call.id, msgspec.msgpack.encode(self.call))
        for effect in effects:
            await self._carry_out(effect)

    async def _leave(self, cause: str) -> None:
        self.call, effects = ending.end(self.call, self._services.clock.time(), side="system", cause=cause)
        self._show_phones()
        for effect in effects:
            await self._carry_out(effect)

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
        pending = _EFFECTS[type(effect)](self, effect)
        if pending is not None:
            await pending

    # The caller's leg.

    async def _open_caller_media(self, effect: m.OpenCallerMedia) -> None:
        media, near, leg = self._services.media, self._near, self._side_legs[effect.side]
        try:
            if effect.offer is None:
                sdp = await media.offer(leg, near=near, srtp=self._srtp)
            else:
                sdp = await media.answer(leg, effect.offer, near=near, srtp=self._srtp)
        except AcdError as error:
            self.post(m.CallerMediaRefused(error.sip_status, error.cause))
        else:
            self.post(m.CallerMediaOpened(sdp))

    def _ask_caller(self, effect: m.AskCaller) -> None:
        async def ask() -> None:
            self.post(await self._services.callers.ask(effect))

        self._legs.spawn(ask())

    def _answer_caller(self, effect: m.AnswerCaller) -> None:
        self._services.sip.accept(self._side_legs[effect.side], effect.sdp)

    def _refuse_caller(self, effect: m.RefuseCaller) -> None:
        if leg := self.leg_of(effect.side):
            self._services.sip.refuse(leg, effect.status, effect.why)

    def _apply_caller_answer(self, effect: m.ApplyCallerAnswer) -> None:
        try:
            self._services.media.apply_answer(self._side_legs[effect.side], effect.sdp)
        except AcdError as error:
            self.post(m.ClearRequested(error.cause))

    def _hang_up(self, effect: m.HangUp) -> None:
        if leg := self.leg_of(effect.side):
            self._services.sip.hangup(leg, effect.reason)

    # The agent's leg.

    async def _ring_agent(self, effect: m.RingAgent) -> None:
        leg = self._side_legs[Side.AGENT] = f"{self.call.id}-{self.call.offers}"
        if effect.offer.together:
            await self._ring_together(leg, effect.offer)
            return
        try:
            await self._invite(leg, effect.offer.agent_id)
        except AcdError as error:
            self.post(m.AgentUnavailable(error.cause))

    async def _invite(self, leg: str, agent: str) -> None:
        """Ring an agent. Raises AcdError."""
        self._legs.add(leg, self)
        try:
            await self._services.sip.look_up(agent)
            srtp = self._services.sip.srtp_toward(agent)
            offer = await self._services.media.offer(leg, near=self._caller_leg, srtp=srtp)
            caller, caller_name = self._shown()
            self._services.sip.invite_agent(
                leg,
                agent,
                offer=offer,
                caller=caller,
                caller_name=caller_name,
                queue=self.call.queue,
                call_id=self.call.id,
            )
        except AcdError as error:
            log.info("agent-unreachable", agent=agent, cause=error.cause)
            raise

    def _shown(self) -> tuple[str, str]:
        """Number and name of who is on the line: the caller, or the agent who was sent on in their place."""
        sent_on = self._context.directory.agents.get(self.call.from_agent) if self.call.seated else None
        return (sent_on.extension, sent_on.name) if sent_on else (self.call.caller, self.call.caller_name)

    def agent_answered(self, sdp: bytes | None) -> None:
        """The agent's phone sent 200: take its answer, or let the phone go."""
        leg = self.leg_of(Side.AGENT)
        if leg is None:
            return
        try:
            self._services.media.apply_answer(leg, sdp or b"")
        except AcdError as error:
            self.post(m.AgentUnavailable(error.cause))
        else:
            self.post(m.AgentAnswered(sdp or b""))

    async def _ring_rival(self, effect: m.RingRival) -> None:
        await self._ring_together(f"{self.call.id}-{self.call.offers}", effect.offer)

    async def _ring_together(self, leg: str, offer: Offer) -> None:
        self._rung[offer.token] = leg
        try:
            await self._invite(leg, offer.agent_id)
        except AcdError as error:
            self.post(m.RivalOver(offer.token, "local", error.sip_status))

    def rung_for(self, leg: str) -> int | None:
        """The token of the offer for which this leg rings; None where one agent is rung alone."""
        return next((token for token, held in self._rung.items() if held == leg), None)

    def on_rung(self, token: int, event: LegEvent) -> None:
        """Something happened to the phone of one of several agents who are rung together."""
        match event:
            case LegAnswered(leg=leg, sdp=sdp):
                try:
                    self._services.media.apply_answer(leg, sdp or b"")
                except AcdError as error:
                    self.post(m.RivalOver(token, "local", error.sip_status))
                else:
                    self.post(m.RivalAnswered(token))
            case LegEnded(by=by, status=status):
                self.post(m.RivalOver(token, by, status))

    async def _release_rival(self, effect: m.ReleaseRival) -> None:
        await self._release(self._rung.pop(effect.token, None), effect.reason)

    def _take_rival(self, effect: m.TakeRival) -> None:
        if leg := self._rung.get(effect.token):
            self._side_legs[Side.AGENT] = leg

    def _confirm_offer(self, effect: m.ConfirmOffer) -> None:
        self._rung.clear()
        self._booking.confirm(effect)

    async def _release_agent_leg(self, effect: m.ReleaseAgentLeg) -> None:
        await self._release(self._side_legs.pop(Side.AGENT, None), effect.reason)

    async def _release(self, leg: str | None, reason: str, side: Side = Side.AGENT) -> None:
        if leg is None:
            return
        self._legs.remove(leg)
        self._rung = {token: rung for token, rung in self._rung.items() if rung != leg}
        self._services.sip.hangup(leg, reason)
        statistics = await self._services.media.close(leg)
        self._tell(LegClosed(self.call.id, side.value, statistics))

    # A number outside.

    def _seat_agent(self, effect: m.SeatAgent) -> None:
        self._side_legs[Side.AGENT] = self._caller_leg
        self._side_legs[Side.CALLER] = f"{self.call.id}-outside"

    def _tell_ringing(self, effect: m.TellRinging) -> None:
        if leg := self.leg_of(Side.AGENT):
            self._services.sip.ring(leg, effect.status, effect.sdp)

    def _ask_leave(self, effect: m.AskLeave) -> None:
        async def ask() -> None:
            services = self._services
            self.post(await leave_to_dial(services.do_not_call, effect.outside, services.outside.of))

        self._legs.spawn(ask())

    async def _call_outside(self, effect: m.CallOutside) -> None:
        """By one way; what was tried before is let go."""
        outside, way, side = effect.outside, effect.outside.way, effect.side
        await self._release(self._outside_leg, "", side)
        self._outside_legs += 1
        leg = self._outside_leg = self._side_legs[side] = f"{self.call.id}-out{self._outside_legs}"
        self._legs.add(leg, self)
        near = self.leg_of(Side.AGENT if side is Side.CALLER else Side.CALLER)
        try:
            if way is None:
                raise NoRoute("no route leads over any trunk")
            srtp = self._services.sip.srtp_toward_trunk(way.trunk)
            offer = await self._services.media.offer(leg, near=near, srtp=srtp)
            self._services.sip.invite_number(
                leg,
                way.trunk,
                way.digits,
                offer=offer,
                caller=outside.shown,
                caller_name="",
                withheld=self.call.withheld,
                diverted_from=self.call.called if self.call.state is State.FORWARDING else "",
                about=about(self._context.directory, self.call),
                call_id=self.call.id,
            )
        except AcdError as error:
            log.info("trunk-did-not-take-the-call", trunk=way.trunk if way else "", cause=error.cause)
            self.post(m.NumberUnreachable(error.cause))

    def is_outside(self, leg: str) -> bool:
        """Whether this is the leg of the number outside that is called now."""
        return leg == self._outside_leg and self.call.state in _CALLS_OUTSIDE

    def outside_progressed(self, status: int, sdp: bytes | None) -> None:
        """The number outside rings, or something is played before it answers."""
        early = bool(sdp) and self.call.hears_early and self._takes_answer(sdp or b"", early=True)
        self.post(m.NumberProgressed(status, early))

    def outside_answered(self, sdp: bytes | None) -> None:
        """The number outside sent 200."""
        if self._takes_answer(sdp or b"", early=False):
            self.post(m.NumberAnswered())

    def _takes_answer(self, sdp: bytes, *, early: bool) -> bool:
        try:
            self._services.media.apply_answer(self._outside_leg or "", sdp, early=early)
        except AcdError as error:
            log.info("answer-of-trunk-not-used", cause=error.cause, early=early)
            if not early:
                self.post(m.NumberUnreachable(error.cause))
            return False
        return True

    def _note_refused_dial(self, effect: m.NoteRefusedDial) -> None:
        log.warning("dial-refused", agent=effect.agent, number=mask(effect.number), cause=effect.cause)
        self._tell(DialRefused(self.call.id, effect.agent, effect.cause))

    def _about_callback(self, effect: m.BeginAttempt | m.CallbackMade | m.SettleCallback) -> None:
        order, errand = self.call.callback, self._booking.errand
        if order is None:
            return
        match effect:
            case m.BeginAttempt():
                errand.begin(order.id)
            case m.CallbackMade():
                errand.made(order.id)
            case m.SettleCallback():
                errand.settle(order.id, effect)

    # What they hear.

    def reoffered(self, side: Side, offer: bytes | None) -> None:
        """A re-INVITE: our media answers it, the machine decides what it means."""
        leg = self.leg_of(side)
        if leg is None:
            return
        try:
            answer, direction = self._services.media.reanswer(leg, offer)
        except AcdError as error:
            self.post(m.ReofferUnusable(side, error.sip_status))
        else:
            self.post(m.Reoffered(side, answer, direction))

    def reoffer_answered(self, side: Side, sdp: bytes | None) -> None:
        """The answer to an offer of ours within the call; the audio stays as it was where it is unusable."""
        leg = self.leg_of(side)
        if leg is None or sdp is None:
            return
        try:
            direction = self._services.media.apply_answer(leg, sdp)
        except AcdError as error:
            log.info("reoffer-answer-not-used", side=side.value, cause=error.cause)
        else:
            self.post(m.ReofferAnswered(side, direction))

    def _accept_reoffer(self, effect: m.AcceptReoffer) -> None:
        if leg := self.leg_of(effect.side):
            self._services.sip.accept_reoffer(leg, effect.answer)

    def _refuse_reoffer(self, effect: m.RefuseReoffer) -> None:
        if leg := self.leg_of(effect.side):
            self._services.sip.refuse_reoffer(leg, effect.status)

    @property
    def _caller_leg(self) -> str:
        return self._side_legs[Side.CALLER]

    def _play_to_caller(self, effect: m.PlayToCaller) -> None:
        files = self._files(effect.prompts, effect.language)
        self._services.media.play(self._caller_leg, str(effect.playback), files)

    def _files(self, prompts: Sequence[str], language: str) -> list[Path]:
        """Of the prompts that there are: a recording that was taken away must not end the call."""
        found = []
        for prompt in prompts:
            try:
                found.append(self._services.prompts.resolve(prompt, language))
            except UnknownPrompt as error:
                log.error("prompt-missing", error=str(error))
        return found

    def _play_music(self, effect: m.PlayMusic) -> None:
        if leg := self.leg_of(effect.side):
            self._services.media.music(leg, self._services.prompts.music(effect.name))

    def _play_silence(self, effect: m.PlaySilence) -> None:
        if leg := self.leg_of(effect.side):
            self._services.media.silence(leg)

    def _play_echo(self, effect: m.PlayEcho) -> None:
        self._services.media.echo(self._caller_leg)

    def _bridge(self, effect: m.BridgeLegs) -> None:
        if leg := self.leg_of(Side.AGENT):
            self._services.media.bridge(self._caller_leg, leg)

    # Voice messages.

    async def _take_message(self, effect: m.TakeMessage) -> None:
        recording = effect.message.id
        try:
            file = await self._services.messages.begin(effect.message)
        except AcdError as error:
            why = "full" if isinstance(error, BoxFull) else "failed"
            self.post(m.RecordingOver(recording, 0.0, why))
            return
        self._services.media.record(
            self._caller_leg,
            recording,
            file,
            limit_seconds=effect.limit_seconds,
            silence_seconds=effect.silence_seconds,
        )

    def _end_message(self, effect: m.EndMessage) -> None:
        self._services.media.stop_recording(self._caller_leg)

    def _open_mailbox(self, effect: m.OpenMailbox) -> None:
        async def ask() -> None:
            messages: tuple[Waiting, ...] | None = None
            try:
                async with asyncio.timeout(_MAILBOX_SECONDS):
                    messages = tuple(await self._services.messages.waiting(effect.box))
            except Exception as error:
                log.warning("mailbox-not-opened", box=effect.box, error=str(error) or type(error).__name__)
            self.post(m.MailboxOpened(messages))

        self._legs.spawn(ask())

    def _play_message(self, effect: m.PlayMessage) -> None:
        files = self._files(effect.prompts, effect.language)
        if effect.message:
            audio = self._services.messages.audio(effect.message)
            there = audio.exists()
            if not there:
                log.warning("message-audio-not-here", message=effect.message)
            files += [audio] if there else self._files(("not-possible",), effect.language)
        self._services.media.play(self._caller_leg, str(effect.playback), files)

    def _mark_heard(self, effect: m.MarkHeard) -> None:
        self._services.messages.heard(effect.message, effect.agent)

    def _delete_message(self, effect: m.DeleteMessage) -> None:
        self._services.messages.deleted(effect.message)

    # Transfers.

    def _answer_refer(self, effect: m.AnswerRefer) -> None:
        if leg := self.leg_of(effect.side):
            self._services.sip.answer_refer(leg, effect.status)

    def _report_refer(self, effect: m.ReportRefer) -> None:
        if leg := self.leg_of(effect.side):
            self._services.sip.report_refer(leg, effect.status)

    def _park_agent_leg(self, effect: m.ParkAgentLeg) -> None:
        if leg := self._side_legs.pop(Side.AGENT, None):
            self._side_legs[Side.TRANSFEROR] = leg

    def _reclaim_agent_leg(self, effect: m.ReclaimAgentLeg) -> None:
        if leg := self._side_legs.pop(Side.TRANSFEROR, None):
            self._side_legs[Side.AGENT] = leg

    def _change_seats(self, effect: m.ChangeSeats) -> None:
        legs = self._side_legs
        legs[Side.TRANSFEROR] = legs[Side.CALLER]
        legs[Side.CALLER] = legs.pop(Side.AGENT)

    def _change_seats_back(self, effect: m.ChangeSeatsBack) -> None:
        legs = self._side_legs
        legs[Side.AGENT] = legs[Side.CALLER]
        legs[Side.CALLER] = legs.pop(Side.TRANSFEROR)

    async def _release_transferor(self, effect: m.ReleaseTransferor) -> None:
        await self._release(self._side_legs.pop(Side.TRANSFEROR, None), effect.reason)

    def _ask_hand_over(self, effect: m.AskHandOver) -> None:
        if other := self._legs.find(effect.other_call):
            other.post(m.HandOverAsked(self.call.id))
        else:
            self.post(m.HandOverRefused())

    def _pass_on(self, effect: m.PassOn) -> None:
        if other := self._legs.find(effect.to_call):
            other.post(m.TransferAsked(self.call.called, by_phone=True))

    async def _hand_over(self, effect: m.HandOver) -> None:
        leg = self._side_legs.pop(Side.AGENT, None)
        other = self._legs.find(effect.to_call)
        if leg is not None and other is not None and other.adopt(leg, effect):
            return
        await self._release(leg, "normal")
        self._booking.finish(m.FinishConversation(effect.offer))

    async def _hand_over_outside(self, effect: m.HandOverOutside) -> None:
        leg, self._side_legs[Side.CALLER] = self._caller_leg, f"{self.call.id}-given"
        other = self._legs.find(effect.to_call)
        if other is None or not other.adopt_outside(leg, effect):
            await self._release(leg, "normal", Side.CALLER)

    def adopt(self, leg: str, given: m.HandOver) -> bool:
        """Take over an agent whom another call has reached. False where this call cannot."""
        if not self._can_join():
            return False
        self._join(leg, given.offer)
        self.post(m.TargetJoined(given.offer, given.place, given.holds))
        return True

    def adopt_outside(self, leg: str, given: m.HandOverOutside) -> bool:
        """The same with a number outside."""
        if not self._can_join():
            return False
        self._join(leg, None)
        self._outside_leg = leg
        self.post(m.OutsideJoined(given.outside, given.holds))
        return True

    def _can_join(self) -> bool:
        return self.call.state is not State.ENDED and self._joining is None

    def _join(self, leg: str, offer: Offer | None) -> None:
        # From here on, what the old phone does is no longer this call's business: it may hang up at once.
        self._joining = Joining(Side.AGENT, self.leg_of(Side.AGENT), offer)
        self._side_legs[Side.AGENT] = leg
        self._legs.add(leg, self)

    async def replace_phone(self, side: Side, leg: str, offer: bytes | None, srtp: Srtp) -> None:
        """Another phone of the same person takes over a side (RFC 3891): answer it, then change over."""
        sip, media = self._services.sip, self._services.media
        old = self.leg_of(side)
        if offer is None or old is None or self._joining is not None or self.call.state is not State.TALKING:
            sip.refuse(leg, 488 if offer is None else 491)
            return
        self._joining = Joining(side, old)
        self._side_legs[side] = leg
        self._legs.add(leg, self)
        try:
            sip.accept(leg, await media.answer(leg, offer, near=old, srtp=srtp))
        except AcdError as error:
            sip.refuse(leg, error.sip_status)
            await self._drop_joined(m.DropJoined())
        else:
            self.post(m.PhoneMoved(side))

    async def _take_joined(self, effect: m.TakeJoined) -> None:
        joining, self._joining = self._joining, None
        if joining is not None:
            if joining.left is not None and effect.report:
                self._services.sip.report_refer(joining.left, effect.report)
            await self._release(joining.left, effect.reason, joining.side)

    async def _drop_joined(self, effect: m.DropJoined) -> None:
        joining, self._joining = self._joining, None
        if joining is None:
            return
        leg = self._side_legs.pop(joining.side, None)
        if joining.left is not None:
            self._side_legs[joining.side] = joining.left
        await self._release(leg, "normal", joining.side)
        if joining.offer is not None:
            self._booking.finish(m.FinishConversation(joining.offer))

    # Timers.

    def _start_timer(self, effect: m.StartTimer) -> None:
        self._stop_timer(m.StopTimer(effect.timer))
        fired = m.TimerFired(effect.timer, effect.serial)
        handle = asyncio.get_running_loop().call_later(effect.seconds, self.post, fired)
        self._timers[effect.timer] = (handle, fired)

    def _stop_timer(self, effect: m.StopTimer) -> None:
        if running := self._timers.pop(effect.timer, None):
            running[0].cancel()

    def _is_stale(self, event: m.TimerFired) -> bool:
        """A timer that was stopped or started anew after it fired and before it was heard."""
        running = self._timers.get(event.timer)
        if running is None or running[1] is not event:
            return True
        del self._timers[event.timer]
        return False

    # The store, and the desk.

    def reassert(self) -> str:
        """Say again what this call is doing, to a store that may have forgotten it. Returns that in a word,
        or nothing of a call that the store need not know."""
        return self._booking.say_again(self._context, self.call)

    def rank(self) -> int:
        """Who is said again first: who talks, so that no agent seems free, then for whom a phone rings, then
        who is first in line."""
        call = self.call
        if call.state is State.QUEUED and call.place is not None:
            return first_score(ticket_of(self._context, call))
        return -2 if call.state is State.TALKING else -1

    def correct(self) -> tuple[str, Sequence[asyncio.Future[None]]]:
        """The same to a store that has lost what it knew last, and when each part of it was heard. What a
        crash would leave behind of the call is written down again, too."""
        if self.call.state is not State.ENDED:
            self._services.journal.put(self.call.id, msgspec.msgpack.encode(self.call))
        return self._booking.correct(self._context, lambda: self.call)

    def _say_place_again(self, effect: m.SayPlaceAgain) -> None:
        self.reassert()

    def needs(self) -> Requirement | None:
        """What the caller waits for now; None for one who does not wait."""
        if self.call.state is not State.QUEUED:
            return None
        return in_force(ticket_of(self._context, self.call), self._now_ms())

    def _now_ms(self) -> int:
        return round(self._services.clock.time() * 1000)

    def _enter_queue(self, effect: m.EnterQueue) -> None:
        self._ticket = effect.ticket
        self._booking.enter(effect)

    def waiting_place(self) -> WaitingPlace | None:
        """Where the caller waits who may go elsewhere by the rules of the queue."""
        call, ticket = self.call, self._ticket
        queue = self._context.queue(call.queue)
        if queue is None or not queue.rules or call.state is not State.QUEUED or call.callback is not None:
            return None
        if ticket is None or call.enqueued_at is None or ticket.call_id != call.entry:
            return None
        seeking = Seeking(still_asked(ticket, self._now_ms()), states_of(queue.agents_count_as_absent))
        rules = tuple(rule.when for rule in queue.rules)
        return WaitingPlace(
            call.entry, queue.name, call.enqueued_at, rules, call.spent_rules, seeking, self.post
        )

    def _ask_situation(self, effect: m.AskSituation) -> None:
        if place := self.waiting_place():
            self._booking.say(lambda: self._services.lookout.joining(place))

    def _ask_desk(self, effect: m.AskDesk) -> None:
        async def ask() -> None:
            prompt = await obey(self._services.desk, effect.agent, effect.action, effect.reason)
            self.post(m.DeskAnswered(prompt))

        self._legs.spawn(ask())

    def _ask_position(self, effect: m.AskPosition) -> None:
        self._booking.ask_position(self.call.entry)

    # The end.

    async def _close(self, effect: m.Close) -> None:
        if self._joining is not None:
            await self._drop_joined(m.DropJoined())
            await self._release(self._side_legs.pop(Side.AGENT, None), effect.cause)
        self._legs.remove(self._caller_leg)
        statistics = await self._services.media.close(self._caller_leg)
        self._tell(LegClosed(self.call.id, Side.CALLER.value, statistics))
        record = ending.record_of(self.call, effect, self._services.clock.time())
        record = msgspec.structs.replace(record, **_figures(statistics))
        self._services.journal.finish(record)
        self._tell(CallEnded(record))
        log.info("call-ended", outcome=record.outcome, cause=record.cause, by=record.hangup_side)

    def _tell_effect(self, effect: m.Tell) -> None:
        self._tell(effect.fact)

    def _tell(self, fact: CallFact) -> None:
        for observer in self._services.observers:
            observer(fact)


def _figures(statistics: LegStatistics) -> dict[str, Any]:
    return {
        "packets_lost": statistics.packets_lost,
        "jitter_seconds": round(statistics.jitter_seconds, 6),
    }


_EFFECTS: dict[type[Any], Callable[[CallSession, Any], Awaitable[None] | None]] = {
    m.OpenCallerMedia: CallSession._open_caller_media,
    m.AskCaller: CallSession._ask_caller,
    m.AnswerCaller: CallSession._answer_caller,
    m.RefuseCaller: CallSession._refuse_caller,
    m.ApplyCallerAnswer: CallSession._apply_caller_answer,
    m.HangUp: CallSession._hang_up,
    m.AcceptReoffer: CallSession._accept_reoffer,
    m.RefuseReoffer: CallSession._refuse_reoffer,
    m.PlayToCaller: CallSession._play_to_caller,
    m.PlayMusic: CallSession._play_music,
    m.PlaySilence: CallSession._play_silence,
    m.PlayEcho: CallSession._play_echo,
    m.BridgeLegs: CallSession._bridge,
    m.StartTimer: CallSession._start_timer,
    m.StopTimer: CallSession._stop_timer,
    m.RingAgent: CallSession._ring_agent,
    m.ReleaseAgentLeg: CallSession._release_agent_leg,
    m.RingRival: CallSession._ring_rival,
    m.ReleaseRival: CallSession._release_rival,
    m.TakeRival: CallSession._take_rival,
    m.EnterQueue: CallSession._enter_queue,
    m.SayPlaceAgain: CallSession._say_place_again,
    m.LeaveQueue: lambda session, effect: session._booking.leave(effect),
    m.ConfirmOffer: CallSession._confirm_offer,
    m.RejectOffer: lambda session, effect: session._booking.reject(effect),
    m.FinishConversation: lambda session, effect: session._booking.finish(effect),
    m.NoteCallback: lambda session, effect: session._booking.errand.note(effect),
    m.MakeCallback: lambda session, effect: session._booking.errand.make(),
    m.DropCallback: lambda session, effect: session._booking.errand.drop(effect),
    m.SeatAgent: CallSession._seat_agent,
    m.TellRinging: CallSession._tell_ringing,
    m.AskLeave: CallSession._ask_leave,
    m.CallOutside: CallSession._call_outside,
    m.NoteRefusedDial: CallSession._note_refused_dial,
    m.BeginAttempt: CallSession._about_callback,
    m.CallbackMade: CallSession._about_callback,
    m.SettleCallback: CallSession._about_callback,
    m.AskDesk: CallSession._ask_desk,
    m.TakeMessage: CallSession._take_message,
    m.EndMessage: CallSession._end_message,
    m.OpenMailbox: CallSession._open_mailbox,
    m.PlayMessage: CallSession._play_message,
    m.MarkHeard: CallSession._mark_heard,
    m.DeleteMessage: CallSession._delete_message,
    m.AskPosition: CallSession._ask_position,
    m.AskSituation: CallSession._ask_situation,
    m.AnswerRefer: CallSession._answer_refer,
    m.ReportRefer: CallSession._report_refer,
    m.ParkAgentLeg: CallSession._park_agent_leg,
    m.ReclaimAgentLeg: CallSession._reclaim_agent_leg,
    m.ChangeSeats: CallSession._change_seats,
    m.ChangeSeatsBack: CallSession._change_seats_back,
    m.ReleaseTransferor: CallSession._release_transferor,
    m.AskHandOver: CallSession._ask_hand_over,
    m.HandOver: CallSession._hand_over,
    m.HandOverOutside: CallSession._hand_over_outside,
    m.PassOn: CallSession._pass_on,
    m.TakeJoined: CallSession._take_joined,
    m.DropJoined: CallSession._drop_joined,
    m.Tell: CallSession._tell_effect,
    m.Close: CallSession._close,
}
