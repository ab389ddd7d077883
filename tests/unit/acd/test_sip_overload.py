"""When calls and registrations are refused, in virtual time."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from acd.sip.overload import Changed, Overload, OverloadLimits, retry_after

LIMITS = OverloadLimits(
    max_calls=50,
    calls_per_second=10.0,
    calls_burst=5,
    lag_seconds=0.2,
    registers_per_second=20.0,
    registers_burst=40,
)


@dataclass
class Bench:
    """A node that takes every call it may; each lasts `talk` seconds."""

    talk: float = 2.0
    changes: list[Changed] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    taken: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.overload = Overload(LIMITS, self.changes.append)

    def call(self, request: int, now: float) -> str | None:
        self.ends = [end for end in self.ends if end > now]
        cause = self.overload.refuses_call(len(self.ends), request, now)
        if cause is None:
            self.overload.took_call(now)
            self.ends.append(now + self.talk)
            self.taken.append(now)
        return cause

    def quiet(self, start: float, seconds: float, lag: float = 0.0) -> float:
        """Let time pass with a sample of lag every 100 ms."""
        steps = round(seconds * 10)
        for step in range(1, steps + 1):
            self.overload.lagged(lag, start + step / 10)
        return start + seconds


@given(st.lists(st.floats(0.0, 0.5), max_size=200), st.floats(0.1, 20.0))
def test_never_more_calls_than_the_limits_however_they_come(gaps: list[float], talk: float) -> None:
    bench, now = Bench(talk), 100.0
    for number, gap in enumerate(gaps):
        now += gap
        bench.call(number, now)
        assert len(bench.ends) <= LIMITS.max_calls
    for index, start in enumerate(bench.taken):
        for count, end in enumerate(bench.taken[index:], 1):
            assert count <= LIMITS.calls_burst + (end - start) * LIMITS.calls_per_second + 1e-6


@given(st.floats(1.0, 5.0))
def test_under_the_limits_nothing_is_refused(stretch: float) -> None:
    bench = Bench(talk=1.0)
    assert not any(bench.call(n, 100.0 + n * stretch / LIMITS.calls_per_second) for n in range(100))
    assert bench.changes == []


@given(st.integers(3, 10), st.integers(1, 20))
def test_flood_takes_in_the_full_rate_and_is_over_within_two_seconds(times: int, seconds: int) -> None:
    bench, now = Bench(talk=0.5), 100.0
    for number in range(times * seconds * 10):
        now = 100.0 + number / (10.0 * times)
        bench.call(number, now)
        bench.overload.lagged(0.0, now)
    assert len(bench.taken) >= seconds * LIMITS.calls_per_second - 1
    over = bench.quiet(now, 2.0)
    assert [change.entered for change in bench.changes] == [True, False]
    assert bench.changes[-1].refused == times * seconds * 10 - len(bench.taken)
    assert bench.call(-1, over) is None


def test_live_calls_at_the_limit_refuse_and_one_end_lets_the_next_in() -> None:
    overload = Overload(LIMITS, lambda change: None)
    assert overload.refuses_call(50, 1, 10.0) == "too-many-calls"
    assert overload.refuses_call(49, 2, 10.0) is None


def test_repetition_of_a_refused_call_is_refused_while_new_ones_are_taken() -> None:
    bench = Bench()
    for number in range(6):
        bench.call(number, 10.0)
    assert len(bench.taken) == 5
    assert bench.call(5, 11.0) is not None
    assert bench.call(6, 11.0) is None
    assert bench.call(5, 10.0 + 33.0) is None


@settings(max_examples=20)
@given(st.integers(1, 3))
def test_what_is_remembered_of_refused_calls_is_bounded(rounds: int) -> None:
    overload = Overload(LIMITS, lambda change: None)
    for number in range(rounds * 15_000):
        overload.refuses_call(50, number, 10.0 + number / 10_000)
    assert len(overload._refused) <= 20_000


def test_one_hiccup_of_the_loop_is_no_overload_but_lasting_lag_is() -> None:
    bench = Bench()
    bench.overload.lagged(0.5, 10.0)
    now = bench.quiet(10.0, 1.0)
    assert bench.call(1, now) is None
    assert bench.changes == []
    now = bench.quiet(now, 1.0, lag=0.4)
    assert bench.call(2, now) == "lag"
    assert bench.changes == [Changed("calls", True, "lag")]
    now = bench.quiet(now, 2.0)
    assert bench.call(3, now) is None
    assert [change.entered for change in bench.changes] == [True, False]


def test_one_terrible_hiccup_does_not_refuse_calls_for_long() -> None:
    bench = Bench()
    bench.overload.lagged(60.0, 10.0)
    assert bench.call(1, bench.quiet(10.0, 2.0)) is None


def test_storm_of_registrations_refuses_no_call_and_leaves_the_node_ready() -> None:
    bench = Bench()
    refused = sum(
        bench.overload.refuses_register(10.0 + n / 1000, known=True) is not None for n in range(1000)
    )
    assert refused == 1000 - 40 - 19
    assert bench.call(1, 11.0) is None
    assert not bench.overload.active
    bench.quiet(11.0, 1.5)
    assert [(change.what, change.entered) for change in bench.changes] == [
        ("registrations", True),
        ("registrations", False),
    ]


def test_strangers_cannot_use_up_the_share_of_registered_phones() -> None:
    overload = Overload(LIMITS, lambda change: None)
    strangers = sum(overload.refuses_register(10.0, known=False) is None for _ in range(1000))
    assert strangers == 20
    assert sum(overload.refuses_register(10.0, known=True) is None for _ in range(1000)) == 20


@given(st.text(max_size=40))
def test_peers_are_told_to_come_back_at_different_times_within_bounds(call_id: str) -> None:
    assert 5 <= int(retry_after(call_id, 5, 25)) <= 30


def test_times_to_come_back_are_spread() -> None:
    assert len({retry_after(f"call-{n}", 5, 25) for n in range(500)}) == 26
