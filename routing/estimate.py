"""How long a caller will wait: the centre played forward from where it stands. Pure.

Every agent who is at work will be free some time (by how long rings, conversations and wrap-ups of their
queue last, given how long this one has lasted already), then takes the first call in line among all that they
can take, and so on until each waiting call has its agent. Those in line may hang up before. The mean over a
few such runs is the expected wait. No chance is involved: the runs go evenly through the spread of durations.

Not foreseen: callers who will come later and go first, agents who come or go, and steps that relax a call.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

from routing.model import AgentProfile, Requirement
from routing.requirement import Missed, eligible, urgency

Stage = Literal["ring", "talk", "wrapup"]
STAGES: tuple[Stage, ...] = ("ring", "talk", "wrapup")

_LEAST_SECONDS = 0.5
_GROWTH = 1.2
DURATION_BUCKETS = 60
"""Half a second to eight hours, each a fifth wider than the one before."""
_EDGES = (0.0, *(_LEAST_SECONDS * _GROWTH**n for n in range(DURATION_BUCKETS)))
_RUNS = 8
_MOST_TAKEN = 1_500
"""Calls that one run gives to agents; the waits of those behind follow from its pace."""
_GOLDEN = (math.sqrt(5) - 1) / 2


def duration_bucket(seconds: float) -> int:
    """Where a duration is counted, 0 to DURATION_BUCKETS - 1."""
    if seconds <= _LEAST_SECONDS:
        return 0
    return min(DURATION_BUCKETS - 1, math.ceil(math.log(seconds / _LEAST_SECONDS, _GROWTH)))


class Durations:
    """How long something lasts, as counted: bucket (duration_bucket) to how often."""

    def __init__(self, counts: Mapping[int, float]) -> None:
        weights = [max(0.0, counts.get(bucket, 0.0)) for bucket in range(DURATION_BUCKETS)]
        total = sum(weights)
        if total <= 0:
            raise ValueError("durations of which none was counted")
        self._below = (0.0, *(part / total for part in accumulate(weights)))
        middles = ((low + high) / 2 for low, high in pairwise(_EDGES))
        self.mean = sum(w * middle for w, middle in zip(weights, middles, strict=False)) / total
        """Seconds."""

    @classmethod
    def of(cls, *seconds: float) -> Durations:
        counts: dict[int, float] = defaultdict(float)
        for each in seconds:
            counts[duration_bucket(each)] += 1
        return cls(counts)

    def left(self, share: float, elapsed: float = 0.0) -> float:
        """Seconds still to go after `elapsed`: more than in `share` (0-1) of those that lasted so long."""
        gone = self._part_below(elapsed)
        if gone >= 1.0:
            return _LEAST_SECONDS  # Longer than any before: any moment now.
        return max(0.0, self._seconds_at(gone + share * (1.0 - gone)) - elapsed)

    def _part_below(self, seconds: float) -> float:
        if seconds >= _EDGES[-1]:
            return 1.0
        bucket = duration_bucket(seconds)
        low, high = _EDGES[bucket], _EDGES[bucket + 1]
        begin, end = self._below[bucket], self._below[bucket + 1]
        return begin + (end - begin) * (seconds - low) / (high - low)

    def _seconds_at(self, part: float) -> float:
        low, high = 0, DURATION_BUCKETS
        while low < high:
            middle = (low + high) // 2
            if self._below[middle + 1] < part:
                low = middle + 1
            else:
                high = middle
        bucket = min(low, DURATION_BUCKETS - 1)
        begin, end = self._below[bucket], self._below[bucket + 1]
        within = (part - begin) / (end - begin) if end > begin else 0.0
        return _EDGES[bucket] + within * (_EDGES[bucket + 1] - _EDGES[bucket])


@dataclass(frozen=True, slots=True)
class Habits:
    """What is known of a queue: how long each stage of its calls lasts, and how soon who waits gives up."""

    stages: Mapping[Stage, Durations]
    hang_ups_per_second: float = 0.0
    """Of one waiting caller."""


@dataclass(frozen=True, slots=True)
class Busy:
    """What an agent is at, for which queue, and for how many seconds already."""

    stage: Stage
    queue: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Agent:
    """One who is signed in and not away; `busy` is None for one who is free."""

    profile: AgentProfile
    busy: Busy | None = None


@dataclass(frozen=True, slots=True)
class Waiter:
    """A waiting call by its class and score (routing.requirement.score), or somebody who would come now."""

    name: str
    requirement: Requirement
    score: int
    is_guess: bool = False
    """Would come now: is told a wait, and takes nobody's time."""
    missed: Missed | None = None
    """Where it waits until its target is missed; None for one that has missed it, or has none."""


def expected_waits(
    agents: Sequence[Agent], waiters: Sequence[Waiter], habits: Mapping[str, Habits], now_ms: int = 0
) -> Mapping[str, float]:
    """Name of the waiter -> seconds from now until an agent answers, the ring included.

    `habits` has every queue of theirs; `now_ms` is the time that the scores go by. Missing is who could be
    served by nobody of those who are there.
    """
    sums: dict[str, float] = defaultdict(float)
    lines = _lines(waiters)
    serves = _serves(agents, lines)
    for run in range(_RUNS):
        for name, wait in _Run(agents, lines, serves, habits, (run + 0.5) / _RUNS, now_ms).play():
            sums[name] += wait
    return {name: total / _RUNS for name, total in sums.items()}


