"""One call of a node: the real call machine, with phones, audio and store that are simulated."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from acd.calls import model as m
from acd.calls.booking import Booking, rank_of
from acd.calls.facts import CallOverflowed
from acd.calls.lookout import WaitingPlace, waiting_place
from acd.calls.machine import step
from acd.calls.model import Call, Side, State
from routing.model import Offer, Ticket
from routing.overflow import Situation
from tests.sim.link import Lane

if TYPE_CHECKING:
    from tests.sim.node import Node
    from tests.sim.people import Caller, Customer


class Session:
    """As acd.calls.session: events in, effects carried out, one after the other."""

    __slots__ = (
        "_busy",
        "_inbox",
        "_life",
        "_node",
        "_timers",
        "_world",
        "agent_leg",
        "booking",
        "call",
        "caller",
        "forgotten_since",
        "lane",
        "rung",
        "ticket",
    )

    def __init__(self, node: Node, call: Call, caller: Caller | Customer) -> None:
        self.call = call
        self.caller = caller
        self.lane = Lane(node, may_be_late=True)
        self.booking = Booking(node.store, node.name, node, self.lane, self.post, node.make_callback)
        self.agent_leg = ""
        self.rung: dict[int, str] = {}
        self.forgotten_since: int | None = None
        self.ticket: Ticket | None = None
        self._node = node
        self._life = node.life
        self._world = node.world
        self._inbox: deque[m.Event] = deque()
        self._timers: dict[m.Timer, object] = {}
        self._busy = False

    def post(self, event: m.Event) -> None:
        """Nothing where its node has died since."""
        if self._life != self._node.life:
            return
        self._inbox.append(event)
        if self._busy:
            return
        self._busy = True
        while self._inbox and self.call.state is not State.ENDED:
            self._take(self._inbox.popleft())
        self._busy = False

    def _take(self, event: m.Event) -> None:
        before = self.call.state
        self.call, effects = step(self._world.context, self.call, event, self._node.now / 1000)
        if self.call.state is not before:
            self._world.log(self.call.id, self.call.state)
        for effect in effects:
            if carry_out := EFFECTS[type(effect)]:
                carry_out(self, effect)

    # The caller's leg.

    def _open_caller_media(self, effect: m.OpenCallerMedia) -> None:
        self.post(m.CallerMediaOpened(b"answer"))

    def _ask_caller(self, effect: m.AskCaller) -> None:
        # Who spoke to a caller before has no bearing on what must hold: anybody will do.
        source, agents = self._world.source, sorted(self._world.context.directory.agents)
        known = tuple(m.Spoken(agent, self._node.now / 1000) for agent in source.sample(agents, 3))
        self._node.later(source.randrange(1, 900), self.post, m.CallerKnown(known))

    def _answer_caller(self, effect: m.AnswerCaller) -> None:
        self.caller.is_answered()

    def _hang_up(self, effect: m.HangUp) -> None:
        self.caller.is_let_go()

    def _play_to_caller(self, effect: m.PlayToCaller) -> None:
        self._node.later(1_500, self.post, m.PlaybackOver(effect.playback))

    def _take_message(self, effect: m.TakeMessage) -> None:
        self._node.later(4_000, self.post, m.RecordingOver(effect.message.id, 3.0, "silence"))

    # The agent's leg.

    def rings(self, leg: str) -> bool:
        """Whether this call still wants something of a phone."""
        return leg == self.agent_leg or leg in self.rung.values()

    def _ring_agent(self, effect: m.RingAgent) -> None:
        self.agent_leg = self._ring(effect.offer)

    def _ring_rival(self, effect: m.RingRival) -> None:
        self._world.counts["rung-together"] += 1
        self._ring(effect.offer)

    def _ring(self, offer: Offer) -> str:
        leg = f"{self.call.id}-{self.call.offers}"
        if offer.together:
            self.rung[offer.token] = leg
        self._world.phones[offer.agent_id].ring(self._node, self, leg)
        return leg

    def _rung_for(self, leg: str) -> int | None:
        return next((token for token, held in self.rung.items() if held == leg), None)

    def agent_answered(self, leg: str) -> None:
        if (token := self._rung_for(leg)) is not None:
            self.post(m.RivalAnswered(token))
        elif leg == self.agent_leg:
            self.post(m.AgentAnswered(b"answer"))

    def agent_leg_over(self, leg: str, by: Any, status: int) -> None:
        if (token := self._rung_for(leg)) is not None:
            self.post(m.RivalOver(token, by, status))
        elif leg == self.agent_leg:
            self.post(m.LegOver(Side.AGENT, by, status))

    def _release_agent_leg(self, effect: m.ReleaseAgentLeg) -> None:
        leg, self.agent_leg = self.agent_leg, ""
        self.rung = {token: held for token, held in self.rung.items() if held != leg}
        self._world.release(leg)

    def _release_rival(self, effect: m.ReleaseRival) -> None:
        if leg := self.rung.pop(effect.token, ""):
            self._world.release(leg)

    def _take_rival(self, effect: m.TakeRival) -> None:
        if leg := self.rung.get(effect.token):
            self.agent_leg = leg

    def _bridge(self, effect: m.BridgeLegs) -> None:
        self._world.bridged(self, self.call.agent, self.agent_leg)

    # The store.

    def _enter(self, effect: m.EnterQueue) -> None:
        self.ticket = effect.ticket
        self._world.wishes.keeps_place(self.call, effect.ticket)
        self.booking.enter(effect)

    def _change_needs(self, effect: m.ChangeNeeds) -> None:
        self.ticket = effect.ticket
        self.booking.change_needs(effect)

    def waiting_place(self) -> WaitingPlace | None:
        world = self._world
        return waiting_place(world.context, self.call, self.ticket, self._node.now, self.post)

    def _ask_situation(self, effect: m.AskSituation) -> None:
        if place := self.waiting_place():
            asked = place.seeking.requirements, place.seeking.absent
            self.lane.say("crowd", place.entry, *asked, heard=lambda answer: self._joined(place, answer))

    def _joined(self, place: WaitingPlace, answer: Any) -> None:
        if answer is not None:
            others, there = answer
            expected = self._world.forecast.of_queue(place.queue)
            self.post(m.SituationKnown(place.entry, Situation(True, 0.0, others, expected, there)))

    def _tell(self, effect: m.Tell) -> None:
        if isinstance(effect.fact, CallOverflowed):
            self._world.overflowed(effect.fact)

    def _confirm(self, effect: m.ConfirmOffer) -> None:
        self.rung = {}
        self.booking.confirm(effect)

    def _ask_position(self, effect: m.AskPosition) -> None:
        self.booking.ask_position(self.call.entry, self._world.forecast.of_call)

    def say_again(self) -> None:
        """The store was away, and may have forgotten what this call does."""
        self.booking.say_again(self._world.context, self.call)

    def rank(self) -> int:
        return rank_of(self._world.context, self.call)

    def correct(self) -> Sequence[Future[None]]:
        """The store has lost what it knew last. What is done once it was told each part of it."""
        return self.booking.correct(self._world.context, lambda: self.call)[1]

    # Callbacks.

    def _note_callback(self, effect: m.NoteCallback) -> None:
        self._world.wishes.asked(effect.order, self.call)
        self.booking.errand.note(effect)

    def _begin_attempt(self, effect: m.BeginAttempt) -> None:
        self.booking.errand.begin(self.call.callback)

    def _call_outside(self, effect: m.CallOutside) -> None:
        self.caller.is_called(self)

    def _callback_made(self, effect: m.CallbackMade) -> None:
        self.booking.errand.made(self.call.callback.id)

    def _settle_callback(self, effect: m.SettleCallback) -> None:
        self.booking.errand.settle(self.call.callback.id, effect)

    # Timers.

    def _start_timer(self, effect: m.StartTimer) -> None:
        running = self._timers[effect.timer] = object()
        self._node.later(round(effect.seconds * 1000), self._fire, effect, running)

    def _fire(self, effect: m.StartTimer, running: object) -> None:
        if self._timers.get(effect.timer) is running:
            del self._timers[effect.timer]
            self.post(m.TimerFired(effect.timer, effect.serial))

    def _stop_timer(self, effect: m.StopTimer) -> None:
        self._timers.pop(effect.timer, None)

    def _close(self, effect: m.Close) -> None:
        self._world.recorded(self.call, effect)
        self._node.over(self.call.id)


EFFECTS: Mapping[type[Any], Callable[[Session, Any], None] | None] = {
    m.OpenCallerMedia: Session._open_caller_media,
    m.AskCaller: Session._ask_caller,
    m.AnswerCaller: Session._answer_caller,
    m.HangUp: Session._hang_up,
    m.PlayToCaller: Session._play_to_caller,
    m.TakeMessage: Session._take_message,
    m.RingAgent: Session._ring_agent,
    m.ReleaseAgentLeg: Session._release_agent_leg,
    m.RingRival: Session._ring_rival,
    m.ReleaseRival: Session._release_rival,
    m.TakeRival: Session._take_rival,
    m.BridgeLegs: Session._bridge,
    m.EnterQueue: Session._enter,
    m.ChangeNeeds: Session._change_needs,
    m.SayPlaceAgain: lambda session, effect: session.say_again(),
    m.LeaveQueue: lambda session, effect: session.booking.leave(effect),
    m.ConfirmOffer: Session._confirm,
    m.RejectOffer: lambda session, effect: session.booking.reject(effect),
    m.FinishConversation: lambda session, effect: session.booking.finish(effect),
    m.AskPosition: Session._ask_position,
    m.AskSituation: Session._ask_situation,
    m.Tell: Session._tell,
    m.StartTimer: Session._start_timer,
    m.StopTimer: Session._stop_timer,
    m.Close: Session._close,
    m.NoteCallback: Session._note_callback,
    m.MakeCallback: lambda session, effect: session.booking.errand.make(effect),
    m.DropCallback: lambda session, effect: session.booking.errand.drop(effect),
    m.BeginAttempt: Session._begin_attempt,
    m.CallOutside: Session._call_outside,
    m.CallbackMade: Session._callback_made,
    m.SettleCallback: Session._settle_callback,
    m.PlayMusic: None,
    m.PlaySilence: None,
}
