"""Whoever leaves at whatever moment, everything is released within a second."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.cast import BILLING, MENU, agents, caller, dial, phone, softphone
from tests.support.net import patience
from tests.support.service import RunningService
from tests.support.sipp import Behaviour, run


@pytest.fixture
async def ports(service: RunningService) -> float:
    """How many media ports are free before the test."""
    return await service.metric("acd_media_ports_free")


@pytest.mark.interop("SIPp", "hang-up in the menu")
async def test_in_the_menu(service: RunningService, ports: float) -> None:
    async with caller(service, "+37255501001") as someone:
        call = await dial(someone, MENU)
        await service.call_reaches(someone.user, "ivr")
        await call.hang_up()
        await service.released(ports_free=ports)
        record = await service.record_of(someone.user)
    assert (record["outcome"], record["hangup_side"], record["queue"]) == ("abandoned", "caller", None)


async def test_while_waiting(service: RunningService, ports: float) -> None:
    async with caller(service, "+37255501002") as someone:
        call = await dial(someone, BILLING)
        await service.call_reaches(someone.user, "queued")
        await call.hang_up()
        await service.released(ports_free=ports)
        assert (await service.queue("billing"))["waiting"] == 0
        record = await service.record_of(someone.user)
    assert (record["outcome"], record["queue"]) == ("abandoned", "billing")


async def test_while_the_agent_rings(service: RunningService, ports: float) -> None:
    ringing = agents(service, phone(1, Behaviour.RING_FOR_EVER))
    async with caller(service, "+37255501003") as someone, ringing:
        call = await dial(someone, BILLING)
        await service.agent_reaches("a1", "offered")
        await asyncio.sleep(0.1)
        await call.hang_up()
        await service.released(ports_free=ports)
        await service.agent_reaches("a1", "available", within=1)
        result = await ringing.stop()
        record = await service.record_of(someone.user)
    result.assert_clean(1)
    assert (record["outcome"], record["answered_at"], record["offers"]) == ("abandoned", None, 1)


@pytest.mark.parametrize("after_ms", [80, 95, 100, 105, 120])
async def test_while_the_agents_200_is_under_way(
    service: RunningService, ports: float, after_ms: int
) -> None:
    number = f"+3725550104{after_ms % 10}{after_ms // 10}"
    async with caller(service, number) as someone, agents(service, phone(1, ring_ms=100)):
        call = await dial(someone, BILLING)
        await asyncio.sleep(after_ms / 1000)
        await call.hang_up()
        await service.released(ports_free=ports)
        await service.agent_reaches("a1", "available", within=1)
        record = await service.record_of(number)
    assert record["outcome"] in ("abandoned", "answered")


async def test_in_the_same_breath_as_the_answer(service: RunningService, ports: float) -> None:
    result = await run("caller_bye_at_once", service.sip_address, number=BILLING, calls=10, rate=50)
    result.assert_clean(10)
    await service.released(ports_free=ports)


async def test_cancel_that_crosses_the_answer(service: RunningService, ports: float) -> None:
    async with caller(service, "+37255501005") as someone:
        call = await someone.dial(BILLING)
        call.cancel()
        async with asyncio.timeout(patience(3)):
            while not call.status:
                await asyncio.sleep(0.01)
        if call.status == 200:
            await call.hang_up()
        else:
            assert call.status == 487
        await service.released(ports_free=ports)
        await service.record_of(someone.user)


async def test_while_talking_by_the_agent(service: RunningService, ports: float) -> None:
    async with caller(service, "+37255501006") as someone, softphone(service, 1) as agent:
        await agent.registered()
        call = await dial(someone, BILLING)
        await service.call_reaches(someone.user, "talking")
        await agent.hang_up()
        assert await call.ended(1) == "far"
        await service.released(ports_free=ports)
        record = await service.record_of(someone.user)
    assert (record["outcome"], record["hangup_side"]) == ("answered", "agent")


async def test_agents_phone_that_dies_while_it_rings_lets_the_next_one_ring(service: RunningService) -> None:
    dying, next_one = agents(service, phone(1, Behaviour.RING_FOR_EVER)), agents(service, phone(2))
    async with caller(service, "+37255501007") as someone:
        async with dying:
            call = await dial(someone, BILLING)
            await service.agent_reaches("a1", "offered")
            dying.kill()
            async with next_one:
                await service.call_reaches(someone.user, "talking", within=8)
                assert (await service.call_of(someone.user) or {})["agent"] == "a2"
                await call.hang_up()
        await service.post("/v1/agents/a1/state", {"state": "offline"})
