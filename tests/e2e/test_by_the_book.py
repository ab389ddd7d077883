"""What the RFCs say of rare messages and of races, with SIPp as the strict peer on either side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.support.audio import seconds_of_sound
from tests.support.cast import BILLING, ECHO, MENU, MUSIC, SUPPORT, agents, caller, dial, phone
from tests.support.net import eventually
from tests.support.rtp_peer import RtpPeer
from tests.support.script import Answerer, Caller, Watcher, audio
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


def hold_in_every_way(peer: Caller) -> None:
    peer.invite()
    peer.answered()
    for version, (ours, theirs) in enumerate(
        (("sendonly", "recvonly"), ("inactive", "inactive"), ("sendrecv", "sendrecv")), 2
    ):
        peer.invite(body=audio(direction=ours, version=version))
        peer.answered(f"a={theirs}")
    peer.invite(body=audio(version=5).replace("[media_ip]", "0.0.0.0"))
    peer.answered("a=(sendonly|inactive|recvonly)")
    peer.bye()


def address_changes(peer: Caller) -> None:
    peer.invite()
    peer.answered()
    peer.invite(body=audio(version=2, port="[media_port+2]").replace("[media_ip]", "127.0.0.3"))
    peer.answered("m=audio [0-9]+ RTP/AVP", "a=sendrecv")
    peer.bye()


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
    "hold: sendonly, inactive, 0.0.0.0, and back": hold_in_every_way,
    "re-INVITE from another address": address_changes,
}


@pytest.mark.parametrize(
    "play", [pytest.param(play, marks=pytest.mark.interop("SIPp", name)) for name, play in CALLERS.items()]
)
async def test_caller(service: RunningService, play: Callable[[Caller], None]) -> None:
    script = Caller()
    play(script)
    (await run(script, service.sip_address, number=ECHO, seconds=8)).assert_clean(1)


@pytest.mark.interop("SIPp", "ACK that is lost: the 200 is sent again")
async def test_answer_is_repeated_until_it_is_acknowledged(service: RunningService) -> None:
    script = Caller()
    script.invite()
    script.hear(200)
    script.hear(200)
    script.ack()
    script.bye()
    result = await run(script, service.sip_address, number=ECHO, seconds=8, hears_repeats=True)
    result.assert_clean(1)


def picked_up(peer: Answerer) -> None:
    peer.rung()
    peer.answer(200, body=audio())
    peer.hear_request("ACK")


def reliable_early_media(peer: Answerer) -> None:
    peer.rung("Supported:.*100rel")
    peer.answer(183, "Require: 100rel", "RSeq: 700", "Content-Type: application/sdp", body=audio())
    peer.hear_request("PRACK", "RAck: 700 [0-9]+ INVITE")
    peer.reply()
    peer.answer(200)
    peer.hear_request("ACK")
    peer.let_go()


def forked_answers(peer: Answerer) -> None:
    peer.rung()
    peer.answer(180, tag="b")
    peer.answer(200, body=audio())
    peer.hear_request("ACK")
    peer.answer(200, body=audio(), tag="b")
    peer.hear_request("ACK", "To:.*tag=[0-9]+b")
    peer.hear_request("BYE", "To:.*tag=[0-9]+b")
    peer.reply()
    peer.let_go()


def longer_session(peer: Answerer) -> None:
    peer.rung("Session-Expires: 90", "Supported:.*timer")
    peer.answer(422, "Min-SE: 120")
    peer.hear_request("ACK")
    peer.rung("Session-Expires: 120", "Min-SE: 120")
    peer.answer(200, "Require: timer", "Session-Expires: 120;refresher=uas", body=audio())
    peer.hear_request("ACK")
    peer.say("UPDATE", "Supported: timer", "Session-Expires: 120;refresher=uac")
    peer.hear(200, "Session-Expires: 120;refresher=uac")
    peer.let_go()


def phone_changes_codec_and_address(peer: Answerer) -> None:
    picked_up(peer)
    peer.say("INVITE", body=audio(laws="8", version=2, port="[media_port+2]"))
    peer.hear(200, _OTHER_LAW)
    peer.acknowledge()
    peer.say("UPDATE", body=audio(laws="0", version=3))
    peer.hear(200, "m=audio [0-9]+ RTP/AVP 0 ")
    peer.let_go()


def re_invite_crosses_the_bye(peer: Answerer) -> None:
    picked_up(peer)
    peer.hear_request("BYE")
    peer.say("INVITE", body=audio(version=2))
    peer.hear(481)
    peer.acknowledge()
    peer.reply()


PHONES: dict[str, Callable[[Answerer], None]] = {
    "reliable early media (183, PRACK), 200 without SDP": reliable_early_media,
    "two phones behind one proxy answer (forked 200)": forked_answers,
    "422 of a phone, which then refreshes the session": longer_session,
    "phone changes codec and address by re-INVITE and UPDATE": phone_changes_codec_and_address,
    "re-INVITE of a phone that crosses our BYE": re_invite_crosses_the_bye,
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


@pytest.mark.interop("SIPp", "200 of an agent that is sent again")
async def test_each_200_of_a_phone_is_acknowledged(service: RunningService) -> None:
    script = Answerer()
    script.rung()
    for _ in range(2):
        script.answer(200, body=audio())
        script.hear_request("ACK")
    script.let_go()
    phones = Agents(service.sip_address, [phone(1)], scenario=script, hears_repeats=True)
    async with phones, caller(service, "+37255513006") as someone:
        call = await dial(someone, BILLING)
        await service.call_reaches(someone.user, "talking")
        await asyncio.sleep(0.1)
        await call.hang_up()
        result = await phones.stop()
    result.assert_clean(1)


@pytest.mark.interop("SIPp", "blind transfer (REFER), told to the end")
async def test_phone_transfers_blind(service: RunningService) -> None:
    script = Answerer()
    picked_up(script)
    script.wait(500)
    script.say("REFER", "Refer-To: <sip:4711@[remote_ip]>")
    script.hear(404)
    script.say("REFER", f"Refer-To: <sip:{SUPPORT}@[remote_ip]>")
    script.hear(202)
    script.hear_request("NOTIFY", "SIP/2.0 100", "Event: refer", "Subscription-State: active")
    script.reply()
    script.hear_request("NOTIFY", "SIP/2.0 200", "Subscription-State: terminated")
    script.reply()
    script.let_go()
    async with (
        Agents(service.sip_address, [phone(1)], scenario=script) as phones,
        caller(service, "+37255513007") as someone,
    ):
        call = await dial(someone, BILLING)
        await service.call_reaches(someone.user, "talking")
        await service.post("/v1/agents/a1/state", {"state": "paused", "reason": "after this one"})
        moved = await service.call_reaches(someone.user, "queued", "offered")
        assert moved["queue"] == "support"
        await call.hang_up()
        result = await phones.stop()
    result.assert_clean(1)


@pytest.mark.interop("SIPp", "attended transfer (REFER with Replaces)")
async def test_phone_asks_a_colleague_and_joins_the_two_calls(service: RunningService) -> None:
    script = Answerer()
    picked_up(script)
    script.say("INVITE", body=audio(direction="sendonly", version=2))
    script.hear(200)
    script.acknowledge()
    script.dial(phone(1), "1002", "consult")
    script.wait(800)
    script.say("REFER", f"Refer-To: <sip:1002@[remote_ip]?Replaces={script.dialled}>")
    script.hear(202)
    script.hear_request("NOTIFY", "SIP/2.0 100")
    script.reply()
    script.hear_request("BYE", "Call-ID: consult///")
    script.reply()
    script.hear_request("NOTIFY", "SIP/2.0 200", "Subscription-State: terminated")
    script.reply()
    script.let_go()
    async with (
        Agents(service.sip_address, [phone(1)], scenario=script) as phones,
        agents(service, phone(2, ring_ms=0)),
        caller(service, "+37255513008") as someone,
    ):
        call = await dial(someone, BILLING)
        assert (await service.call_reaches(someone.user, "talking"))["agent"] == "a1"

        async def joined() -> bool:
            calls = await service.calls()
            return [(one["caller"], one["agent"]) for one in calls] == [(someone.user, "a2")]

        await eventually(joined, within=8, what="the caller with the colleague")
        await call.hang_up()
        result = await phones.stop()
    result.assert_clean(1)


@pytest.mark.interop("SIPp", "INVITE with Replaces: another phone of the agent goes on")
async def test_call_moves_to_another_phone_of_the_agent(service: RunningService) -> None:
    script = Answerer()
    picked_up(script)
    script.wait(200)
    script.dial(phone(1), "1001", "moved", script.replaces)
    script.hear_request("BYE", "Call-ID: [0-9a-f]")
    script.reply()
    script.hear_request("BYE", "Call-ID: moved///")
    script.reply()
    async with (
        Agents(service.sip_address, [phone(1)], scenario=script) as phones,
        caller(service, "+37255513009") as someone,
    ):
        call = await dial(someone, BILLING)
        await service.call_reaches(someone.user, "talking")
        await asyncio.sleep(0.8)
        live = await service.call_of(someone.user)
        assert live is not None
        assert (live["state"], live["agent"]) == ("talking", "a1")
        await call.hang_up()
        result = await phones.stop()
    result.assert_clean(1)


@pytest.mark.interop("SIPp", "several phones of an agent ring, the others are told who answered")
async def test_other_phone_of_the_agent_is_cancelled_as_completed_elsewhere(service: RunningService) -> None:
    slow = Answerer()
    slow.rung()
    slow.answer(180)
    slow.hear_request("CANCEL", "Reason: SIP;cause=200;text=.Call completed elsewhere")
    slow.reply()
    slow.answer(487)
    slow.hear_request("ACK")
    async with (
        Agents(service.sip_address, [phone(1)], scenario=slow) as other,
        agents(service, phone(1, ring_ms=400)),
        caller(service, "+37255513010") as someone,
    ):
        call = await dial(someone, BILLING)
        await service.call_reaches(someone.user, "talking")
        result = await other.stop()
        await call.hang_up()
    result.assert_clean(1)


@pytest.mark.interop("SIPp", "lamp of a colleague (dialog-info): idle, ringing, busy, idle")
async def test_lamp_follows_a_colleagues_call(service: RunningService) -> None:
    script = Watcher(phone(2), "1001", "dialog", "application/dialog-info+xml")
    script.subscribe()
    script.told("Subscription-State: active", "dialog-info", 'version="0" state="full"')
    script.told("<state>early</state>", 'direction="recipient"')
    script.told("<state>confirmed</state>")
    script.told("<state>terminated</state>")
    script.subscribe(0)
    script.told("Subscription-State: terminated")
    watching = run(script, service.sip_address, host="127.0.0.1", seconds=15)
    async with agents(service, phone(1, ring_ms=200)), caller(service, "+37255513011") as someone:
        running = asyncio.create_task(watching)

        async def watched() -> bool:
            return await service.metric("acd_sip_subscriptions") > 0

        await eventually(watched, within=5, what="the subscription")
        call = await dial(someone, BILLING)
        await service.call_reaches(someone.user, "talking")
        await asyncio.sleep(0.2)
        await call.hang_up()
        (await running).assert_clean(1)


@pytest.mark.interop("SIPp", "voice messages waiting (message-summary)")
async def test_phone_is_told_of_its_messages(service: RunningService) -> None:
    script = Watcher(phone(2), "1002", "message-summary", "application/simple-message-summary")
    script.subscribe()
    script.told("Messages-Waiting: no", "Voice-Message: 0/0")
    script.subscribe(0)
    script.told("Subscription-State: terminated")
    (await run(script, service.sip_address, host="127.0.0.1", seconds=8)).assert_clean(1)


@pytest.mark.interop("SIPp", "200 of an agent that crosses our CANCEL")
async def test_answer_that_crosses_our_cancel_is_hung_up(service: RunningService) -> None:
    script = Answerer()
    script.rung()
    script.answer(180)
    script.hear_request("CANCEL")
    script.reply()
    script.answer(200, body=audio())
    script.hear_request("ACK")
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
    script.hear_request("ACK")
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
