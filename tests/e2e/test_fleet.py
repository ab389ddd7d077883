"""A thousand phones on TCP, and all of them registering again within seconds, while calls go on."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.support.cast import BILLING, SALES, agents, caller, phone
from tests.support.fleet import Fleet
from tests.support.net import eventually
from tests.support.service import PASSWORD, RunningService, standard_directory
from tests.support.sipp import run

pytestmark = pytest.mark.alone

PHONES, ANSWERING, CALLS = 1000, 10, 30
STORM_SECONDS = 3.0
"""The last is answered within five seconds of the first."""
DIRECTORY = standard_directory(agents=ANSWERING)
DIRECTORY["agents"] += [
    {"id": f"p{n}", "extension": str(5000 + n), "password": PASSWORD, "skills": {"sales": 5}}
    for n in range(PHONES)
]
for _agent in DIRECTORY["agents"][:ANSWERING]:
    _agent["skills"] = {"billing": 5}
SETTINGS = {"overload": {"lag_seconds": 1.0}}
"""On a machine that other tests keep busy as well; a phone told to come again later is no lost one."""
OFFICES = [f"127.0.1.{n}" for n in range(1, 5)]
"""Where the phones are: 250 behind each address."""


async def test_thousand_phones_register_again_in_a_storm_and_neither_a_phone_nor_a_call_is_lost(
    service: RunningService,
) -> None:
    users = [str(5000 + n) for n in range(PHONES)]
    async with (
        agents(service, *(phone(n, ring_ms=0) for n in range(1, ANSWERING + 1))),
        Fleet(service.sip_address, users, PASSWORD, hosts=OFFICES, expires=60) as fleet,
        caller(service, "+37255500081") as someone,
    ):
        assert set(await fleet.register(within=3.0)) == {200}
        assert await service.metric("acd_sip_registrations") == PHONES + ANSWERING
        calls = asyncio.create_task(
            run("caller", service.sip_address, number=BILLING, calls=CALLS, rate=10, pause_ms=1000)
        )
        await eventually(service.calls, within=5, what="calls that go on")
        began = time.monotonic()
        assert set(await fleet.register(within=STORM_SECONDS)) == {200}
        assert time.monotonic() - began < 5.0
        (await calls).assert_clean(CALLS)
        assert await service.metric("acd_sip_registrations") == PHONES + ANSWERING
        assert await service.metric("acd_sip_connections", transport="tcp") == PHONES
        assert fleet.lost == 0
        # And one of them is rung over the connection that it came by.
        call = await (await someone.dial(SALES)).answered()
        await eventually(lambda: _invited(fleet), within=5, what="a phone that rings")
        await call.hang_up()


async def _invited(fleet: Fleet) -> bool:
    return fleet.invited > 0
