"""Two Kamailios as a provider with two hosts: we register, calls come and go, one makes up for the other."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support import name_server
from tests.support.audio import seconds_of
from tests.support.baresip import Baresip
from tests.support.cast import AGENT_HZ, BILLING, softphone
from tests.support.desk_phone import DeskPhone
from tests.support.desk_phone import Line as PhoneLine
from tests.support.kamailio import REALM, Kamailio, Line, Phone, is_missing
from tests.support.name_server import NameServer
from tests.support.net import eventually, free_port
from tests.support.script import Answerer, audio
from tests.support.service import PASSWORD, TRUNK, RunningService, standard_directory
from tests.support.sipp import Sipp

FIRST, SECOND, MISNAMED, MODERN = "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6"
PORT = free_port(FIRST)
CUSTOMER = Phone("phone1", "phone-secret", "+37255512345")
OTHER = Phone("phone2", "phone-secret", "+37255512346")
LINE = Line("line1", "line-secret", "+372600")
SECOND_LINE, SECOND_NUMBER = Line("line2", "line-secret", "+372610"), "+3726100001"
CUSTOMER_HZ, OTHER_HZ = 500.0, 900.0
GONE, SMALL, GREAT = "127.0.0.10", "127.0.0.11", "127.0.0.12"
"""Hosts that a test knows by the names of DNS alone."""
DOMAIN = "carrier.example"
NAMES = NameServer(
    DOMAIN,
    [
        f"--naptr-record={DOMAIN},20,10,S,SIP+D2U,,_sip._udp.{DOMAIN}",
        f"--naptr-record={DOMAIN},10,10,S,SIP+D2T,,_sip._tcp.{DOMAIN}",
        f"--srv-host=_sip._udp.{DOMAIN},gone.{DOMAIN},{PORT},0,1",
        f"--srv-host=_sip._tcp.{DOMAIN},small.{DOMAIN},{PORT},20,0",
        f"--srv-host=_sip._tcp.{DOMAIN},great.{DOMAIN},{PORT},20,65535",
        f"--srv-host=_sip._tcp.{DOMAIN},gone.{DOMAIN},{PORT},10,1",
        *(
            f"--host-record={name}.{DOMAIN},{host}"
            for name, host in zip(("gone", "small", "great"), (GONE, SMALL, GREAT), strict=True)
        ),
    ],
)
SETTINGS = {"sip": {"name_servers": [NAMES.address]}}
AROUND, ELSEWHERE = "+3726000199", "+37255500999"
"""A number of ours whose queue overflows to another one outside, which is sent back to the first."""
MOVED, LURED, CIRCLE, STRANGER = "+37255500301", "+37255500302", "+37255500303", "127.0.0.9"


def _host(host: str, priority: int = 1) -> dict[str, Any]:
    return {"host": host, "port": PORT, "transport": "udp", "priority": priority}


ACCOUNT = {"username": LINE.user, "password": LINE.password, "realm": REALM, "register_seconds": 60}


def _directory() -> dict[str, Any]:
    directory = standard_directory(agents=1)
    directory["trunks"] = [
        {
            "name": "provider",
            "max_calls": 10,
            "hosts": [_host(FIRST), _host(SECOND, priority=2)],
            "account": ACCOUNT,
            "probe_seconds": 0.5,
            "called_from": "to",
            "headers": {"X-Customer": "customer"},
            "diversion": "diversion",
            "send_headers": {"X-Customer": "customer", "X-Queue": "queue"},
        }
    ]
    directory["routes"] = [
        {"prefix": "+", "class": "national", "trunks": ["provider"]},
        {
            "prefix": ELSEWHERE,
            "class": "national",
            "trunks": ["provider"],
            "strip": len(ELSEWHERE),
            "prepend": AROUND,
        },
    ]
    directory["numbers"].append({"number": AROUND, "queue": "circle"})
    directory["numbers"].append({"number": SECOND_NUMBER, "queue": "billing"})
    overflow = [{"no_agent": True, "at": "joining", "number": ELSEWHERE}]
    directory["queues"].append({"name": "circle", "requires": {"billing": 1}, "overflow": overflow})
    for agent in directory["agents"]:
        agent |= {"dialling": ["national"], "caller_id": BILLING}
    rules = {"digit": "1", "attempts": 1, "ring_seconds": 10}
    for queue in directory["queues"]:
        if queue["name"] == "billing":
            queue |= {"callback": rules, "ring_seconds": 10}
    return directory


DIRECTORY = _directory()
PROVIDER = DIRECTORY["trunks"][0]
pytestmark = pytest.mark.skipif(is_missing(), reason="not installed: kamailio")


@pytest.fixture(scope="module", autouse=True)
def hosts() -> Iterator[tuple[Kamailio, Kamailio]]:
    """The two hosts of the provider. The first is also reached as another one, whose realm we have wrong."""
    moved = {
        MOVED: f"sip:{CUSTOMER.number}@{FIRST}:{PORT}",
        LURED: f"sip:{CUSTOMER.number}@{STRANGER}:{PORT}",
        CIRCLE: f"sip:{CIRCLE}@{FIRST}:{PORT}",
    }
    everybody: dict[str, Any] = {
        "lines": (LINE, SECOND_LINE),
        "phones": (CUSTOMER, OTHER),
        "port": PORT,
        "moved": moved,
    }
    with (
        Kamailio(FIRST, also_at=(MISNAMED,), **everybody) as first,
        Kamailio(SECOND, **everybody) as second,
    ):
        yield first, second


@pytest.fixture
async def provider(
    hosts: tuple[Kamailio, Kamailio], service: RunningService
) -> AsyncIterator[tuple[Kamailio, Kamailio]]:
    """Both hosts up, and we are registered at the first."""
    await registered_at_first(service)
    starts = [host.starts for host in hosts]
    yield hosts
    if [host.starts for host in hosts] != starts:
        # A trunk that is changed begins anew, with hosts of which nothing is known.
        for host in hosts:
            host.restart()
        DIRECTORY["trunks"] = [{**PROVIDER, "max_calls": service.applied["trunks"][0]["max_calls"] + 1}]
    if service.applied != DIRECTORY:
        service.apply(DIRECTORY)


# What is shown.


async def trunk(service: RunningService, name: str = "provider") -> dict[str, Any]:
    return dict(await service.ask(f"/v1/trunks/{name}"))


async def up(service: RunningService, *wanted: str) -> None:
    """Wait until exactly these hosts of the provider are up."""

    async def so() -> bool:
        shown = (await trunk(service))["hosts"]
        return {host["host"] for host in shown if host["up"]} == set(wanted) and len(shown) == 2

    await eventually(so, within=15, what=f"{wanted} are up in {await trunk(service)}")


async def registered_at_first(service: RunningService) -> None:
    async def bound() -> bool:
        registration = (await trunk(service))["registration"] or {}
        return registration.get("registered", False) and registration["over"] == f"{FIRST}:{PORT}"

    await up(service, FIRST, SECOND)
    await eventually(bound, within=15, what="registered at the first host")


def logged(service: RunningService, event: str, **words: object) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in service.log_file.read_text().splitlines() if f'"{event}"' in line]
    return [line for line in lines if all(line.get(name) == value for name, value in words.items())]


# Who calls.


@asynccontextmanager
async def customer_behind(host: Kamailio, **more: Any) -> AsyncIterator[Baresip]:
    """The customer's phone, registered with the provider."""
    async with Baresip(host.address, CUSTOMER.user, CUSTOMER.password, says=CUSTOMER_HZ, **more) as phone:
        await phone.registered()
        yield phone


