"""The main job: a caller reaches the right agent, in the right order, and they hear each other."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession, web

from tests.support.audio import seconds_of, seconds_of_sound
from tests.support.baresip import Baresip
from tests.support.caller import Call, Caller
from tests.support.cast import (
    AGENT_HZ,
    BILLING,
    BILLING_FIRST,
    CALLER_HZ,
    ECHO,
    MENU,
    MUSIC,
    PERSONAL,
    SALES,
    STRICT,
    SUPPORT,
    TOGETHER,
    TWO_LINES,
    agents,
    caller,
    dial,
    heard,
    phone,
    softphone,
)
from tests.support.linphone import Linphone
from tests.support.net import eventually, free_port, patience
from tests.support.registration import register_all
from tests.support.service import PASSWORD, RunningService, standard_directory
from tests.support.sipp import Behaviour, Sipp

LOOKUP_PORT = free_port()


def _directory() -> dict[str, Any]:
    """Beside the standard one, caller lists."""
    directory = standard_directory()
    directory["priorities"] = {"vip": 50}
    page = f"http://127.0.0.1:{LOOKUP_PORT}/callers/{{number}}"
    directory["caller_lists"] = [
        {"name": "blocked", "prefixes": ["+372666"], "reject": True},
        {"name": "vips", "priority": "vip"},
        {"name": "crm", "prefixes": ["+372777"], "lookup": {"url": page, "allow_http": True}},
    ]
    return directory


DIRECTORY = _directory()
SETTINGS = {"lookups": {"allow_networks": ["127.0.0.0/8"]}}


@pytest.mark.interop("baresip", "UDP, called as an agent, PCMU and PCMA both ways")
@pytest.mark.parametrize("laws", [(0,), (8,)], ids=["PCMU", "PCMA"])
@pytest.mark.parametrize("codec", ["PCMA/8000/1", "PCMU/8000/1"])
async def test_caller_and_agent_hear_each_other_in_every_pair_of_laws(
    service: RunningService, laws: tuple[int, ...], codec: str
) -> None:
    async with softphone(service, 1, codecs=codec) as agent, caller(service) as someone:
        await agent.registered()
        call = await dial(someone, BILLING, laws=laws)
        await agent.until("CALL_ESTABLISHED")
        await heard(call, AGENT_HZ)

        async def agent_hears() -> bool:
            return seconds_of(CALLER_HZ, agent.heard()) >= 0.5

        await eventually(agent_hears, within=4, what="the caller's tone in the agent's recording")
        await call.hang_up()
        await agent.until("CALL_CLOSED")


@pytest.mark.interop("baresip", "TCP, hangs up first")
async def test_softphone_over_tcp_takes_a_call_and_hangs_up_first(service: RunningService) -> None:
    dialling = caller(service, "+37255500010")
    async with softphone(service, 1, transport="tcp") as agent, dialling as someone:
        await agent.registered()
        call = await dial(someone, BILLING)
        await heard(call, AGENT_HZ)
        await agent.hang_up()
        assert await call.ended() == "far"
        record = await service.record_of(someone.user)
    assert record["outcome"] == "answered"
    assert record["hangup_side"] == "agent"
    assert record["agent"] == "a1"
    assert record["queue"] == "billing"
    assert record["talk_seconds"] > 0.3


async def test_record_tells_who_waited_how_long_and_who_hung_up(service: RunningService) -> None:
    async with caller(service, "+37255500011") as someone, agents(service, phone(1, ring_ms=800)):
        call = await dial(someone, BILLING)
        await service.call_reaches(someone.user, "talking")
        await asyncio.sleep(0.5)
        await call.hang_up()
        record = await service.record_of(someone.user)
    assert (record["outcome"], record["hangup_side"], record["called"]) == ("answered", "caller", BILLING)
    assert 0.7 < record["wait_seconds"] < 2.0
    assert 0.4 < record["talk_seconds"] < 1.5


@pytest.mark.parametrize(("digit", "queue"), [("1", "billing"), ("2", "support"), ("3", "sales")])
async def test_the_callers_digit_chooses_the_queue(service: RunningService, digit: str, queue: str) -> None:
    number = f"+3725550002{digit}"
    async with caller(service, number) as someone:
        call = await dial(someone, MENU)
        for step in ("1", "1", digit):  # past the greeting, English, the topic
            await asyncio.sleep(0.7)
            await call.rtp.press(step)
        assert (await service.call_reaches(number, "queued"))["queue"] == queue
        assert seconds_of_sound(bytes(call.rtp.heard.pcm)) > 0.5
        await call.hang_up()


async def test_the_callers_language_is_spoken_and_kept(service: RunningService) -> None:
    async with caller(service, "+37255500031") as someone:
        call = await dial(someone, MENU)
        for step in ("1", "2", "1"):
            await asyncio.sleep(0.7)
            await call.rtp.press(step)
        assert (await service.call_reaches(someone.user, "queued"))["language"] == "et"
        await call.hang_up()


async def test_callers_wait_in_order_of_priority_then_age(service: RunningService) -> None:
    numbers = {"+37255500041": BILLING, "+37255500042": BILLING, "+37255500043": BILLING_FIRST}
    async with caller(service) as someone:
        calls = []
        for number, dialled in numbers.items():
            someone.user = number
            calls.append(await dial(someone, dialled))
            await service.call_reaches(number, "queued")
        waiting = await service.queue("billing")
        assert waiting["waiting"] == 3
        async with agents(service, phone(1, Behaviour.HANG_UP_FIRST, ring_ms=50, talk_ms=200)):
            await asyncio.gather(*(call.ended(10) for call in calls))
            records = [await service.record_of(number) for number in numbers]
    order = sorted(records, key=lambda record: record["answered_at"])
    assert [record["caller"][-1] for record in order] == ["3", "1", "2"]


async def offers_failed(service: RunningService, reason: str) -> float:
    return await service.metric("acd_agent_offers_failed_total", queue="billing", reason=reason)


@pytest.mark.interop("SIPp", "486, 603 and 480 of an agent")
@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [(Behaviour.BUSY, "busy"), (Behaviour.DECLINE, "rejected"), (Behaviour.UNAVAILABLE, "rejected")],
)
async def test_agent_who_turns_it_down_passes_it_on_and_the_caller_keeps_the_place(
    service: RunningService, behaviour: Behaviour, reason: str
) -> None:
    first, second = f"+3725550005{behaviour}", f"+3725550006{behaviour}"
    willing = agents(service, phone(2, Behaviour.HANG_UP_FIRST, ring_ms=50, talk_ms=200))
    async with caller(service) as someone, agents(service, phone(1, behaviour)):
        someone.user = first
        before = {each: await offers_failed(service, each) for each in ("busy", "rejected", "no-answer")}
        call = await dial(someone, BILLING)

        async def turned_down() -> bool:
            return await offers_failed(service, reason) > before[reason]

        await eventually(turned_down, within=5, what=f"an offer that failed as {reason}")
        others = {each for each in before if await offers_failed(service, each) > before[each]}
        assert others == {reason}
        someone.user = second
        other = await dial(someone, BILLING)
        async with willing:
            await asyncio.gather(call.ended(8), other.ended(8))
    records = [await service.record_of(number) for number in (first, second)]
    assert [record["agent"] for record in records] == ["a2", "a2"]
    assert [record["outcome"] for record in records] == ["answered", "answered"]
    assert records[0]["answered_at"] < records[1]["answered_at"]
    assert records[0]["offers"] >= 2


@pytest.mark.interop("SIPp", "no answer of an agent, cancelled")
async def test_agent_who_does_not_answer_in_time_passes_it_on(service: RunningService) -> None:
    async with caller(service, "+37255500081") as someone, agents(service, phone(1, Behaviour.RING_FOR_EVER)):
        call = await dial(someone, BILLING)
        await service.agent_reaches("a1", "offered")
        async with agents(service, phone(2)):
            talking = await service.call_reaches(someone.user, "talking")
            assert talking["agent"] == "a2"
            await call.hang_up()
    record = await service.record_of(someone.user)
    assert (record["agent"], record["offers"]) == ("a2", 2)
    assert 1.9 < record["wait_seconds"] < 3.5


async def test_agent_who_never_answers_is_set_to_not_answering(service: RunningService) -> None:
    async with caller(service, "+37255500071") as someone, agents(service, phone(3, Behaviour.RING_FOR_EVER)):
        call = await dial(someone, STRICT)
        await service.agent_reaches("a3", "not-answering")
        await service.call_reaches(someone.user, "queued")
        await service.post("/v1/agents/a3/state", {"state": "available"})
        assert (await service.agent("a3"))["state"] in ("available", "offered")
        await call.hang_up()


async def test_agent_who_rejects_is_paused_where_the_queue_says_so(service: RunningService) -> None:
    refuses = phone(3, Behaviour.DECLINE)
    async with caller(service, "+37255500072") as someone, agents(service, refuses):
        call = await dial(someone, STRICT)
        await service.agent_reaches("a3", "paused")
        assert (await service.agent("a3"))["reason"] == "missed a call"
        await service.call_reaches(someone.user, "queued")
        async with agents(service, phone(4)):
            talking = await service.call_reaches(someone.user, "talking")
            assert talking["agent"] == "a4"
            await call.hang_up()
    record = await service.record_of(someone.user)
    (refused,) = record["refusals"]
    assert (refused["agent"], refused["reason"], refused["why_missing"]) == ("a3", "rejected", True)
    # The agent says why, later than the call.
    path, mine = "/v1/agents/a3/refusal", "agent:a3"
    assert (await service.ask(path, role=mine))["reasons"] == ["in a meeting", "wrong skill"]
    await service.post(path, {"reason": "wrong skill"}, role=mine)
    (refused,) = (await service.record_of(someone.user))["refusals"]
    assert (refused["why"], refused["why_missing"]) == ("wrong skill", False)
    offers = (await service.ask(f"/v1/calls/{record['id']}/why"))["offers"]
    assert [offer["why"] for offer in offers] == ["wrong skill", None]


async def test_who_talked_to_the_caller_last_is_rung_first_and_another_where_that_one_is_paused(
    service: RunningService,
) -> None:
    number = "+37255500073"
    async with caller(service, number) as someone:
        async with agents(service, phone(5)):
            call = await dial(someone, PERSONAL)
            assert (await service.call_reaches(number, "talking"))["agent"] == "a5"
            await call.hang_up()
            first = await service.record_of(number)
        # The one without a call for longest is a6.
        async with agents(service, phone(6)):
            await service.agent_reaches("a6", "available")
            async with agents(service, phone(5)):
                await service.agent_reaches("a5", "available")
                call = await dial(someone, PERSONAL)
                assert (await service.call_reaches(number, "talking"))["agent"] == "a5"
                await call.hang_up()
                await service.agent_reaches("a5", "available")
                await service.post("/v1/agents/a5/state", {"state": "paused", "reason": "lunch"})
                call = await dial(someone, PERSONAL)
                assert (await service.call_reaches(number, "talking"))["agent"] == "a6"
                await call.hang_up()
    assert first["attributes"] == {}


async def test_a_caller_on_a_list_goes_first_and_one_on_a_block_list_is_refused(
    service: RunningService,
) -> None:
    vip = "+37255500075"
    async with caller(service, "+37255500074") as usual, caller(service, vip) as special:
        await service.post("/v1/caller-lists/vips/numbers", {"number": vip, "note": "the board"})
        first = await dial(usual, BILLING)
        await service.call_reaches(usual.user, "queued")
        second = await dial(special, BILLING)
        await service.call_reaches(vip, "queued")
        async with agents(service, phone(5)):
            await service.call_reaches(vip, "talking")
            assert (await service.call_reaches(usual.user, "queued"))["agent"] is None
            await second.hang_up()
            await service.call_reaches(usual.user, "talking")
            await first.hang_up()
    assert (await service.record_of(vip))["attributes"] == {"caller_lists": "vips"}
    async with caller(service, "+37266600001") as nuisance:
        assert await (await nuisance.dial(BILLING)).refused() == 603
    record = await service.record_of("+37266600001")
    assert (record["outcome"], record["cause"], record["answered_at"]) == ("rejected", "blocked", None)
    assert record["attributes"] == {"caller_lists": "blocked"}


async def test_what_a_page_knows_of_a_caller_counts_and_a_page_that_fails_stops_nobody(
    service: RunningService,
) -> None:
    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"preferred_agent": "a6", "attributes": {"customer": "C-4711"}})

    asked: list[str] = []
    app = web.Application()
    app.router.add_get("/callers/{number}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    known, unknown = "+37277700001", "+37277700002"
    async with agents(service, phone(5)):
        await service.agent_reaches("a5", "available")
        async with agents(service, phone(6)), caller(service, known) as someone:
            await service.agent_reaches("a6", "available")
            await web.TCPSite(runner, "127.0.0.1", LOOKUP_PORT).start()
            call = await dial(someone, BILLING)
            assert (await service.call_reaches(known, "talking"))["agent"] == "a6"
            await call.hang_up()
        await runner.cleanup()
        record = await service.record_of(known)
        async with caller(service, unknown) as someone:
            call = await dial(someone, BILLING)
            assert (await service.call_reaches(unknown, "talking"))["agent"] == "a5"
            await call.hang_up()
    assert asked == [f"/callers/{known}"]
    assert record["attributes"] == {"caller_lists": "crm", "customer": "C-4711", "preferred_agent": "a6"}
    assert (await service.record_of(unknown))["attributes"] == {}
    assert await service.metric("acd_caller_lookups_total", list="crm", result="found") == 1
    assert await service.metric("acd_caller_lookups_total", list="crm", result="failed") == 1


async def test_agent_is_in_wrapup_after_the_call_and_then_free(service: RunningService) -> None:
    number, missed = "+37255500812", await service.metric("acd_notes_missed_total", queue="sales")
    async with caller(service, number) as someone, agents(service, phone(1)):
        call = await dial(someone, SALES)
        await service.agent_reaches("a1", "talking")
        await call.hang_up()
        await service.agent_reaches("a1", "wrapup", within=1)
        # Wrap-up counts across all queues of the agent: another queue's caller waits for it, too.
        async with caller(service) as another:
            other = await dial(another, SUPPORT)
            assert (await service.agent("a1"))["state"] == "wrapup"
            await service.agent_reaches("a1", "talking", within=4)
            await other.hang_up()
    record = await service.record_of(number)
    assert (record["note_missing"], record["notes"]) == (True, [])
    assert record in await service.records(note_missing="true")
    assert await service.metric("acd_notes_missed_total", queue="sales") == missed + 1


async def test_agent_notes_what_the_call_came_to_and_ends_the_longer_wrapup(service: RunningService) -> None:
    number = "+37255500811"
    async with caller(service, number) as someone, agents(service, phone(1)):
        call = await dial(someone, SALES)
        await service.agent_reaches("a1", "talking")
        await call.hang_up()
        await service.agent_reaches("a1", "wrapup", within=1)
        longer = await service.post("/v1/agents/a1/wrap-up", {"extend_seconds": 60})
        assert longer["wrapup"]["until"] > (await service.agent("a1"))["since"]
        assert [field["name"] for field in longer["form"]] == ["amount"]
        # The note is the agent's to write: until then the wrap-up goes on, as far as its time lets.
        for role, path in (("admin", "wrap-up"), ("agent:a1", "wrap-up"), ("agent:a1", "state")):
            order = {"end": True} if path == "wrap-up" else {"state": "paused"}
            status, answer = service.request("POST", f"/v1/agents/a1/{path}", order, role=role)
            assert (status, [error["pointer"] for error in answer["errors"]]) == (409, ["/code"])
        note = {"code": "sold", "fields": {"amount": 12.5}, "end": True}
        assert (await service.post("/v1/agents/a1/wrap-up", note))["state"] == "available"
    (kept,) = (await service.record_of(number))["notes"]
    assert (kept["agent"], kept["code"], kept["fields"]) == ("a1", "sold", {"amount": 12.5})


async def test_paused_agent_gets_no_call_until_available(service: RunningService) -> None:
    async with caller(service) as someone, agents(service, phone(1)):
        await service.agent_reaches("a1", "available")
        await service.post("/v1/agents/a1/state", {"state": "paused", "reason": "lunch"})
        assert (await service.agent("a1"))["reason"] == "lunch"
        call = await dial(someone, BILLING)
        await service.call_reaches(someone.user, "queued")
        assert (await service.queue("billing"))["waiting"] == 1
        await service.post("/v1/agents/a1/state", {"state": "available"})
        await service.agent_reaches("a1", "talking")
        await call.hang_up()


@pytest.mark.parametrize("number", [ECHO, MUSIC])
async def test_echo_and_music_are_heard(service: RunningService, number: str) -> None:
    async with caller(service, f"+372555009{number[-2:]}") as someone:
        call = await dial(someone, number)
        if number == ECHO:
            await heard(call, CALLER_HZ, within=12)
        else:
            await eventually(lambda: _sound(call), within=3)
        await call.hang_up()
    assert (await service.record_of(someone.user))["outcome"] == "completed"


@pytest.mark.interop("baresip", "dials a number")
async def test_agents_own_softphone_dials_a_number(service: RunningService) -> None:
    async with softphone(service, 1) as agent:
        await agent.registered()
        await agent.dial(ECHO)
        await agent.until("CALL_ESTABLISHED")

        async def hears_itself() -> bool:
            return seconds_of(AGENT_HZ, agent.heard()) >= 0.5

        await eventually(hears_itself, within=12, what="its own tone, echoed")
        await agent.hang_up()
        await agent.until("CALL_CLOSED")


@pytest.mark.interop("baresip", "digits by RFC 4733")
async def test_softphones_digits_lead_through_the_menu(service: RunningService) -> None:
    async with softphone(service, 1) as agent:
        await agent.registered()
        await service.agent_reaches("a1", "available")
        await service.post("/v1/agents/a1/state", {"state": "paused", "reason": "private call"})
        await agent.dial(MENU)
        await agent.until("CALL_ESTABLISHED")
        await service.agent_reaches("a1", "talking")
        for step in ("1", "1", "2"):
            await asyncio.sleep(0.7)
            await agent.press(step)
        (call,) = await service.calls()
        assert (call["state"], call["queue"], call["caller"]) == ("queued", "support", "1001")
        await agent.hang_up()
        await service.agent_reaches("a1", "paused")
        await service.post("/v1/agents/a1/state", {"state": "available"})


@pytest.mark.interop(
    "baresip", "feature codes: sign out and in, pause, resume, wrap-up longer, wrap-up code, end wrap-up"
)
async def test_feature_codes_dialled_from_a_softphone(service: RunningService) -> None:
    async with softphone(service, 1) as agent, caller(service, "+37255500921") as someone:
        await agent.registered()
        await service.agent_reaches("a1", "available")
        over = 0

        async def dials(code: str, state: str) -> None:
            nonlocal over
            over += 1
            await agent.dial(code)
            await service.agent_reaches("a1", state)
            await agent.until("CALL_CLOSED", count=over)

        await dials("*12", "offline")
        await dials("*11", "available")
        await dials("*132", "paused")
        assert (await service.agent("a1"))["reason"] == "lunch"
        await dials("*14", "available")
        call = await dial(someone, SALES)
        await service.agent_reaches("a1", "talking")
        await call.hang_up()
        over += 1
        await service.agent_reaches("a1", "wrapup", within=1)
        await service.post("/v1/agents/a1/wrap-up", {"extend_seconds": 60})
        until = (await service.agent("a1"))["wrapup"]["until"]
        await dials("*16", "wrapup")
        assert (await service.agent("a1"))["wrapup"]["until"] > until
        await dials("*15", "wrapup")
        await dials("*172", "wrapup")
        await dials("*15", "available")
    record = await service.record_of("+37255500921")
    (note,) = record["notes"]
    assert (note["agent"], note["code"], record["note_missing"]) == ("a1", "no interest", False)


@pytest.mark.interop(
    "baresip", "feature code: why a call was not taken", "feature code: echo of one's own voice"
)
async def test_who_turned_a_caller_down_says_why_by_phone(service: RunningService) -> None:
    async with softphone(service, 1, auto_answer=False) as agent, caller(service, "+37255500922") as someone:
        await agent.registered()
        await service.agent_reaches("a1", "available")
        call = await dial(someone, STRICT)
        await agent.until("CALL_INCOMING")
        await agent.hang_up()
        await agent.until("CALL_CLOSED")
        await call.hang_up()
        refused = (await service.record_of(someone.user))["refusals"]
        assert [(one["agent"], one["why"], one["why_missing"]) for one in refused] == [("a1", None, True)]
        await agent.dial("*182")
        await agent.until("CALL_CLOSED", count=2)
        (refused,) = (await service.record_of(someone.user))["refusals"]
        assert (refused["why"], refused["why_missing"]) == ("wrong skill", False)
        await agent.dial("*43")
        await agent.until("CALL_ESTABLISHED", count=2)

        async def hears_themselves() -> bool:
            return seconds_of(AGENT_HZ, agent.heard(last_seconds=1.0)) >= 0.5

        await eventually(hears_themselves, within=8, what="the phone's own tone")
        await agent.hang_up()
        await agent.until("CALL_CLOSED", count=3)


@pytest.mark.interop("linphone", "dials a number", "digits by INFO")
async def test_digits_by_info_of_linphone_lead_through_the_menu(service: RunningService) -> None:
    async with Linphone(service.sip_address, "1001", PASSWORD, digits_by_info=True) as agent:
        await service.agent_reaches("a1", "available")
        await service.post("/v1/agents/a1/state", {"state": "paused", "reason": "private call"})
        await agent.dial(MENU)
        for step in ("1", "1", "3"):
            await asyncio.sleep(0.7)
            await agent.press(step)
        queued = await service.call_reaches("1001", "queued")
        assert queued["queue"] == "sales"
        await agent.command("terminate")
        await service.post("/v1/agents/a1/state", {"state": "available"})


async def _sound(call: Call) -> bool:
    return seconds_of_sound(bytes(call.rtp.heard.pcm)) > 0.5


async def test_unknown_numbers_and_strangers_are_refused(service: RunningService) -> None:
    async with caller(service) as someone:
        assert await (await someone.dial("+3726999999")).refused() == 404
    async with Sipp(
        "caller_rejected", service.sip_address, host="127.0.0.3", number=BILLING, calls=1
    ) as sipp:
        stranger = await sipp.finished()
    assert "401" in stranger.errors or stranger.successful == 1


async def test_wrong_password_and_unknown_user_are_answered_alike(service: RunningService) -> None:
    accounts = [("1001", "wrong-password"), ("4711", PASSWORD)]
    for account in accounts:
        statuses = await register_all(
            service.sip_address, [account], host="127.0.0.1", port=0, algorithm="MD5"
        )
        assert statuses == [401]


async def test_supervisor_ends_a_call(service: RunningService) -> None:
    async with caller(service) as someone, agents(service, phone(1)):
        call = await dial(someone, BILLING)
        live = await service.call_reaches(someone.user, "talking")
        status, _ = await asyncio.to_thread(service.request, "DELETE", f"/v1/calls/{live['id']}")
        assert status in (202, 204)
        assert await call.ended() == "far"
        await service.agent_reaches("a1", "available")


@pytest.mark.interop("SIPp", "rung together, CANCEL of those who did not answer")
async def test_of_three_agents_who_are_rung_together_one_answers_and_the_others_are_free(
    service: RunningService,
) -> None:
    quick = phone(2, ring_ms=700)
    slow = [phone(n, Behaviour.RING_FOR_EVER) for n in (1, 3)]
    async with caller(service, "+37255500091") as someone, agents(service, quick, *slow) as phones:
        call = await dial(someone, TOGETHER)
        for agent in ("a1", "a2", "a3"):
            await service.agent_reaches(agent, "offered")
        talking = await service.call_reaches(someone.user, "talking")
        assert talking["agent"] == "a2"
        for agent in ("a1", "a3"):
            await service.agent_reaches(agent, "available")
        await call.hang_up()
        counted = await phones.stop()
    record = await service.record_of(someone.user)
    assert (record["outcome"], record["agent"], record["offers"]) == ("answered", "a2", 3)
    assert counted.failed == 0, counted
    counters = (await service.queue("together"))["counters"]
    assert (counters["let-go"], counters["rejected"], counters["withdrawn"]) == (2, 0, 0)


@pytest.mark.interop("baresip", "call waiting: a second call while the first is held")
async def test_an_agent_with_two_lines_gets_a_second_call_and_the_first_hears_music(
    service: RunningService,
) -> None:
    desk = Baresip(service.sip_address, "1900", PASSWORD, says=AGENT_HZ, auto_answer=False)

    async def taken(someone: Caller, count: int) -> Call:
        call = await dial(someone, TWO_LINES)
        await desk.until("CALL_INCOMING", count=count)
        await desk.answer()
        await heard(call, AGENT_HZ)
        return call

    first, second, third = (caller(service, f"+3725550016{n}") for n in (1, 2, 3))
    async with desk, first, second, third:
        await desk.registered()
        one, two = await taken(first, 1), await taken(second, 2)
        agent = await service.ask("/v1/agents/two-lines")
        assert (agent["state"], agent["talks"], agent["capacity"]) == ("talking", 2, 2)
        one.rtp.forget()

        async def music() -> bool:
            pcm = bytes(one.rtp.heard.pcm)
            return seconds_of_sound(pcm) >= 0.5 and seconds_of(AGENT_HZ, pcm) < 0.1

        await eventually(music, within=4, what="music for the caller who is held")
        three = await dial(third, TWO_LINES)
        await service.call_reaches(third.user, "queued")
        await two.hang_up()
        await desk.until("CALL_INCOMING", count=3)
        await desk.answer()
        await heard(three, AGENT_HZ)
        for call in (one, three):
            await call.hang_up()
        for someone in (first, second, third):
            assert (await service.record_of(someone.user))["outcome"] == "answered"


# What clients are told.


async def message(stream: ClientResponse) -> dict[str, str]:
    """The next of a stream of server-sent events; comments have no `event`."""
    found: dict[str, str] = {}
    while line := (await stream.content.readline()).decode().rstrip("\n"):
        name, _, value = line.partition(": ")
        found[name] = value
    return found


async def until_completed(stream: ClientResponse) -> list[dict[str, Any]]:
    """Every event up to the end of a conversation."""
    told: list[dict[str, Any]] = []
    while not told or told[-1]["kind"] != "completed":
        found = await message(stream)
        if found.get("event") not in (None, "begins"):
            told.append(json.loads(found["data"]))
            assert told[-1]["number"] == int(found["id"])
    return told


async def test_a_client_misses_no_event_and_goes_on_where_it_left_off(service: RunningService) -> None:
    url, headers = f"{service.http_url}/v1/events", {"Authorization": f"Bearer {service.token('viewer')}"}
    async with ClientSession(headers=headers) as client, caller(service, "+37255500289") as someone:
        async with client.get(url) as stream, asyncio.timeout(patience(40)):
            assert "retry" in await message(stream)
            begins = await message(stream)
            assert begins["event"] == "begins"
            async with agents(service, phone(1)):
                await service.agent_reaches("a1", "available")
                call = await dial(someone, BILLING)
                await service.call_reaches(someone.user, "talking")
                await call.hang_up()
                told = await until_completed(stream)
        record = await service.record_of(someone.user)
        first = int(begins["id"])
        assert [event["number"] for event in told] == list(range(first + 1, first + 1 + len(told)))
        of_call = [event["kind"] for event in told if event.get("call") == record["id"]]
        assert of_call == ["entered", "offers", "answered", "completed"]
        assert someone.user not in json.dumps(told)
        async with (
            client.get(url, headers={"Last-Event-ID": begins["id"]}) as again,
            asyncio.timeout(patience(20)),
        ):
            await message(again)
            assert await until_completed(again) == told
    why = await asyncio.to_thread(service.command, "why", record["id"])
    assert "not: " in why
    assert "offline" in why


async def test_an_agent_hears_themselves_by_a_code(service: RunningService) -> None:
    """*43: what is said comes back."""
    async with softphone(service, 1) as agent:
        await agent.registered()
        await service.agent_reaches("a1", "available")
        await agent.dial("*43")
        await agent.until("CALL_ESTABLISHED")

        async def echoed() -> bool:
            return seconds_of(AGENT_HZ, agent.heard()) >= 0.5

        await eventually(echoed, within=20, what="the agent's own tone")
        await agent.hang_up()
        await service.agent_reaches("a1", "available")

    async def recorded() -> list[str]:
        return [record["outcome"] for record in await service.records() if record["called"] == "*43"]

    assert await eventually(recorded, within=5, what="a record of *43") == ["completed"]
