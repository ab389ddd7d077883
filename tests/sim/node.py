"""One node: its calls, and what keeps it in touch with the store."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from acd.calls import model as m
from acd.calls.beginning import call_back
from acd.calls.callbacks import CallbackOrder
from acd.calls.keeper import EVERY_SECONDS, CallbackKeeper
from acd.calls.lookout import Seeking, WaitingPlace
from acd.calls.model import Call, call_of_entry
from acd.history.callbacks import RESTORED_AFTER_SECONDS
from acd.site_clock import LONGEST_LOOK_SECONDS, SiteTime, others_ahead
from routing.engine import Ear, Lease, sort_out
from routing.model import CallbackOver, NodeMessage, Offer, OfferWithdrawn
from routing.overflow import Situation, asks_who_waits, decide
from tests.sim.link import Lane, Link, SpokenStore
from tests.sim.people import Customer
from tests.sim.session import Session

if TYPE_CHECKING:
    from tests.sim.people import Caller
    from tests.sim.world import World

LEASE_MS = 30_000
_BEAT_MS = 1_000
TICK_MS = 1_000
KEEP_MS = round(EVERY_SECONDS * 1000)
LOOK_MS = 4_000
LOOK_AT_CLOCK_MS = 1_000
_MESSAGES_KEPT = 500


class Node:
    """As acd.calls.supervisor and routing.engine. `life` counts how often it began; what was planned before
    a crash does not happen after it."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.life = 0
        self.is_open = False
        self.sessions: dict[str, Session] = {}
        self._callbacks: dict[str, Session] = {}
        self.stream: deque[NodeMessage] = deque(maxlen=_MESSAGES_KEPT)
        self._entries = 0
        self._kept = 0, 0
        self.begin()

    def later(self, ms: int, work: Callable[..., None], *arguments: Any) -> None:
        """Do this unless the node has died by then."""
        self.world.schedule.after(ms, self._if_alive, self.life, work, arguments)

    def _if_alive(self, life: int, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        if life != self.life:
            return
        if self.is_frozen:
            self.world.schedule.after(
                self._frozen_until - self.world.schedule.now, self._if_alive, life, work, arguments
            )
        else:
            work(*arguments)

    @property
    def is_frozen(self) -> bool:
        return self._frozen_until > self.world.schedule.now

    @property
    def is_out_of_touch(self) -> bool:
        """It cannot know what the store does now."""
        return self.down or self.is_frozen or self.link.is_cut

    # Life and death.

    def begin(self) -> None:
        """Begin anew: what a predecessor left in the store goes, its calls are written down as lost."""
        self.link = Link(self)
        self.store = SpokenStore(self.world.register)
        self._own = Lane(self, may_be_late=False)
        self._lease, self._waits_for_lease = Lease(LEASE_MS), False
        callbacks = self.store.callbacks
        self._keeper = CallbackKeeper(self.name, callbacks, self, self.make_callback, lambda: True)
        self.away = False
        self.down = False
        self.lost = False
        """The store may lack what this node knows."""
        self._to_say, self._corrects = 0, ""
        self._ear, self._read_after, self._reading = Ear(), 0, False
        self._suspects: frozenset[str] = frozenset()
        self._deserted: set[Seeking] = set()
        for session in self.sessions.values():
            lost = m.Close(outcome="failed", hangup_side="system", cause="node-died")
            self.world.recorded(session.call, lost)
        self.sessions, self._callbacks = {}, {}
        self._frozen_until = 0
        self._booted = self.world.schedule.now
        wall = self.world.schedule.now + self.world.weather.wall_error_ms()
        self._time = SiteTime(0.0, wall / 1000)
        self._plan_cut()
        self._plan_freeze()
        if (ms := self.world.weather.until_crash_ms()) is not None:
            self.later(ms, self.crash)
        self._look_at_clock(self._on_time)

    def _on_time(self) -> None:
        self._own.say("reset_node", self.name, heard=self._opened)
        self.later(LOOK_AT_CLOCK_MS, self._keep_time)

    # As acd.site_clock.

    @property
    def now(self) -> int:
        """The time of the site as this node knows it (ms)."""
        return round(self._time.time(self._running) * 1000)

    @property
    def _running(self) -> float:
        """Seconds since it began: nobody sets this clock."""
        return (self.world.schedule.now - self._booted) / 1000

    def _keep_time(self) -> None:
        self.later(LOOK_AT_CLOCK_MS, self._keep_time)
        self._look_at_clock(lambda: None)

    def _look_at_clock(self, then: Callable[[], None]) -> None:
        """The words take their time each way."""
        if self.link.is_cut:
            if not self.is_open:
                self.later(LOOK_AT_CLOCK_MS, self._look_at_clock, then)
            return
        self.later(self.world.weather.delay_ms(), self._clock_seen, self._running, then)

    def _clock_seen(self, asked: float, then: Callable[[], None]) -> None:
        seen = self.world.store_clock, dict(self.world.clocks)
        self.later(self.world.weather.delay_ms(), self._clock_heard, asked, seen, then)

    def _clock_heard(
        self, asked: float, seen: tuple[float, dict[str, tuple[float, float]]], then: Callable[[], None]
    ) -> None:
        took = self._running - asked
        if took <= LONGEST_LOOK_SECONDS or not self.is_open:
            store, clocks = seen
            if self._time.hear(asked + took / 2, store, others_ahead(clocks, self.name, store)):
                self.world.counts["jump"] += 1
            self.world.clocks[self.name] = self._time.ahead(asked + took / 2, store), store
        then()

    def time(self) -> float:
        """As a Clock, for real code."""
        return self.now / 1000

    def _opened(self, answer: Any) -> None:
        self.is_open = True
        self._beat()
        self._keep_callbacks()
        self._restore_later()
        self._tick()
        self._look_out()
        self.later(LEASE_MS, self._look_for_ghosts)

    def crash(self) -> None:
        """As kill -9 does it. The phones notice some time later that nobody is there."""
        self.world.log("fault", self.name, "crash")
        self.world.counts["crash"] += 1
        self.life += 1
        self.is_open, self.down = False, True
        for session in self.sessions.values():
            self.world.cut_off(session)
        self.world.schedule.after(self.world.weather.down_ms(), self.begin)

    def _plan_cut(self) -> None:
        if (ms := self.world.weather.until_cut_ms()) is not None:
            self.later(ms, self._cut)

    def _plan_freeze(self) -> None:
        if (ms := self.world.weather.until_freeze_ms()) is not None:
            self.later(ms, self._freeze)

    def _freeze(self) -> None:
        """As SIGSTOP and SIGCONT do it: what falls due meanwhile is done then, in its order."""
        ms = self.world.weather.frozen_ms()
        self.world.log("fault", self.name, "freeze", ms)
        self.world.counts["freeze"] += 1
        self._plan_freeze()
        self._frozen_until = self.world.schedule.now + ms

    def _cut(self) -> None:
        ms = self.world.weather.cut_ms()
        self.world.log("fault", self.name, "cut", ms)
        self.world.counts["cut"] += 1
        self.link.is_cut = True
        self.later(ms, self._mended)
        self._plan_cut()

    def _mended(self) -> None:
        self.link.is_cut = False
        self.away = True
        self._read_after = 0
        self.hear_of_news()

    # The loops of the engine.

    def _beat(self) -> None:
        heard = partial(self._beaten, self.now)
        self.link.say("heartbeat", (self.name, self._lease.length_ms), {}, heard, self._not_beaten)

    def _beaten(self, said_at: int, lapsed: bool) -> None:
        self._lease.renewed(said_at)
        if self._waits_for_lease:
            self._waits_for_lease = False
            self._tick()
        if self.lost:
            self.away = self.lost = False
            self.link.say("calls_of", (self.name,), {}, self._correct, self._not_corrected)
        elif lapsed or self.away:
            self.away = False
            for session in list(self.sessions.values()):
                session.say_again()
        self.later(_BEAT_MS, self._beat)

    def _correct(self, stored: list[str]) -> None:
        """Tell the store what is so, and then that this was all."""
        for call_id in stored:
            if not self.is_live(call_id):
                self.link.say("cancel", (call_id,), {"how": "released"}, lambda answer: None, lambda: None)
        self._restore_later()
        self._corrects = self.link.run
        heard = [self._own.put_first(lambda: self.store.callbacks.say_again(self.now))]
        for session in sorted(self.sessions.values(), key=lambda session: session.rank()):
            heard += session.correct()
        self._to_say = len(heard)
        for part in heard:
            part.add_done_callback(self._one_is_said)

    def _not_corrected(self) -> None:
        self.lost = True

    def _one_is_said(self, _: Any) -> None:
        self._to_say -= 1
        if self._to_say == 0 and self.world.run_of_store == self._corrects:
            self.link.say("settled", (self.name,), {}, lambda answer: None, lambda: None)

    def keep_stream(self) -> None:
        self._kept = len(self.stream), self._entries

    def lose_stream(self, everything: bool) -> None:
        """The messages go back with the store; what was heard of them is known here."""
        if everything:
            self.stream.clear()
        else:
            kept, entries = self._kept
            for _ in range(self._entries - entries):
                if len(self.stream) > kept or self.stream:
                    self.stream.pop()
        if not self.down:
            self._read_after = 0
            self.away = True
            self.hear_of_news()

    def _not_beaten(self) -> None:
        self.away = True
        self.later(1_000, self._beat)

    def _tick(self) -> None:
        if not self._lease.holds(self.now):
            self._waits_for_lease = True
            return
        self.link.say("tick", (), {}, lambda answer: None, lambda: None)
        self.later(TICK_MS, self._tick)

    def _look_for_ghosts(self) -> None:
        self.later(LEASE_MS, self._look_for_ghosts)
        self.link.say("calls_of", (self.name,), {}, self._looked, lambda: None)

    def _looked(self, stored: list[str]) -> None:
        ghosts, self._suspects = sort_out(stored, self._suspects, self.is_live)
        for call_id in ghosts:
            self.world.counts["ghosts"] += 1
            self.link.say("cancel", (call_id,), {"how": "released"}, lambda answer: None, lambda: None)

    def _keep_callbacks(self) -> None:
        """As the loop of acd.calls.keeper."""
        self.later(KEEP_MS, self._keep_callbacks)
        if self._own.is_empty:
            self._own.put(self._keeper.look)

    def _restore_later(self) -> None:
        """As acd.history.callbacks.CallbackRestorer."""
        self.later(round(RESTORED_AFTER_SECONDS * 1000), self._restore)

    def _restore(self) -> None:
        self._own.put(lambda: self.store.callbacks.restore(self.now))

    # As acd.calls.lookout, with fewer looks.

    def _look_out(self) -> None:
        self.later(LOOK_MS, self._look_out)
        found = (session.waiting_place() for session in self.sessions.values())
        wanted: dict[Seeking, list[WaitingPlace]] = {}
        for place in found:
            if place is not None and asks_who_waits(place.rules, place.spent):
                wanted.setdefault(place.seeking, []).append(place)
        self._deserted &= set(wanted)
        self._expect()
        for seeking, places in wanted.items():
            heard = partial(self._looked_out, seeking, places)
            self.link.say("crowd", ("", seeking.requirements, seeking.absent), {}, heard, lambda: None)

    def _expect(self) -> None:
        """Callers who will wait too long, by what is expected."""
        for session in list(self.sessions.values()):
            place = session.waiting_place()
            if place is None or all(rule.expected_wait_over_seconds is None for rule in place.rules):
                continue
            waited = self.now / 1000 - place.since
            situation = Situation(
                waited_seconds=waited, expected_seconds=self.world.forecast.of_call(place.entry)
            )
            self._tell_where_a_rule_holds(place, situation)

    @staticmethod
    def _tell_where_a_rule_holds(place: WaitingPlace, situation: Situation) -> None:
        if decide(place.rules, situation, place.spent) is not None:
            place.post(m.SituationKnown(place.entry, situation))

    def _looked_out(self, seeking: Seeking, places: list[WaitingPlace], answer: Any) -> None:
        if answer is None or answer[1]:
            self._deserted.discard(seeking)
        elif seeking not in self._deserted:
            self._deserted.add(seeking)
        else:
            for place in places:
                waited = self.now / 1000 - place.since
                self._tell_where_a_rule_holds(place, Situation(waited_seconds=waited, agent_there=False))

    # Messages.

    def told(self, message: NodeMessage) -> None:
        """The store adds to this node's stream."""
        self._entries += 1
        self.stream.append(message)
        self.hear_of_news()

    def hear_of_news(self) -> None:
        if not (self._reading or self.down or self.link.is_cut):
            self._reading = True
            self.later(self.world.weather.delay_ms(), self._read)

    def _read(self) -> None:
        self._reading = False
        if self.link.is_cut:
            return
        unread, self._read_after = self._entries - self._read_after, self._entries
        first = max(0, len(self.stream) - unread)
        for message in list(islice(self.stream, first, None)):
            if self._ear.is_news(message):
                self._hear(message)

    def _hear(self, message: NodeMessage) -> None:
        if isinstance(message, CallbackOver):
            if session := self._callbacks.get(message.callback_id):
                session.post(m.CallbackGone(message.how))
            return
        if not isinstance(message, Offer | OfferWithdrawn):
            return
        session = self.sessions.get(call_of_entry(message.call_id))
        if session is None or session.call.entry != message.call_id:
            if isinstance(message, Offer):
                self.link.say("cancel", (message.call_id,), {}, lambda answer: None, lambda: None)
        elif isinstance(message, Offer):
            session.post(m.OfferMade(message))
        else:
            session.post(m.OfferTakenBack(message.token))

    # Calls.

    def take(self, call: Call, caller: Caller) -> Session:
        session = self.sessions[call.id] = Session(self, call, caller)
        session.post(m.CallArrived(b"offer"))
        return session

    def make_callback(self, order: CallbackOrder) -> None:
        """Put somebody in line who is to be called; nothing where this node is at it already."""
        if order.id in self._callbacks:
            return
        call = call_back(order, self.world.new_id(), self.name, self.time())
        session = Session(self, call, Customer(self.world, self, order))
        self.sessions[call.id] = self._callbacks[order.id] = session
        session.post(m.CallbackDue())

    def over(self, call_id: str) -> None:
        """The call has ended; its lane says what is still to be said."""
        order = self.sessions.pop(call_id).call.callback
        if order is not None:
            del self._callbacks[order.id]

    def is_live(self, call_id: str) -> bool:
        return call_of_entry(call_id) in self.sessions
