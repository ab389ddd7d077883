"""The expected wait of a live centre: learnt from facts, looked at anew, compared with what came."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from acd.calls.facts import CallAnswered, CallEnded, CallFact, CallQueued, ExpectationMet, WrapupEnded
from acd.forecast import Forecast
from routing.estimate import Agent, Busy, Waiter
from routing.model import AgentProfile, Requirement, Ticket
from routing.ports import StoreUnavailable
from routing.requirement import score
from routing.store.survey import Line
from tests.support.clock import FakeClock
from tests.support.control import a_directory, a_record

ABLE = AgentProfile.of({"billing": 5})
BILLING = Requirement("billing", (("billing", 1),))


class FakeSurvey:
    def __init__(self) -> None:
        self.waiters: list[Waiter] = []
        self.unseen = 0
        self.classes = 3
        self.team: list[Agent] = [Agent(ABLE, Busy("talk", "billing", 10.0))]
        self.known: dict[str, Counter[str]] = defaultdict(Counter)
        self.away = False

    async def line(self) -> Line:
        return Line(self.waiters, self.unseen, self.classes)

    async def agents_at_work(self, now_ms: int) -> Sequence[Agent]:
        return self.team

    async def learn(self, queue: str, more: Mapping[str, int]) -> Mapping[str, int]:
        if self.away:
            raise StoreUnavailable("away")
        self.known[queue].update(more)
        return self.known[queue]


@pytest.fixture
def survey() -> FakeSurvey:
    return FakeSurvey()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def told() -> list[CallFact]:
    return []


@pytest.fixture
def forecast(survey: FakeSurvey, clock: FakeClock, told: list[CallFact]) -> Forecast:
    return Forecast(survey, clock, a_directory, told.append)


def handled(forecast: Forecast, seconds: float, times: int = 20) -> None:
    for n in range(times):
        forecast(CallAnswered(f"old-{n}", "billing", "anna", 5.0, 2.0))
        forecast(CallEnded(a_record(f"old-{n}", talk_seconds=seconds)))
        forecast(WrapupEnded("billing", "anna", 5.0))


async def test_a_queue_that_nobody_could_serve_promises_nothing(forecast: Forecast) -> None:
    await forecast.look()
    assert forecast.of_queue("billing") is not None
    assert forecast.of_queue("support") is None


async def test_what_is_learnt_of_long_calls_makes_the_wait_longer(forecast: Forecast, survey: FakeSurvey):
    handled(forecast, 40.0)
    await forecast.look()
    short = forecast.of_queue("billing")
    handled(forecast, 900.0, times=200)
    await forecast.look()
    long = forecast.of_queue("billing")
    assert short is not None
    assert long is not None
    assert short == pytest.approx(37, rel=0.3)
    assert long > 10 * short


async def test_a_waiting_call_counts_down_between_two_looks(
    forecast: Forecast, survey: FakeSurvey, clock: FakeClock
) -> None:
    survey.waiters = [Waiter("c1", BILLING, 1)]
    await forecast.look()
    first = forecast.of_call("c1")
    assert first is not None
    clock.advance(3)
    assert forecast.of_call("c1") == pytest.approx(first - 3)
    clock.advance(10_000)
    assert forecast.of_call("c1") == 0
    assert forecast.of_call("unknown") is None


def queued(clock: FakeClock, call: str, queue: str = "billing", **words: Any) -> CallQueued:
    asked = words.pop("requirement", Requirement(queue, ((queue, 1),)))
    return CallQueued(call, queue, Ticket(call, "n1", asked, round(clock.time() * 1000), **words))


async def test_the_wait_expected_of_a_caller_s_own_needs_is_compared_with_what_came(
    forecast: Forecast, survey: FakeSurvey, clock: FakeClock, told: list[CallFact]
) -> None:
    """A caller of high priority, one who is last, and one whom only another could serve."""
    now_ms = round(clock.time() * 1000)
    survey.waiters = [Waiter(f"w{n}", BILLING, score(0, now_ms - 100 + n)) for n in range(4)]
    await forecast.look()
    forecast(queued(clock, "vip", priority=9))
    forecast(queued(clock, "last"))
    forecast(queued(clock, "other", requirement=Requirement("billing", (("billing", 9),))))
    vip, last = forecast.of_call("vip"), forecast.of_call("last")
    assert vip is not None
    assert last is not None
    assert last > 4 * vip > 0
    assert forecast.of_call("other") is None
    for call in ("vip", "last", "other"):
        forecast(CallAnswered(call, "billing", "anna", 77.0, 4.0))
    assert told == [ExpectationMet("billing", expected, 77.0, "joined") for expected in (vip, last)]


async def test_a_caller_counts_down_from_joining_and_is_seen_at_the_next_look(
    forecast: Forecast, survey: FakeSurvey, clock: FakeClock
) -> None:
    await forecast.look()
    forecast(queued(clock, "c1"))
    first = forecast.of_call("c1")
    assert first is not None
    clock.advance(2)
    assert forecast.of_call("c1") == pytest.approx(first - 2)
    survey.waiters = [Waiter("c1", BILLING, 1)]
    await forecast.look()
    seen = forecast.of_call("c1")
    survey.waiters = []
    await forecast.look()
    assert seen is not None
    assert forecast.of_call("c1") is None


async def test_who_joins_while_a_look_is_going_on_is_reckoned_with(
    forecast: Forecast, survey: FakeSurvey, clock: FakeClock
) -> None:
    async def line() -> Line:
        forecast(queued(clock, "c1"))
        return Line(())

    survey.line = line  # type: ignore[method-assign]
    await forecast.look()
    assert forecast.of_call("c1") is not None
    forecast(queued(clock, "c2"))
    assert forecast.of_call("c2") > forecast.of_call("c1")  # type: ignore[operator]


async def test_what_a_caller_is_told_meanwhile_is_compared_at_every_half_minute(
    forecast: Forecast, survey: FakeSurvey, clock: FakeClock, told: list[CallFact]
) -> None:
    await forecast.look()
    forecast(queued(clock, "c1"))
    joined, updated = forecast.of_call("c1"), []
    survey.waiters = [Waiter("c1", BILLING, 1)]
    for n in range(1, 15):
        clock.advance(5)
        survey.team = [Agent(ABLE, Busy("talk", "billing", 10.0 + 7 * n))]
        await forecast.look()
        if n % 6 == 0:
            updated.append(forecast.of_call("c1"))
    forecast(CallAnswered("c1", "billing", "anna", 70.0, 4.0))
    assert len(updated) == 2
    assert told == [
        ExpectationMet("billing", joined, 70.0, "joined"),
        *(
            ExpectationMet("billing", waited + left, 70.0, "updated")
            for waited, left in zip((30, 60), updated, strict=True)
        ),
    ]


async def test_a_line_that_is_too_long_to_be_seen_whole_is_told_of(
    forecast: Forecast, survey: FakeSurvey
) -> None:
    survey.unseen = 7
    await forecast.look()
    assert forecast.unseen == 7
    survey.unseen = 0
    await forecast.look()
    assert forecast.unseen == 0


async def test_nothing_learnt_is_lost_while_the_store_is_away(forecast: Forecast, survey: FakeSurvey) -> None:
    handled(forecast, 40.0)
    survey.away = True
    with pytest.raises(StoreUnavailable):
        await forecast.look()
    survey.away = False
    await forecast.look()
    assert sum(n for field, n in survey.known["billing"].items() if field.startswith("talk:")) == 20
    await forecast.look()
    assert sum(n for field, n in survey.known["billing"].items() if field.startswith("talk:")) == 20


async def test_that_calls_ask_for_too_many_different_things_is_told_once(
    forecast: Forecast, survey: FakeSurvey
) -> None:
    with capture_logs() as logs:
        for survey.classes in (1_000, 1_001, 1_500, 900, 1_001):
            await forecast.look()
    assert [entry["classes"] for entry in logs if entry["event"] == "routing-classes-many"] == [1_001, 1_001]
    assert forecast.classes == 1_001
