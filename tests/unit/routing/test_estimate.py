"""The expected wait: right where it can be known, ordered as the line, nearer than usual formulas."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.estimate import Agent, Busy, Durations, Habits, Waiter, duration_bucket, expected_waits
from routing.model import AgentProfile, Requirement
from routing.requirement import Missed
from tests.support.centre_day import Day
from tests.support.wait_formulas import errors_of, habits_of

BILLING = Requirement("billing", (("billing", 1),))
ABLE = AgentProfile.of({"billing": 1})
STEADY = Habits({"ring": Durations.of(4), "talk": Durations.of(100), "wrapup": Durations.of(20)})
CYCLE = sum(STEADY.stages[stage].mean for stage in ("ring", "talk", "wrapup"))
HABITS = {"billing": STEADY}


def line(length: int) -> list[Waiter]:
    return [Waiter(f"c{n}", BILLING, n) for n in range(length)]


durations = st.lists(st.floats(0.1, 20_000), min_size=1, max_size=20)


@given(durations, st.floats(0, 1), st.floats(0, 30_000))
def test_what_is_left_is_never_negative_and_grows_with_the_share(
    seconds: list[float], share: float, elapsed: float
) -> None:
    known = Durations.of(*seconds)
    left = known.left(share, elapsed)
    assert left >= 0
    assert known.left(min(1.0, share + 0.1), elapsed) >= left - 1e-6


@given(st.floats(0.6, 20_000))
def test_a_duration_is_known_to_within_a_fifth(seconds: float) -> None:
    assert Durations.of(seconds).mean == pytest.approx(seconds, rel=0.2)
    assert 0 <= duration_bucket(seconds) < 60


def test_a_free_agent_is_there_after_the_ring() -> None:
    waits = expected_waits([Agent(ABLE)], line(1), HABITS)
    assert waits == {"c0": pytest.approx(STEADY.stages["ring"].mean)}


def test_each_place_in_line_waits_one_more_call_of_the_only_agent() -> None:
    waits = expected_waits([Agent(ABLE)], line(4), HABITS)
    steps = [waits[f"c{n + 1}"] - waits[f"c{n}"] for n in range(3)]
    assert steps == [pytest.approx(CYCLE, rel=0.12)] * 3


def test_a_conversation_that_has_lasted_long_ends_sooner() -> None:
    def wait(seconds: float) -> float:
        busy = Agent(ABLE, Busy("talk", "billing", seconds))
        return expected_waits([busy], line(1), HABITS)["c0"]

    assert wait(90) < wait(50) < wait(1)


def test_many_busy_agents_do_not_come_free_all_at_once() -> None:
    """The first of ten who talk is there long before the mean of what is left of their conversations."""
    spread = Habits({**STEADY.stages, "talk": Durations.of(*range(20, 400, 20))})
    busy = [Agent(ABLE, Busy("talk", "billing", 10.0)) for _ in range(10)]
    waits = expected_waits(busy, line(1), {"billing": spread})
    assert waits["c0"] < spread.stages["talk"].mean / 2


def test_nobody_there_means_no_expectation() -> None:
    assert expected_waits([], line(2), HABITS) == {}
    assert expected_waits([Agent(AgentProfile.of({"other": 9}))], line(1), HABITS) == {}


def test_who_would_come_now_changes_nobodys_wait() -> None:
    guess = Waiter("q", BILLING, 100, is_guess=True)
    alone = expected_waits([Agent(ABLE)], line(3), HABITS)
    with_guess = expected_waits([Agent(ABLE)], [*line(3), guess], HABITS)
    assert {name: with_guess[name] for name in alone} == alone
    assert with_guess["q"] > alone["c2"]


def test_callers_who_may_hang_up_shorten_the_wait_of_those_behind() -> None:
    impatient = Habits(STEADY.stages, hang_ups_per_second=1 / 200)
    patient = expected_waits([Agent(ABLE)], line(5), HABITS)
    hurried = expected_waits([Agent(ABLE)], line(5), {"billing": impatient})
    assert hurried["c4"] < patient["c4"]
    assert hurried["c0"] == patient["c0"]


@given(
    st.lists(st.tuples(st.sampled_from(("billing", "support")), st.integers(0, 50)), min_size=1, max_size=30),
    st.lists(st.sets(st.sampled_from(("billing", "support")), min_size=1), min_size=1, max_size=5),
)
def test_within_a_class_who_is_ahead_is_served_first(
    waiting: list[tuple[str, int]], skills: list[set[str]]
) -> None:
    waiters = [
        Waiter(f"c{n}", Requirement(queue, ((queue, 1),)), score) for n, (queue, score) in enumerate(waiting)
    ]
    agents = [Agent(AgentProfile.of(dict.fromkeys(found, 1))) for found in skills]
    waits = expected_waits(agents, waiters, {"billing": STEADY, "support": STEADY})
    for queue in ("billing", "support"):
        mine = sorted((w for w in waiters if w.requirement.queue == queue), key=lambda w: w.score)
        known = [waits[waiter.name] for waiter in mine if waiter.name in waits]
        assert known == sorted(known)
        assert len(known) == (len(mine) if any(queue in found for found in skills) else 0)


def test_who_will_have_missed_the_target_by_then_lets_the_others_go_first() -> None:
    """The only agent is busy for longer than the first has until the target, but not the second."""
    busy = Agent(ABLE, Busy("talk", "billing", 90.0))
    hurried = Waiter("hurried", BILLING, 5_000, missed=Missed(5_000, 400_000))
    patient = Waiter("patient", Requirement("support"), 200_000, missed=Missed(200_000, 210_000))
    habits = {"billing": STEADY, "support": STEADY}
    waits = expected_waits([busy], [hurried, patient], habits, now_ms=0)
    assert waits["patient"] < waits["hurried"]
    waits = expected_waits([Agent(ABLE)], [hurried, patient], habits, now_ms=0)
    assert waits["hurried"] < waits["patient"]


def test_the_weight_of_a_queue_counts_at_the_time_when_the_agent_is_free() -> None:
    """The light one has waited for longer, but when the agent comes free the heavy one's wait counts more."""
    now = 1_790_000_000_000
    light = Waiter("light", BILLING, now)
    heavy = Waiter("heavy", Requirement("support", weight=3), now + 10_000)
    habits = {"billing": STEADY, "support": STEADY}
    soon = expected_waits([Agent(ABLE)], [light, heavy], habits, now_ms=now + 11_000)
    assert soon["light"] < soon["heavy"]
    busy = Agent(ABLE, Busy("talk", "billing", 90.0))
    later = expected_waits([busy], [light, heavy], habits, now_ms=now + 11_000)
    assert later["heavy"] < later["light"]


def test_a_line_too_long_to_play_through_goes_on_at_its_pace() -> None:
    waits = expected_waits([Agent(ABLE)] * 10, line(4_000), HABITS)
    assert len(waits) == 4_000
    assert waits["c3999"] == pytest.approx(4_000 / 10 * CYCLE, rel=0.15)


def test_over_three_days_the_expected_wait_is_nearer_than_any_usual_formula() -> None:
    habits = habits_of(Day(seed=1))
    errors: dict[str, list[float]] = defaultdict(list)
    for seed in (2, 3, 4):
        for name, found in errors_of(Day(seed=seed), habits).items():
            errors[name] += found
    means = {name: fmean(found) for name, found in errors.items()}
    ours = means.pop("expected wait")
    assert len(errors["expected wait"]) > 1_000
    assert all(ours < 0.9 * theirs for theirs in means.values()), (ours, means)
