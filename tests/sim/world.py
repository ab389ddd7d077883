"""A centre of several nodes over one store, in virtual time, out of one seed."""

from __future__ import annotations

import hashlib
import random
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from acd.calls import model as m
from acd.calls.facts import CallOverflowed
from acd.calls.model import Call
from routing.model import NodeMessage, Offer
from tests.sim.centre import Centre
from tests.sim.checks import Checks
from tests.sim.forecast import Forecast
from tests.sim.node import Node
from tests.sim.people import Caller, Phone, Worker
from tests.sim.schedule import Schedule
from tests.sim.session import Session
from tests.sim.stores import SimulatedStore
from tests.sim.weather import CALM, Faults, Weather
from tests.sim.wishes import MemoryRegister, Wishes

NODES = ("n1", "n2", "n3")
LAST_EVENTS = 60
BETWEEN_CALLS_MS = 260
HEALS_WITHIN_MS = 900_000
"""From the end of all faults until the last call has ended."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to. Equal seeds, calls and faults give equal digests."""

    calls: int
    events: int
    digest: str
    counts: Mapping[str, int]


class World:
    """Everything of one run; `log` is the story of it."""

    def __init__(self, seed: int, store: SimulatedStore, faults: Faults) -> None:
        self.source = random.Random(seed)
        self.schedule = Schedule()
        self.weather = Weather(self.source, faults)
        self.store = store
        self.centre = Centre(self.source)
        self.context = self.centre.context
        self.records: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self.last: deque[tuple[Any, ...]] = deque(maxlen=LAST_EVENTS)
        self._digest = hashlib.blake2b(digest_size=16)
        self._faults = faults
        self._arrived = self._to_arrive = self._events = self._made = 0
        self.run_of_store = "run1"
        self._losses = 0
        self.clock_ahead = 0
        """By how much the store's clock shows too much (ms)."""
        self.clocks: dict[str, tuple[float, float]] = {}
        """What each node has said of its time: how far it is ahead of the store's, and when (seconds)."""
        self.register = MemoryRegister(self.schedule)
        self.nodes = {name: Node(self, name) for name in NODES}
        self.phones = {agent.id: Phone(self, agent) for agent in self.centre.agents}
        self.wishes = Wishes(self)
        self.checks = Checks(self)
        self.forecast = Forecast(self)
        self.workers = [Worker(self, agent) for agent in self.centre.agents]

    def log(self, *words: Any) -> None:
        entry = (self.schedule.now, *words)
        self._events += 1
        self.last.append(entry)
        self._digest.update(repr(entry).encode())

    @property
    def is_calm(self) -> bool:
        return self.weather.faults == CALM

    # The run.

    def run(self, calls: int, rounds: int) -> Outcome:
        """So many calls, in rounds: first with faults, safe at every step, then without until all is over."""
        for n in range(rounds):
            self.weather.faults = self._faults
            self._plan_loss()
            self._plan_clock()
            self._to_arrive += calls // rounds + (n < calls % rounds)
            self.schedule.after(0, self._call_comes)
            while self._arrived < self._to_arrive:
                self.schedule.go_on()
            self._heal()
        return Outcome(self._arrived, self._events, self._digest.hexdigest(), self.counts)

    def _heal(self) -> None:
        self.log("calm")
        self.weather.faults = CALM
        limit = self.schedule.now + HEALS_WITHIN_MS
        while not self.checks.all_is_over():
            assert self.schedule.now < limit, f"not over: {self.checks.what_is_left()}"
            self.schedule.go_on()
        self.checks.look_at_everything()
        self.wishes.all_ended()
        self.store.audit()
        self.counts["healed"] += 1

    def _call_comes(self) -> None:
        if self._arrived == self._to_arrive:
            return
        self.schedule.after(int(self.source.expovariate(1 / BETWEEN_CALLS_MS)), self._call_comes)
        node = self.open_node()
        if node is None:
            return
        self._arrived += 1
        call_id, number = f"c{self._arrived}", self.source.choice(self.centre.numbers)
        self.log(call_id, "arrives", number, node.name)
        Caller(self, node, call_id, number)

    def new_id(self) -> str:
        """Of a call that nobody made to us."""
        self._made += 1
        return f"k{self._made}"

    def open_node(self) -> Node | None:
        """One that takes calls."""
        able = [node for node in self.nodes.values() if node.is_open]
        return self.source.choice(able) if able else None

    def patience_ms(self) -> int:
        if self.is_calm:
            return HEALS_WITHIN_MS
        return 1_000 + int(self.source.expovariate(1 / 45_000))

    # What nodes and people do to the rest of it.

    def perform(
        self, node: str, verb: str, arguments: tuple[Any, ...], words: Mapping[str, Any], sent_at: int
    ) -> Any:
        """A word reaches the store. It carries the time at which it was said."""
        answer = self.checks.watch(node, verb, arguments, words, sent_at)
        for name, message in self.store.messages():
            self.log(name, type(message).__name__, *_facts(message))
            self.nodes[name].told(message)
        self.checks.said(verb, arguments, words, sent_at)
        return answer

    # Clocks.

    @property
    def store_clock(self) -> float:
        """What the clock of the store's machine shows, in seconds."""
        return (self.schedule.now + self.clock_ahead) / 1000

    @property
    def now(self) -> int:
        """The time of the site: that of the node that is furthest."""
        able = [node.now for node in self.nodes.values() if node.is_open]
        return max(able, default=round(self.store_clock * 1000))

    def _plan_clock(self) -> None:
        if (ms := self.weather.until_clock_ms()) is not None:
            self.schedule.after(ms, self._set_clock)

    def _set_clock(self) -> None:
        if self.is_calm:
            return
        by = self.weather.set_clock_ms()
        self.log("fault", "the store", "clock", by)
        self.counts["clock"] += 1
        self.clock_ahead += by
        self._plan_clock()

    # What becomes of the store.

    def _plan_loss(self) -> None:
        if (ms := self.weather.until_loss_ms()) is not None:
            self.schedule.after(ms, self._loss_begins)

    def _loss_begins(self) -> None:
        """What the store acknowledges from here on it will not have had."""
        if self.is_calm:
            return
        self.store.keep()
        for node in self.nodes.values():
            node.keep_stream()
        back = self.weather.lost_ms()
        self.schedule.after(back, self._lose, not back)

    def _lose(self, everything: bool) -> None:
        """Words and answers that are on their way are lost with their connections."""
        self._losses += 1
        self.run_of_store = f"run{self._losses + 1}"
        self.log("fault", "the store", "emptied" if everything else "goes back")
        self.counts["emptied" if everything else "went-back"] += 1
        self.store.lose(everything)
        self.checks.forget()
        for node in self.nodes.values():
            node.lose_stream(everything)
        self._plan_loss()

    def greet(self, node: Node, known: str) -> bool:
        """The first word of a node to this run of the store. Whether the store may lack something."""
        others = [other.name for other in self.nodes.values() if other is not node and other.is_open]
        lost = self.store.greet(node.name, self.run_of_store, known, others, node.now)
        self.log(node.name, "greets", self.run_of_store, lost)
        return lost

    def bridged(self, session: Session, agent_id: str, leg: str) -> None:
        """The two hear each other, for a while."""
        if session.call.callback is None:
            self.counts["talks"] += 1
        else:
            self.wishes.talks(session.call.callback)
        ms = 500 + int(self.source.expovariate(1 / 6_000))
        if self.source.random() < 0.6:
            self.schedule.after(ms, session.caller.hangs_up)
        else:
            self.schedule.after(ms, self.phones[agent_id].hangs_up, session, leg)

    def release(self, leg: str) -> None:
        """A node lets a phone go."""
        for phone in self.phones.values():
            if leg in phone.legs:
                self.schedule.after(30, phone.let_go, leg)

    def cut_off(self, session: Session) -> None:
        """The node of a call died: the phone finds out."""
        self.schedule.after(2_000, session.caller.is_let_go)
        for leg in {session.agent_leg, *session.rung.values()} - {""}:
            for phone in self.phones.values():
                self.schedule.after(2_000, phone.let_go, leg)

    def overflowed(self, fact: CallOverflowed) -> None:
        """A rule of a queue was carried out."""
        self.counts[f"overflow-{fact.to_kind}"] += 1
        self.counts[f"overflow-by-{fact.why}"] += 1
        self.log(fact.call_id, "overflows", fact.queue, fact.to_kind, fact.why)

    def recorded(self, call: Call, verdict: m.Close) -> None:
        """Invariant 2: one terminal outcome, written once."""
        assert call.id not in self.records, f"{call.id} ends twice"
        self.records[call.id] = verdict.outcome
        about = "" if call.callback is None else "callback call "
        self.counts[f"{about}{verdict.outcome}"] += 1
        self.counts[verdict.cause] += verdict.cause == "node-died"
        self.log(call.id, "ends", verdict.outcome, verdict.cause)


def _facts(message: NodeMessage) -> tuple[Any, ...]:
    if isinstance(message, Offer):
        return message.call_id, message.agent_id, message.deadline_ms, message.unanswered
    return getattr(message, "call_id", ""), getattr(message, "agent_id", ""), getattr(message, "taken_ms", "")
