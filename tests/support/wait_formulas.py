"""The expected wait beside the formulas in use elsewhere: how far each was off over a recorded day."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean

from acd.calls.facts import CallAnswered, CallEnded, CallFact, CallQueued, ExpectationMet, WrapupEnded
from acd.calls.steps.needs import first_needs, requirement_of, steps_of
from acd.directory.model import Queue
from acd.forecast import LOOK_SECONDS, Forecast
from routing.model import AgentProfile, AgentState, Requirement
from routing.requirement import eligible
from routing.store.redis_store import RedisQueueStore
from tests.sim.direct import DirectLink
from tests.support.day_centre import QUEUES, directory
from tests.support.day_player import DayPlayer
from tests.support.recorded_day import Day

OURS = "expected wait"
UPDATED = "expected wait, updated"
OF_THE_SAME = "expected wait of those who were told another"
FORMULAS = (
    "moving average of waits",
    "handling x queued / agents",
    "handling x queued / (agents x share)",
)
HOUR_MS = 3_600_000


def _at_last(queue: Queue) -> Requirement:
    """What a queue asks of an agent in the end, of a caller of any language."""
    needs = first_needs(queue, {}, "", ())
    steps = steps_of(queue, needs, ())
    return steps[-1].requirement if steps else requirement_of(queue, needs)


class Formulas:
    """The expected waits that are in use elsewhere, each fed with the same day, queue by queue."""

    def __init__(self, skills: Mapping[str, Mapping[str, int]]) -> None:
        profiles = {agent: AgentProfile.of(able) for agent, able in skills.items()}
        self._serving = {
            queue.name: {agent for agent, profile in profiles.items() if eligible(_at_last(queue), profile)}
            for queue in QUEUES.values()
        }
        self._at_work: set[str] = set()
        self._average: dict[str, float] = defaultdict(float)
        self._waiting: dict[str, str] = {}
        self._spent: Counter[str] = Counter()
        self._handled: Counter[str] = Counter()
        self._came: Counter[str] = Counter()

    def changes(self, agent: str, state: AgentState) -> None:
        (self._at_work.add if state is AgentState.AVAILABLE else self._at_work.discard)(agent)

    def hear(self, fact: CallFact) -> None:
        match fact:
            case CallQueued(call_id=call, queue=queue):
                self._waiting[call] = queue
                self._came[queue] += 1
            case CallAnswered(call_id=call, queue=queue, wait_seconds=wait, ring_seconds=ring):
                self._waiting.pop(call, None)
                self._average[queue] = (3 * self._average[queue] + wait) / 4
                self._spent[queue] += round(ring)
            case CallEnded(record=record):
                self._waiting.pop(record.id, None)
                if record.outcome == "answered":
                    self._spent[record.queue] += round(record.talk_seconds)
                    self._handled[record.queue] += 1
            case WrapupEnded(queue=queue, seconds=seconds):
                self._spent[queue] += round(seconds)

    def told(self, queue: str) -> dict[str, float] | None:
        """To a caller who is the last of the queue; None before it is known how long its calls take."""
        agents = len(self._serving[queue] & self._at_work)
        if not agents or not self._handled[queue]:
            return None
        handling = self._spent[queue] / self._handled[queue]
        queued = sum(other == queue for other in self._waiting.values())
        share = self._came[queue] / self._came.total()
        told = self._average[queue], handling * queued / agents, handling * queued / (agents * share)
        return dict(zip(FORMULAS, told, strict=True))


@dataclass
class Replay:
    """A recorded day on a real store, seen by the forecast as a node sees it: a look every five seconds.

    Measured is who comes between `since_ms` and `until_ms` of the day, waits and is answered. Looks are left
    out after which nobody comes before the next.
    """

    day: Day
    store: RedisQueueStore
    link: DirectLink
    site: str
    since_ms: int
    until_ms: int
    errors: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Absolute, in seconds, by what told the wait; that of an update by the whole wait, too."""

    def __post_init__(self) -> None:
        self.player = DayPlayer(self.day, self.store, self.link, self.site, self._hear)
        self.forecast = Forecast(self.store, self.player.clock, directory, self._met)
        self._formulas = Formulas(self.day.skills)
        self._told: dict[str, dict[str, float]] = {}
        self._joined: float | None = None

    async def run(self) -> None:
        begin, step = self.day.begins_ms, round(LOOK_SECONDS * 1000)
        for change in self.day.changes:
            self.player.at(change.at_ms, self._change, change.agent, change.state)
        came = {(call.ticket.enqueued_ms - begin) // step for call in self.day.calls}
        for number in sorted(came):
            if self.since_ms <= number * step < self.until_ms:
                self.player.at(begin + number * step, self.forecast.look)
        await self.player.play(begin + self.until_ms + HOUR_MS // 2)

    async def _change(self, agent: str, state: AgentState) -> None:
        self._formulas.changes(agent, state)

    def _hear(self, fact: CallFact) -> None:
        if isinstance(fact, CallAnswered):
            self._joined = None
        self.forecast(fact)
        self._formulas.hear(fact)
        match fact:
            case CallQueued(call_id=call, queue=queue):
                ours, others = self.forecast.of_call(call), self._formulas.told(queue)
                if self._is_measured and ours is not None and others is not None:
                    self._told[call] = {OURS: ours, **others}
            case CallAnswered(call_id=call, wait_seconds=wait, ring_seconds=ring):
                told = self._told.pop(call, {})
                if wait > ring + 1:
                    for name, expected in told.items():
                        self.errors[name].append(abs(expected - wait))

    @property
    def _is_measured(self) -> bool:
        at = self.player.clock.time() * 1000 - self.day.begins_ms
        return self.since_ms <= at < self.until_ms

    def _met(self, fact: CallFact) -> None:
        if isinstance(fact, ExpectationMet):
            error = abs(fact.expected_seconds - fact.actual_seconds)
            if fact.when == "joined":
                self._joined = error
            elif self._joined is not None:
                self.errors[UPDATED].append(error)
                self.errors[OF_THE_SAME].append(self._joined)


def means(errors: Mapping[str, Iterable[float]]) -> dict[str, int]:
    """Of each way to tell the wait, in whole seconds."""
    return {name: round(fmean(found)) for name, found in errors.items()}
