"""What the expected wait is worked out from (routing/outlook.py): durations, agents and who waits. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

from routing.model import AgentProfile, Requirement, Ticket
from routing.requirement import Missed, first_score, once_missed

Stage = Literal["ring", "talk", "wrapup"]
STAGES: tuple[Stage, ...] = ("ring", "talk", "wrapup")

_LEAST_SECONDS = 0.5
_GROWTH = 1.2
DURATION_BUCKETS = 60
"""Half a second to eight hours, each a fifth wider than the one before."""
_EDGES = (0.0, *(_LEAST_SECONDS * _GROWTH**n for n in range(DURATION_BUCKETS)))


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
    """One who is signed in and not away; `busy` is None for one who is free. Calls may name the `id`."""

    profile: AgentProfile
    busy: Busy | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Later:
    """What a waiting call asks instead from `at_ms` on."""

    at_ms: int
    requirement: Requirement


@dataclass(frozen=True, slots=True)
class Waiter:
    """A waiting call by its class and score (routing.requirement.score)."""

    name: str
    requirement: Requirement
    score: int
    missed: Missed | None = None
    """Where it waits until its target is missed; None for one that has missed it, or has none."""
    later: tuple[Later, ...] = ()
    """The steps that are still to come, the next first."""


def waiter_of(ticket: Ticket) -> Waiter:
    """Somebody who comes with this ticket."""
    later = tuple(Later(ticket.enqueued_ms + step.after_ms, step.requirement) for step in ticket.steps)
    return Waiter(ticket.call_id, ticket.requirement, first_score(ticket), once_missed(ticket), later)
