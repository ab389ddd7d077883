"""Three times the calls that the default limits let in: what is taken in is handed out as fast as ever."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from acd.config import OverloadSection
from tests.support.cast import BILLING, agents, phone
from tests.support.cpu import pin, resident_bytes
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
