"""A real Prometheus reads the control plane, fed with seeded calls, and every panel finds something."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from acd.control.app import ControlServer
from tests.support.metrics import COUNTS, Bench, calls
from tests.support.prometheus import panel_queries, prometheus

_SCRAPES = 4


@asynccontextmanager
async def fed_service() -> AsyncIterator[str]:
    """A control plane whose metrics go on counting; gives the address of /metrics."""
    bench = Bench()
    server = ControlServer(bench.centre.context(metrics=bench.metrics), "127.0.0.1", 0)
    await server.start()
    bench.metrics.start(lambda seconds: None)
    feeding = asyncio.create_task(_feed(bench))
    try:
        yield f"{server.url}/metrics"
    finally:
        feeding.cancel()
        bench.metrics.stop()
        await server.stop()


async def _feed(bench: Bench) -> None:
    for step in itertools.count(1):
        for fact in calls(seed=step, count=20):
            bench.metrics(fact)
        total = COUNTS.sip_responses["INVITE", 200] + 20 * step
        bench.counts = replace(COUNTS, sip_responses={("INVITE", 200): total, ("BYE", 200): total})
        await asyncio.sleep(0.2)


async def test_every_panel_of_the_dashboard_finds_something(tmp_path: Path):
    async with fed_service() as url, prometheus(tmp_path, url) as server:
        await server.until(f"count_over_time(up[30s]) >= {_SCRAPES} and up == 1", seconds=20)
        assert await server.empty(panel_queries()) == []
        rules = await server.rules()
        assert rules
        assert [rule for rule in rules if rule["health"] == "err"] == []
        assert await server.numbers("queue:acd_queue_service_level:ratio_rate10m")