async def hear_each_other(one: Baresip, other: Baresip, one_hz: float, other_hz: float) -> None:
    async def both() -> bool:
        return min(seconds_of(other_hz, one.heard()), seconds_of(one_hz, other.heard())) >= 0.5

    await eventually(both, within=8, what="each hears the other's tone")


async def call_out(service: RunningService, number: str = CUSTOMER.number) -> None:
    """Promise somebody a call, which agent a1 makes in a moment."""
    at = datetime.fromtimestamp(time.time() + 0.2, UTC).isoformat()
    await service.post("/v1/callbacks", {"number": number, "at": at, "agent": "a1"})


@pytest.mark.interop(
    "Kamailio",
    "registration with digest (MD5, SHA-256), and OPTIONS both ways",
    "a challenge of another realm is not answered",
)
async def test_we_are_bound_by_digest_and_prove_nothing_to_another_realm(
    service: RunningService, provider: tuple[Kamailio, Kamailio]
) -> None:
    first, second = provider
    misnamed = {
        "name": "misnamed",
        "hosts": [_host(MISNAMED)],
        "account": {**ACCOUNT, "realm": "elsewhere.example"},
    }
    modern = {"name": "modern", "hosts": [_host(MODERN)], "account": ACCOUNT}
    with Kamailio(MODERN, lines=(LINE,), port=PORT, algorithm="SHA-256"):
        service.apply({**DIRECTORY, "trunks": [*DIRECTORY["trunks"], misnamed, modern]})

        async def bound() -> bool:
            return await service.metric("acd_trunk_registered", trunk="modern") == 1

        await eventually(bound, within=10, what="registered where only SHA-256 is asked for")
    await first.sees("OPTIONS", src="127.0.0.1")
    await second.sees("OPTIONS", src="127.0.0.1")

    async def probed_too() -> bool:
        return bool(first.heard("OPTIONS", status="200", src="{}:{}".format(*service.sip_address)))

    await eventually(probed_too, within=5, what="Kamailio's own OPTIONS are answered")
    assert await service.metric("acd_trunk_up", trunk="provider") == 1
    assert await service.metric("acd_trunk_registered", trunk="provider") == 1
    assert await service.metric("acd_trunk_hosts_up", trunk="provider") == 2

    async def told() -> bool:
        return bool(logged(service, "trunk-not-registered", trunk="misnamed"))

    await eventually(told, within=5, what="the trunk of another realm is told")
    (line,) = logged(service, "trunk-not-registered", trunk="misnamed")
    assert (line["status"], line["why"]) == (401, "credentials")
    assert await service.metric("acd_trunk_up", trunk="misnamed") == 0
    shown = await trunk(service, "misnamed")
    assert (shown["up"], shown["hosts"][0]["up"], shown["registration"]["registered"]) == (False, True, False)
    (asked,) = first.saw("REGISTER", td="elsewhere.example")
    assert asked["auth"] == "<null>"


