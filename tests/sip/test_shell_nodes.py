"""A phone connected to one node is rung by another, over sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from acd.config import Listen
from acd.sip.core.events import LegAnswered, LegEnded
from acd.sip.phones import AgentUnreachable
from tests.support.clock import FakeClock
from tests.support.sip_client import SipClient
from tests.support.sip_shell import PASSWORD, Shell

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
Pair = tuple[Shell, Shell]


def listening(*transports: str) -> tuple[Listen, ...]:
    return tuple(Listen(transport=one, host="127.0.0.1", port=0) for one in transports)  # type: ignore[arg-type]


@pytest.fixture
async def nodes(redis_url: str, site: str, request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    """Nodes a and b with the same directory; `indirect` names what each listens with."""
    redis = Redis.from_url(redis_url)
    clock = FakeClock(4_000_000_000.0)
    found = getattr(request, "param", (("udp", "tcp", "ws"), ("udp", "tcp")))
    a, b = (
        Shell(redis, site, node=name, clock=clock, listen=listening(*transports))
        for name, transports in zip("ab", found, strict=True)
    )
    for shell in (a, b):
        await shell.start()
    await a.site.nodes.look()
    yield a, b
    for shell in (a, b):
        await shell.stop()
    await redis.aclose()


def ring(shell: Shell) -> None:
    shell.service.invite_agent(
        "leg", "anna", offer=SDP.encode(), caller="100", caller_name="", queue="billing", call_id="1"
    )


async def has_heard(shell: Shell, *, of: Shell) -> None:
    """A phone is written behind its answer; another node knows it once that is done."""
    await of.bindings.written()
    await shell.service.look_up("anna")


@pytest.mark.parametrize("transport", ["tcp", "ws"])
async def test_phone_connected_to_one_node_is_called_by_another(nodes: Pair, transport: str) -> None:
    a, b = nodes
    async with await a.client(transport) as phone:
        assert (await phone.register("1001", PASSWORD)).status == 200
        await has_heard(b, of=a)
        ring(b)
        invite = await phone.next()
        assert (invite.method, invite.get("x-acd-queue")) == ("INVITE", "billing")
        (recorded,) = invite.headers["record-route"]
        assert f"transport={transport};lr>" in recorded
        phone.answer(invite, 200, sdp=SDP)
        assert (await phone.next()).method == "ACK"
        assert isinstance(await b.event(), LegAnswered)
        b.service.hangup("leg", "normal")
        assert (await phone.next()).method == "BYE"
        assert isinstance(await b.event(), LegEnded)
        assert a.events.empty()


async def test_phone_by_udp_is_called_directly(nodes: Pair) -> None:
    a, b = nodes
    async with await SipClient.open(a.address(), "udp") as phone:
        assert (await phone.register("1001", PASSWORD)).status == 200
        await has_heard(b, of=a)
        ring(b)
        invite = await phone.next()
        assert "record-route" not in invite.headers
        assert invite.get("contact") == f"<sip:acd@127.0.0.1:{b.address()[1]}>"


@pytest.mark.parametrize("nodes", [(("udp", "ws"), ("tcp",))], indirect=True)
async def test_nodes_without_a_common_transport_have_no_way(nodes: Pair) -> None:
    a, b = nodes
    async with await a.client("ws") as phone:
        assert (await phone.register("1001", PASSWORD)).status == 200
        await has_heard(b, of=a)
        with pytest.raises(AgentUnreachable):
            ring(b)


async def test_stranger_cannot_send_through_a_node_to_its_phones(nodes: Pair) -> None:
    a, b = nodes
    async with await a.client("tcp") as phone, await a.client("tcp") as stranger:
        assert (await phone.register("1001", PASSWORD)).status == 200
        await has_heard(b, of=a)
        ring(b)
        invite = await phone.next()
        route = invite.headers["record-route"][0]
        answer = await stranger.request("INVITE", headers=(f"Route: {route}",), body=SDP)
        assert answer.status == 403
        phone.answer(invite, 486, "Busy Here")
        assert (await b.ended()).status == 486
        assert phone.received.qsize() <= 1  # the ACK to that
