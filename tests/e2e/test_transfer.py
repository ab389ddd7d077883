"""Agents transfer their callers from real phones: blind and attended, and back where nobody takes it."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.audio import seconds_of
from tests.support.baresip import Baresip
from tests.support.caller import Call, Caller
from tests.support.cast import (
    BILLING,
    BILLING_FIRST,
    CALLER_HZ,
    MUSIC,
    SUPPORT,
    agents,
    caller,
    dial,
    heard,
    phone,
)
from tests.support.desk_phone import DeskPhone, Line
from tests.support.net import eventually
from tests.support.provider import number_in
from tests.support.rtp_peer import RtpPeer
from tests.support.service import PASSWORD, RunningService, standard_directory
from tests.support.sip_client import SipClient
from tests.support.sipp import Behaviour, run

OFFER = "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
FIRST_HZ, SECOND_HZ, THIRD_HZ = 700.0, 1100.0, 1500.0
LAST = "+3726000208"
DIRECTORY = standard_directory()
DIRECTORY["queues"].append({"name": "last", "requires": {"support": 1}, "transfer_place": "last"})
DIRECTORY["numbers"].append({"number": LAST, "queue": "last"})
TRUSTED, DOUBTFUL, NARROW, SLOW = "127.0.0.7", "127.0.0.8", "127.0.0.9", "127.0.0.10"
DIRECTORY["trunks"] += [
    {"name": "trusted", "match": [f"{TRUSTED}/32"], "country": "EE"},
    {"name": "doubtful", "match": [f"{DOUBTFUL}/32"], "country": "EE", "trusted": False},
    {"name": "narrow", "match": [f"{NARROW}/32"], "max_calls": 2},
    {"name": "slow", "match": [f"{SLOW}/32"], "calls_per_second_in": 0.01},
]


def baresip(service: RunningService, n: int, tone: float, **more: object) -> Baresip:
    return Baresip(service.sip_address, str(1000 + n), PASSWORD, says=tone, **more)  # type: ignore[arg-type]


async def hears_caller(agent: Baresip) -> None:
    async def enough() -> bool:
        return seconds_of(CALLER_HZ, agent.heard()) >= 0.5

    await eventually(enough, within=5, what="the caller's tone at the agent")


async def to_first_agent(service: RunningService, someone: object, first: Baresip) -> Call:
    await first.registered()
    await service.agent_reaches("a1", "available")
    call = await dial(someone, SUPPORT)  # type: ignore[arg-type]
    await service.call_reaches(someone.user, "talking")  # type: ignore[attr-defined]
    return call


@pytest.mark.interop("baresip", "blind transfer to an extension")
async def test_blind_transfer_to_a_colleague(service: RunningService) -> None:
    async with (
        baresip(service, 1, FIRST_HZ) as first,
        baresip(service, 2, SECOND_HZ) as second,
        caller(service, "+37255510001") as someone,
    ):
        call = await to_first_agent(service, someone, first)
        await second.registered()
        await first.command("transfer", "1002")
        await second.until("CALL_ESTABLISHED")
        await heard(call, SECOND_HZ)
        await hears_caller(second)
        await first.until("CALL_CLOSED")
        await service.agent_reaches("a1", "available")
        live = await service.call_of(someone.user)
        assert live is not None
        assert (live["state"], live["agent"]) == ("talking", "a2")
        await call.hang_up()
        record = await service.record_of(someone.user)
    assert (record["agent"], record["queue"]) == ("a2", "support")
    (mark,) = [segment for segment in record["segments"] if segment["state"] == "transfer"]
    assert (mark["agent"], mark["to"]) == ("a1", "1002")


@pytest.mark.interop("baresip", "blind transfer to a queue")
async def test_blind_transfer_to_a_queue(service: RunningService) -> None:
    async with (
        baresip(service, 1, FIRST_HZ) as first,
        caller(service, "+37255510003") as someone,
    ):
        call = await to_first_agent(service, someone, first)
        await service.post("/v1/agents/a1/state", {"state": "paused", "reason": "test"})
        await first.command("transfer", BILLING)
        await service.call_reaches(someone.user, "queued")
        await service.agent_reaches("a1", "paused")
        async with baresip(service, 2, SECOND_HZ):
            await heard(call, SECOND_HZ)
            await call.hang_up()
        record = await service.record_of(someone.user)
    assert (record["agent"], record["queue"]) == ("a2", "billing")


@pytest.mark.parametrize(("queue", "is_first"), [(SUPPORT, True), (LAST, False)], ids=["keep", "last"])
async def test_the_queue_says_whether_a_transferred_caller_keeps_priority_and_age(
    service: RunningService, queue: str, *, is_first: bool
) -> None:
    """The one who is transferred came with priority, and long before the one who waits there."""
    transferred, waiting = f"+3725551010{is_first:d}", f"+3725551020{is_first:d}"
    async with (
        caller(service, transferred) as someone,
        caller(service, waiting) as another,
        desk_phone(service, 1) as first,
    ):
        await service.agent_reaches("a1", "available")
        call = await dial(someone, BILLING_FIRST)
        line = await first.rung()
        await service.call_reaches(transferred, "talking")
        await service.post("/v1/agents/a1/state", {"state": "paused"})
        other = await dial(another, queue)
        await service.call_reaches(waiting, "queued")
        assert await first.refer(line, queue) == 202
        await first.ended(line)
        await service.call_reaches(transferred, "queued")
        async with agents(service, phone(2, Behaviour.HANG_UP_FIRST, ring_ms=50, talk_ms=200)):
            await asyncio.gather(call.ended(10), other.ended(10))
        records = [await service.record_of(number) for number in (transferred, waiting)]
    talks = [next(s["at"] for s in reversed(r["segments"]) if s["state"] == "talking") for r in records]
    assert (talks[0] < talks[1]) is is_first
    assert {record["queue"] for record in records} == {"support" if is_first else "last"}


async def test_attended_transfer_to_a_queue_while_the_agent_waits_in_it(service: RunningService) -> None:
    """The caller takes the place of the agent who asked; it is a blind transfer to the queue then."""
    async with desk_phone(service, 1) as first, caller(service, "+37255510007") as someone:
        await service.agent_reaches("a1", "available")
        call = await dial(someone, SUPPORT)
        line = await first.rung()
        await service.call_reaches(someone.user, "talking")
        consult = await first.dial(BILLING)
        assert isinstance(consult, Line)
        await service.call_reaches("1001", "queued")
        await service.post("/v1/agents/a1/state", {"state": "paused"})
        assert await first.refer(line, BILLING, replaces=consult.replaces) == 202
        await first.ended(line)
        await first.ended(consult)
        assert (await service.call_reaches(someone.user, "queued"))["queue"] == "billing"
        async with baresip(service, 2, SECOND_HZ) as second:
            await heard(call, SECOND_HZ)
            await hears_caller(second)
            await call.hang_up()
        record = await service.record_of(someone.user)
    assert (record["agent"], record["queue"]) == ("a2", "billing")


async def test_attended_transfer_to_who_answered_in_a_queue(service: RunningService) -> None:
    async with desk_phone(service, 1) as first, caller(service, "+37255510008") as someone:
        await service.agent_reaches("a1", "available")
        call = await dial(someone, SUPPORT)
        line = await first.rung()
        await service.call_reaches(someone.user, "talking")
        async with baresip(service, 2, SECOND_HZ) as second:
            await service.agent_reaches("a2", "available")
            consult = await first.dial(BILLING)
            assert isinstance(consult, Line)
            await first.hears(consult, SECOND_HZ)
            assert await first.refer(line, BILLING, replaces=consult.replaces) == 202
            await heard(call, SECOND_HZ)
            await hears_caller(second)
            await first.ended(line)
            await first.ended(consult)
            await call.hang_up()
        record = await service.record_of(someone.user)
    assert record["agent"] == "a2"


async def test_a_supervisor_transfers_a_call(service: RunningService) -> None:
    async with (
        agents(service, phone(1), phone(2)),
        caller(service, "+37255510005") as someone,
    ):
        call = await dial(someone, SUPPORT)
        live = await service.call_reaches(someone.user, "talking")
        other = {"a1": "1002", "a2": "1001"}[live["agent"]]
        await service.post(f"/v1/calls/{live['id']}/transfer", {"to": other})

        async def moved() -> bool:
            now = await service.call_of(someone.user)
            return now is not None and now["state"] == "talking" and now["agent"] != live["agent"]

        await eventually(moved, within=5, what="the other agent")
        await call.hang_up()
        status, problem = await asyncio.to_thread(
            service.request, "POST", f"/v1/calls/{live['id']}/transfer", {"to": other}
        )
        assert status in (404, 409), problem


def desk_phone(service: RunningService, n: int) -> DeskPhone:
    return DeskPhone(service.sip_address, str(1000 + n), PASSWORD, says=FIRST_HZ)


async def test_a_busy_colleague_leaves_the_caller_with_the_agent(service: RunningService) -> None:
    async with (
        desk_phone(service, 1) as first,
        caller(service, "+37255510002") as someone,
    ):
        await service.agent_reaches("a1", "available")
        call = await dial(someone, SUPPORT)
        line = await first.rung()
        await service.call_reaches(someone.user, "talking")
        async with agents(service, phone(2, Behaviour.BUSY)):
            assert await first.refer(line, "1002") == 202
            await first.told("SIP/2.0 486")
        await service.call_reaches(someone.user, "talking")
        await heard(call, FIRST_HZ)
        await first.hears(line, CALLER_HZ)
        assert await first.refer(line, "4711") == 404
        await call.hang_up()
        await first.ended(line)
        record = await service.record_of(someone.user)
    assert (record["agent"], record["hangup_side"]) == ("a1", "caller")


async def test_attended_transfer_joins_caller_and_colleague(service: RunningService) -> None:
    async with (
        desk_phone(service, 1) as first,
        caller(service, "+37255510004") as someone,
    ):
        await service.agent_reaches("a1", "available")
        call = await dial(someone, SUPPORT)
        line = await first.rung()
        await service.call_reaches(someone.user, "talking")
        async with baresip(service, 2, SECOND_HZ) as second:
            await service.agent_reaches("a2", "available")
            consult = await first.dial("1002")
            assert isinstance(consult, Line)
            await service.call_reaches("1001", "talking")
            await first.hears(consult, SECOND_HZ)
            assert await first.refer(line, "1002", replaces=consult.replaces) == 202
            await heard(call, SECOND_HZ)
            await hears_caller(second)
            await first.told("SIP/2.0 200")
            await first.ended(line)
            await first.ended(consult)
            await service.agent_reaches("a1", "available")
            (live,) = await service.calls()
            assert (live["caller"], live["agent"]) == (someone.user, "a2")
            await call.hang_up()
            await service.agent_reaches("a2", "available")
        record = await service.record_of(someone.user)
    assert (record["agent"], record["queue"]) == ("a2", "support")


async def hears(agent: Baresip, frequency: float) -> None:
    async def enough() -> bool:
        return seconds_of(frequency, agent.heard(last_seconds=1.0)) >= 0.4

    await eventually(enough, within=5, what=f"{frequency} Hz at {agent.user}")


async def test_an_agent_who_dialled_a_colleague_sends_them_on(service: RunningService) -> None:
    async with desk_phone(service, 1) as first, baresip(service, 2, SECOND_HZ) as second:
        await second.registered()
        await service.agent_reaches("a2", "available")
        line = await first.dial("1002")
        assert isinstance(line, Line)
        await service.call_reaches("1001", "talking")
        assert await first.refer(line, "4711") == 404
        async with agents(service, phone(3, Behaviour.BUSY)):
            assert await first.refer(line, "1003") == 202
            await first.told("SIP/2.0 486")
        await first.hears(line, SECOND_HZ)
        await hears(second, FIRST_HZ)
        async with baresip(service, 3, THIRD_HZ) as third:
            await third.registered()
            await service.agent_reaches("a3", "available")
            assert await first.refer(line, "1003") == 202
            await first.told("SIP/2.0 200")
            await first.ended(line)
            await hears(second, THIRD_HZ)
            await hears(third, SECOND_HZ)
            states = await service.agents()
            assert (states["a2"], states["a3"]) == ("talking", "talking")
            await third.hang_up()
            await second.until("CALL_CLOSED")
            await service.agent_reaches("a2", "available")

        async def recorded() -> bool:
            newest = next((one for one in await service.records() if one["caller"] == "1001"), {})
            return (newest.get("agent"), newest.get("called")) == ("a3", "1002")

        await eventually(recorded, within=3, what="the record of the call")


async def test_an_agent_who_dialled_a_queue_sends_who_answered_into_another(service: RunningService) -> None:
    async with desk_phone(service, 1) as first, baresip(service, 2, SECOND_HZ) as second:
        await second.registered()
        await service.post("/v1/agents/a1/state", {"state": "paused", "reason": "asks"})
        line = await first.dial(SUPPORT)
        assert isinstance(line, Line)
        await service.call_reaches("1001", "talking")
        assert await first.refer(line, BILLING) == 202
        await first.told("SIP/2.0 200")
        await first.ended(line)
        assert (await service.call_reaches("1001", "queued"))["queue"] == "billing"
        await second.hang_up()
        await service.agent_reaches("a2", "available")
        await service.post("/v1/agents/a1/state", {"state": "available"})


async def test_lamps_and_feature_codes_of_a_desk_phone(service: RunningService) -> None:
    async with desk_phone(service, 1) as first, desk_phone(service, 2) as second:
        await service.agent_reaches("a2", "available")
        assert await second.watch("1001") == 200
        paused = await first.dial("*132")
        assert isinstance(paused, Line)
        await second.told("<state>confirmed</state>")
        await service.agent_reaches("a1", "paused")
        assert (await service.agent("a1"))["reason"] == "lunch"
        await first.ended(paused)
        await second.told("<state>terminated</state>")
        resumed = await first.dial("*14")
        assert isinstance(resumed, Line)
        await service.agent_reaches("a1", "available")
        await first.ended(resumed)
        assert await first.dial("*99") == 404
        async with caller(service, "+37255510006") as someone:
            await service.post("/v1/agents/a2/state", {"state": "paused"})
            second.notified.clear()
            call = await dial(someone, SUPPORT)
            await second.told("<state>early</state>")
            await second.told("<state>confirmed</state>")
            await call.hang_up()
            await second.told("<state>terminated</state>")


ASSERTED = "P-Asserted-Identity: <sip:55512345;verstat=TN-Validation-Passed@carrier.test;user=phone>"
DIVERSION = (
    "Diversion: <sip:6000301@carrier.test>;reason=no-answer, <sip:6000300@carrier.test>;reason=unconditional"
)
HISTORY = "History-Info: <sip:6000300@carrier.test>;index=1, <sip:6000202@carrier.test>;index=1.1"


@pytest.mark.parametrize(
    ("host", "headers", "shown", "diverted_from", "verstat"),
    [
        (TRUSTED, (ASSERTED, DIVERSION), "+37255512345", "+3726000300", "TN-Validation-Passed"),
        (
            TRUSTED,
            ("Remote-Party-ID: <sip:55512346@c.test>;party=calling", HISTORY),
            "+37255512346",
            "+3726000300",
            "",
        ),
        (TRUSTED, (ASSERTED, "Privacy: id"), "anonymous", "", "TN-Validation-Passed"),
        (DOUBTFUL, (ASSERTED, DIVERSION, HISTORY), "+37255599999", "", ""),
        (DOUBTFUL, ("Privacy: id",), "anonymous", "", ""),
    ],
    ids=["asserted", "remote party", "withheld", "not believed", "withheld anywhere"],
)
async def test_who_calls_is_what_a_trusted_trunk_says_and_the_phone_shows_it(
    service: RunningService, host: str, headers: tuple[str, ...], shown: str, diverted_from: str, verstat: str
) -> None:
    """Numbers come as they are dialled in the country of the trunk."""
    async with (
        desk_phone(service, 1) as first,
        await SipClient.open(service.sip_address, "udp", host) as carrier,
    ):
        await service.agent_reaches("a1", "available")
        rtp = await RtpPeer.open(host)
        sdp = OFFER.format(host=host, port=rtp.port)
        uri, from_ = "sip:6000202@acd.test", "<sip:55599999@carrier.test>;tag=c"
        invite = carrier.build("INVITE", uri, from_=from_, to=f"<{uri}>", body=sdp, headers=headers)
        carrier.send(invite)
        answer = await carrier.final()
        assert answer.status == 200
        carrier.acknowledge(invite, answer)
        line = await first.rung()
        assert number_in(line.remote) == shown
        call_id = (await service.call_reaches(shown, "talking"))["id"]
        told = {"to": answer.get("to"), "from_": from_, "call_id": answer.get("call-id")}
        assert (await carrier.request("BYE", uri=uri, **told)).status == 200
        await first.ended(line)
        await rtp.close()

        async def recorded() -> list[dict[str, object]]:
            return [one for one in await service.records() if one["id"] == call_id]

        (record,) = await eventually(recorded, within=5, what="the record of the call")
    assert (record["caller"], record["called"]) == (shown, SUPPORT)
    assert (record["diverted_from"] or "", record["verstat"] or "") == (diverted_from, verstat)


@pytest.mark.interop("SIPp", "a trunk past its calls, or its calls a second, gets 503")
@pytest.mark.parametrize(("host", "taken", "reason"), [(NARROW, 2, "trunk-full"), (SLOW, 1, "trunk-rate")])
async def test_a_trunk_past_its_limit_is_refused_and_its_calls_go_on(
    service: RunningService, host: str, taken: int, reason: str
) -> None:
    refused = await service.metric("acd_sip_rejected_total", reason=reason)
    async with Caller(service.sip_address, host=host, user="+37255510009") as someone:
        calls = [await dial(someone, MUSIC) for _ in range(taken)]
        result = await run("caller_rejected", service.sip_address, host=host, number=MUSIC, calls=3)
        result.assert_clean(3)
        assert await service.metric("acd_sip_rejected_total", reason=reason) == refused + 3
        for call in calls:
            assert call.ended_by == ""
            await call.hang_up()
