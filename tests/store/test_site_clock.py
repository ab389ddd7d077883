"""The clock of a node beside a real Redis."""

from __future__ import annotations

import time

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from acd.site_clock import SiteClock
from tests.support.clock import FakeClock

pytestmark = pytest.mark.store


class WrongClock(FakeClock):
    """A machine whose wall clock is off."""

    def __init__(self, by: float) -> None:
        super().__init__(50.0)
        self.by = by

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time() + self.by


async def test_two_nodes_with_wrong_clocks_have_the_time_of_the_store(redis: Redis, site: str) -> None:
    fast, slow = SiteClock(WrongClock(300.0)), SiteClock(WrongClock(-300.0))
    assert fast.time() - slow.time() > 500
    for name, clock in (("a", fast), ("b", slow)):
        await clock.start(redis, site=site, node=name)
        await clock.stop()
    seconds, micros = await redis.time()
    now = seconds + micros / 1e6
    assert fast.time() == pytest.approx(now, abs=0.5)
    assert slow.time() == pytest.approx(fast.time(), abs=0.1)
    assert (fast.machine_ahead, slow.machine_ahead) == pytest.approx((300.0, -300.0), abs=0.5)


async def test_a_clock_that_is_set_is_told_once_and_changes_nothing(redis: Redis, site: str) -> None:
    machine = WrongClock(0.0)
    clock = SiteClock(machine)
    with capture_logs() as logs:
        await clock.start(redis, site=site, node="a")
        await clock.stop()
        before = clock.time() - time.monotonic()
        machine.by = -120.0
        for _ in range(3):
            await clock.look()
        assert clock.time() - time.monotonic() == pytest.approx(before, abs=0.1)
        machine.by = 0.0
        await clock.look()
    told = [entry["event"] for entry in logs]
    assert told == ["clock-differs-from-store", "clock-agrees-with-store"]
    assert logs[0]["seconds"] == pytest.approx(-120.0, abs=0.5)
