"""Whole calls through a queue: SIPp callers and agents, the service with its Redis and its media on one core.

A call: INVITE over the trunk, answered, queued, offered to an agent, bridged, a second of talk, BYE. The load
runs on the other core. CPU is that of the service, its media worker and its Redis, from /proc.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.support.cast import BILLING, agents, phone
from tests.support.cpu import cpu_seconds, pin, resident_bytes
from tests.support.net import eventually
from tests.support.service import RunningService, standard_directory
from tests.support.sipp import run

AGENTS = 200
TALK_MS = 1000
SERVICE_CORE, LOAD_CORE = 0, 1
SECONDS = float(os.environ.get("ACD_BENCH_SECONDS", "20"))


@pytest.fixture
def service(tmp_path: Path) -> RunningService:
    return RunningService(
        tmp_path,
        standard_directory(agents=AGENTS),
        {
            "log": {"level": "warning"},
            "media": {"ports": "20000-29999"},
            "overload": {"calls_per_second": 10_000, "calls_burst": 10_000},
        },
    )


async def _measure(service: RunningService, rate: int) -> dict[str, float]:
    phones = [phone(n, ring_ms=0) for n in range(1, AGENTS + 1)]
    total = int(rate * SECONDS)
    async with agents(service, *phones, seconds=SECONDS + 40) as answering:

        async def all_available() -> bool:
            return set((await service.agents()).values()) == {"available"}

        await eventually(all_available, within=20)
        before = cpu_seconds(service.pid)
        memory = resident_bytes(service.pid)
        result = await run(
            "caller",
            service.sip_address,
            number=BILLING,
            calls=total,
            rate=rate,
            pause_ms=TALK_MS,
            seconds=SECONDS + 20,
        )
        used = {name: value - before[name] for name, value in cpu_seconds(service.pid).items()}
        await answering.stop()
    records = await service.records(limit="500")
    waits = sorted(record["wait_seconds"] for record in records if record["outcome"] == "answered")
    return {
        "calls_per_second": rate,
        "failed": result.failed + total - result.successful,
        "retransmissions": result.retransmissions,
        "wait_p99_ms": round(waits[len(waits) * 99 // 100] * 1000) if waits else -1,
        "memory_growth_bytes": resident_bytes(service.pid) - memory,
        **{f"cpu_s_per_1000_{name}": round(value / total * 1000, 2) for name, value in used.items()},
    }


@pytest.mark.parametrize("rate", [50, 100, 200])
def test_bench_queued_calls(benchmark: BenchmarkFixture, service: RunningService, rate: int) -> None:
    os.sched_setaffinity(0, {LOAD_CORE} if (os.cpu_count() or 1) > 1 else {0})
    service.start()
    pin(service.pid, SERVICE_CORE)
    try:
        found = benchmark.pedantic(lambda: asyncio.run(_measure(service, rate)), rounds=1, iterations=1)
    finally:
        service.stop()
    benchmark.extra_info.update(found)
    print(found)
