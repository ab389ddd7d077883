"""20 calls a second for 60 seconds to 100 agents: none fails, one record each, nothing is left over."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio

from tests.support.cast import BILLING, agents, phone
from tests.support.net import eventually
from tests.support.service import RunningService, standard_directory
from tests.support.sipp import run

pytestmark = pytest.mark.alone

AGENTS = 100
RATE, SECONDS = 20, 60
DIRECTORY = standard_directory(agents=AGENTS)
SETTINGS = {"log": {"level": "warning"}}
_NOT_STATE = ("outbox", "events", "stream", ":hb:")
"""Words in the names of keys that grow with history, not with live calls."""


_POOLED = 24
"""What pools may have opened under load, and keep: eight connections to Redis; five to SQLite, each with the
database and its log, and the index of the log that they share. More on a busy machine, none for each call."""


async def keys(service: RunningService) -> set[str]:
    """Names of all keys that stand for something live."""
    (socket,) = (service.data_dir / "redis").glob("*.sock")
    client = redis.asyncio.Redis(unix_socket_path=str(socket), decode_responses=True)
    try:
        names = [key async for key in client.scan_iter(count=1000)]
    finally:
        await client.aclose()
    return {name for name in names if not any(word in name for word in _NOT_STATE)}


@pytest.mark.interop("SIPp", "20 calls a second through a queue to 100 agents")
@pytest.mark.timeout(150)
async def test_twenty_calls_a_second_for_a_minute(service: RunningService) -> None:
    phones = [phone(n, ring_ms=200) for n in range(1, AGENTS + 1)]
    total = RATE * SECONDS
    async with agents(service, *phones, seconds=110) as answering:
        await eventually(lambda: _all(service, "available"), within=10, what="100 agents available")
        warm_up = await run("caller", service.sip_address, number=BILLING, calls=20, rate=20, pause_ms=500)
        warm_up.assert_clean(20)
        await eventually(lambda: _all(service, "available"), within=5)
        before = (
            await keys(service),
            await service.metric("acd_media_ports_free"),
            service.open_files(),
        )

        result = await run(
            "caller", service.sip_address, number=BILLING, calls=total, rate=RATE, pause_ms=2000, seconds=90
        )
        result.assert_clean(total)
        await eventually(lambda: _all(service, "available"), within=5)
        assert await service.calls() == []

        left = await _settles(lambda: _left_over(service, *before), within=10)
        assert not left, f"left over after 10 s: {left}"
        records = await eventually(lambda: _records(service, total + 20), within=10)
        phones_saw = await answering.stop()
    outcomes = Counter(record["outcome"] for record in records)
    assert outcomes == {"answered": total + 20}
    assert len({record["id"] for record in records}) == total + 20
    assert len({record["agent"] for record in records}) == AGENTS, "longest idle first reaches everyone"
    assert phones_saw.failed == 0, phones_saw
    waits = sorted(record["wait_seconds"] for record in records)
    assert waits[len(waits) * 99 // 100] < 2.0, f"99 % waited {waits[len(waits) * 99 // 100]:.2f} s"


async def _settles(find: Callable[[], Awaitable[str]], within: float) -> str:
    """What `find` still finds in the end."""
    deadline = time.monotonic() + within
    while (found := await find()) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    return found


async def _left_over(service: RunningService, names: set[str], ports: float, files: Counter[str]) -> str:
    """What is there that was not; empty where nothing is."""
    new = sorted(await keys(service) - names)
    missing = ports - await service.metric("acd_media_ports_free")
    opened = service.open_files() - files
    many = opened.total() > _POOLED
    return f"keys {new}, {missing:g} ports, files {dict(opened)}" if new or missing > 0 or many else ""


async def _all(service: RunningService, state: str) -> bool:
    states = await service.agents()
    return {states[f"a{n}"] for n in range(1, AGENTS + 1)} == {state}


async def _records(service: RunningService, count: int) -> list[dict[str, Any]]:
    records = await service.records()
    return records if len(records) >= count else []
