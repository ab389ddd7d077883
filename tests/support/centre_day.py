"""A day of a call centre: who came, who waited, whom they got, and what it looked like then.

Two queues and one of experts share agents with different skills; handling times are log-normal, arrivals rise
and fall over the day, callers lose patience. The seed makes the day; nothing in it knows of estimates.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from routing.estimate import Agent, Busy, Waiter
from routing.model import AgentProfile, Requirement

DAY = 8 * 3600.0
RING, WRAPUP = 4.0, 20.0


@dataclass(frozen=True)
class Kind:
    queue: str
    requirement: Requirement
    calls_per_hour: float
    talk_mean: float
    talk_sigma: float


def _kind(queue: str, skill: str, level: int, rate: float, talk: float, sigma: float) -> Kind:
    return Kind(queue, Requirement(queue, ((skill, level),)), rate, talk, sigma)


KINDS = (
    _kind("billing", "billing", 1, 150, 240, 0.8),
    _kind("support", "support", 1, 90, 420, 0.9),
    _kind("experts", "support", 7, 25, 600, 0.6),
)


@dataclass
class Worker:
    profile: AgentProfile
    busy: Busy | None = None
    since: float = 0.0
    began: float = 0.0


@dataclass
class Caller:
    name: str
    kind: Kind
    came: float
    talk: float
    gives_up: float
    answered: float | None = None
    ahead: int = 0
    """Of the same queue, when the caller came."""
    seen: tuple[tuple[Agent, ...], tuple[Waiter, ...]] | None = None
    """The centre when the caller came; None for one who had not to wait."""
    serving: int = 0
    """Agents at work or free who could take a call of this queue."""


@dataclass
class Day:
    seed: int
    callers: list[Caller] = field(default_factory=list)
    """In the order in which they came."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._workers = [Worker(profile) for profile in self._profiles()]
        self._waiting: list[Caller] = []
        self._play()

    def _profiles(self) -> Iterator[AgentProfile]:
        for _ in range(9):
            yield AgentProfile.of({"billing": 5})
        for _ in range(6):
            yield AgentProfile.of({"billing": 4, "support": 4})
        for _ in range(7):
            yield AgentProfile.of({"support": 5})
        for _ in range(4):
            yield AgentProfile.of({"support": 9})

    def _arrivals(self) -> Iterator[Caller]:
        for kind in KINDS:
            at, count = 0.0, 0
            while True:
                # The busiest hour is at two thirds of the day.
                crowd = 0.55 + 0.75 * math.exp(-(((at / DAY) - 0.62) ** 2) / 0.05)
                at += self._random.expovariate(kind.calls_per_hour * crowd / 3600)
                if at >= DAY:
                    break
                count += 1
                mu = math.log(kind.talk_mean) - kind.talk_sigma**2 / 2
                talk = self._random.lognormvariate(mu, kind.talk_sigma)
                patience = self._random.expovariate(1 / 900)
                yield Caller(f"{kind.queue}-{count}", kind, at, talk, at + patience)

    def _play(self) -> None:
        self.callers = sorted(self._arrivals(), key=lambda caller: caller.came)
        events: list[tuple[float, int, str, object]] = []
        for n, caller in enumerate(self.callers):
            heapq.heappush(events, (caller.came, n, "came", caller))
        count = len(self.callers)
        while events:
            now, _, what, who = heapq.heappop(events)
            started: list[Worker] = []
            if isinstance(who, Caller):
                started = self._came(who, now)
            elif isinstance(who, Worker) and what == "answered":
                assert who.busy is not None
                who.busy, who.since = Busy("talk", who.busy.queue, 0), now
            elif isinstance(who, Worker) and what == "over":
                assert who.busy is not None
                who.busy, who.since = Busy("wrapup", who.busy.queue, 0), now
            elif isinstance(who, Worker):
                who.busy = None
                started = self._free(who, now)
            for worker in started:
                for delay, next_what in self._stages(worker):
                    count += 1
                    heapq.heappush(events, (now + delay, count, next_what, worker))

    def _stages(self, worker: Worker) -> Iterator[tuple[float, str]]:
        yield RING, "answered"
        yield RING + worker.began, "over"
        yield RING + worker.began + WRAPUP, "free"

    def _came(self, caller: Caller, now: float) -> list[Worker]:
        self._waiting = [other for other in self._waiting if other.gives_up > now]
        skill, level = caller.kind.requirement.skills[0]
        able = [worker for worker in self._workers if dict(worker.profile.skills).get(skill, 0) >= level]
        caller.serving = len(able)
        free = next((worker for worker in able if worker.busy is None), None)
        if free is not None:
            return [self._take(free, caller, now)]
        caller.ahead = sum(other.kind.queue == caller.kind.queue for other in self._waiting)
        caller.seen = self._look(now)
        self._waiting.append(caller)
        return []

    def _free(self, worker: Worker, now: float) -> list[Worker]:
        self._waiting = [caller for caller in self._waiting if caller.gives_up > now]
        levels = dict(worker.profile.skills)
        for caller in self._waiting:
            skill, level = caller.kind.requirement.skills[0]
            if levels.get(skill, 0) >= level:
                self._waiting.remove(caller)
                return [self._take(worker, caller, now)]
        return []

    def _take(self, worker: Worker, caller: Caller, now: float) -> Worker:
        caller.answered = now + RING
        worker.busy, worker.since, worker.began = Busy("ring", caller.kind.queue, 0), now, caller.talk
        return worker

    def _look(self, now: float) -> tuple[tuple[Agent, ...], tuple[Waiter, ...]]:
        agents = tuple(Agent(worker.profile, self._busy(worker, now)) for worker in self._workers)
        waiting = (other for other in self._waiting if other.gives_up > now)
        return agents, tuple(
            Waiter(caller.name, caller.kind.requirement, round(caller.came * 1000)) for caller in waiting
        )

    def _busy(self, worker: Worker, now: float) -> Busy | None:
        return worker.busy and replace(worker.busy, seconds=now - worker.since)
