"""pjsua2 as an agent's phone: encrypted, with reliable ringing, session timers and both kinds of transfer."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.audio import seconds_of, seconds_of_sound
from tests.support.caller import Call
from tests.support.cast import BILLING, CALLER_HZ, MENU, agents, caller, dial, phone
from tests.support.every_transport import EveryTransport
from tests.support.net import eventually, free_port
from tests.support.pjsua import INSTALLED, Pjsua
from tests.support.provider import RINGBACK_HZ, VOICE_HZ, Provider
from tests.support.service import PASSWORD, TRUNK, standard_directory
from tests.support.sipp import Behaviour

pytestmark = pytest.mark.skipif(not INSTALLED, reason="not installed: pjsua2; run: make setup-test")

FIRST_HZ, SECOND_HZ = 700.0, 1100.0
SERVICE = EveryTransport
SETTINGS = {"sip": {"session_seconds": 90}}
DIRECTORY = standard_directory(agents=4)
DIRECTORY["devices"] = [{"name": "encrypted", "srtp": "require"}]
DIRECTORY["devices"].append(
    {"name": "desk", "auto_answer": "answer-after", "call_info": "https://crm.example/?n={number}&q={queue}"}
)
DIRECTORY["agents"][1]["device"] = "desk"
OUTSIDE_PORT = free_port()
DIRECTORY["trunks"][0]["hosts"] = [{"host": TRUNK, "transport": "udp", "port": OUTSIDE_PORT}]
DIRECTORY["routes"] = [{"prefix": "+", "class": "national", "trunks": ["carrier"]}]
DIRECTORY["agents"][3]["dialling"] = ["national"]
DIRECTORY["agents"][2]["device"] = "encrypted"


def pjsua(service: EveryTransport, n: int, *, transport: str = "udp", **more: object) -> Pjsua:
    return Pjsua(
        service.at(transport),
        str(1000 + n),
        PASSWORD,
        transport=transport,
        authority=str(service.authority.path) if transport == "tls" else "",
        **more,
    )


async def caller_hears(call: Call, frequency: float) -> None:
    call.rtp.forget()

    async def enough() -> bool:
        return seconds_of(frequency, bytes(call.rtp.heard.pcm)) >= 0.4

    await eventually(enough, within=5, what=f"{frequency} Hz at the caller")


async def phone_hears(agent: Pjsua, line: int, frequency: float) -> None:
    async def enough() -> bool:
        return seconds_of(frequency, agent.heard(line, last_seconds=1)) >= 0.4

    await eventually(enough, within=5, what=f"{frequency} Hz at {agent.user}")


async def taken(service: EveryTransport, agent: Pjsua, someone: object) -> tuple[Call, int]:
    """The caller talks with this agent: the call, and the line of the phone."""
    await agent.registered()
    await service.agent_reaches(f"a{agent.user[-1]}", "available")
    call = await dial(someone, BILLING)  # type: ignore[arg-type]
    line = await agent.incoming()
    await agent.talking(line)
    await service.call_reaches(someone.user, "talking")  # type: ignore[attr-defined]
    return call, line


@pytest.mark.interop("pjsua2", "TLS with SRTP (SDES) required, audio both ways", "holds and resumes")
async def test_encrypted_call_is_heard_both_ways_and_can_be_held(service: EveryTransport) -> None:
    async with (
        pjsua(service, 3, transport="tls", srtp="required", says=FIRST_HZ) as agent,
        caller(service, "+37255511001") as someone,
    ):
        call, line = await taken(service, agent, someone)
        await caller_hears(call, FIRST_HZ)
        await phone_hears(agent, line, CALLER_HZ)
        await agent.command("hold", line=line)

        async def music() -> bool:
            call.rtp.forget()
            await asyncio.sleep(0.6)
            held = bytes(call.rtp.heard.pcm)
            return seconds_of_sound(held) > 0.3 and seconds_of(FIRST_HZ, held) < 0.1

        await eventually(music, within=5, what="music at the held caller")
        await agent.command("resume", line=line)
        await caller_hears(call, FIRST_HZ)
        await agent.command("hang_up", line=line)
        assert await call.ended() == "far"
        record = await service.record_of(someone.user)
    assert (record["agent"], record["hangup_side"]) == ("a3", "agent")


@pytest.mark.interop("pjsua2", "100rel required, called and calling", "session timers required")
async def test_reliable_ringing_and_session_timers_are_kept_with_a_phone_that_insists(
    service: EveryTransport,
) -> None:
    strict = {"reliable": "required", "timer": "required"}
    async with (
        pjsua(service, 1, **strict) as first,
        pjsua(service, 2, **strict, says=SECOND_HZ) as second,
        caller(service, "+37255511002") as someone,
    ):
        call, line = await taken(service, first, someone)
        await first.until("received", method="PRACK", status=200)
        await first.command("update", line=line)
        await first.until("sent", method="UPDATE", status=200)
        await call.hang_up()
        await first.ended(line)
        await second.registered()
        line = await first.dial("1002")
        await phone_hears(first, line, SECOND_HZ)
        await first.command("hang_up", line=line)
        await second.ended(await second.incoming())


@pytest.mark.interop("pjsua2", "early media of a number outside, ringing told reliably (183, PRACK)")
async def test_a_phone_that_insists_on_reliable_ringing_hears_early_media_of_a_number_outside(
    service: EveryTransport,
) -> None:
    async with (
        Provider(service.sip_address, port=OUTSIDE_PORT) as provider,
        pjsua(service, 4, reliable="required") as agent,
    ):
        await agent.registered()
        await service.agent_reaches("a4", "available")
        line = int(await agent.command("dial", number="+37255570001"))
        await provider.called()
        await agent.until("sent", method="PRACK", status=200)
        await phone_hears(agent, line, RINGBACK_HZ)
        assert agent.seen("talking", line=line) == []
        far = await provider.pick_up()
        await agent.talking(line)
        await phone_hears(agent, line, VOICE_HZ)
        await provider.hears(far, FIRST_HZ)
        await agent.command("hang_up", line=line)
        await provider.ended(far)


@pytest.mark.interop("pjsua2", "blind transfer (REFER)")
async def test_blind_transfer_is_reported_to_the_end(service: EveryTransport) -> None:
    async with (
        pjsua(service, 1) as first,
        caller(service, "+37255511003") as someone,
    ):
        call, line = await taken(service, first, someone)
        async with agents(service, phone(4, Behaviour.BUSY)):
            await first.command("transfer", line=line, to="1004")
            await first.until("transfer", status=486, final=True)
        await caller_hears(call, FIRST_HZ)
        async with pjsua(service, 2, says=SECOND_HZ) as second:
            await second.registered()
            await service.agent_reaches("a2", "available")
            await first.command("transfer", line=line, to="1002")
            await first.until("transfer", status=200, final=True)
            await first.ended(line)
            await caller_hears(call, SECOND_HZ)
            await phone_hears(second, await second.incoming(), CALLER_HZ)
            await call.hang_up()
        record = await service.record_of(someone.user)
    assert record["agent"] == "a2"


@pytest.mark.interop("pjsua2", "attended transfer (REFER with Replaces)")
async def test_attended_transfer_joins_the_two_calls(service: EveryTransport) -> None:
    async with (
        pjsua(service, 1) as first,
        caller(service, "+37255511004") as someone,
    ):
        call, line = await taken(service, first, someone)
        async with pjsua(service, 2, says=SECOND_HZ) as second:
            await second.registered()
            await service.agent_reaches("a2", "available")
            await first.command("hold", line=line)
            other = await first.dial("1002")
            await phone_hears(first, other, SECOND_HZ)
            await first.command("join", line=line, other=other)
            await first.ended(line)
            await first.ended(other)
            await caller_hears(call, SECOND_HZ)
            await phone_hears(second, await second.incoming(), CALLER_HZ)
            await call.hang_up()
        record = await service.record_of(someone.user)
    assert record["agent"] == "a2"


@pytest.mark.interop(
    "pjsua2", "answers by itself where the call asks for it", "shows caller, queue and a page"
)
async def test_phone_answers_by_itself_and_shows_who_calls_and_for_which_queue(
    service: EveryTransport,
) -> None:
    async with pjsua(service, 2, answers="asked") as agent, caller(service, "+37255511011") as someone:
        call, line = await taken(service, agent, someone)
        invite = (await agent.until("incoming"))["message"]
        assert 'From: "+37255511011 (billing)" <sip:+37255511011@' in invite
        assert "Call-Info: <https://crm.example/?n=%2B37255511011&q=billing>;purpose=info" in invite
        await call.hang_up()
        await agent.ended(line)


@pytest.mark.interop("pjsua2", "voice messages waiting (MWI)")
async def test_phone_hears_of_its_voice_messages(service: EveryTransport) -> None:
    async with pjsua(service, 1, messages=True) as agent:
        await agent.registered()
        assert "Messages-Waiting:" in (await agent.until("messages"))["notify"]


@pytest.mark.interop("pjsua2", "digits by RFC 4733 and by INFO")
async def test_digits_lead_through_the_menu_by_either_way(service: EveryTransport) -> None:
    async with pjsua(service, 1) as agent:
        await agent.registered()
        await service.agent_reaches("a1", "available")
        await service.post("/v1/agents/a1/state", {"state": "paused", "reason": "private call"})
        line = await agent.dial(MENU)
        for step, method in (("1", "rtp"), ("1", "info"), ("2", "info")):
            await asyncio.sleep(0.6)
            await agent.command("press", line=line, digits=step, method=method)
        queued = await service.call_reaches("1001", "queued")
        assert queued["queue"] == "support"
        await agent.command("hang_up", line=line)
        await agent.ended(line)
        await service.post("/v1/agents/a1/state", {"state": "available"})
