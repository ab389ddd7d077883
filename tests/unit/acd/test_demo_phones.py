"""The repaired phone against a plain scripted one, over the loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

pytest.importorskip("pyVoIP")

from pyVoIP.RTP import PayloadType

from acd.demo.phones.audio import RepairedRtp
from acd.demo.phones.phone import Phone, PhoneCall
from acd.demo.phones.voice import AGENT_TONE, CALLER_TONE, Ear, encode, tone_frames
from acd.demo.phones.wire import LIFETIME, Repeater, SipText
from tests.support.audio import seconds_of, tone
from tests.support.caller import Caller
from tests.support.net import eventually, free_port
from tests.support.rtp_peer import RtpPeer

Handler = Callable[[PhoneCall], None]


@asynccontextmanager
async def phone_and_caller(on_call: Handler) -> AsyncIterator[tuple[Phone, Caller]]:
    """A phone without an account, and a caller who stands where its server would be."""
    phone = Phone(
        ("127.0.0.2", free_port("127.0.0.2")),
        "1001",
        "",
        bind=("127.0.0.1", 0),
        on_call=on_call,
        awaited_tone=CALLER_TONE,
    )
    phone.start()
    caller = Caller(("127.0.0.1", phone.sip.myPort), port=phone.sip.port)
    try:
        async with caller:
            yield phone, caller
    finally:
        await asyncio.to_thread(phone.stop)


def answer_and_speak(call: PhoneCall) -> None:
    call.speak(tone_frames(AGENT_TONE))
    call.accept()


async def test_a_call_has_audio_both_ways_and_ends_by_the_callers_bye() -> None:
    calls: list[PhoneCall] = []

    def on_call(call: PhoneCall) -> None:
        calls.append(call)
        answer_and_speak(call)

    async with phone_and_caller(on_call) as (_, caller):
        call = await (await caller.dial("1001")).answered()
        call.rtp.say(CALLER_TONE)
        assert await asyncio.to_thread(calls[0].ear.tone.wait, 2)
        await call.hang_up()
        assert await asyncio.to_thread(calls[0].ended.wait, 1)
        assert calls[0].cause == "hung-up-by-far-end"
        assert seconds_of(AGENT_TONE, bytes(call.rtp.heard.pcm)) > 0


async def test_a_cancelled_call_is_refused_with_487() -> None:
    async with phone_and_caller(lambda call: None) as (phone, caller):
        call = await caller.dial("1001")
        await asyncio.to_thread(_until_ringing, phone)
        call.cancel()
        assert await call.refused() == 487


async def test_hold_is_mirrored_and_the_held_phone_falls_silent() -> None:
    async with phone_and_caller(answer_and_speak) as (_, caller):
        call = await (await caller.dial("1001")).answered()
        assert await call.hold("sendonly") == "recvonly"
        assert await call.hold("inactive") == "inactive"
        await asyncio.sleep(0.05)
        call.rtp.forget()
        await asyncio.sleep(0.1)
        assert call.rtp.heard.packets == 0
        assert await call.resume() == "sendrecv"
        await asyncio.sleep(0.1)
        assert call.rtp.heard.packets > 0
        await call.hang_up()


async def test_the_phone_hangs_up_with_a_bye_of_its_own() -> None:
    def on_call(call: PhoneCall) -> None:
        answer_and_speak(call)
        call.decided.wait(1)
        call.ear.sound.wait(1)
        call.hangup()

    async with phone_and_caller(on_call) as (_, caller):
        call = await (await caller.dial("1001")).answered()
        call.rtp.say(CALLER_TONE)
        assert await call.ended() == "far"


async def test_a_second_call_is_told_busy() -> None:
    async with phone_and_caller(answer_and_speak) as (_, caller):
        first = await (await caller.dial("1001")).answered()
        second = await caller.dial("1001")
        assert await second.refused() == 486
        await first.hang_up()


async def test_two_phones_call_each_other() -> None:
    """Two repaired phones: each is the other's server."""
    answered: list[PhoneCall] = []

    def on_call(call: PhoneCall) -> None:
        answered.append(call)
        answer_and_speak(call)

    async with phone_and_caller(on_call) as (phone, _):
        dialling = Phone(
            ("127.0.0.1", phone.sip.myPort), "caller", "", bind=("127.0.0.1", 0), awaited_tone=AGENT_TONE
        )
        dialling.start()
        phone.sip.server, phone.sip.port = "127.0.0.1", dialling.sip.myPort
        try:
            call = dialling.call("1001", "+37255500077")
            call.speak(tone_frames(CALLER_TONE))
            assert await asyncio.to_thread(call.decided.wait, 2)
            assert await asyncio.to_thread(call.ear.tone.wait, 2)
            assert await asyncio.to_thread(answered[0].ear.tone.wait, 2)
            assert "+37255500077" in answered[0].invite.get("from")
            call.hangup()
            assert await asyncio.to_thread(answered[0].ended.wait, 2)
        finally:
            await asyncio.to_thread(dialling.stop)


