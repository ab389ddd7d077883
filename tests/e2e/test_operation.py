"""What an operator does to a service that has callers: apply a directory, drain it, look at it."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.cast import BILLING, agents, caller, dial, phone
from tests.support.net import eventually
from tests.support.service import RunningService, standard_directory


async def test_new_directory_is_taken_without_dropping_a_caller(service: RunningService) -> None:
    changed = standard_directory()
    changed["numbers"].append({"number": "+3726000299", "queue": "support"})
    changed["agents"].append(
        {"id": "zoe", "extension": "1777", "password": "another-good-one", "skills": {"support": 1}}
    )
    async with caller(service, "+37255504001") as someone, agents(service, phone(1)):
        call = await dial(someone, BILLING)
        await service.call_reaches(someone.user, "talking")
        await asyncio.to_thread(service.apply, changed)

        async def known() -> bool:
            return "zoe" in await service.agents()

        await eventually(known, within=4, what="the new agent")
        assert (await service.call_of(someone.user) or {})["state"] == "talking"
        someone.user = "+37255504002"
        other = await dial(someone, "+3726000299")
        assert (await service.call_reaches(someone.user, "queued"))["queue"] == "support"
        await asyncio.gather(call.hang_up(), other.hang_up())
    await asyncio.to_thread(service.apply, standard_directory())

    async def gone() -> bool:
        return "zoe" not in await service.agents()

    await eventually(gone, within=4)


async def test_directory_with_an_error_changes_nothing(service: RunningService) -> None:
    wrong = standard_directory()
    wrong["queues"][0]["requires"] = {"no-such-skill": 1}
    before = await service.queue("billing")
    with pytest.raises(AssertionError, match="no-such-skill"):
        await asyncio.to_thread(service.apply, wrong)
    assert await service.queue("billing") == before


async def test_sigterm_lets_the_conversation_end_and_takes_no_new_call(service: RunningService) -> None:
    async with caller(service, "+37255504011") as someone, agents(service, phone(1)):
        call = await dial(someone, BILLING)
        await service.call_reaches(someone.user, "talking")
        service.terminate()
        await eventually(lambda: service.metric("acd_draining"), within=5, what="a service that drains")
        someone.user = "+37255504012"
        assert await (await someone.dial(BILLING)).refused() == 503
        assert call.ended_by == ""
        await call.hang_up()
        assert await asyncio.to_thread(service.wait, 10) == 0
        service.start()
        await service.agent_reaches("a1", "available")
    assert (await service.record_of("+37255504011"))["hangup_side"] == "caller"


async def test_sigterm_ends_what_is_left_after_the_drain_time(service: RunningService) -> None:
    async with caller(service, "+37255504021") as someone:
        call = await dial(someone, BILLING)
        await service.call_reaches(someone.user, "queued")
        service.terminate()
        assert await call.ended(9) == "far"
        assert await asyncio.to_thread(service.wait, 5) == 0
        service.start()
        record = await service.record_of("+37255504021")
    assert record["hangup_side"] == "system"
