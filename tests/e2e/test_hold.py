"""Hold and resume by either side: right directions, music to the held party, nothing else to the holder. And
sessions that are said again while people talk."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.audio import seconds_of, seconds_of_sound
from tests.support.cast import (
    AGENT_HZ,
    BILLING,
    CALLER_HZ,
    ECHO,
    MUSIC,
    agents,
    caller,
    dial,
    phone,
    softphone,
)
from tests.support.linphone import Linphone
from tests.support.net import eventually
from tests.support.pjsua import INSTALLED, Pjsua
from tests.support.script import Caller, audio
from tests.support.service import PASSWORD, RunningService
from tests.support.sipp import Behaviour, run

SETTINGS = {"sip": {"session_seconds": 90, "session_refresh_seconds": 2}}
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


@pytest.mark.interop(
    "linphone", "registers over UDP and TCP, is called, is heard", "holds and resumes", "hangs up"
)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_linphone_takes_a_call_holds_it_and_hangs_up(service: RunningService, transport: str) -> None:
    phone = Linphone(service.sip_address, "1001", PASSWORD, says=AGENT_HZ, transport=transport)
    async with phone as agent, caller(service, "+37255512001") as someone:
        await service.agent_reaches("a1", "available")
        call = await dial(someone, BILLING)
        await service.call_reaches(someone.user, "talking")
        await agent.speak()

        async def hears(frequency: float) -> bool:
            call.rtp.forget()
            await asyncio.sleep(0.6)
            return seconds_of(frequency, bytes(call.rtp.heard.pcm)) >= 0.3

        async def caller_hears() -> bool:
            return await hears(AGENT_HZ)

        async def music() -> bool:
            gone = not await hears(AGENT_HZ)
            return gone and seconds_of_sound(bytes(call.rtp.heard.pcm)) > 0.3

        await eventually(caller_hears, within=5, what="the agent's tone at the caller")
        await agent.command("call-pause")
        await eventually(music, within=5, what="music at the held caller")
        await agent.command("call-resume 1")
        await agent.resumed()
        await agent.speak()
        await eventually(caller_hears, within=5, what="the agent's tone after the hold")
        await agent.command("terminate")
        assert await call.ended() == "far"
        record = await service.record_of(someone.user)
    assert record["hangup_side"] == "agent"


@pytest.mark.skipif(not INSTALLED, reason="not installed: pjsua2; run: make setup-test")
@pytest.mark.interop("pjsua2", "session refreshed in time, called and calling")
async def test_session_is_refreshed_in_time(service: RunningService) -> None:
    async with (
        Pjsua(service.sip_address, "1001", PASSWORD, timer="always") as agent,
        caller(service, "+37255502009") as someone,
    ):
        await agent.registered()
        await service.agent_reaches("a1", "available")
        call = await dial(someone, BILLING)
        line = await agent.incoming()
        await agent.talking(line)
        other = await agent.dial(ECHO)
        await agent.until("received", method="UPDATE", status=200, count=4, within=20)
        await service.call_reaches(someone.user, "talking")
        await agent.command("hang_up", line=line)
        assert await call.ended() == "far"
        await agent.command("hang_up", line=other)
        await agent.ended(other)


@pytest.mark.interop("SIPp", "re-INVITEs that cross (glare, 491)")
async def test_glare_of_a_refresh_is_solved(service: RunningService) -> None:
    script = Caller()
    script.invite("Supported: timer", "Session-Expires: 90;refresher=uas", "Allow: INVITE, ACK, BYE, CANCEL")
    script.answered("refresher=uas")
    script.hear_request("INVITE", "Session-Expires: 90;refresher=uac")
    script.invite(body=audio(version=2))
    script.refused(491)
    script.reply(491)
    script.hear_request("ACK")
    script.hear_request("INVITE", "Session-Expires: 90;refresher=uac")
    script.reply(200, "Session-Expires: 90;refresher=uac", "Require: timer", body=audio())
    script.hear_request("ACK")
    script.bye()
    (await run(script, service.sip_address, number=MUSIC, seconds=30, rtp_echo=True)).assert_clean(1)
