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

from acd import tasks
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
from acd.calls.steps.needs import first_needs, requirement_of
from acd.clock import Clock
from acd.directory.model import Directory, Queue
from routing.estimate import Agent, Durations, Habits, Stage, Waiter, duration_bucket, expected_waits
from routing.ports import StoreUnavailable
from routing.requirement import missed, score
from routing.store.survey import durations_of

log = structlog.get_logger(__name__)

LOOK_SECONDS = 5.0
_SHARE_OF_TIME = 0.05
"""Of its time that the node spends on looking, at most."""
_FIRST_GUESS: Mapping[Stage, float] = {"ring": 6.0, "talk": 180.0, "wrapup": 1.0}
"""Seconds of the stages, until calls were handled."""


class Survey(Protocol):
    """The part of the store that the forecast reads, and where it keeps what it learnt."""

    async def waiters(self) -> Sequence[Waiter]: ...

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
        self._told: dict[str, tuple[str, float]] = {}
        self._look = _Look()
        self._task: asyncio.Task[None] | None = None

    # What is expected.

    def of_queue(self, queue: str) -> float | None:
        """Seconds until an agent would answer somebody who came now."""
        return self._look.queues.get(queue)

    def of_queues(self) -> Mapping[str, float]:
        return self._look.queues

    def of_call(self, entry: str) -> float | None:
        """Seconds until an agent answers this waiting call."""
        expected = self._look.calls.get(entry)
        return None if expected is None else max(0.0, expected - (self._clock.monotonic() - self._look.at))

    # What happens.

    def __call__(self, fact: CallFact) -> None:
        match fact:
            case CallQueued(call_id=call, queue=queue):
                if (expected := self.of_queue(queue)) is not None:
                    self._told[call] = (queue, expected)
            case CallAnswered(call_id=call, queue=queue, wait_seconds=wait, ring_seconds=ring):
                self._note(queue, "ring", ring)
                self._seen[queue]["waited"] += round(wait)
                told = self._told.pop(call, None)
                if told is not None and told[0] == queue:
                    self._tell(ExpectationMet(queue, told[1], wait))
            case WrapupEnded(queue=queue, seconds=seconds):
                self._note(queue, "wrapup", seconds)
            case CallEnded(record=record):
                self._told.pop(record.id, None)
                if record.outcome == "answered":
                    self._note(record.queue, "talk", record.talk_seconds)
                elif record.outcome == "abandoned" and record.queue:
                    self._seen[record.queue]["waited"] += round(record.wait_seconds)
                    self._seen[record.queue]["gave-up"] += 1

    def _note(self, queue: str, stage: Stage, seconds: float) -> None:
        self._seen[queue][f"{stage}:{duration_bucket(seconds)}"] += 1

    # Looking.

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="forecast")

    async def stop(self) -> None:
        await tasks.end(self._task)

    async def _run(self) -> None:
        while True:
            began = self._clock.monotonic()
            try:
                await self.look()
            except StoreUnavailable as error:
                # What was expected of a centre that cannot be seen any more is worth nothing.
                self._look = _Look()
                log.debug("forecast-blind", error=str(error))
            except Exception:
                log.exception("forecast-failed")
            spent = self._clock.monotonic() - began
            await asyncio.sleep(max(LOOK_SECONDS, spent / _SHARE_OF_TIME))

    async def look(self) -> None:
        """Work the waits out anew. Raises StoreUnavailable."""
        directory, now = self._directory(), self._clock.monotonic()
        habits = await self._habits(directory)
        now_ms = round(self._clock.time() * 1000)
        waiters = [w for w in await self._survey.waiters() if w.requirement.queue in habits]
        at_work = await self._survey.agents_at_work(now_ms)
        # Who talks for no queue of the directory (an extension) will be free as others are.
        agents = [agent for agent in at_work if agent.busy is None or agent.busy.queue in habits]
        guesses = [_newcomer(queue, directory, now_ms) for queue in directory.queues.values()]
        # In a thread: a long line takes many milliseconds, for which signalling must not wait.
        waits = await asyncio.to_thread(expected_waits, agents, [*waiters, *guesses], habits, now_ms)
        names = {guess.name: guess.requirement.queue for guess in guesses}
        self._look = _Look(
            now,
            {name: wait for name, wait in waits.items() if name not in names},
            {queue: waits[name] for name, queue in names.items() if name in waits},
        )

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


def _newcomer(queue: Queue, directory: Directory, now_ms: int) -> Waiter:
    """Somebody without wishes of their own. The name is none that a call can have."""
    requirement = requirement_of(queue, first_needs(queue, {}, "", directory.skills))
    target_ms = round(queue.service_level_seconds * 1000) if queue.order_by == "target" else 0
    late = missed(0, now_ms, now_ms + target_ms, queue.weight) if target_ms else None
    place = score(0, now_ms + target_ms // queue.weight)
    return Waiter(f"?{queue.name}", requirement, place, is_guess=True, missed=late)