@pytest.mark.interop(
    "Kamailio",
    "calls in over our registration, with P-Asserted-Identity",
    "calls out, 407 answered, tone both ways",
)
async def test_a_customer_calls_in_and_is_called_back(
    service: RunningService, provider: tuple[Kamailio, Kamailio]
) -> None:
    first, _ = provider
    async with customer_behind(first) as customer:
        await customer.dial(BILLING)
        await customer.until("CALL_ESTABLISHED")
        call = await service.call_reaches(CUSTOMER.number, "queued")
        assert call["called"] == BILLING
        await customer.press("11")

        async def noted() -> bool:
            return bool((await service.queue("billing"))["callbacks"] == 1)

        await eventually(noted, within=5, what="the callback is noted")
        await customer.hang_up()
        record = await service.record_of(CUSTOMER.number)
        assert (record["outcome"], record["attributes"]) == ("callback", {"customer": "C-phone1"})

        async with softphone(service, 1) as agent:
            await customer.until("CALL_ESTABLISHED", count=2)
            await hear_each_other(agent, customer, AGENT_HZ, CUSTOMER_HZ)
            challenged, proven = first.saw("INVITE", src="127.0.0.1", ru=CUSTOMER.number)[-2:]
            assert (challenged["auth"], proven["auth"]) == ("<null>", LINE.user)
            assert (proven["customer"], proven["queue"], proven["fu"]) == ("C-phone1", "billing", BILLING)
            assert proven["pai"] == f"<sip:{BILLING}@{REALM}>"
            assert (await trunk(service))["calls"] == 1
            await agent.hang_up()
            await customer.until("CALL_CLOSED", count=2)
    assert await service.metric("acd_trunk_calls_out_answered_total", trunk="provider") == 1