_Place = tuple[int, bool, int, Waiter]
"""Score, whether it is a guess (who would come now stands behind who has the same score), a number, who."""
_Lines = Sequence[Sequence[_Place]]
"""Each sorted, and so a heap."""


def _lines(waiters: Sequence[Waiter]) -> _Lines:
    by_class: dict[Requirement, list[_Place]] = defaultdict(list)
    for n, waiter in enumerate(waiters):
        by_class[waiter.requirement].append((waiter.score, waiter.is_guess, n, waiter))
    return [sorted(line) for line in by_class.values()]


def _serves(agents: Sequence[Agent], lines: _Lines) -> list[list[int]]:
    """Of each agent the lines that they take calls from. Equal profiles share one list."""
    by_profile: dict[AgentProfile, list[int]] = {}
    for agent in agents:
        if agent.profile not in by_profile:
            fits = (n for n, line in enumerate(lines) if eligible(line[0][3].requirement, agent.profile))
            by_profile[agent.profile] = list(fits)
    return [by_profile[agent.profile] for agent in agents]


class _Run:
    """One way in which it may go. `share` moves all durations within their spread."""

    def __init__(
        self,
        agents: Sequence[Agent],
        lines: _Lines,
        serves: list[list[int]],
        habits: Mapping[str, Habits],
        share: float,
        now_ms: int,
    ) -> None:
        self._share = share
        self._habits = habits
        self._now_ms = now_ms
        self._lines = [[*line] for line in lines]
        self._serves = serves
        self._free = [(self._until_free(agent), n) for n, agent in enumerate(agents) if serves[n]]
        heapq.heapify(self._free)

    def play(self) -> Iterator[tuple[str, float]]:
        """Each waiter with the wait, in the order in which they are served."""
        taken, now = 0, 0.0
        while self._free and taken < _MOST_TAKEN:
            now, agent = self._free[0]
            line = self._first_in_line(agent, now)
            if line is None:
                heapq.heappop(self._free)
                continue
            waiter = heapq.heappop(self._lines[line])[3]
            stages = self._habits[waiter.requirement.queue].stages
            yield waiter.name, now + stages["ring"].mean
            if not waiter.is_guess:
                taken += 1
                heapq.heapreplace(self._free, (now + self._work_on(waiter, now), agent))
        if self._free:
            yield from self._those_behind(now, taken)

    def _first_in_line(self, agent: int, now: float) -> int | None:
        best, best_score = None, 0
        for line in self._serves[agent]:
            score = self._head(self._lines[line], now)
            if score is not None and (best is None or score < best_score):
                best, best_score = line, score
        return best

    def _head(self, line: list[_Place], now: float) -> int | None:
        """How urgent the first in a line is. Who has missed the target by now goes back in it, once."""
        while line:
            score, is_guess, n, waiter = line[0]
            place = self._score(waiter, now)
            if place == score:
                return self._urgency(waiter, score, now)
            heapq.heapreplace(line, (place, is_guess, n, waiter))
        return None

    def _score(self, waiter: Waiter, now: float) -> int:
        missed = waiter.missed
        return missed.score if missed and missed.at_ms <= self._now_ms + now * 1000 else waiter.score

    def _urgency(self, waiter: Waiter, score: int, now: float) -> int:
        weight = waiter.requirement.weight
        return score if weight == 1 else urgency(score, weight, self._now_ms + round(now * 1000))

    def _those_behind(self, now: float, taken: int) -> Iterator[tuple[str, float]]:
        """They come in order at the pace so far, where somebody is there for them."""
        served = {line for _, agent in self._free for line in self._serves[agent]}
        behind = [waiter for line in served for _, _, _, waiter in sorted(self._lines[line])]
        pace = now / taken
        place = 0
        for waiter in sorted(behind, key=lambda w: self._urgency(w, self._score(w, now), now)):
            place += not waiter.is_guess
            ring = self._habits[waiter.requirement.queue].stages["ring"].mean
            yield waiter.name, now + pace * place + ring

    def _work_on(self, waiter: Waiter, now: float) -> float:
        """Seconds that the call takes its agent, less by the odds that the caller is gone by then."""
        habits = self._habits[waiter.requirement.queue]
        still_there = math.exp(-habits.hang_ups_per_second * now)
        talk = habits.stages["talk"].left(self._step())
        return still_there * (habits.stages["ring"].mean + talk + habits.stages["wrapup"].mean)

    def _until_free(self, agent: Agent) -> float:
        if agent.busy is None:
            return 0.0
        stages = self._habits[agent.busy.queue].stages
        left = stages[agent.busy.stage].left(self._step(), agent.busy.seconds)
        if agent.busy.stage == "wrapup":
            return left
        if agent.busy.stage == "talk":
            return left + stages["wrapup"].mean
        return left + stages["talk"].mean + stages["wrapup"].mean

    def _step(self) -> float:
        self._share = (self._share + _GOLDEN) % 1.0
        return self._share
