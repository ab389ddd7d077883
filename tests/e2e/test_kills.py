"""A node is killed at chosen moments of a call: the others lose no call, and no agent is stranded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

import pytest
from redis.asyncio import Redis

from routing.store.scripts import load_library
from tests.support.audio import seconds_of
from tests.support.caller import Call
from tests.support.cast import CALLER_HZ, caller, dial
from tests.support.desk_phone import DeskPhone
from tests.support.landline import Landline
from tests.support.net import eventually, free_port
from tests.support.queue_audit import audit, snapshot
from tests.support.redis_gate import RedisGate
from tests.support.service import PASSWORD, TRUNK, Death
from tests.support.two_nodes import LEASE, Node, two_nodes

WRAPUP = 2.0
BILLING, SALES, PATIENT = "+3726000300", "+3726000301", "+3726000302"
CARRIER_PORT = free_port()
AGENT_HZ, PATIENT_HZ, LANDLINE_HZ = 700.0, 900.0, 1100.0
AGENTS = ("a1", "a3", "patient")
ACCEPT = str(load_library().call("accept", "")[1]).encode()
OFFER = rb"off:b\r\n.*\r\nd\r\n"
"""A reservation on its way to node b, as Redis says it: its stream, and the time until which it holds."""

CLOCK_OFF = 300.0
"""The clock of node b is five minutes fast, and nobody is to notice."""

Pair = tuple[Node, Node]


def _directory() -> dict[str, Any]:
    callback = {"digit": "1", "attempts": 3, "interval_seconds": 0.5, "ring_seconds": 5}
    host = {"host": TRUNK, "port": CARRIER_PORT, "transport": "udp"}
    return {
        "trunks": [{"name": "carrier", "match": [f"{TRUNK}/32"], "max_calls": 50, "hosts": [host]}],
        "routes": [{"prefix": "+", "class": "national", "trunks": ["carrier"]}],
        "dialling": {"country": "EE", "wrapup_seconds": 0, "ring_seconds": 10},
        "teams": [{"name": "day", "dialling": ["national"], "caller_id": BILLING}],
        "skills": ["billing", "patience"],
        "queues": [
            {"name": "billing", "requires": {"billing": 1}, "ring_seconds": 5, "wrapup_seconds": 0}
            | {"callback": callback},
            {"name": "sales", "requires": {"billing": 1}, "ring_seconds": 5, "wrapup_seconds": WRAPUP},
            {"name": "patient", "requires": {"patience": 1}, "ring_seconds": 5, "wrapup_seconds": 0},
        ],
        "agents": [
            {"id": "a1", "extension": "1001", "password": PASSWORD, "skills": {"billing": 5}, "team": "day"},
            {"id": "a3", "extension": "1003", "password": PASSWORD, "skills": {"billing": 4}, "team": "day"},
            {"id": "patient", "extension": "1002", "password": PASSWORD, "skills": {"patience": 5}},
        ],
        "numbers": [
            {"number": BILLING, "queue": "billing"},
            {"number": SALES, "queue": "sales"},
            {"number": PATIENT, "queue": "patient"},
        ],
    }


class Moment:
    """Kills a node, and knows what the store had of a1 right before."""

    def __init__(self, node: Node) -> None:
        self._redis = node.redis
        self.death = Death(node)
        self.state = ""

    def __call__(self) -> None:
        assert self._redis is not None
        self.state = self._redis.ask("HGET", "acd:{main}:a:a1", "st")
        self.death()

    async def come(self) -> None:
        """Until the node is dead."""
        await asyncio.to_thread(self.death.wait)


class Witness:
    """On the node that lives: one who talks, and two who wait for the same agent, in order."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._open = AsyncExitStack()
        self._calls: list[Call] = []

    async def __aenter__(self) -> Witness:
        self.phone = DeskPhone(self._node.sip_address, "1002", PASSWORD, says=PATIENT_HZ)
        await self._open.enter_async_context(self.phone)
        await self._node.signed_in("patient")
        for n, state in enumerate(("talking", "queued", "queued")):
            someone = await self._open.enter_async_context(caller(self._node, f"+3725552000{n}"))
            self._calls.append(await dial(someone, PATIENT))
            await self._node.call_reaches(someone.user, state)
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._open.aclose()

    async def saw_nothing(self) -> None:
        """The conversation goes on both ways, and who waits is served in order."""
        first, second, third = self._calls
        await hear_each_other(first, self.phone, PATIENT_HZ)
        for waiting in (second, third):
            await hears(waiting)
            assert (await self._node.call_of(waiting.phone.user) or {})["state"] == "queued"
        await first.hang_up()
        await self._node.call_reaches(second.phone.user, "talking")
        assert (await self._node.call_of(third.phone.user) or {})["state"] == "queued"
        await second.hang_up()
        await self._node.call_reaches(third.phone.user, "talking")
        await third.hang_up()


