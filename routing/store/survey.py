"""What the expected wait is worked out from: who waits, who works, and what was learnt of the queues."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from routing.estimate import STAGES, Agent, Busy, Durations, Later, Stage, Waiter
from routing.model import AgentProfile, Requirement
from routing.requirement import Missed, missed, priority_of, read_class, read_profile
from routing.store.replies import pairs

_CLASSES_AT_ONCE = 128
_MOST_OF_A_CLASS = 2_000
_MOST_WAITERS = 10_000
_AGENT_FIELDS = ("st", "since", "c", "wq", "cap", "ld", "ow", "nx")
_STAGE_OF: Mapping[str, Stage] = {"offered": "ring", "talking": "talk", "wrapup": "wrapup"}

Ask = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Line:
    """Who waits, by class the first in line first. `unseen` is how many more wait, beyond what is read."""

    waiters: Sequence[Waiter]
    unseen: int = 0
    classes: int = 0
    """Different needs of calls that the store knows: those of the last minutes, and of all who wait."""


class Surveyor:
    """Reads the store without a script, in a few round trips: what changes meanwhile does no harm.

    `ask` sends one command; `prefix` begins every key of the site.
    """

    def __init__(self, ask: Ask, prefix: str) -> None:
        self._ask = ask
        self._prefix = prefix

    async def line(self) -> Line:
        """Who waits, of the classes that come first those who come first, up to a bound."""
        definitions = pairs(await self._ask("HGETALL", f"{self._prefix}cl"))
        known = {name: read_class(text) for name, text in definitions.items()}
        heads = await asyncio.gather(
            *(self._ask("ZRANGE", f"{self._prefix}{group}", 0, -1) for group in _groups(known.values()))
        )
        names = [name for found in heads for name in found]
        waiters: list[Waiter] = []
        unseen = 0
        for first in range(0, len(names), _CLASSES_AT_ONCE):
            some = names[first : first + _CLASSES_AT_ONCE]
            room = min(_MOST_OF_A_CLASS, max(0, _MOST_WAITERS - len(waiters)))
            for line in await asyncio.gather(*(self._line(name, known, room) for name in some)):
                waiters += line.waiters
                unseen += line.unseen
        return Line(waiters, unseen, len(definitions))

    async def _line(self, class_name: str, known: dict[str, Requirement], room: int) -> Line:
        key = f"{self._prefix}w:{class_name}"
        if class_name not in known and (text := await self._ask("HGET", f"{self._prefix}cl", class_name)):
            known[class_name] = read_class(text)
        requirement = known.get(class_name)
        if room == 0 or requirement is None:
            return Line((), int(await self._ask("ZCARD", key)))
        line, count = await asyncio.gather(
            self._ask("ZRANGE", key, 0, room - 1, "WITHSCORES"), self._ask("ZCARD", key)
        )
        if not line:
            return Line(())
        # A member of a line is the number of its arrival, 14 digits, and the call (includes/lines.lua).
        calls = [member[14:] for member in line[::2]]
        scores = [int(float(score)) for score in line[1::2]]
        targets, ages, steps = await asyncio.gather(
            self._ask("ZMSCORE", f"{self._prefix}due", *(f"d:{call}" for call in calls)),
            self._ask("ZMSCORE", f"{self._prefix}qe:{requirement.queue}", *calls),
            self._steps(calls, known),
        )
        waiters = [
            Waiter(call, requirement, score, _missed(score, age, target, requirement.weight), later)
            for call, score, age, target, later in zip(calls, scores, ages, targets, steps, strict=True)
        ]
        return Line(waiters, max(0, int(count) - len(waiters)))

    async def _steps(
        self, calls: Sequence[str], known: Mapping[str, Requirement]
    ) -> Sequence[tuple[Later, ...]]:
        """The steps that the calls still have to come (includes/steps.lua)."""
        due = await self._ask("ZMSCORE", f"{self._prefix}due", *(f"l:{call}" for call in calls))
        waiting = [call for call, at in zip(calls, due, strict=True) if at is not None]
        told = await asyncio.gather(*(self._call(call) for call in waiting))
        found = {
            call: _later(about.get("steps", ""), known) for call, about in zip(waiting, told, strict=True)
        }
        return [found.get(call, ()) for call in calls]

    async def _call(self, call: str) -> Mapping[str, Any]:
        """What is known of it (includes/call_text.lua); nothing once it is gone."""
        about: dict[str, Any] = json.loads(await self._ask("HGET", f"{self._prefix}c:{call}", "is") or "{}")
        return about

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
        told = await asyncio.gather(*(self._call(call) for call in calls))
        queue_of = {call: about.get("queue") for call, about in zip(calls, told, strict=True)}
        return [
            agent
            for (name, profile), (state, since, call, wrapped, *units) in zip(of.items(), states, strict=True)
            for agent in _agents(name, profile, state, since, queue_of.get(call) or wrapped, units, now_ms)
        ]


def _groups(classes: Iterable[Requirement]) -> Sequence[str]:
    """The keys of the heads of these classes (includes/lines.lua), those that name no agent first."""
    found = {
        "h" + (f"*{asked.weight}" if asked.weight != 1 else "") + (f":{asked.agent}" if asked.agent else "")
        for asked in classes
    }
    return sorted({"h"} | found, key=lambda group: (":" in group, group))


def _later(steps: str, known: Mapping[str, Requirement]) -> tuple[Later, ...]:
    """'time class time class ...'; a class that is not known any more is no step."""
    words = steps.split()
    return tuple(
        Later(int(at), known[name]) for at, name in zip(words[::2], words[1::2], strict=True) if name in known
    )


def _missed(score: int, age: str | None, target: str | None, weight: int) -> Missed | None:
    """What becomes of the place of one who is still to be answered in time; of one who is gone meanwhile
    nothing."""
    if age is None or target is None:
        return None
    return missed(priority_of(score), int(float(age)), int(float(target)), weight)


def _agents(
    name: str,
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
        return [Agent(profile, None, name)] * int(capacity or 1)
    stage = _STAGE_OF.get(state or "")
    if stage is None or not queue:
        return []
    busy = Agent(profile, Busy(stage, queue, max(0.0, (now_ms - int(float(since or 0))) / 1000)), name)
    if stage == "wrapup" or capacity is None:
        return [busy]
    at_work = int(talks or 0) + (stage == "ring")
    room = 0 if wraps or leaves else max(0, int(capacity) - at_work)
    return [busy] * at_work + [Agent(profile, None, name)] * room


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
