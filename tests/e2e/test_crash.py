"""kill -9 with callers waiting and talking; and the same data taken up again."""

from __future__ import annotations

import asyncio

import msgspec

from acd.calls.model import Call, State
from tests.support.cast import BILLING, agents, caller, dial, phone
from tests.support.net import eventually
from tests.support.service import RunningService


async def written_down(service: RunningService, number: str, state: State) -> None:
    """The journal has the call from this number in this state: it outlives the service so."""

    async def there() -> bool:
        documents = await asyncio.to_thread(service.redis_ask, "HVALS", "acd:{main}:live:a")
        calls = [msgspec.msgpack.decode(document, type=Call) for document in documents]
        return any((call.caller, call.state) == (number, state) for call in calls)

    await eventually(there, within=5, what=f"{number}, {state}, in the journal")


async def test_killed_service_comes_back_with_its_agents_and_a_record_for_each_lost_call(
    service: RunningService,
) -> None:
    talking, waiting = "+37255503001", "+37255503002"
    async with caller(service) as someone, agents(service, phone(1), phone(2)):
        await service.post("/v1/agents/a2/state", {"state": "paused", "reason": "lunch"})
        for number, state in ((talking, "talking"), (waiting, "queued")):
            someone.user = number
            await dial(someone, BILLING)
            await service.call_reaches(number, state)
            await written_down(service, number, State(state))
        service.kill9()
        service.start()

        lost = [await service.record_of(number, within=5) for number in (talking, waiting)]
        assert [record["outcome"] for record in lost] == ["failed", "failed"]
        assert [record["agent"] for record in lost] == ["a1", None]
        assert {record["cause"] for record in lost} == {"node-died"}
        assert await service.calls() == []
        states = await service.agents()
        assert (states["a1"], states["a2"]) == ("available", "paused")
        assert (await service.agent("a2"))["reason"] == "lunch"
        assert (await service.queue("billing"))["waiting"] == 0

        someone.user = "+37255503003"
        call = await dial(someone, BILLING)
        await service.call_reaches(someone.user, "talking")
        await call.hang_up()
        assert (await service.record_of(someone.user))["outcome"] == "answered"
        await service.post("/v1/agents/a2/state", {"state": "available"})


async def test_restart_in_order_keeps_registrations(service: RunningService) -> None:
    async with caller(service, "+37255503011") as someone, agents(service, phone(1)):
        await service.agent_reaches("a1", "available")
        await asyncio.to_thread(service.restart)
        await service.agent_reaches("a1", "available")
        call = await dial(someone, BILLING)
        await service.call_reaches(someone.user, "talking")
        await call.hang_up()


async def test_three_crashes_in_a_row_leave_no_ghost(service: RunningService) -> None:
    async with caller(service) as someone:
        for n in range(3):
            someone.user = f"+3725550302{n}"
            await dial(someone, BILLING)
            await service.call_reaches(someone.user, "queued")
            await written_down(service, someone.user, State.QUEUED)
            service.kill9()
            service.start()

            async def empty() -> bool:
                return bool((await service.queue("billing"))["waiting"] == 0)

            await eventually(empty, within=3)
        for n in range(3):
            assert (await service.record_of(f"+3725550302{n}"))["outcome"] == "failed"
