"""Each call feature with SIPp as the strict phone, and SIPp as the provider where a call goes outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.e2e.test_by_the_book import picked_up
from tests.support.audio import seconds_of
from tests.support.caller import Call
from tests.support.cast import BILLING, CALLER_HZ, ECHO, SUPPORT, TOGETHER, agents, caller, dial, phone
from tests.support.net import eventually, free_port
from tests.support.script import Answerer, Caller, Dialler, audio
from tests.support.service import TRUNK, RunningService, standard_directory
from tests.support.sipp import Agents, Behaviour, Sipp, run

PORT = free_port(TRUNK)
CUSTOMER = "+37255514001"
OUTSIDE, PREMIUM = "+37255570001", "+3729001234"


def _directory() -> dict[str, Any]:
    directory = standard_directory(agents=6)
    directory["trunks"][0]["hosts"] = [{"host": TRUNK, "port": PORT, "transport": "udp"}]
    directory["trunks"][0] |= {"probe_seconds": 0, "diversion": "diversion"}
    directory["dialling"] = {"country": "EE", "ring_seconds": 10}
    directory["routes"] = [
        {"prefix": "+372", "class": "national", "trunks": ["carrier"]},
        {"prefix": "+372900", "class": "premium", "trunks": ["carrier"]},
    ]
    page = {"display": "caller-queue", "call_info": "https://crm.example/?n={number}&q={queue}"}
    directory["devices"] = [
        {"name": way, "auto_answer": way, **page} for way in ("answer-after", "alert-info", "answer-mode")
    ]
    for agent in directory["agents"]:
        agent["dialling"] = ["national"]
    for agent, device in zip(directory["agents"][3:], directory["devices"], strict=False):
        agent["device"] = device["name"]
    return directory


DIRECTORY = _directory()


@asynccontextmanager
async def provider(service: RunningService, play: Callable[[Answerer], None]) -> AsyncIterator[Sipp]:
    """Somebody behind the trunk, who hears and says what the caller says."""
    script = Answerer()
    play(script)
    async with Sipp(script, service.sip_address, host=TRUNK, port=PORT, rtp_echo=True) as far:
        yield far


async def hears_themselves(call: Call) -> None:
    """Whoever is at the other end of the caller sends back what they hear."""
    call.rtp.forget()

    async def enough() -> bool:
        return seconds_of(CALLER_HZ, bytes(call.rtp.heard.pcm)) >= 0.5

    await eventually(enough, within=5, what="the caller's own tone, sent back")


# An agent sends a caller elsewhere.


@asynccontextmanager
async def talking_to_first_agent(
    service: RunningService, play: Callable[[Answerer], None]
) -> AsyncIterator[tuple[Call, Agents]]:
    """A caller and agent a1, whose phone does this when the two talk."""
    script = Answerer()
    picked_up(script)
    script.wait(600)
    play(script)
    async with (
        Agents(service.sip_address, [phone(1)], scenario=script, rtp_echo=True, notes=True) as first,
        caller(service, CUSTOMER) as someone,
    ):
        call = await dial(someone, BILLING)
        assert (await service.call_reaches(someone.user, "talking"))["agent"] == "a1"
        yield call, first


def told(peer: Answerer, *statuses: int) -> None:
    """The NOTIFYs of a transfer: 100 first, the last one ends the subscription."""
    peer.hear_request("NOTIFY", "Event: refer", "Subscription-State: active", "SIP/2.0 100")
    peer.reply()
    for status in statuses:
        is_last = status >= 200
        state = "Subscription-State: terminated" if is_last else "Subscription-State: active"
        peer.hear_request("NOTIFY", "Content-Type: message/sipfrag", state, f"SIP/2.0 {status}")
        peer.reply()


def refers(to: str, *statuses: int) -> Callable[[Answerer], None]:
    def play(peer: Answerer) -> None:
        peer.say("REFER", f"Refer-To: <sip:{to}@[remote_ip]>")
        peer.hear(202)
        told(peer, *statuses)
        peer.let_go()

    return play


@pytest.mark.interop("SIPp", "blind transfer to an extension, told to the end")
async def test_a_colleague_takes_over(service: RunningService) -> None:
    async with talking_to_first_agent(service, refers("1002", 180, 200)) as (call, first):
        async with agents(service, phone(2, ring_ms=0, talk_ms=60_000)):
            await with_agent(service, "a2")
            await call.hang_up()
        (await first.stop()).assert_clean(1)


async def with_agent(service: RunningService, agent: str) -> dict[str, Any]:
    """Wait until the caller talks to this agent."""

    async def there() -> dict[str, Any] | None:
        live = await service.call_of(CUSTOMER)
        return live if live and (live["state"], live["agent"]) == ("talking", agent) else None

    return dict(await eventually(there, within=5, what=f"the caller with {agent}"))


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [(Behaviour.BUSY, 486), (Behaviour.DECLINE, 603), (Behaviour.UNAVAILABLE, 480)],
    ids=["busy", "declined", "unavailable"],
)
@pytest.mark.interop(
    "SIPp", "blind transfer to an extension that is busy, declines, is away: the caller is back"
)
async def test_a_colleague_who_does_not_take_it_brings_the_caller_back(
    service: RunningService, behaviour: Behaviour, status: int
) -> None:
    async with talking_to_first_agent(service, refers("1002", 180, status)) as (call, first):
        async with agents(service, phone(2, behaviour)):
            await service.agent_reaches("a2", "available")
            await was_told(first, status)
            await with_agent(service, "a1")
            await hears_themselves(call)
            await call.hang_up()
        (await first.stop()).assert_clean(1)


@pytest.mark.interop("SIPp", "blind transfer to the extension of an agent who is paused")
async def test_a_colleague_who_is_paused_is_rung_all_the_same_and_paused_again(
    service: RunningService,
) -> None:
    async with talking_to_first_agent(service, refers("1002", 180, 200)) as (call, first):
        async with agents(service, phone(2, ring_ms=0, talk_ms=60_000)):
            await service.agent_reaches("a2", "available")
            await service.post("/v1/agents/a2/state", {"state": "paused", "reason": "lunch"})
            await with_agent(service, "a2")
            await call.hang_up()
            await service.agent_reaches("a2", "paused")
            assert (await service.agent("a2"))["reason"] == "lunch"
        (await first.stop()).assert_clean(1)


async def was_told(phones: Agents, status: int) -> None:
    """Wait until a NOTIFY of this status has come."""

    async def there() -> bool:
        return f"\nSIP/2.0 {status} " in phones.messages().partition("Event: refer")[2]

    try:
        await eventually(there, within=5, what=f"a NOTIFY of {status}")
    except AssertionError:
        raise AssertionError(f"no NOTIFY of {status} in {phones.messages()}") from None


@pytest.mark.interop("SIPp", "blind transfer to a number outside, told to the end")
async def test_a_number_outside_takes_over(service: RunningService) -> None:
    async with (
        provider(service, rings_and_talks) as far,
        talking_to_first_agent(service, refers(OUTSIDE, 180, 200)) as (call, first),
    ):
        await was_told(first, 200)
        await hears_themselves(call)
        await call.hang_up()
        (await first.stop()).assert_clean(1)
        (await far.stop()).assert_clean(1)


def rings_and_talks(peer: Answerer) -> None:
    peer.rung()
    peer.answer(180)
    peer.wait(300)
    peer.answer(200, body=audio())
    peer.hear_request("ACK")
    peer.let_go()


def is_busy(peer: Answerer) -> None:
    peer.rung()
    peer.answer(486)
    peer.hear_request("ACK")


@pytest.mark.interop("SIPp", "blind transfer to a number outside that is busy: the caller is back")
async def test_a_number_outside_that_is_busy_brings_the_caller_back(service: RunningService) -> None:
    async with (
        provider(service, is_busy) as far,
        talking_to_first_agent(service, refers(OUTSIDE, 486)) as (call, first),
    ):
        await was_told(first, 486)
        await with_agent(service, "a1")
        await hears_themselves(call)
        await call.hang_up()
        (await first.stop()).assert_clean(1)
        (await far.stop()).assert_clean(1)


def takes_what_was_diverted(peer: Answerer) -> None:
    ours = f"Diversion: <sip:[+]{BILLING[1:]}@[^>]*>;reason=unconditional;counter=1, *"
    peer.rung(ours + "<sip:[+]3726000999@[^>]*>;reason=user-busy;counter=2")
    peer.answer(200, body=audio())
    peer.hear_request("ACK")
    peer.wait(200)
    peer.say("BYE")
    peer.hear(200)


@pytest.mark.interop("SIPp", "diversions before ours are told on (Diversion)")
async def test_a_caller_who_was_diverted_goes_on_with_all_numbers(service: RunningService) -> None:
    script = Caller()
    script.invite("Diversion: <sip:+3726000999@[local_ip]>;reason=user-busy;counter=2")
    script.answered()
    script.hear_request("BYE")
    script.reply()
    async with provider(service, takes_what_was_diverted) as far:
        running = asyncio.create_task(run(script, service.sip_address, number=BILLING, seconds=10))
        call = await service.call_reaches("+3725551", "queued")
        await service.post(f"/v1/calls/{call['id']}/transfer", {"to": OUTSIDE})
        (await running).assert_clean(1)
        (await far.stop()).assert_clean(1)
    assert (await service.record_of("+3725551"))["diverted_from"] == "+3726000999"


def refers_in_vain(peer: Answerer) -> None:
    for to, status in ((PREMIUM, 403), ("4711", 404)):
        peer.say("REFER", f"Refer-To: <sip:{to}@[remote_ip]>")
        peer.hear(status)
    peer.say("REFER")
    peer.hear(400)
    peer.let_go()


@pytest.mark.interop("SIPp", "REFER without the right to call the number (403), to nobody (404)")
async def test_a_transfer_that_is_not_allowed_is_refused_and_the_two_talk_on(service: RunningService) -> None:
    async with talking_to_first_agent(service, refers_in_vain) as (call, first):
        await asyncio.sleep(1)
        await hears_themselves(call)
        await with_agent(service, "a1")
        await call.hang_up()
        (await first.stop()).assert_clean(1)
    assert await service.metric("acd_dial_refused_total", cause="not-allowed") == 1


@pytest.mark.interop("SIPp", "REFER of a caller (403), and outside of a call")
async def test_who_is_no_agent_transfers_nobody(service: RunningService) -> None:
    script = Caller()
    script.invite()
    script.answered()
    script.say("REFER", "Refer-To: <sip:1002@[remote_ip]>")
    script.hear(403)
    script.bye()
    (await run(script, service.sip_address, number=ECHO, seconds=8)).assert_clean(1)
    alone = Caller()
    alone.say("REFER", "Refer-To: <sip:1002@[remote_ip]>")
    alone.hear(403)
    (await run(alone, service.sip_address, number=ECHO, seconds=8)).assert_clean(1)


# An agent calls outside.


def early_media(peer: Answerer) -> None:
    peer.rung("P-Asserted-Identity: <sip:[+]3726000100@")
    peer.answer(183, "Content-Type: application/sdp", body=audio())
    peer.wait(500)
    peer.answer(200, body=audio())
    peer.hear_request("ACK")
    peer.let_go()


def hears_early_media(peer: Dialler) -> None:
    peer.dial()
    peer.hear(183, "Content-Type: application/sdp", "m=audio [0-9]+ RTP/AVP")
    peer.answered("m=audio [0-9]+ RTP/AVP")
    peer.wait(200)
    peer.bye()


def hears_early_media_reliably(peer: Dialler) -> None:
    peer.dial("Require: 100rel")
    peer.hear_reliably(183, "m=audio [0-9]+ RTP/AVP")
    peer.answered()
    peer.wait(200)
    peer.bye()


def hears_ringing(peer: Dialler) -> None:
    peer.dial()
    peer.hear(180)
    peer.answered("m=audio [0-9]+ RTP/AVP")
    peer.wait(200)
    peer.bye()


def gives_up(peer: Dialler) -> None:
    peer.dial()
    peer.hear(180)
    peer.cancel()
    peer.hear(200, "CSeq: [0-9]+ CANCEL")
    peer.refused(487)


def is_cancelled(peer: Answerer) -> None:
    peer.rung()
    peer.answer(180)
    peer.hear_request("CANCEL")
    peer.reply()
    peer.answer(487)
    peer.hear_request("ACK")


def answers_as_it_is_cancelled(peer: Answerer) -> None:
    peer.rung()
    peer.answer(180)
    peer.hear_request("CANCEL")
    peer.reply()
    peer.answer(200, body=audio())
    peer.hear_request("ACK")
    peer.let_go()


def hears_busy(peer: Dialler) -> None:
    peer.dial()
    peer.refused(486)


OUTWARD: dict[str, tuple[Callable[[Dialler], None], Callable[[Answerer], None]]] = {
    "early media of a number outside (183), passed on": (hears_early_media, early_media),
    "early media of a number outside, told reliably (183, PRACK)": (hears_early_media_reliably, early_media),
    "ringing of a number outside (180)": (hears_ringing, rings_and_talks),
    "a number outside is busy (486)": (hears_busy, is_busy),
    "an agent gives up a call to the outside (CANCEL, 487)": (gives_up, is_cancelled),
    "200 of a number outside that crosses our CANCEL": (gives_up, answers_as_it_is_cancelled),
}


@pytest.mark.parametrize(
    ("near", "far"),
    [pytest.param(*both, marks=pytest.mark.interop("SIPp", name)) for name, both in OUTWARD.items()],
)
async def test_agent_calls_outside(
    service: RunningService, near: Callable[[Dialler], None], far: Callable[[Answerer], None]
) -> None:
    script = Dialler(phone(3))
    near(script)
    async with provider(service, far) as called:
        await dialled(service, script, OUTSIDE)
        (await called.stop()).assert_clean(1)


# What else a phone does and sees.

AUTO_ANSWER = {
    4: "Call-Info: <sip:acd@invalid>;answer-after=0",
    5: "Alert-Info: <http://acd.invalid>;info=alert-autoanswer;delay=0",
    6: "Answer-Mode: Auto",
}


@pytest.mark.parametrize("n", AUTO_ANSWER)
@pytest.mark.interop(
    "SIPp",
    "auto-answer by device profile: Call-Info, Alert-Info, Answer-Mode",
    "caller, queue and page on the screen (display name, Call-Info)",
)
async def test_phone_is_asked_to_answer_and_shown_who_calls(service: RunningService, n: int) -> None:
    script = Answerer()
    script.rung(
        AUTO_ANSWER[n],
        r'From: "[+]37255514001 \(billing\)" <sip:[+]37255514001@',
        "Call-Info: <https://crm.example/[?]n=%2B37255514001&q=billing>;purpose=info",
    )
    script.answer(200, body=audio())
    script.hear_request("ACK")
    script.let_go()
    async with (
        Agents(service.sip_address, [phone(n)], scenario=script) as phones,
        caller(service, CUSTOMER) as someone,
    ):
        call = await dial(someone, BILLING)
        await service.call_reaches(someone.user, "talking")
        await call.hang_up()
        result = await phones.stop()
    result.assert_clean(1)


@pytest.mark.interop("SIPp", "feature codes: pause with a reason, resume, echo, voicemail")
async def test_codes_are_dialled(service: RunningService) -> None:
    async with agents(service, phone(1)):
        await service.agent_reaches("a1", "available")
        for code, state in {"*132": "paused", "*14": "available"}.items():
            script = Dialler(phone(1))
            script.dial()
            script.answered("m=audio [0-9]+ RTP/AVP")
            script.hear_request("BYE")
            script.reply()
            await dialled(service, script, code)
            await service.agent_reaches("a1", state)
            if state == "paused":
                assert (await service.agent("a1"))["reason"] == "lunch"
        for code in ("*43", "*97"):
            script = Dialler(phone(1))
            script.dial()
            script.answered("m=audio [0-9]+ RTP/AVP")
            script.wait(100)
            script.bye()
            await dialled(service, script, code)


async def dialled(service: RunningService, script: Dialler, number: str) -> None:
    result = await run(script, service.sip_address, number=number, host="127.0.0.1", seconds=8)
    result.assert_clean(1)


# Races, and phones that take the book lightly.


@pytest.mark.interop("SIPp", "BYEs that cross")
async def test_both_hang_up_at_once(service: RunningService) -> None:
    script = Answerer()
    picked_up(script)
    ours = script.hear_request("BYE")
    script.say("BYE")
    script.hear(200)
    script.reply(to=ours)
    async with (
        Agents(service.sip_address, [phone(1)], scenario=script) as phones,
        caller(service, CUSTOMER) as someone,
    ):
        call = await dial(someone, BILLING)
        await service.call_reaches(someone.user, "talking")
        await call.hang_up()
        await service.agent_reaches("a1", "available")
        result = await phones.stop()
    result.assert_clean(1)


@pytest.mark.interop("SIPp", "two agents who are rung together answer at once: one has the call")
async def test_who_answers_second_is_hung_up(service: RunningService) -> None:
    def answering() -> Answerer:
        script = Answerer()
        picked_up(script)
        script.let_go()
        return script

    async with (
        Agents(service.sip_address, [phone(1)], scenario=answering()) as first,
        Agents(service.sip_address, [phone(2)], scenario=answering()) as second,
        caller(service, CUSTOMER) as someone,
    ):
        call = await dial(someone, TOGETHER)
        await service.call_reaches(someone.user, "talking")

        async def one_is_free() -> bool:
            states = await service.agents()
            return {states["a1"], states["a2"]} == {"talking", "available"}

        await eventually(one_is_free, within=5, what="one of the two let go")
        await call.hang_up()
        for phones in (first, second):
            (await phones.stop()).assert_clean(1)


@pytest.mark.interop("SIPp", "a phone that answers CANCEL, and never the INVITE")
async def test_phone_that_never_ends_what_we_cancelled_holds_up_nobody(service: RunningService) -> None:
    script = Answerer()
    script.rung()
    script.answer(180)
    script.hear_request("CANCEL")
    script.reply()
    async with (
        Agents(service.sip_address, [phone(1)], scenario=script) as phones,
        caller(service, CUSTOMER) as someone,
    ):
        call = await dial(someone, BILLING)
        await service.agent_reaches("a1", "offered")
        await asyncio.sleep(0.1)
        await call.hang_up()
        await service.agent_reaches("a1", "available")
        async with agents(service, phone(2)):
            again = await dial(someone, SUPPORT)
            await service.call_reaches(someone.user, "offered", "talking")
            await again.hang_up()
        result = await phones.stop()
    assert result.successful >= 1, result


def acknowledges_with_another_tag(peer: Caller) -> None:
    peer.invite()
    peer.hear(200)
    peer.ack(tag="somebody-else")
    peer.wait(900)
    peer.bye()


def offers_encryption(peer: Caller) -> None:
    key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
    peer.invite(body=audio().replace("RTP/AVP", "RTP/SAVP") + f"\n{key}")
    peer.refused(488)


LIGHTLY: dict[str, Callable[[Caller], None]] = {
    "ACK to the 200 with another tag": acknowledges_with_another_tag,
    "SRTP offered without TLS (488)": offers_encryption,
}


@pytest.mark.parametrize(
    "play", [pytest.param(play, marks=pytest.mark.interop("SIPp", name)) for name, play in LIGHTLY.items()]
)
async def test_caller(service: RunningService, play: Callable[[Caller], None]) -> None:
    script = Caller()
    play(script)
    result = await run(script, service.sip_address, number=ECHO, seconds=8, hears_repeats=True)
    result.assert_clean(1)


@pytest.mark.interop("SIPp", "INVITE with the password under the same branch")
async def test_phone_that_keeps_its_branch_is_let_in(service: RunningService) -> None:
    script = Dialler(phone(1))
    script.dial(branch="same")
    script.answered()
    script.bye()
    await dialled(service, script, ECHO)