@pytest.mark.interop("Kamailio", "failover between hosts: 503 with Retry-After, silence, a closed port")
async def test_the_other_host_makes_up_for_one_that_refuses_falls_silent_or_is_gone(
    service: RunningService, provider: tuple[Kamailio, Kamailio]
) -> None:
    first, second = provider
    async with customer_behind(second) as customer, softphone(service, 1) as agent:
        await agent.registered()
        # It is silent, and the next call goes there before a probe has told.
        first.hang()
        await call_out(service)
        await customer.until("CALL_ESTABLISHED", within=15)
        await hear_each_other(agent, customer, AGENT_HZ, CUSTOMER_HZ)
        await agent.hang_up()
        await customer.until("CALL_CLOSED")
        first.go_on()
        await up(service, FIRST, SECOND)
        # It answers OPTIONS, but no calls.
        first.restart(refuses_with="503 Retry-After: 30")
        before = len(first.saw("INVITE"))
        await call_out(service)
        await customer.until("CALL_ESTABLISHED", count=2, within=15)
        assert len(first.saw("INVITE")) == before + 1
        await hear_each_other(agent, customer, AGENT_HZ, CUSTOMER_HZ)
        shown = (await trunk(service))["hosts"][0]
        assert (shown["host"], shown["up"]) == (FIRST, False)
        assert 0 < shown["out_seconds"] <= 30
        await agent.hang_up()
        # Our registration went to the host that is left; calls come over it.
        await second.sees("REGISTER", auth=LINE.user)
        await customer.until("CALL_CLOSED", count=2)
        await customer.dial(BILLING)
        await agent.until("CALL_ESTABLISHED", count=3)
        await hear_each_other(customer, agent, CUSTOMER_HZ, AGENT_HZ)
        await customer.hang_up()
        # Asked to wait, it is not even probed.
        probes = len(first.saw("OPTIONS", src="127.0.0.1"))
        await call_out(service)
        await customer.until("CALL_ESTABLISHED", count=4, within=15)
        assert len(first.saw("INVITE")) == before + 1
        assert len(first.saw("OPTIONS", src="127.0.0.1")) == probes
        await agent.hang_up()
    assert await service.metric("acd_trunk_failovers_total", trunk="provider") == 2


async def test_a_trunk_without_a_host_is_down_until_one_is_back_and_has_bound_us(
    service: RunningService, provider: tuple[Kamailio, Kamailio]
) -> None:
    first, second = provider
    first.hang()
    await up(service, SECOND)
    await second.sees("REGISTER", auth=LINE.user)
    assert await service.metric("acd_trunk_up", trunk="provider") == 1
    second.stop()
    await up(service)
    assert await service.metric("acd_trunk_up", trunk="provider") == 0
    assert logged(service, "trunk-host-down", trunk="provider", host=FIRST)
    assert logged(service, "trunk-host-down", trunk="provider", host=SECOND)
    bound = len(second.saw("REGISTER", auth=LINE.user))
    second.start()
    await up(service, SECOND)

    async def again() -> bool:
        return len(second.saw("REGISTER", auth=LINE.user)) > bound

    await eventually(again, within=10, what="we register with the host that is back")
    assert await service.metric("acd_trunk_up", trunk="provider") == 1
    first.go_on()
    await up(service, FIRST, SECOND)
    assert logged(service, "trunk-host-up", trunk="provider", host=FIRST)


async def test_a_node_that_stops_is_bound_no_longer_and_again_when_it_starts(
    service: RunningService, provider: tuple[Kamailio, Kamailio]
) -> None:
    first, _ = provider
    async with customer_behind(first) as customer:
        service.stop()
        await first.sees("REGISTER", auth=LINE.user, expires="0")
        await customer.dial(BILLING)
        closed = await customer.until("CALL_CLOSED")
        assert closed.param.startswith("480")
        service.start()
        await registered_at_first(service)
        await customer.dial(BILLING)
        await customer.until("CALL_ESTABLISHED")
        await customer.hang_up()


