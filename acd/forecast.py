"""The expected wait of each caller and queue: learns from the calls of this node, looks every few seconds.

Says nothing (None) of a queue that nobody who is there could serve. What is learnt is kept in the store, for
all nodes and for after a restart.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from acd.agents.terms import SKILL_QUEUE
from acd.calls.facts import (
    CallAnswered,
    CallEnded,
    CallFact,
    CallQueued,
    ExpectationMet,
    Observer,
    WrapupEnded,
)
from acd.calls.steps.context import EXTENSION_QUEUE
from acd.calls.steps.needs import first_needs, requirement_of, steps_of
from acd.clock import Clock
from acd.directory.model import Directory, Queue
from acd.polling import Poll
from routing.estimate import Agent, Durations, Habits, Stage, Waiter, duration_bucket, waiter_of
from routing.limits import CLASSES_WARNED_OF
from routing.model import Ticket
from routing.outlook import Outlook
from routing.ports import StoreUnavailable
from routing.store.survey import Line, durations_of

log = structlog.get_logger(__name__)

LOOK_SECONDS = 5.0
_SHARE_OF_TIME = 0.05
"""Of its time that the node spends on looking, at most."""
_SAMPLE_SECONDS = 30.0
_MOST_SAMPLES = 40
_FEWER_CLASSES = (
    "calls ask for too many different things of their agents, and each such class costs time at every match: "
    "let flows, numbers and look-ups set fewer different skills and levels"
)
_FIRST_GUESS: Mapping[Stage, float] = {"ring": 6.0, "talk": 180.0, "wrapup": 1.0}
"""Seconds of the stages, until calls were handled."""


class Survey(Protocol):
    """The part of the store that the forecast reads, and where it keeps what it learnt."""

    async def line(self) -> Line: ...

    async def agents_at_work(self, now_ms: int) -> Sequence[Agent]: ...

    async def learn(self, queue: str, more: Mapping[str, int]) -> Mapping[str, int]:
        """Adds to what is known of a queue and returns all of it. Raises StoreUnavailable."""
        ...


@dataclass(slots=True)
class _Look:
    """The centre as it was at `at` (monotonic seconds)."""

    at: float = 0.0
    calls: Mapping[str, float] = field(default_factory=dict)
    queues: Mapping[str, float] = field(default_factory=dict)
    outlook: Outlook | None = None
    unseen: int = 0
    classes: int = 0


@dataclass(frozen=True, slots=True)
class _Newcomer:
    """Who came since the last look began, at a time (monotonic seconds), and the wait expected then."""

    waiter: Waiter
    at: float
    expected: float | None


@dataclass(slots=True)
class _Told:
    """What a caller of this node could be told, of the wait from `at` (monotonic seconds) on."""

    entry: str
    queue: str
    at: float
    joined: float | None
    updated: list[float] = field(default_factory=list)


class Forecast:
    """An observer of call facts. `tell` hears how each expectation compares with what came of it."""

    def __init__(
        self, survey: Survey, clock: Clock, directory: Callable[[], Directory], tell: Observer
    ) -> None:
        self._survey = survey
        self._clock = clock
        self._directory = directory
        self._tell = tell
        self._seen: dict[str, Counter[str]] = defaultdict(Counter)
        self._told: dict[str, _Told] = {}
        self._newcomers: dict[str, _Newcomer] = {}
        self._look = _Look()
        self._poll = Poll(
            self.look,
            LOOK_SECONDS,
            "forecast-blind",
            expected=(StoreUnavailable,),
            told_elsewhere=True,
            blind=self._forget,
            at_once=True,
            share_of_time=_SHARE_OF_TIME,
        )

    # What is expected.

    def of_queue(self, queue: str) -> float | None:
        """Seconds until an agent would answer somebody who came now, without wishes of their own."""
        return self._look.queues.get(queue)

    def of_queues(self) -> Mapping[str, float]:
        return self._look.queues

    def of_call(self, entry: str) -> float | None:
        """Seconds until an agent answers this waiting call."""
        if newcomer := self._newcomers.get(entry):
            expected, at = newcomer.expected, newcomer.at
        else:
            expected, at = self._look.calls.get(entry), self._look.at
        return None if expected is None else max(0.0, expected - (self._clock.monotonic() - at))

    @property
    def unseen(self) -> int:
        """Callers who waited at the last look and are too many to be reckoned with."""
        return self._look.unseen

    @property
    def classes(self) -> int:
        """Different needs of calls that the store knew at the last look."""
        return self._look.classes

    # What happens.

    def __call__(self, fact: CallFact) -> None:
        match fact:
            case CallQueued(call_id=call, queue=queue, ticket=ticket):
                self._told.pop(call, None)
                if ticket is not None:
                    self._joins(call, queue, waiter_of(ticket))
            case CallAnswered(call_id=call, queue=queue, wait_seconds=wait, ring_seconds=ring):
                self._note(queue, "ring", ring)
                self._seen[queue]["waited"] += round(wait)
                self._compare(self._told.pop(call, None), queue, wait)
            case WrapupEnded(queue=queue, seconds=seconds):
                self._note(queue, "wrapup", seconds)
            case CallEnded(record=record):
                self._told.pop(record.id, None)
                if record.outcome == "answered":
                    self._note(record.queue, "talk", record.talk_seconds)
                elif record.outcome == "abandoned" and record.queue:
                    self._seen[record.queue]["waited"] += round(record.wait_seconds)
                    self._seen[record.queue]["gave-up"] += 1

    def _joins(self, call: str, queue: str, waiter: Waiter) -> None:
        at, outlook = self._clock.monotonic(), self._look.outlook
        expected = None if outlook is None else outlook.join(waiter, self._now_ms())
        self._newcomers[waiter.name] = _Newcomer(waiter, at, expected)
        self._told[call] = _Told(waiter.name, queue, at, expected)

    def _compare(self, told: _Told | None, queue: str, wait: float) -> None:
        if told is None or told.queue != queue:
            return
        if told.joined is not None:
            self._tell(ExpectationMet(queue, told.joined, wait, "joined"))
        for expected in told.updated:
            self._tell(ExpectationMet(queue, expected, wait, "updated"))

    def _sample(self) -> None:
        """Of those who still wait, what they are told at every half minute of their wait."""
        now = self._clock.monotonic()
        for told in self._told.values():
            waited, samples = now - told.at, len(told.updated)
            if samples < _MOST_SAMPLES and waited >= (samples + 1) * _SAMPLE_SECONDS:
                expected = self.of_call(told.entry)
                if expected is not None:
                    told.updated.append(waited + expected)

    def _now_ms(self) -> int:
        return round(self._clock.time() * 1000)

    def _note(self, queue: str, stage: Stage, seconds: float) -> None:
        self._seen[queue][f"{stage}:{duration_bucket(seconds)}"] += 1

    # Looking.

    def start(self) -> None:
        self._poll.start()

    async def stop(self) -> None:
        await self._poll.stop()

    def _forget(self) -> None:
        """What was expected of a centre that cannot be seen any more is worth nothing."""
        self._look, self._newcomers = _Look(), {}

    async def look(self) -> None:
        """Work the waits out anew. Raises StoreUnavailable."""
        directory, now, now_ms = self._directory(), self._clock.monotonic(), self._now_ms()
        habits = await self._habits(directory)
        line = await self._survey.line()
        waiters = [waiter for waiter in line.waiters if waiter.requirement.queue in habits]
        at_work = await self._survey.agents_at_work(now_ms)
        # Who talks for no queue of the directory (an extension) will be free as others are.
        agents = [agent for agent in at_work if agent.busy is None or agent.busy.queue in habits]
        guesses = [_newcomer(queue, directory, now_ms) for queue in directory.queues.values()]
        # In a thread: a long line takes many milliseconds, for which signalling must not wait.
        outlook, queues = await asyncio.to_thread(_look_ahead, agents, waiters, guesses, habits, now_ms)
        before, self._look = self._look, _Look(now, outlook.waits, queues, outlook, line.unseen, line.classes)
        self._take_up_newcomers(now)
        self._sample()
        if line.unseen and not before.unseen:
            log.warning("forecast-line-too-long", unseen=line.unseen)
        if line.classes > CLASSES_WARNED_OF >= before.classes:
            log.warning("routing-classes-many", classes=line.classes, remedy=_FEWER_CLASSES)

    def _take_up_newcomers(self, looked_at: float) -> None:
        """Who came while the look was going on may not be in it."""
        outlook, newcomers = self._look.outlook, self._newcomers
        self._newcomers = {}
        for entry, newcomer in newcomers.items():
            if newcomer.at >= looked_at and entry not in self._look.calls and outlook is not None:
                elapsed_ms = round((newcomer.at - self._clock.monotonic()) * 1000)
                expected = outlook.join(newcomer.waiter, self._now_ms() + elapsed_ms)
                self._newcomers[entry] = _Newcomer(newcomer.waiter, newcomer.at, expected)

    async def _habits(self, directory: Directory) -> dict[str, Habits]:
        names = [*directory.queues, EXTENSION_QUEUE, SKILL_QUEUE]
        seen, self._seen = self._seen, defaultdict(Counter)
        try:
            known = await asyncio.gather(*(self._survey.learn(name, seen[name]) for name in names))
        except StoreUnavailable:
            for queue, counts in seen.items():
                self._seen[queue].update(counts)
            raise
        learnt = {name: durations_of(found) for name, found in zip(names, known, strict=True)}
        return {
            name: Habits(
                _stages(learnt[name], learnt.values(), directory.queues.get(name)), _giving_up(found)
            )
            for name, found in zip(names, known, strict=True)
        }


def _giving_up(known: Mapping[str, int]) -> float:
    return known.get("gave-up", 0) / max(1, known.get("waited", 0))


def _stages(
    own: Mapping[Stage, Durations], all_learnt: Iterable[Mapping[Stage, Durations]], rules: Queue | None
) -> Mapping[Stage, Durations]:
    """Of the queue itself; where nothing is known, as in any other queue; and else a guess."""
    stages: dict[Stage, Durations] = {}
    for stage, guess in _FIRST_GUESS.items():
        if stage == "wrapup" and rules is not None and stage not in own:
            stages[stage] = Durations.of(rules.wrapup_seconds)
            continue
        other = next((learnt[stage] for learnt in all_learnt if stage in learnt), None)
        stages[stage] = own.get(stage) or other or Durations.of(guess)
    return stages


def _look_ahead(
    agents: Sequence[Agent],
    waiters: Sequence[Waiter],
    guesses: Sequence[Waiter],
    habits: Mapping[str, Habits],
    now_ms: int,
) -> tuple[Outlook, Mapping[str, float]]:
    """What is to come, and what somebody would be told who came to each queue now."""
    outlook = Outlook(agents, waiters, habits, now_ms)
    told = {guess.requirement.queue: outlook.of(guess, now_ms) for guess in guesses}
    return outlook, {queue: wait for queue, wait in told.items() if wait is not None}


def _newcomer(queue: Queue, directory: Directory, now_ms: int) -> Waiter:
    """Somebody without wishes of their own."""
    needs = first_needs(queue, {}, (), directory.skills)
    target_ms = round(queue.service_level_seconds * 1000) if queue.order_by == "target" else 0
    steps = steps_of(queue, needs, directory.skills)
    requirement = requirement_of(queue, needs)
    return waiter_of(Ticket("?", "", requirement, now_ms, target_ms=target_ms, steps=steps))
