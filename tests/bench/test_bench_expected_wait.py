"""How far the expected wait is off over recorded days, beside the formulas in use elsewhere.

No centre publishes its days with who was busy with what: these are the pinned days of
tests/support/centre_day.py, which know nothing of estimates. What is typical was learnt from another day.
"""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean, median

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.support.centre_day import Day
from tests.support.wait_formulas import OURS, errors_of, habits_of

LEARNT_FROM = 1


@pytest.mark.parametrize("days", [(2,), (2, 3, 4)])
def test_bench_expected_wait(benchmark: BenchmarkFixture, days: tuple[int, ...]) -> None:
    habits = habits_of(Day(seed=LEARNT_FROM))

    def measure() -> dict[str, list[float]]:
        errors: dict[str, list[float]] = defaultdict(list)
        for seed in days:
            for name, found in errors_of(Day(seed=seed), habits).items():
                errors[name] += found
        return errors

    errors = benchmark.pedantic(measure, rounds=1, iterations=1)
    off = {name: (round(fmean(found)), round(median(found))) for name, found in errors.items()}
    benchmark.extra_info.update({"callers": len(errors[OURS]), **off})
    print(days, len(errors[OURS]), off)
    assert all(off[OURS][0] < theirs[0] for name, theirs in off.items() if name != OURS)
