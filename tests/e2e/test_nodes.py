"""Two nodes of one site: a caller on one, the agent's phone on the other; and one of them dies or hangs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.support.audio import seconds_of
from tests.support.baresip import Baresip
from tests.support.cast import (
    AGENT_HZ,
    BILLING,
    CALLER_HZ,
    PERSONAL,
    SUPPORT,
    TOGETHER,
    agents,
    caller,
    dial,
    phone,
)
from tests.support.desk_phone import DeskPhone
from tests.support.desk_phone import Line as PhoneLine
from tests.support.net import eventually, free_port
from tests.support.provider import Provider
from tests.support.service import PASSWORD, TRUNK, standard_directory
from tests.support.sip_client import SipClient
from tests.support.sipp import Behaviour
from tests.support.two_nodes import LEASE, Node, two_nodes

Pair = tuple[Node, Node]
PORT = free_port(TRUNK)


def _directory() -> dict[str, Any]:
    """Agents may have one call to the outside, and callers of one queue may be called back there."""
    directory = standard_directory()
    directory["trunks"][0] |= {
        "hosts": [{"host": TRUNK, "port": PORT, "transport": "udp"}],
        "probe_seconds": 0,
    }
    directory["routes"] = [{"prefix": "+372", "class": "national", "trunks": ["carrier"]}]
    directory["dialling"] = {"country": "EE", "outside_calls": 1}
    for agent in directory["agents"]:
        agent["dialling"] = ["national"]
    (personal,) = (queue for queue in directory["queues"] if queue["name"] == "personal")
    personal["callback"] = {"digit": "1", "interval_seconds": 1}
    return directory


@pytest.fixture(scope="module")
def running_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with two_nodes(tmp_path_factory.mktemp("nodes"), _directory()) as nodes:
        yield nodes


@pytest.fixture
async def nodes(running_nodes: Pair, request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    """Both run, nobody calls and nobody is signed in, before and after."""
    for node in running_nodes:
        if not node.running:
            node.start()
        await node.quiet([f"a{n}" for n in range(1, 5)])
    yield running_nodes
    for node in running_nodes:
        if node.running:
            await node.quiet([f"a{n}" for n in range(1, 5)])


def at(node: Node, n: int) -> Baresip:
    """A softphone with audio, connected to this node by TCP: nobody else can call it."""
    return Baresip(node.sip_address, str(1000 + n), PASSWORD, says=AGENT_HZ, transport="tcp")


async def test_call_of_one_node_is_answered_over_a_connection_of_the_other(nodes: Pair) -> None:
    a, b = nodes
    async with (
        at(a, 1) as agent,
        DeskPhone(a.sip_address, "1900", PASSWORD) as colleague,
        caller(b, "+37255509001") as someone,
    ):
        await agent.registered()
        await b.signed_in("a1")
        assert await colleague.watch("1001") == 200
        call = await dial(someone, BILLING)
        await agent.until("CALL_ESTABLISHED")
        assert [one["caller"] for one in await b.calls()] == [someone.user]
        shown = await a.call_reaches(someone.user, "talking")
        assert (shown["node"], shown["agent"]) == ("b", "a1")
        _, why = await asyncio.to_thread(a.request, "GET", f"/v1/calls/{shown['id']}/why")
        assert (why["state"], [offer["agent"] for offer in why["offers"]]) == ("talking", ["a1"])
        for state in ("early", "confirmed"):
            await colleague.told(f"<state>{state}</state>")
        assert await a.metric("acd_sip_passed_total") > 0

        async def both_hear() -> bool:
            caller_hears = seconds_of(AGENT_HZ, bytes(call.rtp.heard.pcm)) >= 0.3
            return caller_hears and seconds_of(CALLER_HZ, agent.heard()) >= 0.3

        await eventually(both_hear, within=6, what="each other's tone")
        await agent.hang_up()
        assert await call.ended() == "far"
        await a.signed_in("a1")
        await colleague.told("<state>terminated</state>")

        someone.user = "+37255509002"
        call = await dial(someone, BILLING)
        await b.call_reaches(someone.user, "talking")
        await call.hang_up()
        await agent.until("CALL_CLOSED")
        assert (await b.record_of(someone.user))["hangup_side"] == "caller"


async def test_what_is_done_to_a_call_may_be_asked_of_either_node(nodes: Pair) -> None:
    a, b = nodes
    async with caller(b, "+37255509008") as someone:
        call = await dial(someone, BILLING)
        shown = await a.call_reaches(someone.user, "queued")
        path = f"/v1/calls/{shown['id']}"
        assert (shown["node"], shown["queue"]) == ("b", "billing")
        refused, problem = await asyncio.to_thread(a.request, "POST", f"{path}/transfer", {"to": "nobody"})
        assert (refused, problem["errors"][0]["pointer"]) == (422, "/to")
        await a.post(f"{path}/transfer", {"to": "support"})

        async def moved() -> bool:
            return (await b.call_of(someone.user) or {}).get("queue") == "support"

        await eventually(moved, within=5, what="the caller in the other queue")
        await a.post(f"{path}/trace", None)
        assert (await asyncio.to_thread(a.request, "DELETE", path))[0] == 204
        assert await call.ended() == "far"
        assert (await b.record_of(someone.user))["cause"] == "operator"
        kept = (await b.ask(f"{path}/trace"))["items"]
        assert any(message["text"].startswith("BYE ") for message in kept)


@pytest.mark.parametrize("behaviour", [Behaviour.DECLINE, Behaviour.RING_FOR_EVER])
async def test_phone_of_the_other_node_does_not_take_it_and_the_caller_keeps_the_place(
    nodes: Pair, behaviour: Behaviour
) -> None:
    a, b = nodes
    first, second = f"+3725550904{behaviour}", f"+3725550905{behaviour}"
    async with caller(b, first) as someone, caller(b, second) as other:
        async with agents(a, phone(1, behaviour, ring_ms=50)):
            await b.signed_in("a1")
            call = await dial(someone, BILLING)
            later = await dial(other, BILLING)
            await b.waiting("billing", 2)
            async with agents(a, phone(2, ring_ms=50)):
                for who, dialled in ((first, call), (second, later)):
                    assert (await b.call_reaches(who, "talking"))["agent"] == "a2"
                    await dialled.hang_up()
        record = await b.record_of(first)
        assert (record["outcome"], record["agent"], record["node"]) == ("answered", "a2", "b")
        reason = "rejected" if behaviour is Behaviour.DECLINE else "no-answer"
        assert [(one["agent"], one["reason"]) for one in record["refusals"]][:1] == [("a1", reason)]
        assert (await b.record_of(second))["answered_at"] > record["answered_at"]


@pytest.mark.parametrize("breaks", ["connection", "node dies", "node hangs"])
async def test_caller_of_one_node_goes_to_another_agent_at_once_when_a_phone_of_the_other_is_lost_as_it_rings(
    nodes: Pair, breaks: str
) -> None:
    a, b = nodes
    number = f"+37255509{len(breaks):03}"
    connected = await SipClient.open(a.sip_address, "tcp", "127.0.0.1")
    async with caller(b, number) as someone:
        # As from behind a NAT: a node that comes back knows no way to it.
        behind = "<sip:phone@192.0.2.77;transport=tcp>"
        assert (await connected.register("1001", PASSWORD, contact=behind)).status == 200
        await b.signed_in("a1")
        call = await dial(someone, SUPPORT)
        while (request := await connected.next(5)).method != "INVITE":
            pass
        connected.answer(request, 180, tag="rings")
        await b.agent_reaches("a1", "offered")
        async with agents(b, phone(2, ring_ms=50)):
            await b.signed_in("a2")
            {"connection": connected.drop, "node dies": a.kill9, "node hangs": a.pause}[breaks]()
            assert (await b.call_reaches(number, "talking"))["agent"] == "a2"
            await call.hang_up()
            record = await b.record_of(number)
        # Nobody waited until the phone had rung for long enough, and the agent is not to blame.
        assert [(one["agent"], one["reason"]) for one in record["refusals"]] == [("a1", "unreachable")]
        await b.agent_reaches("a1", "offline", within=4 * LEASE)
    await connected.close()
    if breaks == "node hangs":
        a.resume()

        async def ready() -> bool:
            return (await asyncio.to_thread(a.request, "GET", "/readyz"))[0] == 200

        await eventually(ready, within=10, what="node a no longer late")


async def test_phones_of_both_nodes_ring_together_and_one_has_the_call(nodes: Pair) -> None:
    a, b = nodes
    slow = phone(1, Behaviour.RING_FOR_EVER)
    async with (
        caller(b, "+37255509061") as someone,
        agents(a, slow, phone(2, ring_ms=900)) as there,
        agents(b, phone(3, Behaviour.RING_FOR_EVER)) as here,
    ):
        for name in ("a1", "a2", "a3"):
            await b.signed_in(name)
        call = await dial(someone, TOGETHER)
        for name in ("a1", "a2", "a3"):
            await b.agent_reaches(name, "offered")
        assert (await b.call_reaches(someone.user, "talking"))["agent"] == "a2"
        for name in ("a1", "a3"):
            await a.signed_in(name)
        await call.hang_up()
        await a.signed_in("a2")
        assert (await there.stop()).failed == (await here.stop()).failed == 0
        record = await b.record_of(someone.user)
        assert (record["outcome"], record["agent"], record["offers"]) == ("answered", "a2", 3)


async def test_callback_of_a_node_that_is_killed_is_made_by_the_other_once(nodes: Pair) -> None:
    a, b = nodes
    number = "+37255509071"

    async def callbacks(count: int) -> bool:
        return bool((await b.queue("personal"))["callbacks"] == count)

    async with caller(a, number) as someone:
        call = await dial(someone, PERSONAL)
        await a.call_reaches(number, "queued")
        for _ in range(2):
            await call.rtp.press("1")
        await eventually(lambda: callbacks(1), within=5, what="a callback")
        await call.hang_up()
        wish = (await b.record_of(number))["id"]
    await a.call_reaches(number, "queued")
    a.kill9()
    async with Provider(b.sip_address, port=PORT, early=180) as customer:
        # The lease of the dead node runs out, and the keeper of the other looks every second.
        async def taken_over() -> bool:
            return (await b.call_of(number) or {}).get("node") == "b"

        await eventually(taken_over, within=12 * LEASE, what="the callback in line at the other node")
        async with agents(b, phone(1, ring_ms=50)):
            await customer.called()
            line = await customer.pick_up()
            await b.call_reaches(number, "talking")
            await eventually(lambda: callbacks(0), within=5, what="no callback")
            customer.hang_up(line)
            await b.signed_in("a1")
            a.start()
            await customer.no_more(2.5)
    made = [record for record in await b.records(outcome="answered") if record["callback"] == wish]
    assert [(record["agent"], record["node"]) for record in made] == [("a1", "b")]


async def test_node_that_hangs_for_two_leases_changes_nothing_any_more(nodes: Pair) -> None:
    a, b = nodes
    async with (
        caller(b, "+37255509021") as his,
        caller(a, "+37255509024") as hers,
        agents(a, phone(1, ring_ms=50)),
    ):
        await b.signed_in("a1")
        talks = await dial(his, BILLING)
        await b.call_reaches(his.user, "talking")
        his.user = "+37255509022"
        waits = await dial(his, BILLING)
        await a.waiting("billing", 1)

        b.pause()
        await a.signed_in("a1", within=4 * LEASE)
        await a.waiting("billing", 0)
        call = await dial(hers, BILLING)
        await a.call_reaches(hers.user, "talking")
        await asyncio.sleep(LEASE)
        lost = await a.record_of("+37255509021", within=8 * LEASE)
        assert (lost["outcome"], lost["cause"]) == ("failed", "node-died")
        b.resume()

        # It finds its lease gone and says its calls again: who waited has the place back, but the agent
        # is another's now, and the end of the old conversation does not touch that.
        await b.logs("the lease had run out")
        await a.waiting("billing", 1)
        await b.logs("conversation-unknown-to-store")
        # Now it tells itself how its calls went on.
        await talks.hang_up()
        await outcome_is(b, "+37255509021", "answered")
        assert (await a.agent("a1"))["state"] == "talking"
        await call.hang_up()
        await b.call_reaches(his.user, "talking")
        await waits.hang_up()
        await outcome_is(b, "+37255509022", "answered")


async def outcome_is(node: Node, number: str, outcome: str) -> None:
    """The one record of the call comes to say so."""

    async def there() -> bool:
        return bool((await node.record_of(number))["outcome"] == outcome)

    await eventually(there, within=5, what=f"{number} {outcome}")


async def test_node_that_is_killed_strands_no_agent_of_the_other(nodes: Pair) -> None:
    a, b = nodes
    async with (
        caller(a, "+37255509031") as hers,
        caller(b, "+37255509032") as his,
        agents(a, phone(1, ring_ms=50)) as first,
    ):
        await b.signed_in("a1")
        await dial(his, BILLING)
        await b.call_reaches(his.user, "talking")
        async with agents(a, phone(3, ring_ms=50)):
            await a.signed_in("a3")
            mine = await dial(hers, BILLING)
            await a.call_reaches(hers.user, "talking")
            async with agents(a, phone(2, ring_ms=9000)) as third:
                await b.signed_in("a2")
                his.user = "+37255509033"
                await dial(his, SUPPORT)
                await b.agent_reaches("a2", "offered")
                await b.written_down(2)

                b.kill9()

                await a.signed_in("a1", within=4 * LEASE)
                await a.signed_in("a2", within=4 * LEASE)
                assert (await a.call_of(hers.user) or {})["state"] == "talking"
                assert (await a.queue("support"))["waiting"] == 0
                await mine.hang_up()
                assert (await a.record_of(hers.user))["outcome"] == "answered"
                for phones in (first, third):
                    phones.drop_calls()
        # The living node writes what became of the dead one's calls, and that one adds nothing.
        for number, agent in (("+37255509032", "a1"), ("+37255509033", "a2")):
            lost = await a.record_of(number, within=8 * LEASE)
            assert (lost["outcome"], lost["cause"]) == ("failed", "node-died")
            assert lost["agent"] in (agent, None), "a moment of a call may be lost with its node"
            assert lost["node"] == "b"
        b.start()
        for number in ("+37255509032", "+37255509033"):
            assert (await b.record_of(number))["cause"] == "node-died"


async def test_an_agent_has_one_call_to_the_outside_at_whichever_node(nodes: Pair) -> None:
    a, b = nodes
    async with DeskPhone(a.sip_address, "1001", PASSWORD) as first:
        async with Provider(a.sip_address, port=PORT, early=180) as provider:
            await b.signed_in("a1")
            dialling = asyncio.create_task(first.dial("+37255570001"))
            await provider.called()
            async with DeskPhone(b.sip_address, "1001", PASSWORD) as second:
                assert await second.dial("+37255570002") == 403
            refused = await record_of_called(b, "+37255570002")
            assert (refused["outcome"], refused["cause"]) == ("rejected", "too-many-calls")
            # The node with the call dies, and nothing is left of it.
            missed = b.log_file.read_text().count('"gone":["a"]')

            async def a_is_gone() -> bool:
                return b.log_file.read_text().count('"gone":["a"]') > missed

            a.kill9()
            dialling.cancel()
            first.server = b.sip_address
        await eventually(a_is_gone, within=4 * LEASE, what="a is gone for b")
        async with (
            Provider(b.sip_address, port=PORT, early=180) as provider,
            DeskPhone(b.sip_address, "1001", PASSWORD) as second,
        ):
            again = asyncio.create_task(second.dial("+37255570003"))
            await provider.called()
            line = await provider.pick_up()
            assert isinstance(await again, PhoneLine)
            provider.hang_up(line)
            await b.quiet()


async def record_of_called(node: Node, number: str) -> dict[str, Any]:
    """The record of the call to this number."""

    async def found() -> list[dict[str, Any]]:
        return [record for record in await node.records() if record["called"] == number]

    (record,) = await eventually(found, within=5, what=f"the record of {number}")
    return dict(record)


async def test_node_that_is_killed_takes_neither_calls_nor_agents_of_the_other_along(nodes: Pair) -> None:
    a, b = nodes
    async with (
        caller(a, "+37255509011") as hers,
        caller(b, "+37255509012") as his,
        at(a, 1) as connected,
        agents(a, phone(2, ring_ms=50)) as killed_with,
        agents(b, phone(3, ring_ms=50)) as living,
    ):
        await connected.registered()
        for name in ("a1", "a2", "a3"):
            await b.signed_in(name)
        await a.post("/v1/agents/a1/state", {"state": "paused"})
        await dial(his, BILLING)
        his_agent = (await b.call_reaches(his.user, "talking"))["agent"]
        await dial(hers, BILLING)
        her_agent = (await a.call_reaches(hers.user, "talking"))["agent"]
        assert {his_agent, her_agent} == {"a2", "a3"}
        hers.user = "+37255509013"
        await dial(hers, BILLING)
        await b.waiting("billing", 1)

        a.kill9()
        killed_with.server = b.sip_address

        # Who waited on the dead node is out of the line, who talked to its caller is free again, and whose
        # connection broke is away; the call of the other node goes on.
        await b.waiting("billing", 0, within=4 * LEASE)
        await b.signed_in(her_agent, within=4 * LEASE)
        await b.agent_reaches("a1", "offline", within=4 * LEASE)
        assert (await b.call_of(his.user) or {})["state"] == "talking"
        async with at(b, 1) as again:
            await again.registered()
            await b.signed_in("a1")
        for phones in (killed_with, living):
            phones.drop_calls()
