"""Hold and resume by either side: right directions, music to the held party, nothing else to the holder."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.audio import seconds_of, seconds_of_sound
from tests.support.cast import AGENT_HZ, BILLING, CALLER_HZ, agents, caller, dial, phone, softphone
from tests.support.net import eventually
from tests.support.service import RunningService
from tests.support.sipp import Behaviour, run

_LISTEN = 1.0


@pytest.mark.interop("baresip", "held by the caller, hears music")
async def test_caller_holds_and_the_agent_hears_music(service: RunningService) -> None:
    async with caller(service, "+37255502001") as someone, softphone(service, 1) as agent:
        await agent.registered()
        call = await dial(someone, BILLING)
        await agent.until("CALL_ESTABLISHED")
        await asyncio.sleep(0.5)
        assert await call.hold("sendonly") == "recvonly"
        await asyncio.sleep(0.3 + _LISTEN)
        held = agent.heard(last_seconds=_LISTEN - 0.2)
        assert seconds_of(CALLER_HZ, held) < 0.1
        assert seconds_of_sound(held) > 0.4, "the held agent hears no music"
        assert await call.resume() == "sendrecv"
        await asyncio.sleep(0.3 + _LISTEN)
        assert seconds_of(CALLER_HZ, agent.heard(last_seconds=_LISTEN - 0.2)) > 0.5
        call.rtp.forget()
        await asyncio.sleep(_LISTEN)
        assert seconds_of(AGENT_HZ, bytes(call.rtp.heard.pcm)) > 0.5
        await call.hang_up()
        record = await service.record_of(someone.user)
    assert 1.0 < record["hold_seconds"] < 3.0


@pytest.mark.interop("baresip", "holds and resumes")
async def test_agent_holds_and_the_caller_hears_music(service: RunningService) -> None:
    async with caller(service, "+37255502002") as someone, softphone(service, 1) as agent:
        await agent.registered()
        call = await dial(someone, BILLING)
        await agent.until("CALL_ESTABLISHED")
        await service.call_reaches(someone.user, "talking")
        await agent.hold()
        await asyncio.sleep(0.4)
        call.rtp.forget()
        await asyncio.sleep(_LISTEN)
        held = bytes(call.rtp.heard.pcm)
        assert seconds_of(AGENT_HZ, held) < 0.1
        assert seconds_of_sound(held) > 0.5, "the held caller hears no music"
        await agent.resume()
        await asyncio.sleep(0.4)
        call.rtp.forget()

        async def agent_is_back() -> bool:
            return seconds_of(AGENT_HZ, bytes(call.rtp.heard.pcm)) > 0.5

        await eventually(agent_is_back, within=3)
        await call.hang_up()


@pytest.mark.interop("SIPp", "callers hold and resume")
async def test_sipp_callers_hold_and_resume(service: RunningService) -> None:
    async with agents(service, phone(1), phone(2)):
        result = await run(
            "caller_holds", service.sip_address, number=BILLING, calls=2, rate=10, pause_ms=400
        )
    result.assert_clean(2)


@pytest.mark.interop("SIPp", "agents hold and resume")
async def test_sipp_agents_hold_and_resume(service: RunningService) -> None:
    holding = agents(service, phone(1, Behaviour.HOLD_AND_RESUME, talk_ms=300))
    async with holding:
        result = await run("caller", service.sip_address, number=BILLING, calls=1, pause_ms=2500)
        phones = await holding.stop()
    result.assert_clean(1)
    phones.assert_clean(1)


async def test_both_hold_and_the_call_still_ends_well(service: RunningService) -> None:
    async with caller(service, "+37255502003") as someone, softphone(service, 1) as agent:
        await agent.registered()
        call = await dial(someone, BILLING)
        await agent.until("CALL_ESTABLISHED")
        await service.call_reaches(someone.user, "talking")
        await agent.hold()
        assert await call.hold("sendonly") in ("recvonly", "inactive")
        await asyncio.sleep(0.3)
        await call.hang_up()
        await agent.until("CALL_CLOSED")
