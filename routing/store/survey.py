"""What the expected wait is worked out from: who waits, who works, and what was learnt of the queues."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from routing.estimate import STAGES, Agent, Busy, Durations, Stage, Waiter
from routing.model import AgentProfile
from routing.requirement import Missed, missed, priority_of, read_class, read_profile
from routing.store.replies import pairs

_MOST_CLASSES = 256
_MOST_OF_A_CLASS = 2_000
_AGENT_FIELDS = ("st", "since", "c", "wq", "cap", "ld", "ow", "nx")
_STAGE_OF: Mapping[str, Stage] = {"offered": "ring", "talking": "talk", "wrapup": "wrapup"}

Ask = Callable[..., Awaitable[Any]]


class Surveyor:
    """Reads the store without a script, in a few round trips: what changes meanwhile does no harm.

    `ask` sends one command; `prefix` begins every key of the site.
    """

    def __init__(self, ask: Ask, prefix: str) -> None:
        self._ask = ask
        self._prefix = prefix

    async def waiters(self) -> Sequence[Waiter]:
        """Who waits, of the classes that come first those who come first, up to a bound."""
        weights = await self._ask("HGET", f"{self._prefix}odd", "weights")
        groups = ["h", *(f"h*{weight}" for weight in (weights or "").split())]
        heads = await asyncio.gather(
            *(self._ask("ZRANGE", f"{self._prefix}{group}", 0, _MOST_CLASSES - 1) for group in groups)
        )
        found = await asyncio.gather(*(self._line(name) for names in heads for name in names))
        return [waiter for line in found for waiter in line]

    async def _line(self, class_name: str) -> Sequence[Waiter]:
        definition, line = await asyncio.gather(
            self._ask("HGET", f"{self._prefix}cl", class_name),
            self._ask("ZRANGE", f"{self._prefix}w:{class_name}", 0, _MOST_OF_A_CLASS - 1, "WITHSCORES"),
        )
        if definition is None or not line:
            return ()
        requirement = read_class(definition)
        # A member of a line is the number of its arrival, 14 digits, and the call (includes/lines.lua).
        calls = [member[14:] for member in line[::2]]
        scores = [int(float(score)) for score in line[1::2]]
        targets, ages = await asyncio.gather(
            self._ask("ZMSCORE", f"{self._prefix}due", *(f"d:{call}" for call in calls)),
            self._ask("ZMSCORE", f"{self._prefix}qe:{requirement.queue}", *calls),
        )
        return [
            Waiter(call, requirement, score, missed=_missed(score, age, target, requirement.weight))
            for call, score, age, target in zip(calls, scores, ages, targets, strict=True)
        ]

    async def agents(self, now_ms: int) -> Sequence[Agent]:
        """Who is signed in and not away."""
        known = pairs(await self._ask("HGETALL", f"{self._prefix}pf"))
        profiles = {name: read_profile(definition) for name, definition in known.items()}
        names = [name for name, profile in profiles.items() if not profile.in_talk]
        members = await asyncio.gather(*(self._ask("SMEMBERS", f"{self._prefix}si:{name}") for name in names))
        of = {agent: profiles[name] for name, found in zip(names, members, strict=True) for agent in found}
        states = await asyncio.gather(
            *(self._ask("HMGET", f"{self._prefix}a:{agent}", *_AGENT_FIELDS) for agent in of)
        )
        calls = [call for _, _, call, *_ in states if call]
        queues = await asyncio.gather(*(self._ask("HGET", f"{self._prefix}c:{call}", "q") for call in calls))
        queue_of = dict(zip(calls, queues, strict=True))
        return [
            agent
            for profile, (state, since, call, wrapped, *units) in zip(of.values(), states, strict=True)
            for agent in _agents(profile, state, since, queue_of.get(call) or wrapped, units, now_ms)
        ]


def _missed(score: int, age: str | None, target: str | None, weight: int) -> Missed | None:
    """What becomes of the place of one who is still to be answered in time; of one who is gone meanwhile
    nothing."""
    if age is None or target is None:
        return None
    return missed(priority_of(score), int(float(age)), int(float(target)), weight)


def _agents(
    profile: AgentProfile,
    state: str | None,
    since: str | None,
    queue: str | None,
    units: Sequence[str | None],
    now_ms: int,
) -> list[Agent]:
    """One for each conversation that the agent has or may have. All are taken to be as old as the newest, and
    none begins while a wrap-up or a pause is to come."""
    capacity, talks, wraps, leaves = units
    if state == "available":
        return [Agent(profile)] * int(capacity or 1)
    stage = _STAGE_OF.get(state or "")
    if stage is None or not queue:
        return []
    busy = Agent(profile, Busy(stage, queue, max(0.0, (now_ms - int(float(since or 0))) / 1000)))
    if stage == "wrapup" or capacity is None:
        return [busy]
    at_work = int(talks or 0) + (stage == "ring")
    room = 0 if wraps or leaves else max(0, int(capacity) - at_work)
    return [busy] * at_work + [Agent(profile)] * room


def durations_of(known: Mapping[str, int]) -> Mapping[Stage, Durations]:
    """The stages of which something was learnt: fields are `stage:bucket`."""
    found: dict[Stage, Durations] = {}
    for stage in STAGES:
        counts = {
            int(field.partition(":")[2]): count
            for field, count in known.items()
            if field.startswith(f"{stage}:") and count > 0
        }
        if counts:
            found[stage] = Durations(counts)
    return found
