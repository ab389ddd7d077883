"""What the RFCs say of rare messages and of races, with SIPp as the strict peer on either side."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import pytest

from tests.support.audio import seconds_of_sound
from tests.support.cast import BILLING, ECHO, MENU, MUSIC, agents, caller, dial, phone
from tests.support.net import eventually
from tests.support.rtp_peer import RtpPeer
from tests.support.script import Answerer, Caller, audio
from tests.support.service import RunningService
from tests.support.sipp import Agents, run

SETTINGS = {"sip": {"session_seconds": 90}}
_PARTS = "multipart/mixed;boundary=cut"
_OTHER_LAW = r"m=audio [0-9]+ RTP/AVP 8 "


def answered_without_an_offer(peer: Caller) -> None:
    peer.invite(body="")
    peer.answered("Content-Type: application/sdp", "m=audio [0-9]+ RTP/AVP", body=audio())
    peer.wait(100)
    peer.bye()


def codec_changes(peer: Caller) -> None:
    peer.invite(body=audio(laws="0"))
    peer.answered(r"m=audio [0-9]+ RTP/AVP 0 ")
    peer.invite(body=audio(laws="8", version=2))
    peer.answered(_OTHER_LAW)
    peer.invite(body="")
    peer.answered("m=audio [0-9]+ RTP/AVP", body=audio(laws="8", version=3))
    peer.bye()


def offer_in_an_update(peer: Caller) -> None:
    peer.invite()
    peer.answered("Allow:.*UPDATE")
    peer.say("UPDATE", body=audio(direction="sendonly", version=2))
    peer.hear(200, "a=recvonly", "Contact:")
    peer.say("UPDATE")
    peer.hear(200)
    peer.bye()


def session_timer(peer: Caller) -> None:
    peer.invite("Supported: timer", "Session-Expires: 30")
    peer.refused(422, "Min-SE: 90")
    peer.invite("Supported: timer", "Session-Expires: 90;refresher=uac")
    peer.answered("Session-Expires: 90;refresher=uac", "Require: timer")
    peer.say("UPDATE", "Supported: timer", "Session-Expires: 90;refresher=uac")
    peer.hear(200, "Session-Expires: 90;refresher=uac")
    peer.invite("Supported: timer", "Session-Expires: 90;refresher=uac", body=audio(version=1))
    peer.answered("Session-Expires: 90;refresher=uac")
    peer.bye()


def required_extensions(peer: Caller) -> None:
    peer.invite("Require: 100rel, x-magic")
    peer.refused(420, "Unsupported: x-magic")
    peer.invite("Require: 100rel, timer")
    peer.answered()
    peer.bye()


def unknown_method(peer: Caller) -> None:
    peer.invite()
    peer.answered()
    peer.say("DANCE")
    peer.hear(501, "Allow:.*INVITE")
    peer.say("INFO", body="x", kind="text/x-unheard-of")
    peer.hear(200)
    peer.bye()


def hops_used_up(peer: Caller) -> None:
    peer.invite("Max-Forwards: 0")
    peer.refused(483)


def several_parts(peer: Caller) -> None:
    offer = f"--cut\nContent-Type: application/sdp\n\n{audio(laws='8')}\n"
    peer.invite(body=offer + "--cut\nContent-Type: text/plain\n\nhi\n--cut--", kind=_PARTS)
    peer.answered(_OTHER_LAW)
    peer.bye()


def body_of_an_unknown_kind(peer: Caller) -> None:
    peer.invite(body="x", kind="application/x-unheard-of")
    peer.refused(415, "Accept: application/sdp")


def cancel_crosses_the_answer(peer: Caller) -> None:
    peer.invite()
    peer.hear(200, "CSeq: 1 INVITE")
    peer.cancel()
    peer.hear(200, "CSeq: 1 CANCEL")
    peer.ack()
    peer.bye()


def re_invite_after_the_bye(peer: Caller) -> None:
    peer.invite()
    peer.answered()
    peer.bye()
    peer.invite(body=audio(version=2))
    peer.refused(481)


CALLERS: dict[str, Callable[[Caller], None]] = {
    "INVITE without an offer": answered_without_an_offer,
    "re-INVITE with another codec, and without an offer": codec_changes,
    "UPDATE with and without an offer": offer_in_an_update,
    "session timer: too small, refreshed by UPDATE and re-INVITE": session_timer,
    "Require of known and unknown extensions": required_extensions,
    "unknown method, INFO of an unknown kind": unknown_method,
    "Max-Forwards used up": hops_used_up,
    "multipart body": several_parts,
    "body of an unknown kind": body_of_an_unknown_kind,
    "CANCEL that crosses the 200": cancel_crosses_the_answer,
    "re-INVITE after the BYE": re_invite_after_the_bye,
}


@pytest.mark.parametrize(
    "play", [pytest.param(play, marks=pytest.mark.interop("SIPp", name)) for name, play in CALLERS.items()]
)
async def test_caller(service: RunningService, play: Callable[[Caller], None]) -> None:
    script = Caller()
    play(script)
    (await run(script, service.sip_address, number=ECHO, seconds=8)).assert_clean(1)


def reliable_early_media(peer: Answerer) -> None:
    peer.rung("Supported:.*100rel")
    peer.answer(183, "Require: 100rel", "RSeq: 700", "Content-Type: application/sdp", body=audio())
    peer.hear("PRACK", "RAck: 700 [0-9]+ INVITE")
    peer.reply()
    peer.answer(200)
    peer.hear("ACK")
    peer.let_go()


def forked_answers(peer: Answerer) -> None:
    peer.rung()
    peer.answer(180, tag="b")
    peer.answer(200, body=audio())
    peer.hear("ACK")
    peer.answer(200, body=audio(), tag="b")
    peer.hear("ACK", "To:.*tag=[0-9]+b")
    peer.hear("BYE", "To:.*tag=[0-9]+b")
    peer.reply()
    peer.let_go()


PHONES: dict[str, Callable[[Answerer], None]] = {
    "reliable early media (183, PRACK), 200 without SDP": reliable_early_media,
    "two phones behind one proxy answer (forked 200)": forked_answers,
}


@pytest.mark.parametrize(
    "play", [pytest.param(play, marks=pytest.mark.interop("SIPp", name)) for name, play in PHONES.items()]
)
async def test_phone(service: RunningService, play: Callable[[Answerer], None]) -> None:
    script = Answerer()
    play(script)
    async with (
        Agents(service.sip_address, [phone(1)], scenario=script) as phones,
        caller(service, "+37255513001") as someone,
    ):
        call = await dial(someone, BILLING)
        await service.call_reaches(someone.user, "talking")
        await asyncio.sleep(0.1)
        await call.hang_up()
        result = await phones.stop()
    result.assert_clean(1)


@pytest.mark.interop("SIPp", "200 of an agent that crosses our CANCEL")
async def test_answer_that_crosses_our_cancel_is_hung_up(service: RunningService) -> None:
    script = Answerer()
    script.rung()
    script.answer(180)
    script.hear("CANCEL")
    script.reply()
    script.answer(200, body=audio())
    script.hear("ACK")
    script.let_go()
    async with (
        Agents(service.sip_address, [phone(1)], scenario=script) as phones,
        caller(service, "+37255513002") as someone,
    ):
        call = await dial(someone, BILLING)
        await service.agent_reaches("a1", "offered")
        await asyncio.sleep(0.1)
        await call.hang_up()
        await service.agent_reaches("a1", "available")
        result = await phones.stop()
    result.assert_clean(1)


@pytest.mark.interop("SIPp", "302 of an agent is not followed")
async def test_phone_that_redirects_passes_the_caller_on(service: RunningService) -> None:
    script = Answerer()
    script.rung()
    script.answer(302, "Contact: <sip:+99512345678@192.0.2.66>")
    script.hear("ACK")
    async with (
        Agents(service.sip_address, [phone(1)], scenario=script) as phones,
        caller(service, "+37255513003") as someone,
    ):
        call = await dial(someone, BILLING)

        async def turned_down() -> bool:
            return await service.metric("acd_agent_offers_failed_total") > 0

        await eventually(turned_down, within=5, what="the redirection taken for a refusal")
        async with agents(service, phone(2)):
            assert (await service.call_reaches(someone.user, "talking"))["agent"] == "a2"
            await call.hang_up()
        result = await phones.stop()
    assert result.successful >= 1, result


@pytest.mark.interop("SIPp", "digits by INFO, of both kinds")
async def test_digits_by_info_choose_the_queue(service: RunningService) -> None:
    script = Caller()
    script.invite()
    script.answered()
    script.wait(400)
    script.say("INFO", body="Signal=1\nDuration=160", kind="application/dtmf-relay")
    script.hear(200)
    script.wait(400)
    script.say("INFO", body="1", kind="application/dtmf")
    script.hear(200)
    script.wait(400)
    script.say("INFO", body="Signal=3\nDuration=160", kind="application/dtmf-relay")
    script.hear(200)
    script.wait(600)
    script.bye()
    running = asyncio.create_task(run(script, service.sip_address, number=MENU, seconds=8))
    queued = await service.call_reaches("+3725551", "queued")
    assert queued["queue"] == "sales"
    (await running).assert_clean(1)


async def test_audio_follows_a_caller_who_moves(service: RunningService) -> None:
    async with caller(service, "+37255513005") as someone:
        call = await dial(someone, MUSIC)
        before, call.rtp = call.rtp, await RtpPeer.open(someone.host)
        before.sending = False
        assert await call.hold("sendrecv") == "sendrecv"

        async def heard() -> bool:
            return seconds_of_sound(bytes(call.rtp.heard.pcm)) >= 0.4

        await eventually(heard, within=5, what="music at the new address")
        await before.close()
        await call.hang_up()


@pytest.mark.interop("SIPp", "loop (merged request)")
async def test_request_that_comes_back_is_a_loop(service: RunningService) -> None:
    script = Caller()
    script.invite()
    script.hear(404)
    script.loop()
    script.hear(482)
    (await run(script, service.sip_address, number="+3726999999", seconds=8)).assert_clean(1)


@pytest.mark.skipif("ACD_INTEROP_PAGE" not in os.environ, reason="takes a minute; run: make interop")
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
    (await run(script, service.sip_address, number=MUSIC, seconds=58, rtp_echo=True)).assert_clean(1)
