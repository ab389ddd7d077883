"""Who waits: what they are told meanwhile, and how they leave a queue by its rules."""

from __future__ import annotations

import asyncio
from typing import Any

from ivr.speech import WAIT_MINUTES
from routing.estimate import duration_bucket
from tests.support.audio import seconds_of, seconds_of_sound, tones
from tests.support.cast import (
    AGENT_HZ,
    CALLER_HZ,
    agents,
    caller,
    dial,
    heard,
    phone,
    softphone,
)
from tests.support.net import eventually
from tests.support.service import RunningService, standard_directory

IMPATIENT, MANNED, LEAVING, SHORT = "+3726000210", "+3726000211", "+3726000212", "+3726000213"
LED, TOLD = "+3726000214", "+3726000215"
SLOW, PATIENT = "+3726000216", "+3726000217"
WAIT_HZ, PATIENCE_HZ = 950.0, 1250.0
"""What is heard in place of an expected wait, and of the message to who waits long."""


def _directory() -> dict[str, Any]:
    """Beside the standard one, queues that callers leave (nobody has the skill `rare`)."""
    directory = standard_directory()
    directory["skills"] += ["rare", "told"]
    rare = {"requires": {"rare": 1}, "announce_position_seconds": 0}
    leaving = {"agents_count_as_absent": [], "overflow": [{"no_agent": True, "flow": "echo"}]}
    short = {"max_waiting": 1, "overflow": [{"full": True, "queue": "sales"}]}
    directory["queues"] += [
        {"name": "impatient", **rare, "overflow": [{"after_seconds": 1, "queue": "support"}]},
        {"name": "manned", **rare, "join_when_empty": False},
        {"name": "leaving", **leaving, "requires": {"support": 1}, "announce_position_seconds": 0},
        {"name": "short", **rare, **short},
        {
            "name": "slow",
            "requires": {"billing": 1},
            "overflow": [{"expected_wait_over_seconds": 20, "queue": "sales"}],
        },
        {
            "name": "patient",
            **rare,
            "overflow": [{"after_seconds": 1, "message": ["patience"], "then": "wait"}],
        },
        {"name": "led", **rare, "overflow": [{"after_seconds": 2, "leads": "desk"}]},
    ]
    directory["queues"].append({"name": "told", "requires": {"told": 1}, "announce_wait": "instead"})
    directory["agents"][7]["skills"] = {"told": 1}
    directory["teams"] = [{"name": "desk"}]
    directory["agents"][3]["leads"] = ["desk"]
    numbers = {
        IMPATIENT: "impatient",
        MANNED: "manned",
        LEAVING: "leaving",
        SHORT: "short",
        LED: "led",
        TOLD: "told",
        SLOW: "slow",
        PATIENT: "patient",
    }
    directory["numbers"] += [{"number": number, "queue": queue} for number, queue in numbers.items()]
    return directory


DIRECTORY = _directory()
SETTINGS = {
    "ivr": {
        "prompts_dir": tones(
            {
                "please-wait": (300.0, 0.2),
                "patience": (PATIENCE_HZ, 2.0),
                **{f"wait-{minutes}": (WAIT_HZ, 1.5) for minutes in WAIT_MINUTES},
            }
        )
    },
}


# What they are told.


async def test_who_waits_hears_the_expected_wait(service: RunningService) -> None:
    async with (
        agents(service, phone(8, talk_ms=30_000)),
        caller(service, "+37255500287") as first,
        caller(service, "+37255500288") as second,
    ):
        await service.agent_reaches("a8", "available")
        await dial(first, TOLD)
        await service.agent_reaches("a8", "talking")

        async def is_expected() -> bool:
            # How long depends on the conversations before; a wait it is while the only agent talks.
            return (await service.queue("told"))["expected_wait_seconds"] is not None

        await eventually(is_expected, within=60, what="a wait that is expected")
        call = await dial(second, TOLD)
        await heard(call, WAIT_HZ, 1.0, within=8)
        waiting = await service.call_of(second.user) or {}
    assert waiting["expected_wait_seconds"] is not None


# How they leave.


async def test_who_waits_too_long_is_answered_by_an_agent_of_another_queue(service: RunningService) -> None:
    dialling = caller(service, "+37255500281")
    async with softphone(service, 1) as agent, dialling as someone:
        await agent.registered()
        call = await dial(someone, IMPATIENT)
        assert (await service.call_reaches(someone.user, "queued"))["queue"] == "impatient"
        await agent.until("CALL_ESTABLISHED")
        await heard(call, AGENT_HZ)
        await call.hang_up()
        record = await service.record_of(someone.user)
    assert (record["outcome"], record["queue"], record["agent"]) == ("answered", "support", "a1")
    (mark,) = [segment for segment in record["segments"] if segment["state"] == "overflow"]
    assert (mark["queue"], mark["to"], mark["why"]) == ("impatient", "queue support", "waited")
    counted = await service.metric("acd_queue_overflowed_total", queue="impatient", to_kind="queue")
    assert counted == 1
    counters = (await service.queue("impatient"))["counters"]
    assert (counters["entered"], counters["overflowed"], counters["abandoned"]) == (1, 1, 0)
    told = await asyncio.to_thread(service.command, "why", record["id"])
    assert "by a rule of impatient: queue support (waited)" in told