@pytest.fixture(scope="module")
def running_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("kills")
    with two_nodes(folder, _directory(), gated="b", clock_off=CLOCK_OFF) as nodes:
        yield nodes


@pytest.fixture
async def nodes(running_nodes: Pair) -> AsyncIterator[Pair]:
    """Both run and nobody calls; meanwhile the callers of node a notice nothing, and nothing is left of b."""
    a, b = running_nodes
    if not b.running:
        await asyncio.to_thread(b.start)
    for node in running_nodes:
        await node.quiet(AGENTS)
    async with Witness(a) as witness:
        yield running_nodes
        await witness.saw_nothing()
    await a.quiet(AGENTS)
    await nothing_is_left(a)


async def nothing_is_left(node: Node) -> None:
    """No reservation, no call and no document of one; what remains agrees with itself."""
    assert node.redis is not None
    async with Redis.from_url(node.redis.url) as redis:

        async def whole() -> bool:
            state = await snapshot(redis, "main")
            audit(state)
            mine = [name for kind in ("c:", "o:", "nc:", "live:") for name in state.under(kind)]
            held = {name: v for name, v in state.under("a:").items() if "tk" in v}
            return not mine and not held

        await eventually(whole, within=5, what="nothing of any call in Redis")


async def hears(call: Call, tone: float = 0.0) -> None:
    """From now on the caller hears this tone, or whatever is played."""
    call.rtp.forget()

    async def enough() -> bool:
        heard = call.rtp.heard
        return seconds_of(tone, bytes(heard.pcm)) >= 0.3 if tone else heard.packets >= 15

    await eventually(enough, within=5, what=f"{tone or 'something'} at {call.phone.user}")


async def hear_each_other(call: Call, phone: DeskPhone, tone: float = AGENT_HZ) -> None:
    await hears(call, tone)
    await phone.hears(phone.lines[-1], CALLER_HZ, 0.3)


def desk(node: Node, n: int = 1) -> DeskPhone:
    """The phone of a<n>."""
    return DeskPhone(node.sip_address, str(1000 + n), PASSWORD, says=AGENT_HZ)


def gate_of(node: Node) -> RedisGate:
    assert node.gate is not None
    return node.gate


async def next_call_reaches(node: Node, phone: DeskPhone, number: str) -> None:
    """a1 is to be had at this node."""
    phone.turn_to(node.sip_address)
    rung = len(phone.lines)
    async with caller(node, number) as someone:
        call = await dial(someone, BILLING)
        await node.call_reaches(number, "talking", within=4 * LEASE)
        assert len(phone.lines) == rung + 1
        await hear_each_other(call, phone)
        await call.hang_up()
    assert (await node.record_of(number))["agent"] == "a1"


async def lost_once(node: Node, number: str) -> dict[str, Any]:
    """The one record says that the call went down with its node."""
    record = await node.record_of(number, within=8 * LEASE)
    assert (record["outcome"], record["cause"], record["node"]) == ("failed", "node-died", "b")
    return record


