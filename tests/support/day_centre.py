"""The centre whose day is recorded, and what its callers and agents would do of themselves.

Four queues share 34 agents with different skills and languages: one relaxes what it asks, one goes by its
target, one counts more than the others. Some callers have priority, some ask for an agent by name. Arrivals
rise and fall, talking and wrap-up times are log-normal, some phones are not answered, callers lose patience,
agents come in two shifts and take breaks. The seed makes the day; nothing in it knows of estimates.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from acd.calls.steps.needs import first_needs, requirement_of, steps_of
from acd.directory.model import Agent, Directory, Queue, Relaxation
from routing.model import AgentState, RejectReason, Requirement, Step, Ticket
from tests.support.recorded_day import Change, Day, DayCall, Ring

BEGINS_MS = 1_790_000_000_000
HOURS = 9.0
_HOUR_MS = 3_600_000
_LANGUAGES = ("et", "en", "ru")
_WRAPUP = {"wrapup_mode": "until-ended", "wrapup_limit_seconds": 240.0}

QUEUES = {
    queue.name: queue
    for queue in (
        Queue(
            "billing",
            requires={"billing": 3},
            languages=_LANGUAGES,
            relax=(Relaxation(60, requires={"billing": 1}), Relaxation(240, any_language=True)),
            **_WRAPUP,  # type: ignore[arg-type]
        ),
        Queue("support", requires={"support": 3}, order_by="target", service_level_seconds=60, **_WRAPUP),  # type: ignore[arg-type]
        Queue("experts", requires={"support": 7}, strategy="least-skilled", **_WRAPUP),  # type: ignore[arg-type]
        Queue("sales", requires={"sales": 1}, weight=2, wrapup_seconds=15),
    )
}


@dataclass(frozen=True)
class Traffic:
    calls_per_hour: float
    talk_seconds: float
    talk_spread: float
    wrapup_seconds: float


TRAFFIC = {
    "billing": Traffic(125, 230, 0.8, 30),
    "support": Traffic(75, 390, 0.9, 45),
    "experts": Traffic(17, 560, 0.6, 60),
    "sales": Traffic(55, 180, 0.7, 15),
}


def skills() -> dict[str, dict[str, int]]:
    """Of each agent."""
    trades: list[dict[str, int]] = [
        *({"billing": 4} for _ in range(9)),
        *({"billing": 2, "sales": 3} for _ in range(5)),
        *({"billing": 3, "support": 4} for _ in range(6)),
        *({"support": 5} for _ in range(8)),
        *({"support": 8, "sales": 2} for _ in range(6)),
    ]
    return {
        f"a{n}": {**trade, f"lang-{_LANGUAGES[n % 3]}": 1, f"lang-{_LANGUAGES[(n + n // 3) % 3]}": 1}
        for n, trade in enumerate(trades)
    }


def directory() -> Directory:
    known = {skill for able in skills().values() for skill in able}
    agents = {name: Agent(name, name, skills=able) for name, able in skills().items()}
    return Directory(queues=QUEUES, skills=frozenset(known), agents=agents)


def drawn_day(seed: int) -> Day:
    """What everybody would do of themselves, in the order of coming."""
    source = random.Random(seed)
    calls = sorted(_calls(source), key=lambda call: call.ticket.enqueued_ms)
    changes = sorted(_changes(source), key=lambda change: change.at_ms)
    return Day(BEGINS_MS, skills(), tuple(calls), tuple(changes))


def _calls(source: random.Random) -> Iterator[DayCall]:
    known = directory().skills
    for queue, traffic in TRAFFIC.items():
        at = 0.0
        for count in range(100_000):
            # The busiest hour is at two thirds of the day.
            crowd = 0.6 + 0.7 * math.exp(-(((at / HOURS) - 0.62) ** 2) / 0.05)
            at += source.expovariate(traffic.calls_per_hour * crowd)
            if at >= HOURS:
                break
            ticket = _ticket(
                f"{queue}-{count}", QUEUES[queue], BEGINS_MS + round(at * _HOUR_MS), known, source
            )
            yield DayCall(
                ticket,
                rings=tuple(_rings(source)),
                talk_ms=_log_normal(source, traffic.talk_seconds, traffic.talk_spread),
                wrapup_ms=_log_normal(source, traffic.wrapup_seconds, 0.7),
                gives_up_ms=round(source.expovariate(1 / 900) * 1000),
            )


def _ticket(call: str, queue: Queue, at_ms: int, known: frozenset[str], source: random.Random) -> Ticket:
    language = source.choices(_LANGUAGES, (6, 3, 2))[0]
    needs = first_needs(queue, {}, language, known)
    requirement, steps = requirement_of(queue, needs), steps_of(queue, needs, known)
    if source.random() < 0.06:
        able = [
            name
            for name, has in skills().items()
            if all(has.get(s, 0) >= n for s, n in queue.requires.items())
        ]
        named = Requirement(
            queue.name, strategy=queue.strategy, agent=source.choice(able), weight=queue.weight
        )
        requirement, steps = named, (Step(20_000, requirement), *steps)
    fixed = queue.wrapup_mode == "fixed"
    return Ticket(
        call,
        "n1",
        requirement,
        at_ms,
        priority=source.choices((0, 5), (9, 1))[0],
        wrapup_ms=round((queue.wrapup_seconds if fixed else queue.wrapup_limit_seconds) * 1000),
        target_ms=round(queue.service_level_seconds * 1000) if queue.order_by == "target" else 0,
        steps=steps,
    )


def _rings(source: random.Random) -> Iterator[Ring]:
    while source.random() < 0.03:
        yield Ring(14_000, RejectReason.NO_ANSWER)
    yield Ring(source.randrange(1_500, 9_000))


def _log_normal(source: random.Random, mean: float, spread: float) -> int:
    return round(1000 * source.lognormvariate(math.log(mean) - spread**2 / 2, spread))


def _changes(source: random.Random) -> Iterator[Change]:
    """Two shifts; of each agent a lunch of half an hour, and now and then a few minutes."""
    for n, agent in enumerate(skills()):
        begin, end = (0.0, 7.0) if n % 3 else (2.0, HOURS)
        times = [begin + 2.4 + source.random() * 1.2]
        breaks = [(times[0], 0.5)]
        at = begin
        while (at := at + source.expovariate(1 / 1.6)) < end - 0.3:
            if abs(at - times[0]) > 0.7:
                breaks.append((at, source.uniform(0.04, 0.14)))
                at += 0.2
        yield Change(_at(begin + source.random() * 0.05), agent, AgentState.AVAILABLE)
        for pause, hours in sorted(breaks):
            yield Change(_at(pause), agent, AgentState.PAUSED)
            yield Change(_at(pause + hours), agent, AgentState.AVAILABLE)
        yield Change(_at(end + source.random() * 0.1), agent, AgentState.OFFLINE)


def _at(hours: float) -> int:
    return BEGINS_MS + round(hours * _HOUR_MS)