@pytest.mark.interop("Kamailio", "two phones behind it ring for a call of ours (forking), one answers")
async def test_of_two_phones_behind_the_provider_one_has_the_call(
    service: RunningService, provider: tuple[Kamailio, Kamailio]
) -> None:
    first, _ = provider
    async with (
        customer_behind(first, auto_answer=False) as one,
        Baresip(first.address, CUSTOMER.user, CUSTOMER.password, says=OTHER_HZ, auto_answer=False) as other,
        softphone(service, 1) as agent,
    ):
        await other.registered()
        await agent.registered()
        await call_out(service)
        await one.until("CALL_INCOMING")
        await other.until("CALL_INCOMING")
        await other.answer()
        await one.until("CALL_CLOSED")
        await hear_each_other(agent, other, AGENT_HZ, OTHER_HZ)
        await agent.hang_up()
        await other.until("CALL_CLOSED")
    assert one.times("CALL_ESTABLISHED") == 0
    assert (await trunk(service))["calls"] == 0


def _two_phones_answer(script: Answerer) -> None:
    """The provider's phones ring each with a dialog of its own; both answer, one of them late."""
    script.rung()
    script.answer(183, tag="a", body=audio())
    script.answer(180, tag="b")
    script.answer(180, tag="c")
    script.answer(200, tag="b", body=audio())
    script.hear_request("ACK", "To:.*tag=[0-9]+b")
    script.answer(200, tag="c", body=audio())
    script.hear_request("ACK", "To:.*tag=[0-9]+c")
    script.hear_request("BYE", "To:.*tag=[0-9]+c")
    script.reply()
    script.hear_request("BYE", "To:.*tag=[0-9]+b")
    script.reply()


@pytest.mark.interop("SIPp", "a provider forks: two phones answer, the late 200 is acknowledged and hung up")
async def test_the_late_answer_of_a_forking_provider_is_hung_up_and_the_first_one_goes_on(
    service: RunningService, provider: tuple[Kamailio, Kamailio]
) -> None:
    script = Answerer()
    _two_phones_answer(script)
    port = free_port(TRUNK)
    host = {"host": TRUNK, "port": port, "transport": "udp"}
    forking = {"name": "provider", "hosts": [host], "probe_seconds": 0, "max_calls": 10}
    service.apply({**DIRECTORY, "trunks": [forking]})
    async with Sipp(script, service.sip_address, host=TRUNK, port=port) as phones:
        async with softphone(service, 1) as agent:
            await agent.registered()
            await call_out(service)
            await service.call_reaches(CUSTOMER.number, "talking", within=15)
            await asyncio.sleep(0.5)
            assert [call["state"] for call in await service.calls()] == ["talking"]
            await agent.hang_up()
            await service.agent_reaches("a1", "available")
        result = await phones.stop()
    result.assert_clean(1)


@pytest.mark.interop("Kamailio", "302 followed to a host of the trunk, and to no other")
async def test_a_redirect_is_followed_within_the_trunk_and_nobody_else_is_ever_asked(
    service: RunningService, provider: tuple[Kamailio, Kamailio]
) -> None:
    first, _ = provider
    trunks = [{**DIRECTORY["trunks"][0], "redirects": "follow"}]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((STRANGER, PORT))
        stranger.setblocking(False)
        async with customer_behind(first) as customer, softphone(service, 1) as agent:
            await agent.registered()
            await call_out(service, MOVED)  # by default a 302 is a failure
            await first.sees("INVITE", ru=MOVED, auth=LINE.user)
            await service.agent_reaches("a1", "available")
            service.apply({**DIRECTORY, "trunks": trunks})
            for number in (LURED, CIRCLE):
                await call_out(service, number)
                await first.sees("INVITE", ru=number, auth=LINE.user)
                await service.agent_reaches("a1", "available")
            assert customer.times("CALL_INCOMING") == 0
            await call_out(service, MOVED)
            await customer.until("CALL_ESTABLISHED")
            await hear_each_other(agent, customer, AGENT_HZ, CUSTOMER_HZ)
            await agent.hang_up()
        with pytest.raises(BlockingIOError):
            stranger.recv(65536)
    assert len(first.saw("INVITE", ru=CIRCLE, auth=LINE.user)) == 1
    assert logged(service, "trunk-call-redirected", trunk="provider", status=302)