async def killed(nodes: Pair, moment: Moment, phone: DeskPhone, number: str, *, is_back: bool) -> None:
    """What holds after any kill of node b, with a1's phone at it: the node is started again at once, or is
    missed first."""
    a, b = nodes
    await moment.come()
    if is_back:
        await asyncio.to_thread(b.start)
    await a.signed_in("a1", within=4 * LEASE)
    await next_call_reaches(b if is_back else a, phone, f"{number}9")
    await lost_once(a, number)


async def test_a_node_whose_clock_is_minutes_fast_lets_the_other_keep_its_lease(nodes: Pair) -> None:
    a, b = nodes
    assert CLOCK_OFF - 2 < await b.metric("acd_clock_offset_seconds") < CLOCK_OFF + 2
    assert abs(await a.metric("acd_clock_offset_seconds")) < 2
    await b.logs("clock-differs-from-store")
    async with desk(b) as phone, caller(b, "+37255519001") as someone:
        await b.signed_in("a1")
        call = await dial(someone, SALES)
        await b.call_reaches(someone.user, "talking")
        await hear_each_other(call, phone)
        # The wrap-up, which the other node ends as well as this one, takes its time.
        ended = time.monotonic()
        await call.hang_up()
        await a.signed_in("a1")
        assert time.monotonic() - ended > WRAPUP - 0.3
    record = await a.record_of(someone.user)
    assert abs(datetime.fromisoformat(record["ended_at"]).timestamp() - time.time()) < 10
    for node in nodes:
        await keeps_its_lease(node)


async def keeps_its_lease(node: Node) -> None:
    """For some leases on end. On a busy machine a node may have been late before."""

    async def kept() -> bool:
        before = await node.metric("acd_redis_outages_total", kind="lease")
        await asyncio.sleep(2.5 * LEASE)
        return await node.metric("acd_redis_outages_total", kind="lease") == before

    await eventually(kept, within=15, what="a lease that is kept")


@pytest.mark.parametrize("is_back", [False, True], ids=["stays away", "comes back"])
async def test_killed_after_the_reservation_and_before_the_phone_rings(nodes: Pair, is_back: bool) -> None:
    _, b = nodes
    number = f"+3725551{is_back:d}01"
    async with desk(b) as phone, caller(b, number) as someone:
        await b.signed_in("a1")
        moment = Moment(b)
        gate_of(b).when_answered(OFFER, moment)
        await dial(someone, BILLING)
        await moment.come()
        assert phone.lines == []
        assert moment.state == "offered"
        await killed(nodes, moment, phone, number, is_back=is_back)


async def test_killed_as_the_phone_answers(nodes: Pair) -> None:
    _, b = nodes
    async with desk(b) as phone, caller(b, "+37255512001") as someone:
        await b.signed_in("a1")
        phone.on_ring = moment = Moment(b)
        await dial(someone, BILLING)
        await moment.come()
        phone.on_ring = None
        await killed(nodes, moment, phone, someone.user, is_back=False)


async def test_killed_before_the_store_hears_of_the_answer(nodes: Pair) -> None:
    _, b = nodes
    async with desk(b) as phone, caller(b, "+37255513001") as someone:
        await b.signed_in("a1")
        moment = Moment(b)
        gate_of(b).when_said(ACCEPT, moment)
        await dial(someone, BILLING)
        await phone.rung()
        await moment.come()
        assert moment.state == "offered"
        await killed(nodes, moment, phone, someone.user, is_back=True)


async def test_killed_after_the_store_heard_of_the_answer(nodes: Pair) -> None:
    _, b = nodes
    async with desk(b) as phone, caller(b, "+37255514001") as someone:
        await b.signed_in("a1")
        moment = Moment(b)
        gate_of(b).when_said_and_done(ACCEPT, moment)
        await dial(someone, BILLING)
        await moment.come()
        assert moment.state == "talking"
        await killed(nodes, moment, phone, someone.user, is_back=False)


