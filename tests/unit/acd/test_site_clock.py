"""The time of the site: it follows the store's clock, and nobody's wall clock."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd.site_clock import SLEW, STEP_SECONDS, SiteTime, others_ahead

WALL, STORE = 1_000.0, 5_000.0


def told(store: float = STORE, others: Sequence[float] = ()) -> SiteTime:
    """A node that began with the first look at the store's clock."""
    time = SiteTime(0.0, WALL)
    assert time.hear(0.0, store, others) == 0.0
    return time


def test_until_it_is_told_a_node_goes_by_its_own_clock() -> None:
    assert SiteTime(7.0, WALL).time(9.0) == WALL + 2.0


def test_the_first_look_is_believed_and_goes_on_with_the_monotonic_clock() -> None:
    time = told()
    assert time.time(0.0) == STORE
    assert time.time(60.0) == STORE + 60.0


@pytest.mark.parametrize("step", [300.0, -300.0])
def test_a_store_whose_clock_is_set_is_followed_slowly_and_in_the_end(step: float) -> None:
    time = told()
    for second in range(1, round(abs(step) / SLEW) + 2):
        before = time.time(float(second - 1))
        assert time.hear(float(second), STORE + second + step, ()) == 0.0
        assert 1.0 - SLEW - 1e-6 <= time.time(float(second)) - before <= 1.0 + SLEW + 1e-6
    assert time.ahead(second, STORE + second + step) == pytest.approx(0.0, abs=1e-3)


def test_a_clock_that_was_wrong_altogether_is_left_at_once() -> None:
    time = told()
    assert time.hear(1.0, STORE + 1.0 + 2 * STEP_SECONDS, ()) == pytest.approx(2 * STEP_SECONDS)
    assert time.ahead(1.0, STORE + 1.0 + 2 * STEP_SECONDS) == 0.0


def test_a_node_that_begins_joins_those_that_still_follow() -> None:
    assert told(others=[-120.0, -119.0]).ahead(0.0, STORE) == -119.0


def test_a_node_that_slept_goes_with_the_others_at_once_and_never_back() -> None:
    asleep = told()
    assert asleep.hear(10.0, STORE + 70.0, [0.0]) == pytest.approx(60.0)
    ahead = told()
    assert ahead.hear(10.0, STORE + 10.0, [-60.0]) == 0.0
    assert ahead.time(10.0) == STORE + 10.0


looks = st.lists(
    st.tuples(st.floats(0.0, 20.0), st.floats(-STEP_SECONDS / 40, STEP_SECONDS / 40)), min_size=1, max_size=40
)


@given(looks)
def test_time_never_goes_back_however_the_stores_clock_is_set(looks: list[tuple[float, float]]) -> None:
    time, mono, store, last = told(), 0.0, STORE, STORE
    for pause, step in looks:
        for part in (0.3, 0.7):
            mono, store = mono + part * pause, store + part * pause
            assert time.time(mono) >= last - 1e-6
            last = time.time(mono)
        store += step
        time.hear(mono, store, ())
        assert time.time(mono) >= last - 1e-6


@given(st.lists(st.floats(-300.0, 300.0), min_size=2, max_size=5), st.floats(-300.0, 300.0))
def test_nodes_that_look_by_turns_agree_whatever_their_own_clocks_show(
    walls: list[float], step: float
) -> None:
    """The store's clock is set once; another node begins after that."""
    nodes = {f"n{n}": SiteTime(0.0, STORE + wall) for n, wall in enumerate(walls)}
    said: dict[str, tuple[float, float]] = {}
    late = nodes.popitem()
    for second in range(1, 60):
        store = STORE + second + (step if second > 20 else 0.0)
        if second == 40:
            nodes[late[0]] = late[1]
        for name, time in nodes.items():
            time.hear(float(second), store, others_ahead(said, name, store))
            said[name] = time.ahead(float(second), store), store
        times = [time.time(float(second)) for time in nodes.values()]
        assert max(times) - min(times) < 0.2