@pytest.mark.interop("Kamailio", "an agent's call, and one that shows no number (Privacy: id)")
async def test_agents_call_over_the_provider_and_show_a_number_or_none(
    service: RunningService, provider: tuple[Kamailio, Kamailio]
) -> None:
    first, _ = provider
    async with customer_behind(first) as customer:
        async with softphone(service, 1) as agent:
            await agent.registered()
            await service.agent_reaches("a1", "available")
            await agent.dial(CUSTOMER.number)
            await customer.until("CALL_ESTABLISHED")
            await hear_each_other(agent, customer, AGENT_HZ, CUSTOMER_HZ)
            seen = first.saw("INVITE", ru=CUSTOMER.number, auth=LINE.user)[-1]
            assert (seen["fu"], seen["pai"]) == (BILLING, f"<sip:{BILLING}@{REALM}>")
            assert seen["privacy"] == "<null>"
            await agent.hang_up()
            await customer.until("CALL_CLOSED")
        async with DeskPhone(service.sip_address, "1001", PASSWORD) as desk:
            await service.agent_reaches("a1", "available")
            line = await desk.dial(CUSTOMER.number, "Privacy: id")
            assert isinstance(line, PhoneLine)
            await desk.hears(line, CUSTOMER_HZ)
            seen = first.saw("INVITE", ru=CUSTOMER.number, auth=LINE.user)[-1]
            assert (seen["fu"], seen["privacy"]) == ("anonymous", "id")
            assert seen["pai"] == f"<sip:{BILLING}@{REALM}>"
            await customer.hang_up()
            await desk.ended(line)


TOLD = [
    ("diversion", "diversion", f"<sip:{BILLING}@{REALM}>;reason=unconditional;counter=1"),
    (
        "history-info",
        "history",
        f"<sip:{BILLING}@{REALM}>;index=1, <sip:{OTHER.number}@{FIRST}:{PORT};cause=302>;index=1.1;mp=1",
    ),
]
"""How a trunk is told what was dialled: its setting, the word by which that is noted, and what is said."""


@pytest.mark.interop("Kamailio", "a caller who is sent on to the outside, with Diversion or History-Info")
@pytest.mark.parametrize(("kind", "header", "value"), TOLD, ids=["diversion", "history-info"])
async def test_a_caller_who_is_sent_on_to_the_outside_comes_with_what_was_dialled(
    service: RunningService, provider: tuple[Kamailio, Kamailio], kind: str, header: str, value: str
) -> None:
    first, _ = provider
    if PROVIDER["diversion"] != kind:
        bound = len(first.saw("REGISTER", auth=LINE.user, expires="60"))
        service.apply({**DIRECTORY, "trunks": [{**DIRECTORY["trunks"][0], "diversion": kind}]})

        async def anew() -> bool:
            return len(first.saw("REGISTER", auth=LINE.user, expires="60")) > bound

        await eventually(anew, within=10, what="registered anew by the trunk as it is now")
        await registered_at_first(service)
    async with (
        customer_behind(first) as customer,
        Baresip(first.address, OTHER.user, OTHER.password, says=OTHER_HZ) as other,
    ):
        await other.registered()
        await customer.dial(BILLING)
        call = await service.call_reaches(CUSTOMER.number, "queued")
        await service.post(f"/v1/calls/{call['id']}/transfer", {"to": OTHER.number})
        await hear_each_other(customer, other, CUSTOMER_HZ, OTHER_HZ)
        seen = first.saw("INVITE", ru=OTHER.number, auth=LINE.user)[-1]
        assert seen[header] == value
        assert [seen["diversion"], seen["history"]].count("<null>") == 1
        assert seen["customer"] == "C-phone1"
        assert (await trunk(service))["calls"] == 2
        await customer.hang_up()
        await other.until("CALL_CLOSED")


