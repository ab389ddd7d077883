"""The expected wait of a live centre: learnt from facts, looked at anew, compared with what came."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import pytest

from acd.calls.facts import CallAnswered, CallEnded, CallFact, CallQueued, ExpectationMet, WrapupEnded
from acd.forecast import Forecast
from routing.estimate import Agent, Busy, Waiter
from routing.model import AgentProfile, Requirement
from routing.ports import StoreUnavailable
from tests.support.clock import FakeClock
from tests.support.control import a_directory, a_record

ABLE = AgentProfile.of({"billing": 5})
BILLING = Requirement("billing", (("billing", 1),))


class FakeSurvey:
    def __init__(self) -> None:
        self.line: list[Waiter] = []
        self.team: list[Agent] = [Agent(ABLE, Busy("talk", "billing", 10.0))]
        self.known: dict[str, Counter[str]] = defaultdict(Counter)
        self.away = False

    async def waiters(self) -> Sequence[Waiter]:
        return self.line

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
    survey.line = [Waiter("c1", BILLING, 1)]
    await forecast.look()
    first = forecast.of_call("c1")
    assert first is not None
    clock.advance(3)
    assert forecast.of_call("c1") == pytest.approx(first - 3)
    clock.advance(10_000)
    assert forecast.of_call("c1") == 0
    assert forecast.of_call("unknown") is None


async def test_the_first_expectation_is_compared_with_the_wait_that_came(
    forecast: Forecast, told: list[CallFact]
) -> None:
    await forecast.look()
    expected = forecast.of_queue("billing")
    forecast(CallQueued("c1", "billing"))
    forecast(CallQueued("c2", "support"))
    forecast(CallAnswered("c1", "billing", "anna", 77.0, 4.0))
    forecast(CallAnswered("c2", "support", "anna", 5.0, 4.0))
    assert told == [ExpectationMet("billing", expected, 77.0)]


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
