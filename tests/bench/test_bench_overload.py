"""Three times the calls that the default limits let in are handed out as ever; what a refusal costs."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from acd.config import OverloadSection
from tests.support.cast import BILLING, MUSIC, agents, caller, dial, phone
from tests.support.cpu import cpu_seconds, pin, resident_bytes
from tests.support.net import eventually
from tests.support.service import RunningService, standard_directory
from tests.support.sipp import run

AGENTS = 250
TALK_MS = 1000
SECONDS = 10
CAPACITY = OverloadSection().calls_per_second
SERVICE_CORE, LOAD_CORE = 0, 1


@pytest.fixture
def service(tmp_path: Path) -> RunningService:
    settings = {"log": {"level": "warning"}, "media": {"ports": "20000-29999"}}
    return RunningService(tmp_path, standard_directory(agents=AGENTS), settings)


async def _flood(service: RunningService) -> dict[str, float]:
    total = int(3 * CAPACITY * SECONDS)
    async with agents(service, *(phone(n, ring_ms=0) for n in range(1, AGENTS + 1)), seconds=90) as answering:

        async def all_available() -> bool:
            return set((await service.agents()).values()) == {"available"}

        await eventually(all_available, within=20)
        memory = resident_bytes(service.pid)
        result = await run(
            "caller",
            service.sip_address,
            number=BILLING,
            calls=total,
            rate=int(3 * CAPACITY),
            pause_ms=TALK_MS,
            seconds=SECONDS + 40,
        )
        grown = resident_bytes(service.pid) - memory
        saw = await answering.stop()
    records = await service.records()
    waits = sorted(record["wait_seconds"] for record in records if record["outcome"] == "answered")
    return {
        "taken": result.successful,
        "refused": await service.metric("acd_sip_rejected_total"),
        "asked": total,
        "not_answered": len(records) - len(waits),
        "failed_at_agents": saw.failed,
        "wait_p95_ms": round(waits[len(waits) * 95 // 100] * 1000, 1),
        "memory_growth_bytes": grown,
    }


def test_bench_three_times_the_capacity(benchmark: BenchmarkFixture, service: RunningService) -> None:
    os.sched_setaffinity(0, {LOAD_CORE} if (os.cpu_count() or 1) > 1 else {0})
    service.start()
    pin(service.pid, SERVICE_CORE)
    try:
        found = benchmark.pedantic(lambda: asyncio.run(_flood(service)), rounds=1, iterations=1)
    finally:
        service.stop()
    benchmark.extra_info.update(found)
    print(found)
    assert found["not_answered"] == 0
    assert found["wait_p95_ms"] < 50


REFUSED, REFUSED_A_SECOND = 3000, 300


@pytest.fixture
def full(tmp_path: Path) -> RunningService:
    settings = {"log": {"level": "warning"}, "overload": {"max_calls": 1}}
    return RunningService(tmp_path, standard_directory(), settings)


async def _refuse(service: RunningService) -> dict[str, float]:
    """One call is inside, which is all that may be; the CPU of the service beyond what that one takes."""
    async with caller(service) as someone:
        call = await dial(someone, MUSIC)
        before, asleep = cpu_seconds(service.pid)["service"], 5.0
        await asyncio.sleep(asleep)
        usual = (cpu_seconds(service.pid)["service"] - before) / asleep
        before, began = cpu_seconds(service.pid)["service"], time.monotonic()
        result = await run(
            "caller", service.sip_address, number=MUSIC, calls=REFUSED, rate=REFUSED_A_SECOND, seconds=60
        )
        used = cpu_seconds(service.pid)["service"] - before - usual * (time.monotonic() - began)
        await call.hang_up()
    refused = await service.metric("acd_sip_rejected_total", reason="too-many-calls")
    return {"taken": result.successful, "refused": refused, "cpu_us": round(used / refused * 1e6)}


def test_bench_refusals_of_a_full_node(benchmark: BenchmarkFixture, full: RunningService) -> None:
    os.sched_setaffinity(0, {LOAD_CORE} if (os.cpu_count() or 1) > 1 else {0})
    full.start()
    pin(full.pid, SERVICE_CORE)
    try:
        found = benchmark.pedantic(lambda: asyncio.run(_refuse(full)), rounds=1, iterations=1)
    finally:
        full.stop()
    benchmark.extra_info.update(found)
    print(found)
    assert found["taken"] == 0
    assert found["refused"] >= REFUSED, "those that were said again are refused again"