@pytest.mark.parametrize("is_back", [False, True], ids=["stays away", "comes back"])
async def test_killed_with_an_agent_in_wrap_up_one_on_a_call_outside_and_callers_in_line(
    nodes: Pair, is_back: bool
) -> None:
    a, b = nodes
    first = f"+3725551{5 + is_back}00"
    wrapped, outside = f"{first}1", f"{first}2"
    waiting = [f"{first}{n}" for n in range(3, 7)]
    async with AsyncExitStack() as people:
        enter = people.enter_async_context
        landline = await enter(Landline(b.sip_address, port=CARRIER_PORT, says=LANDLINE_HZ))
        dialler, phone = await enter(desk(b, 3)), await enter(desk(b))
        for name in ("a1", "a3"):
            await b.signed_in(name)
        line = await dialler.dial(outside)
        assert not isinstance(line, int), line
        await dialler.hears(line, LANDLINE_HZ)
        await landline.hears(landline.lines[0], AGENT_HZ)
        talks = await dial(await enter(caller(b, wrapped)), SALES)
        await b.call_reaches(wrapped, "talking")
        calls = []
        for node, number in zip((b, a, b, a), waiting, strict=True):
            calls.append(await dial(await enter(caller(node, number)), BILLING))
            await node.call_reaches(number, "queued")
        await b.written_down(4)
        await talks.hang_up()
        await a.agent_reaches("a1", "wrapup")

        moment = Moment(b)
        moment()
        phones = {"a1": phone, "a3": dialler}
        for each in phones.values():
            each.turn_to(a.sip_address)
        assert moment.state == "wrapup"
        await moment.come()
        if is_back:
            await asyncio.to_thread(b.start)
        # Who waits at the living node is served in order, by the two whom the dead node left.
        served = set()
        for number, call in zip(waiting[1::2], calls[1::2], strict=True):
            served.add(agent := (await a.call_reaches(number, "talking", within=5 * LEASE))["agent"])
            await hear_each_other(call, phones[agent])
        assert served == set(phones)
        for number, call in zip(waiting[1::2], calls[1::2], strict=True):
            await call.hang_up()
            assert (await a.record_of(number))["outcome"] == "answered"
        for number in waiting[::2]:
            await lost_once(a, number)
        assert (await a.record_of(wrapped))["outcome"] == "answered"
        (record,) = [record for record in await a.records() if record["outside"] == outside]
        assert (record["cause"], record["agent"], record["node"]) == ("node-died", "a3", "b")


async def test_killed_as_the_customer_of_a_callback_is_rung(nodes: Pair) -> None:
    a, b = nodes
    number = "+37255518001"
    async with caller(b, number) as someone:
        call = await dial(someone, BILLING)
        await b.call_reaches(number, "queued")
        await call.rtp.press("11")

        async def promised() -> bool:
            return bool((await a.queue("billing"))["callbacks"] == 1)

        await eventually(promised, within=5, what="the callback")
        await call.hang_up()
    wish = (await b.record_of(number))["id"]
    async with Landline(b.sip_address, port=CARRIER_PORT, says=LANDLINE_HZ) as customer, desk(b) as phone:
        moment = Moment(b)

        def spring() -> None:
            moment()
            customer.on_ring = None
            for each in (customer, phone):
                each.turn_to(a.sip_address)

        customer.on_ring = spring
        await moment.come()
        # The attempt counts; the living node makes the next.
        await a.call_reaches(number, "talking", within=10 * LEASE)
        assert customer.rung == 2
        await customer.hears(customer.lines[-1], AGENT_HZ)
        await phone.hears(phone.lines[-1], LANDLINE_HZ)
        (call_back,) = [one for one in await a.calls() if one["caller"] == number]
        status, _ = a.request("DELETE", f"/v1/calls/{call_back['id']}")
        assert status == 204
        await customer.ended(customer.lines[-1])
        await a.signed_in("a1")
        await next_call_reaches(a, phone, "+37255518002")
    made = [record for record in await a.records() if record["callback"] == wish and record["id"] != wish]
    causes = {record["node"]: record["cause"] for record in made}
    assert len(made) == 2
    assert causes["b"] == "node-died"
    assert causes["a"] != "node-died"
    assert (await a.queue("billing"))["callbacks"] == 0
