"""A real Prometheus scrapes the running service under calls, and every panel's query finds something."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from tests.support.cast import BILLING, SALES, agents, caller, dial, phone
from tests.support.net import eventually
from tests.support.prometheus import Prometheus, panel_queries, prometheus
from tests.support.service import RunningService, standard_directory
from tests.support.sipp import Behaviour

DIRECTORY = standard_directory()
DIRECTORY["queues"][0]["max_waiting"] = 100
_WAIT_SECONDS = 1.2
_TALK_SECONDS = 1.0


async def test_every_panel_finds_something_under_calls(service: RunningService, tmp_path: Path) -> None:
    async with prometheus(tmp_path, service.metrics_url, service.token("viewer")) as server:
        await server.until("sum(acd_calls_started_total) == 0", seconds=15)
        await _one_gives_up(service)
        async with agents(service, phone(1), phone(2), phone(3, Behaviour.BUSY)):
            for number in (BILLING, SALES, BILLING, SALES):
                await _one_is_answered(service, number)
            await _scraped(server)

            async def every_panel_is_filled() -> bool:
                missing[:] = await server.empty(panel_queries())
                if missing:
                    await _one_is_answered(service, BILLING)
                return not missing

            # The forecast looks every few seconds, a busy machine more seldom; who comes after it is told.
            missing: list[tuple[str, str]] = []
            with contextlib.suppress(AssertionError):
                await eventually(every_panel_is_filled, within=60, every=1)
            assert missing == []
            assert [rule for rule in await server.rules() if rule["health"] == "err"] == []


async def _one_gives_up(service: RunningService) -> None:
    async with caller(service, "+37255507001") as someone:
        call = await dial(someone, BILLING)
        await service.call_reaches(someone.user, "queued")
        await asyncio.sleep(_WAIT_SECONDS)
        await call.hang_up()


async def _one_is_answered(service: RunningService, number: str) -> None:
    async with caller(service, "+37255507002") as someone:
        call = await dial(someone, number)
        await service.call_reaches(someone.user, "talking")
        await asyncio.sleep(_TALK_SECONDS)
        await call.hang_up()


async def _scraped(server: Prometheus) -> None:
    """Everything above has reached the server, and was seen to rise."""
    counted_late = ("acd_talk_seconds_count", "acd_wrapup_seconds_count", "acd_rtp_mos_count")
    for counted in ("acd_queue_abandoned_total", *counted_late):
        await server.until(f"sum(rate({counted}[30s])) > 0", seconds=10)