async def test_who_waits_too_long_is_answered_by_the_lead_of_a_team(service: RunningService) -> None:
    dialling = caller(service, "+37255500286")
    async with softphone(service, 4) as lead, agents(service, phone(1)), dialling as someone:
        await lead.registered()
        call = await dial(someone, LED)
        assert (await service.call_reaches(someone.user, "queued"))["queue"] == "led"
        await lead.until("CALL_ESTABLISHED")
        await heard(call, AGENT_HZ)
        await call.hang_up()
        record = await service.record_of(someone.user)
    assert (record["outcome"], record["queue"], record["agent"]) == ("answered", "led", "a4")
    (mark,) = [segment for segment in record["segments"] if segment["state"] == "overflow"]
    assert (mark["to"], mark["why"]) == ("leads desk", "waited")
    assert await service.metric("acd_queue_overflowed_total", queue="led", to_kind="leads") == 1
    counters = (await service.queue("led"))["counters"]
    assert (counters["entered"], counters["answered"], counters["overflowed"]) == (1, 1, 0)
    assert record["refusals"] == []


async def test_who_would_wait_too_long_goes_on_to_another_queue(service: RunningService) -> None:
    # What conversations of this queue lasted on other days.
    talks = f"talk:{duration_bucket(300.0)}"
    await asyncio.to_thread(service.redis_ask, "HINCRBY", "acd:{main}:hb:slow", talks, "50")
    first, second = caller(service, "+37255500292"), caller(service, "+37255500293")
    async with softphone(service, 1) as agent, first as other, second as someone:
        await agent.registered()
        talking = await dial(other, SLOW)
        await service.call_reaches(other.user, "talking")
        call = await dial(someone, SLOW)

        async def elsewhere() -> bool:
            return (await service.call_of(someone.user) or {}).get("queue") == "sales"

        await eventually(elsewhere, within=40, what="the second caller in the other queue")
        counted = await service.metric("acd_queue_overflowed_total", queue="slow", why="expected-wait")
        assert counted == 1
        await talking.hang_up()
        await service.call_reaches(someone.user, "talking")
        await heard(call, AGENT_HZ)
        await call.hang_up()
        record = await service.record_of(someone.user)
    assert (record["outcome"], record["queue"], record["agent"]) == ("answered", "sales", "a1")
    (mark,) = [segment for segment in record["segments"] if segment["state"] == "overflow"]
    assert (mark["to"], mark["why"]) == ("queue sales", "expected-wait")


async def test_who_waits_long_hears_a_message_and_keeps_the_place(service: RunningService) -> None:
    async with caller(service, "+37255500290") as someone:
        call = await dial(someone, PATIENT)
        await heard(call, PATIENCE_HZ, 1.0, within=10)
        shown = await service.call_of(someone.user) or {}
        assert (shown["state"], shown["queue"]) == ("queued", "patient")
        words = {"queue": "patient", "to_kind": "message-then-wait", "why": "waited"}
        assert await service.metric("acd_queue_overflowed_total", **words) == 1

        async def music_again() -> bool:
            call.rtp.forget()
            await asyncio.sleep(0.5)
            pcm = bytes(call.rtp.heard.pcm)
            return seconds_of_sound(pcm) > 0.2 and seconds_of(PATIENCE_HZ, pcm) < 0.1

        await eventually(music_again, within=8, what="music after the message")
        await call.hang_up()
        record = await service.record_of(someone.user)
    assert (record["outcome"], record["queue"]) == ("abandoned", "patient")
    counters = (await service.queue("patient"))["counters"]
    assert (counters["entered"], counters["overflowed"], counters["abandoned"]) == (1, 0, 1)


async def test_who_comes_when_nobody_is_there_hears_so_and_is_let_go(service: RunningService) -> None:
    async with caller(service, "+37255500282") as someone:
        call = await dial(someone, MANNED)
        assert await call.ended(15) == "far"
        assert seconds_of_sound(bytes(call.rtp.heard.pcm)) > 2
        record = await service.record_of(someone.user)
    assert (record["outcome"], record["queue"], record["hangup_side"]) == ("completed", "manned", "system")
    assert await service.metric("acd_queue_abandoned_total", queue="manned") == 0


async def test_who_waits_when_the_last_agent_signs_out_goes_on_elsewhere(service: RunningService) -> None:
    async with caller(service, "+37255500283") as someone, agents(service, phone(1)):
        await service.agent_reaches("a1", "available")
        await service.post("/v1/agents/a1/state", {"state": "paused", "reason": "lunch"})
        call = await dial(someone, LEAVING)
        await service.call_reaches(someone.user, "queued")
        # Who pauses counts as there in this queue.
        await asyncio.sleep(2.5)
        assert (await service.call_of(someone.user) or {})["state"] == "queued"
        await service.post("/v1/agents/a1/state", {"state": "offline"})
        await service.call_reaches(someone.user, "ivr", within=6)
        await heard(call, CALLER_HZ, within=15)
        await call.hang_up()
        record = await service.record_of(someone.user)
    assert record["outcome"] == "completed"


async def test_who_comes_to_a_full_line_waits_in_another(service: RunningService) -> None:
    async with caller(service, "+37255500284") as first, caller(service, "+37255500285") as second:
        calls = [await dial(first, SHORT)]
        assert (await service.call_reaches(first.user, "queued"))["queue"] == "short"
        calls.append(await dial(second, SHORT))

        async def elsewhere() -> bool:
            return (await service.call_of(second.user) or {}).get("queue") == "sales"

        await eventually(elsewhere, within=4, what="the second caller in the other queue")
        assert (await service.call_of(first.user) or {})["queue"] == "short"
        for call in calls:
            await call.hang_up()
        assert (await service.record_of(second.user))["outcome"] == "abandoned"
