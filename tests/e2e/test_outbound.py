"""Agents call numbers outside from real phones, over trunks, with rights, and send callers there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.audio import seconds_of
from tests.support.baresip import Baresip
from tests.support.cast import AGENT_HZ, CALLER_HZ, SUPPORT, caller, dial, softphone
from tests.support.desk_phone import DeskPhone
from tests.support.net import eventually, free_port
from tests.support.provider import RINGBACK_HZ, VOICE_HZ, Provider, number_in
from tests.support.service import PASSWORD, TRUNK, RunningService, standard_directory

PORT, SPARE_PORT = free_port(), free_port()
TEAM_NUMBER = "+3726000200"


def _directory() -> dict[str, Any]:
    directory = standard_directory(agents=3)
    host = {"host": TRUNK, "transport": "udp"}
    directory["trunks"][0]["hosts"] = [{**host, "port": PORT}]
    directory["trunks"].append({"name": "spare", "hosts": [{**host, "port": SPARE_PORT}]})
    directory["dialling"] = {"country": "EE", "wrapup_seconds": 1.0, "ring_seconds": 10}
    directory["routes"] = [
        {"prefix": "+372", "class": "national", "trunks": ["carrier", "spare"]},
        {"prefix": "+372900", "class": "premium", "trunks": ["carrier"]},
        {"prefix": "+", "class": "international", "trunks": ["spare"], "strip": 1, "prepend": "00"},
    ]
    directory["teams"] = [{"name": "day", "dialling": ["national"], "caller_id": TEAM_NUMBER}]
    for agent in directory["agents"]:
        agent["team"] = "day"
    directory["agents"][2] |= {"dialling": ["national", "international"], "caller_id": "+3726000203"}
    return directory


def _with_a_rule(directory: dict[str, Any]) -> dict[str, Any]:
    """Who waits too long in one queue is connected to a number outside."""
    rule = {"after_seconds": 1, "number": "+37255570099"}
    directory["queues"].append({"name": "outward", "requires": {"sales": 1}, "overflow": [rule]})
    directory["numbers"].append({"number": OUTWARD, "queue": "outward"})
    return directory


OUTWARD = "+3726000220"
DIRECTORY = _with_a_rule(_directory())


async def hears(phone: Baresip, tone: float, seconds: float = 0.5) -> None:
    async def enough() -> bool:
        return seconds_of(tone, phone.heard()) >= seconds

    await eventually(enough, within=5, what=f"{tone} Hz at the phone")


async def record_of(service: RunningService, number: str) -> dict[str, Any]:
    """The one record of a call in which this number outside was called."""

    async def found() -> list[dict[str, Any]]:
        return [record for record in await service.records() if record["outside"] == number]

    (record,) = await eventually(found, within=5, what=f"the record of {number}")
    return dict(record)


@pytest.mark.interop("baresip", "calls a number outside, hears early media, digits pass")
async def test_an_agent_hears_the_far_ringing_and_then_talks_to_a_number_outside(
    service: RunningService,
) -> None:
    async with (
        Provider(service.sip_address, port=PORT) as provider,
        softphone(service, 1) as phone,
    ):
        await phone.registered()
        await service.agent_reaches("a1", "available")
        await phone.dial("55570001")
        invite = await provider.called()
        assert number_in(invite.first) == "+37255570001"
        assert number_in(invite.get("from")) == TEAM_NUMBER
        assert number_in(invite.get("p-asserted-identity")) == TEAM_NUMBER
        await hears(phone, RINGBACK_HZ)
        assert phone.times("CALL_ESTABLISHED") == 0
        await service.agent_reaches("a1", "talking")
        assert (await service.call_of("1001") or {})["state"] == "calling"
        line = await provider.pick_up()
        await phone.until("CALL_ESTABLISHED")
        await hears(phone, VOICE_HZ)
        await provider.hears(line, AGENT_HZ)
        await phone.press("42")
        await provider.digits(line, "42")
        await phone.hang_up()
        await provider.ended(line)
        await service.agent_reaches("a1", "wrapup")
        await service.agent_reaches("a1", "available")
    record = await record_of(service, "+37255570001")
    assert (record["direction"], record["caller"], record["called"]) == ("outbound", "1001", "+37255570001")
    assert (record["agent"], record["shown"], record["trunk_out"]) == ("a1", TEAM_NUMBER, "carrier")
    assert (record["outcome"], record["hangup_side"]) == ("answered", "agent")
    assert record["answered_at"] is not None
    states = [segment["state"] for segment in record["segments"]]
    assert states == ["new", "calling", "talking", "ended"]


async def test_what_an_agent_has_no_right_to_or_is_not_to_be_called_is_refused(
    service: RunningService,
) -> None:
    await service.post("/v1/do-not-call", {"numbers": ["55570002", "+37255571*"], "note": "asked us"})
    async with (
        Provider(service.sip_address, port=PORT) as provider,
        DeskPhone(service.sip_address, "1001", PASSWORD) as phone,
    ):
        await service.agent_reaches("a1", "available")
        refusals = {
            "+3729001234": 403,
            "+442071838750": 403,
            "55570002": 403,
            "+37255571999": 403,
            "*99": 404,
        }
        assert {number: await phone.dial(number) for number in refusals} == refusals
        await provider.no_more()
        assert await service.metric("acd_dial_refused_total", cause="not-allowed") == 2
        assert await service.metric("acd_dial_refused_total", cause="do-not-call") == 2
        assert await service.metric("acd_dial_refused_total", cause="no-route") == 1
        await service.agent_reaches("a1", "available")
    assert '"dial-refused"' in service.log_tail(400)
    record = await record_of(service, "+37255570002")
    assert (record["outcome"], record["cause"]) == ("rejected", "do-not-call")


@pytest.mark.parametrize(("status", "number"), [(503, "55570003"), (408, "55570013")])
async def test_a_busy_number_is_told_to_the_agent_and_a_trunk_that_does_not_serve_is_made_up_for(
    service: RunningService, status: int, number: str
) -> None:
    async with (
        Provider(service.sip_address, port=PORT, status=status) as first,
        Provider(service.sip_address, port=SPARE_PORT, status=486) as spare,
        DeskPhone(service.sip_address, "1003", PASSWORD) as phone,
    ):
        await service.agent_reaches("a3", "available")
        assert await phone.dial(number) == 486
        assert (first.rung, spare.rung) == (1, 1)
        await service.agent_reaches("a3", "available")
    record = await record_of(service, f"+372{number}")
    assert (record["outcome"], record["cause"], record["trunk_out"]) == ("unanswered", "busy", "spare")


async def test_an_agent_who_gives_up_cancels_the_call(service: RunningService) -> None:
    async with (
        Provider(service.sip_address, port=SPARE_PORT, early=180) as provider,
        softphone(service, 3) as phone,
    ):
        await phone.registered()
        await service.agent_reaches("a3", "available")
        await phone.dial("+442071838750")
        invite = await provider.called()
        assert number_in(invite.first) == "00442071838750"
        assert number_in(invite.get("from")) == "+3726000203"
        await phone.until("CALL_RINGING")
        await phone.hang_up()

        async def cancelled() -> bool:
            return provider.cancelled == 1

        await eventually(cancelled, within=5, what="the CANCEL at the provider")
        await service.agent_reaches("a3", "available")
    record = await record_of(service, "+442071838750")
    assert (record["outcome"], record["cause"], record["hangup_side"]) == ("unanswered", "cancelled", "agent")


@pytest.mark.interop("baresip", "blind transfer to a number outside")
async def test_a_queue_caller_is_transferred_to_a_number_outside(service: RunningService) -> None:
    async with (
        Provider(service.sip_address, port=PORT) as provider,
        softphone(service, 1) as phone,
        caller(service, "+37255570010") as someone,
    ):
        await phone.registered()
        await service.agent_reaches("a1", "available")
        call = await dial(someone, SUPPORT)
        await service.call_reaches(someone.user, "talking")
        await phone.command("transfer", "55570004")
        invite = await provider.called()
        assert number_in(invite.get("from")) == SUPPORT
        await service.call_reaches(someone.user, "forwarding")
        assert phone.times("CALL_CLOSED") == 0
        line = await provider.pick_up()
        await phone.until("CALL_CLOSED")
        await provider.hears(line, CALLER_HZ)

        async def voice_heard() -> bool:
            return seconds_of(VOICE_HZ, bytes(call.rtp.heard.pcm)) >= 0.5

        await eventually(voice_heard, within=5, what="the number outside at the caller")
        await service.agent_reaches("a1", "available")
        await call.hang_up()
        await provider.ended(line)
    record = await record_of(service, "+37255570004")
    assert (record["direction"], record["outcome"], record["trunk_out"]) == ("inbound", "answered", "carrier")


async def test_a_caller_comes_back_from_a_number_outside_that_is_busy(service: RunningService) -> None:
    async with (
        Provider(service.sip_address, port=PORT, status=486),
        DeskPhone(service.sip_address, "1001", PASSWORD) as phone,
        caller(service, "+37255570011") as someone,
    ):
        await service.agent_reaches("a1", "available")
        call = await dial(someone, SUPPORT)
        line = await phone.rung()
        await service.call_reaches(someone.user, "talking")
        assert await phone.refer(line, "+3729001234") == 403
        assert await phone.refer(line, "55570005") == 202
        await phone.told("486")
        await service.call_reaches(someone.user, "talking")
        await phone.hears(line, CALLER_HZ)
        await call.hang_up()


async def test_who_waits_too_long_is_connected_to_a_number_outside(service: RunningService) -> None:
    async with (
        Provider(service.sip_address, port=PORT, early=180) as provider,
        caller(service, "+37255570012") as someone,
    ):
        call = await dial(someone, OUTWARD)
        invite = await provider.called()
        assert number_in(invite.get("to")) == "+37255570099"
        line = await provider.pick_up()

        async def hears_them() -> bool:
            return seconds_of(VOICE_HZ, bytes(call.rtp.heard.pcm)) >= 0.5

        await eventually(hears_them, within=5, what="the voice of the number outside")
        provider.hang_up(line)
        assert await call.ended() == "far"
        record = await service.record_of(someone.user)
    assert (record["outcome"], record["outside"]) == ("forwarded", "+37255570099")
    counted = await service.metric("acd_queue_overflowed_total", queue="outward", to_kind="number")
    assert counted == 1


async def test_an_agent_asks_somebody_outside_and_joins_the_caller_to_them(service: RunningService) -> None:
    async with (
        Provider(service.sip_address, port=PORT) as provider,
        DeskPhone(service.sip_address, "1001", PASSWORD) as phone,
        caller(service, "+37255570012") as someone,
    ):
        await service.agent_reaches("a1", "available")
        call = await dial(someone, SUPPORT)
        first = await phone.rung()
        await service.call_reaches(someone.user, "talking")
        picking_up = provider_answers(provider)
        second = await phone.dial("55570006")
        line = await picking_up
        assert not isinstance(second, int)
        assert await phone.refer(first, "55570006", replaces=second.replaces) == 202
        await phone.ended(first)
        await phone.ended(second)
        await provider.hears(line, CALLER_HZ)
        await service.agent_reaches("a1", "available")
        await call.hang_up()
        await provider.ended(line)


async def test_an_agent_sends_whom_they_called_to_a_colleague(service: RunningService) -> None:
    async with (
        Provider(service.sip_address, port=PORT) as provider,
        DeskPhone(service.sip_address, "1001", PASSWORD) as phone,
        softphone(service, 2) as colleague,
    ):
        await service.agent_reaches("a1", "available")
        await colleague.registered()
        await service.agent_reaches("a2", "available")
        picking_up = provider_answers(provider)
        mine = await phone.dial("55570007")
        line = await picking_up
        assert not isinstance(mine, int)
        assert await phone.refer(mine, "1002") == 202
        await colleague.until("CALL_ESTABLISHED")
        await provider.hears(line, AGENT_HZ)
        await hears(colleague, VOICE_HZ)
        await phone.ended(mine)
        await colleague.hang_up()
        await provider.ended(line)
    record = await record_of(service, "+37255570007")
    assert (record["direction"], record["agent"], record["caller"]) == ("outbound", "a2", "1001")


async def test_who_is_paused_talks_while_they_call_and_is_paused_again(service: RunningService) -> None:
    async with (
        Provider(service.sip_address, port=PORT) as provider,
        softphone(service, 1) as phone,
        softphone(service, 2) as colleague,
        caller(service, "+37255570010") as someone,
    ):
        await phone.registered()
        await service.agent_reaches("a1", "available")
        await colleague.registered()
        await service.agent_reaches("a2", "available")
        await service.post("/v1/agents/a1/state", {"state": "paused", "reason": "lunch"})
        await phone.dial("55570009")
        await provider.called()
        await service.agent_reaches("a1", "talking")
        line = await provider.pick_up()
        await hears(phone, VOICE_HZ)
        await phone.hang_up()
        await provider.ended(line)
        await service.agent_reaches("a1", "wrapup")
        await service.agent_reaches("a1", "paused")
        await phone.dial("1002")
        await colleague.until("CALL_ESTABLISHED")
        await hears(phone, AGENT_HZ)
        await service.agent_reaches("a1", "talking")
        # Who resumes meanwhile gets no caller before the conversation with the colleague is over.
        await service.post("/v1/agents/a1/state", {"state": "available"})
        call = await dial(someone, SUPPORT)
        await service.call_reaches(someone.user, "queued")
        await asyncio.sleep(1.0)
        assert (await service.call_of(someone.user) or {})["state"] == "queued"
        await phone.hang_up()
        await service.call_reaches(someone.user, "talking")
        await call.hang_up()
    assert (await service.record_of(someone.user))["outcome"] == "answered"


def provider_answers(provider: Provider) -> Any:
    """The line of the next call, which is picked up as soon as it comes."""

    async def pick_up() -> Any:
        await provider.called()
        return await provider.pick_up()

    return asyncio.ensure_future(pick_up())


async def test_a_program_has_an_agent_rung_and_then_a_number_called(service: RunningService) -> None:
    async with (
        Provider(service.sip_address, port=PORT) as provider,
        DeskPhone(service.sip_address, "1001", PASSWORD) as phone,
    ):
        await service.agent_reaches("a1", "available")
        status, _ = service.request("POST", "/v1/agents/a1/calls", {"to": "+3729001234"})
        assert status == 403
        made = await service.post("/v1/agents/a1/calls", {"to": "55570008"})
        mine = await phone.rung()
        await provider.called()
        await phone.hears(mine, RINGBACK_HZ)
        line = await provider.pick_up()
        await phone.hears(mine, VOICE_HZ)
        await provider.hears(line, phone.says)
        await service.agent_reaches("a1", "talking")
        provider.hang_up(line)
        await phone.ended(mine)
        await service.agent_reaches("a1", "available")
    record = await record_of(service, "+37255570008")
    assert (record["id"], record["agent"], record["outcome"]) == (made["call_id"], "a1", "answered")


async def trace(service: RunningService, call_id: str) -> list[tuple[str, str]]:
    """Direction and beginning of each message of a call, once both legs have said good-bye."""

    async def whole() -> list[tuple[str, str]]:
        _, answer = await asyncio.to_thread(service.request, "GET", f"/v1/calls/{call_id}/trace")
        found = [(item["direction"], item["text"].partition("@")[0]) for item in answer.get("items", [])]
        return found if sum(text.startswith("BYE ") for _, text in found) == 2 else []

    return list(await eventually(whole, within=5, what="both legs in the trace"))


async def test_a_call_over_a_traced_trunk_is_shown_with_both_legs(service: RunningService) -> None:
    await service.post("/v1/trace", {"trunk": "carrier"})
    async with (
        Provider(service.sip_address, port=PORT) as provider,
        DeskPhone(service.sip_address, "1001", PASSWORD) as phone,
    ):
        await service.agent_reaches("a1", "available")
        picking_up = provider_answers(provider)
        mine = await phone.dial("55570020")
        line = await picking_up
        assert not isinstance(mine, int)
        provider.hang_up(line)
        await phone.ended(mine)
        record = await record_of(service, "+37255570020")
        messages = await trace(service, record["id"])
    invites = [text for _, text in messages if text.startswith("INVITE ")]
    assert invites[-1] == "INVITE sip:+37255570020"
    assert invites[0] == "INVITE sip:55570020", "the agent's leg from its first message on"
    assert [way for way, text in messages if text.startswith("BYE ")] == ["in", "out"]
    await asyncio.to_thread(service.request, "DELETE", "/v1/trace")


async def test_a_call_that_is_made_for_an_agent_is_traced_by_its_id(service: RunningService) -> None:
    """It has no caller; the phone of the agent rings first."""
    async with (
        Provider(service.sip_address, port=PORT, early=180) as provider,
        DeskPhone(service.sip_address, "1001", PASSWORD) as phone,
    ):
        await service.agent_reaches("a1", "available")
        made = await service.post("/v1/agents/a1/calls", {"to": "55570021"})
        path = f"/v1/calls/{made['call_id']}/trace"
        assert (await asyncio.to_thread(service.request, "POST", path))[0] == 204
        mine = await phone.rung()
        await provider.called()
        line = await provider.pick_up()
        await service.agent_reaches("a1", "talking")
        provider.hang_up(line)
        await phone.ended(mine)
        messages = await trace(service, made["call_id"])
    assert ("out", "INVITE sip:+37255570021") in messages
    assert [way for way, text in messages if text.startswith("BYE ")] == ["in", "out"]
    await asyncio.to_thread(service.request, "DELETE", "/v1/trace")
