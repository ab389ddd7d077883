"""Three times as many calls as the limits allow, and a registration storm: the calls inside are served."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import pytest

from tests.support.cast import BILLING, agents, phone
from tests.support.cpu import resident_bytes
from tests.support.net import eventually
from tests.support.registration import register_all
from tests.support.service import PASSWORD, Items, RunningService, standard_directory
from tests.support.sipp import Sipp, run

pytestmark = pytest.mark.alone

AGENTS, RATE, SECONDS = 60, 15, 5
TALK_MS = 2000
"""So long that nobody hangs up before an agent has answered, however busy the machine is."""
DIRECTORY = standard_directory(agents=AGENTS + 200)
SETTINGS = {
    "overload": {
        "calls_per_second": RATE,
        "calls_burst": RATE,
        "registers_per_second": 20,
        "registers_burst": 300,
    }
}
_GROWTH = 40 * 1024 * 1024
_SLOWEST, _RECOVERED = 0.05, 2.0
"""Seconds: what those taken in wait for an agent (95th percentile), and until the service is ready again."""
_TRIES = 3
_SLOWED = 5
"""How many times slower a flood may make the hand-out on a machine too busy for what is asked above."""


_REFUSAL = re.compile(r"^-+ (\S+ \S+)\n[^\n]* received [^\n]*\n\n(SIP/2\.0 503 .*?\n)\r?\n", re.M | re.S)
"""When it came, and the message, as SIPp notes them."""
_CALL_ID = re.compile(r"^Call-ID: (\S+)", re.M)
_RETRY_AFTER = re.compile(r"^Retry-After: (\d+)\r?$", re.M)


async def refused(service: RunningService) -> float:
    """For whatever reason: a busy machine may be late beside."""
    return await service.metric("acd_sip_rejected_total")


@dataclass(frozen=True, slots=True)
class Flood:
    """What came of three times the calls that are let in."""

    taken: int
    waited: float
    """Seconds at the 95th percentile."""
    recovered: float

    @property
    def is_well(self) -> bool:
        return self.waited < _SLOWEST and self.recovered < _RECOVERED


async def flood(service: RunningService) -> Flood:
    """Those that are taken in are all served, and the others told when to come again."""
    asked, before = 3 * RATE * SECONDS, await refused(service)
    began = time.monotonic()
    known = len(await service.records())
    scenario = {"number": BILLING, "calls": asked, "rate": 3 * RATE, "pause_ms": TALK_MS, "seconds": 40}
    async with Sipp("caller", service.sip_address, notes=True, **scenario) as callers:  # type: ignore[arg-type]
        result = await callers.finished()
        ended = time.monotonic()
        await eventually(lambda: _ready(service), within=10, every=0.02, what="ready after the flood")
        refusals = _REFUSAL.findall(callers.messages())
    answers = [answer for _, answer in refusals]
    last = max(datetime.fromisoformat(at).astimezone() for at, _ in refusals)
    taken = result.successful
    assert 0 < taken <= RATE * (ended - began + 2)
    turned_away = {_said(_CALL_ID, answer) for answer in answers}
    assert len(turned_away) == asked - taken == await refused(service) - before
    assert {_said(_RETRY_AFTER, answer) for answer in answers} <= set("23456")
    records = (await eventually(lambda: _records(service, known + taken), within=5))[: -known or None]
    assert len(records) == taken
    assert {record["outcome"] for record in records} == {"answered"}
    return Flood(taken, _p95(records), (_left_at(service) - last).total_seconds())


def _left_at(service: RunningService) -> datetime:
    """When the overload was over last."""
    lines = [line for line in service.log_file.read_text().splitlines() if '"overload.left"' in line]
    return datetime.fromisoformat(json.loads(lines[-1])["timestamp"])


def _said(pattern: re.Pattern[str], answer: str) -> str:
    found = pattern.search(answer)
    assert found is not None, answer
    return found[1]


async def calm(service: RunningService) -> float:
    """What as many as are let in wait, seconds at the 95th percentile."""
    known, calls = len(await service.records()), 2 * RATE
    result = await run(
        "caller", service.sip_address, number=BILLING, calls=calls, rate=RATE * 0.8, pause_ms=TALK_MS
    )
    result.assert_clean(calls)
    return _p95((await eventually(lambda: _records(service, known + calls), within=5))[:calls])


def _p95(records: Items) -> float:
    waits = sorted(record["wait_seconds"] for record in records)
    return float(waits[len(waits) * 95 // 100])


async def test_flood_is_refused_cheaply_and_every_call_taken_in_is_served(
    service: RunningService, record_property: Callable[[str, object], None]
) -> None:
    phones = [phone(n, ring_ms=0) for n in range(1, AGENTS + 1)]
    async with agents(service, *phones) as answering:
        memory = resident_bytes(service.pid)
        tries = [await flood(service)]
        while not tries[-1].is_well and len(tries) < _TRIES:
            tries.append(await flood(service))
        record_property("floods", str(tries))
        if not tries[-1].is_well:
            # The machine is busy with other things: what matters is what the flood adds to that.
            usual = await calm(service)
            assert min(one.waited for one in tries) < _SLOWED * max(usual, _SLOWEST / _SLOWED), (usual, tries)
            assert min(one.recovered for one in tries) < 2 * _RECOVERED, tries
        after = await run("caller", service.sip_address, number=BILLING, calls=5, rate=5, pause_ms=100)
        after.assert_clean(5)
        assert resident_bytes(service.pid) - memory < _GROWTH
        saw = await answering.stop()
    assert saw.failed == 0
    log = service.log_tail(5000)
    assert log.count('"overload.entered"') == log.count('"overload.left"') >= len(tries)


async def _records(service: RunningService, count: int) -> Items:
    records = await service.records()
    return records if len(records) >= count else []


async def _ready(service: RunningService) -> bool:
    status, _ = await asyncio.to_thread(service.request, "GET", "/readyz")
    return status == 200


async def test_storm_of_registrations_does_not_starve_calls(service: RunningService) -> None:
    accounts = [(str(1000 + n), PASSWORD) for n in range(AGENTS + 1, AGENTS + 201)]
    async with agents(service, *(phone(n, ring_ms=0) for n in range(1, 6))):
        storm = asyncio.create_task(
            register_all(service.sip_address, accounts, host="127.0.0.1", port=0, algorithm="MD5", expires=0)
        )
        calls = await run("caller", service.sip_address, number=BILLING, calls=10, rate=10, pause_ms=100)
        statuses = await storm
    calls.assert_clean(10)
    assert set(statuses) == {200, 503}
    assert await _ready(service)
