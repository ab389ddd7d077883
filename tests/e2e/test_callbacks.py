"""A caller keeps the place and hangs up, and is called back over the trunk."""

from __future__ import annotations

import shutil
import sqlite3
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.cast import BILLING, SUPPORT, agents, caller, dial, phone
from tests.support.landline import Landline
from tests.support.net import eventually, free_port
from tests.support.service import TRUNK, RunningService, standard_directory

CARRIER_PORT = free_port()


def _directory() -> dict[str, Any]:
    directory = standard_directory(agents=2)
    directory["trunks"][0]["hosts"] = [{"host": TRUNK, "port": CARRIER_PORT, "transport": "udp"}]
    directory["routes"] = [{"prefix": "+", "class": "national", "trunks": ["carrier"]}]
    rules = {"digit": "1", "attempts": 2, "interval_seconds": 0.5, "ring_seconds": 5}
    for queue in directory["queues"]:
        if queue["name"] == "billing":
            queue["callback"] = rules
        if queue["name"] == "support":
            queue["callback"] = {**rules, "first": "customer"}
    for agent in directory["agents"]:
        agent["dialling"] = ["national"]
        if agent["id"] == "a2":
            agent["queues"] = {"billing": 1}
    return directory


DIRECTORY = _directory()


async def callbacks(service: RunningService, queue: str, count: int, *, within: float = 5.0) -> None:
    """Wait until so many callers of a queue are to be called back."""

    async def so_many() -> bool:
        return bool((await service.queue(queue))["callbacks"] == count)

    await eventually(so_many, within=within, what=f"{count} callbacks of {queue}")


async def called_by(customer: Landline) -> None:
    async def rings() -> bool:
        return bool(customer.lines)

    await eventually(rings, within=5, what="the customer is called")


async def end_call(service: RunningService, customer: Landline) -> None:
    """A supervisor ends the one live call; the customer's phone hears of it."""
    (call,) = await service.calls()
    assert call["state"] == "talking"
    status, _ = service.request("DELETE", f"/v1/calls/{call['id']}")
    assert status == 204
    await customer.ended(customer.lines[0])


def _soon(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() + seconds, UTC).isoformat()


async def ask_for_callback(service: RunningService, number: str, called: str, queue: str) -> None:
    """Wait in the queue, ask by the digit, confirm the number, hang up."""
    async with caller(service, number) as someone:
        call = await dial(someone, called)
        await service.call_reaches(number, "queued")
        await call.rtp.press("1")
        await call.rtp.press("1")
        await callbacks(service, queue, 1)
        await call.hang_up()
    record = await service.record_of(number)
    assert (record["outcome"], record["callback"]) == ("callback", record["id"])


async def talked(service: RunningService, callback_of: str) -> dict[str, Any]:
    """The record of the call back."""

    async def found() -> list[dict[str, Any]]:
        records = await service.records(outcome="answered")
        return [record for record in records if record["callback"] == callback_of]

    (record,) = await eventually(found, within=5, what="the record of the call back")
    return dict(record)


@pytest.mark.parametrize(
    ("number", "called", "queue"),
    [("+37255560001", BILLING, "billing"), ("+37255560002", SUPPORT, "support")],
)
async def test_a_caller_who_hung_up_is_called_back_by_an_agent(
    service: RunningService, number: str, called: str, queue: str
) -> None:
    await ask_for_callback(service, number, called, queue)
    wish = (await service.record_of(number))["id"]
    (shown,) = (await service.ask("/v1/callbacks"))["items"]
    assert (shown["id"], shown["queue"], shown["attempts"]) == (wish, queue, 0)
    async with Landline(service.sip_address, port=CARRIER_PORT) as customer, agents(service, phone(1)):
        await service.agent_reaches("a1", "talking")
        await called_by(customer)
        await callbacks(service, queue, 0)
        await end_call(service, customer)
        await service.agent_reaches("a1", "available")
    assert customer.rung == 1
    record = await talked(service, wish)
    assert (record["caller"], record["agent"], record["queue"]) == (number, "a1", queue)
    counters = (await service.queue(queue))["counters"]
    assert (counters["callback-done"], counters["abandoned"]) == (1, 0)


async def test_a_customer_who_is_busy_is_tried_again_and_then_no_more(service: RunningService) -> None:
    before = (await service.queue("billing"))["counters"]["callback-failed"]
    await ask_for_callback(service, "+37255560003", BILLING, "billing")
    async with (
        Landline(service.sip_address, port=CARRIER_PORT, status=486) as customer,
        agents(service, phone(1)),
    ):
        await callbacks(service, "billing", 0, within=15)
        await service.agent_reaches("a1", "available")
    assert customer.rung == 2
    assert (await service.queue("billing"))["counters"]["callback-failed"] == before + 1


async def test_a_callback_outlives_the_service_and_is_made_once(service: RunningService) -> None:
    await ask_for_callback(service, "+37255560004", BILLING, "billing")
    wish = (await service.record_of("+37255560004"))["id"]
    assert service.redis_ask("WAITAOF", "1", "0", "5000")[0] == 1, "Redis has it on the disk"
    service.kill9()
    service.start()
    assert (await service.queue("billing"))["callbacks"] == 1
    async with Landline(service.sip_address, port=CARRIER_PORT) as customer, agents(service, phone(1)):
        await callbacks(service, "billing", 0, within=10)
        await end_call(service, customer)
    assert customer.rung == 1
    await talked(service, wish)