@pytest.mark.skipif(name_server.is_missing(), reason="not installed: dnsmasq")
@pytest.mark.interop("Dnsmasq", "NAPTR and SRV of a trunk: transport, priorities, weights")
@pytest.mark.interop(
    "Kamailio", "a trunk that is a name alone (NAPTR, SRV), over TCP, failover between its hosts"
)
async def test_a_trunk_that_is_a_name_alone_is_called_as_its_records_say(
    service: RunningService, provider: tuple[Kamailio, Kamailio]
) -> None:
    """TCP is preferred to UDP; the first by priority is gone, and of the others one has all the weight."""
    everybody: dict[str, Any] = {"lines": (LINE,), "phones": (CUSTOMER,), "port": PORT, "tcp": True}
    account = {**ACCOUNT, "register_seconds": 0}
    named = {
        "name": "provider",
        "hosts": [{"host": DOMAIN}],
        "account": account,
        "probe_seconds": 0,
        "max_calls": 10,
    }
    with NAMES, Kamailio(GREAT, **everybody) as great, Kamailio(SMALL, **everybody) as small:
        service.apply({**DIRECTORY, "trunks": [named]})

        async def known() -> bool:
            hosts = (await trunk(service))["hosts"]
            return {(host["address"], host["transport"]) for host in hosts} == {
                (f"{host}:{PORT}", "tcp") for host in (GONE, SMALL, GREAT)
            }

        await eventually(known, within=15, what=f"the hosts of DNS in {await trunk(service)}")
        failovers = await service.metric("acd_trunk_failovers_total", trunk="provider")
        async with softphone(service, 1) as agent:
            await agent.registered()
            for host in (great, small):
                async with customer_behind(host) as customer:
                    await call_out(service)
                    await customer.until("CALL_ESTABLISHED", within=15)
                    await hear_each_other(agent, customer, AGENT_HZ, CUSTOMER_HZ)
                    seen = host.saw("INVITE", ru=CUSTOMER.number, auth=LINE.user)[-1]
                    assert (seen["over"], seen["rd"]) == ("tcp", f"{DOMAIN}:5060")
                    await agent.hang_up()
                    await customer.until("CALL_CLOSED")
                assert len(host.saw("INVITE", auth=LINE.user)) == 1
                host.stop()
        assert await service.metric("acd_trunk_failovers_total", trunk="provider") == failovers + 2


@pytest.mark.interop("Kamailio", "a call that goes round in a circle comes to an end (Max-Forwards)")
async def test_a_number_that_leads_back_to_itself_makes_a_few_calls_and_no_more(
    service: RunningService, provider: tuple[Kamailio, Kamailio]
) -> None:
    """The provider lets an INVITE go on for six hops; each turn of the circle takes two."""
    first, _ = provider
    async with customer_behind(first) as customer:
        await customer.dial(AROUND)
        await customer.until("CALL_ESTABLISHED")

        async def turned_away() -> bool:
            return bool(first.heard("INVITE", status="483"))

        await eventually(turned_away, within=10, what="483 Too Many Hops")
        made = first.saw("INVITE", src="127.0.0.1", auth=LINE.user, ru=AROUND)
        assert list(dict.fromkeys(one["hops"] for one in made)) == ["5", "3", "1"]
        live = [call for call in (await service.ask("/v1/calls"))["items"] if call["called"] == AROUND]
        assert len(live) == 3
        await customer.hang_up()


@pytest.mark.interop("Kamailio", "two accounts at one provider: each call is counted to the one it came by")
async def test_calls_of_two_accounts_at_one_provider_are_told_apart(
    service: RunningService, provider: tuple[Kamailio, Kamailio]
) -> None:
    first, _ = provider
    account = {**ACCOUNT, "username": SECOND_LINE.user, "password": SECOND_LINE.password}
    second = {**PROVIDER, "name": "second", "hosts": [_host(FIRST)], "account": account, "max_calls": 5}
    service.apply({**DIRECTORY, "trunks": [*DIRECTORY["trunks"], second]})

    async def bound() -> bool:
        return await service.metric("acd_trunk_registered", trunk="second") == 1

    await eventually(bound, within=10, what="the second account is registered")
    async with customer_behind(first) as customer:
        for count, (number, name) in enumerate(((BILLING, "provider"), (SECOND_NUMBER, "second")), 1):
            await customer.dial(number)
            await customer.until("CALL_ESTABLISHED", count=count)
            await service.call_reaches(CUSTOMER.number, "queued")
            calls = {one["name"]: one["calls"] for one in (await service.ask("/v1/trunks"))["items"]}
            assert calls == {"provider": 0, "second": 0} | {name: 1}
            await customer.hang_up()
            await customer.until("CALL_CLOSED", count=count)

            async def over() -> bool:
                return not (await service.ask("/v1/calls"))["items"]

            await eventually(over, within=5, what="the call is over")