async def test_digits_are_sent_once_each_between_the_voice() -> None:
    peer = await RtpPeer.open("127.0.0.1")
    codecs = {8: PayloadType.PCMA, 101: PayloadType.EVENT}
    client = RepairedRtp(
        codecs,
        "127.0.0.1",
        free_port(),
        "127.0.0.1",
        peer.port,
        "sendrecv",
        ear=Ear(1.0),
        voice=tone_frames(500),
    )
    client.start()
    try:
        client.press("7#7")
        await eventually(lambda: asyncio.sleep(0, peer.heard.packets >= 40), within=3)
    finally:
        client.stop()
        await peer.close()
    assert peer.heard.digits == ["7", "#", "7"]
    assert peer.heard.sequence_gaps == 0
    assert seconds_of(500, bytes(peer.heard.pcm)) > 0.1


def test_call_ids_never_repeat() -> None:
    phones = [Phone(("127.0.0.1", 1), "a", "", bind=("127.0.0.1", 0), awaited_tone=1.0) for _ in range(2)]
    ids = [phone.sip.gen_call_id() for phone in phones for _ in range(3)]
    assert len(set(ids)) == 6


@pytest.mark.parametrize("payload_type", [0, 8])
def test_the_ear_knows_the_awaited_tone_and_no_other(payload_type: int) -> None:
    ear = Ear(AGENT_TONE)
    for frame in tone_frames(CALLER_TONE)[:20]:
        ear.listen(encode(frame, payload_type), payload_type)
    assert ear.sound.is_set()
    assert not ear.tone.is_set()
    for frame in tone_frames(AGENT_TONE)[:5]:
        ear.listen(encode(frame, payload_type), payload_type)
    assert ear.tone.is_set()


def test_a_mixture_is_not_the_tone() -> None:
    ear = Ear(AGENT_TONE)
    mixed = tone(440, 0.4)
    for at in range(0, len(mixed), 320):
        ear.listen(encode(mixed[at : at + 320], 0), 0)
    assert not ear.tone.is_set()


def test_an_unanswered_message_is_repeated_ever_more_slowly_and_then_given_up() -> None:
    repeater = Repeater()
    repeater.begin(("call", "BYE"), b"BYE", 0.0)
    sent = [now / 10 for now in range(500) if repeater.due(now / 10)]
    assert sent[:5] == [0.5, 1.5, 3.5, 7.5, 11.5]
    assert max(sent) < LIFETIME
    assert not repeater.stop(("call", "BYE"))


def test_noise_is_not_sip() -> None:
    for raw in (b"\r\n\r\n", b"\x00\x01", b"GET / HTTP/1.1\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n"):
        assert SipText.parse(raw) is None


def _until_ringing(phone: Phone) -> None:
    for _ in range(100):
        if phone.calls:
            return
        phone.sip.registered.wait(0.02)