async def test_a_callback_outlives_a_redis_that_has_lost_everything(service: RunningService) -> None:
    await ask_for_callback(service, "+37255560014", BILLING, "billing")
    wish = (await service.record_of("+37255560014"))["id"]

    async def is_written_down() -> bool:
        with sqlite3.connect(service.database_file()) as history:
            return bool(history.execute("SELECT 1 FROM callbacks WHERE id = ?", [wish]).fetchall())

    await eventually(is_written_down, within=5, what="the callback in the history")
    service.kill9()
    shutil.rmtree(service.data_dir / "redis")
    service.start()
    await callbacks(service, "billing", 1, within=20)
    async with Landline(service.sip_address, port=CARRIER_PORT) as customer, agents(service, phone(1)):
        await callbacks(service, "billing", 0, within=10)
        await end_call(service, customer)
    assert customer.rung == 1
    await talked(service, wish)
    with sqlite3.connect(service.database_file()) as history:
        kept = history.execute("SELECT ended, document FROM callbacks WHERE id = ?", [wish]).fetchall()
    assert kept == [("done", "")]


async def test_a_follow_up_is_made_at_its_time_by_the_agent_who_promised_it(service: RunningService) -> None:
    async with (
        Landline(service.sip_address, port=CARRIER_PORT) as customer,
        agents(service, phone(1), phone(2)),
    ):
        await service.agent_reaches("a2", "available")
        body = {"number": "+37255560005", "at": "2026-01-01T00:00:00Z", "agent": "a2"}
        status, answer = service.request("POST", "/v1/callbacks", body)
        assert status == 422, answer
        made = await service.post("/v1/callbacks", {**body, "at": _soon(1.0)})
        assert made["state"] == "resting"
        await service.agent_reaches("a2", "talking")
        await called_by(customer)
        await service.call_reaches("+37255560005", "talking")
        await end_call(service, customer)
    assert (await talked(service, made["id"]))["agent"] == "a2"


async def test_an_agent_schedules_follow_ups_for_self_and_for_a_skill(service: RunningService) -> None:
    me, path = "agent:a1", "/v1/callbacks"
    for who in (me, "agent:a2"):
        service.token(who)  # Takes a moment, which the follow-up would be over in.
    async with (
        Landline(service.sip_address, port=CARRIER_PORT) as customer,
        agents(service, phone(1), phone(2)),
    ):
        await service.agent_reaches("a1", "available")
        body = {"number": "+37255560007", "at": _soon(2.5)}
        status, answer = service.request("POST", path, {**body, "agent": "a2"}, role=me)
        assert status == 403, answer
        mine = await service.post(path, body, role=me)
        assert [item["id"] for item in (await service.ask(path, role=me))["items"]] == [mine["id"]]
        assert (await service.ask(path, role="agent:a2"))["items"] == []
        status, answer = service.request("DELETE", f"{path}/{mine['id']}", role="agent:a2")
        assert status == 403, answer
        await service.agent_reaches("a1", "talking")
        await called_by(customer)
        await service.call_reaches("+37255560007", "talking")
        await end_call(service, customer)
    assert (await talked(service, mine["id"]))["agent"] == "a1"
    # a2 serves no queue but one by name, and takes what is for the skill all the same.
    async with (
        Landline(service.sip_address, port=CARRIER_PORT) as customer,
        agents(service, phone(2)),
    ):
        await service.agent_reaches("a2", "available")
        body = {"number": "+37255560008", "at": _soon(0.0), "skills": {"sales": 5}}
        ours = await service.post(path, body, role=me)
        await service.call_reaches("+37255560008", "talking")
        await end_call(service, customer)
    record = await talked(service, ours["id"])
    assert (record["agent"], record["caller"], record["outcome"]) == ("a2", "+37255560008", "answered")


async def test_a_callback_is_cancelled_before_it_is_made(service: RunningService) -> None:
    await ask_for_callback(service, "+37255560006", BILLING, "billing")
    wish = (await service.record_of("+37255560006"))["id"]
    status, answer = service.request("DELETE", f"/v1/callbacks/{wish}")
    assert status == 204, answer
    await callbacks(service, "billing", 0)
    async with agents(service, phone(1)):
        await service.agent_reaches("a1", "available")
        assert (await service.queue("billing"))["waiting"] == 0


async def test_a_callback_keeps_its_place_before_a_caller_who_came_later(service: RunningService) -> None:
    await ask_for_callback(service, "+37255560017", BILLING, "billing")
    wish = (await service.record_of("+37255560017"))["id"]
    async with (
        Landline(service.sip_address, port=CARRIER_PORT) as customer,
        caller(service, "+37255560018") as later,
    ):
        call = await dial(later, BILLING)
        await service.call_reaches(later.user, "queued")
        async with agents(service, phone(1)):
            await called_by(customer)
            await service.call_reaches("+37255560017", "talking")
            assert (await service.call_of(later.user) or {})["state"] == "queued"
            (made,) = [one for one in await service.calls() if one["caller"] == "+37255560017"]
            status, _ = service.request("DELETE", f"/v1/calls/{made['id']}")
            assert status == 204
            await service.call_reaches(later.user, "talking")
            await call.hang_up()
    record = await talked(service, wish)
    assert record["answered_at"] < (await service.record_of(later.user))["answered_at"]
