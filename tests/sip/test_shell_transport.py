"""What peers may do to our sockets, and what they may not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from redis.asyncio import Redis

from acd.config import Listen
from acd.sip.buckets import TokenBuckets
from acd.sip.core.events import Flow, LegAnswered
from acd.sip.stream import StreamLimits, StreamTransport
from tests.support.caller import Message
from tests.support.clock import FakeClock
from tests.support.net import free_port, patience
from tests.support.sip_client import SipClient
from tests.support.sip_shell import PASSWORD, Shell


class Streams:
    """A StreamTransport that keeps what it is told."""

    def __init__(self, **limits: float) -> None:
        self.clock = FakeClock()
        self.messages: list[bytes] = []
        self.closed: list[Flow] = []
        self.flows: list[Flow] = []
        self.told: Callable[[], None] = lambda: None
        self.transport = StreamTransport(
            StreamLimits(**limits),  # type: ignore[arg-type]
            self.clock,
            on_message=self._on_message,
            on_closed=self.closed.append,
        )

    def _on_message(self, data: bytes, flow: Flow) -> None:
        self.messages.append(data)
        self.flows.append(flow)
        self.told()

    async def client(self) -> SipClient:
        if not hasattr(self, "address"):
            self.address = await self.transport.listen("127.0.0.1", 0)
        return await SipClient.open(self.address, "tcp")


async def until(condition: Callable[[], object], within: float = 5.0) -> None:
    async with asyncio.timeout(patience(within)):
        while not condition():
            await asyncio.sleep(0.002)


@pytest.fixture
async def streams() -> AsyncIterator[Streams]:
    made = Streams()
    yield made
    await made.transport.close()


async def test_double_line_end_is_answered_with_one(shell: Shell) -> None:
    async with await shell.client("tcp") as phone:
        phone.send("\r\n\r\n")
        async with asyncio.timeout(patience(5)):
            assert await phone.raw.get() == b"\r\n"
        assert (await phone.request("OPTIONS")).status == 200


async def test_messages_cut_anywhere_are_put_together(shell: Shell) -> None:
    async with await shell.client("tcp") as phone:
        first, second = phone.build("OPTIONS"), phone.build("OPTIONS", body="v=0\r\n")
        text = first + "\r\n\r\n" + second
        for piece in (text[:7], text[7 : len(first) + 3], text[len(first) + 3 :]):
            phone.send(piece)
            await asyncio.sleep(0)
        assert [(await phone.final()).status for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    "garbage",
    [
        "OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bKx\r\n\r\n",
        "OPTIONS sip:x SIP/2.0\r\nContent-Length: 99999999\r\n\r\n",
        "A" * 70_000,
    ],
    ids=["no-length", "too-long", "endless-header"],
)
async def test_stream_that_cannot_be_cut_is_closed(shell: Shell, garbage: str) -> None:
    async with await shell.client("tcp") as peer, await shell.client("tcp") as other:
        peer.send(garbage)
        async with asyncio.timeout(patience(5)):
            await peer.closed.wait()
        assert (await other.request("OPTIONS")).status == 200


@pytest.mark.parametrize(
    "hostile", [b"", b"\x00", b"\r\n\r\n", b"\xff" * 1400, b"INVITE", b"SIP/2.0 200 OK\r\n\r\n"]
)
async def test_hostile_datagrams_leave_the_service_answering(shell: Shell, hostile: bytes) -> None:
    async with await shell.client() as peer:
        peer.send(hostile)
        assert (await peer.request("OPTIONS")).status == 200


async def test_answer_goes_to_the_source_whatever_the_via_says(shell: Shell) -> None:
    async with await shell.client() as peer:
        text = peer.build("OPTIONS").replace(f"{peer.local[0]}:{peer.local[1]};rport", "192.0.2.9:9")
        peer.send(text)
        answer = await peer.final()
        assert answer.status == 200
        assert "received=127.0.0.1" in answer.get("via")


async def test_flood_of_a_stranger_is_dropped_unread_but_not_a_trunks(shell: Shell) -> None:
    shell.service._guard._packets = TokenBuckets(rate=1, burst=10)
    async with await shell.client() as stranger, await shell.client(host="127.0.0.2") as carrier:
        for peer in (stranger, carrier):
            for _ in range(30):
                peer.send("x" * 20)
        await shell.until(lambda: shell.service._endpoint.dropped == 20)
        assert (await carrier.request("OPTIONS")).status == 200
        stranger.send(stranger.build("OPTIONS"))
        await shell.until(lambda: shell.service._endpoint.dropped == 21)
        shell.clock.advance(5)  # type: ignore[attr-defined]
        assert (await stranger.request("OPTIONS")).status == 200


async def test_connections_of_one_source_are_capped() -> None:
    limited = Streams(per_source=2)
    clients = [await limited.client() for _ in range(3)]
    await until(lambda: limited.transport.refused == 1)
    assert len(limited.transport) == 2
    await clients[0].close()
    await until(lambda: len(limited.transport) == 1)
    another = await limited.client()
    another.send(another.build("OPTIONS"))
    await until(lambda: limited.messages)
    for client in [*clients, another]:
        await client.close()
    await limited.transport.close()


async def test_half_open_flood_keeps_no_phone_out_and_no_phone_is_dropped_for_it() -> None:
    crowd = Streams(connections=20)
    phone = await crowd.client()
    phone.send(phone.build("REGISTER"))
    await until(lambda: crowd.flows)
    crowd.transport.trust(crowd.flows[0])
    flood = [await crowd.client() for _ in range(200)]
    await until(lambda: crowd.transport.broken_off["crowded-out"] == 181)
    await until(lambda: len(crowd.transport) == 20)
    late = await crowd.client()
    for peer in (late, phone):
        peer.send(peer.build("OPTIONS"))
    await until(lambda: len(crowd.messages) == 3)
    assert crowd.transport.is_open(crowd.flows[0])
    assert crowd.transport.refused == 0
    for client in [*flood, late, phone]:
        await client.close()
    await crowd.transport.close()


async def test_phones_that_fill_every_place_are_not_dropped_for_a_stranger() -> None:
    full = Streams(connections=2)
    phones = [await full.client() for _ in range(2)]
    for phone in phones:
        phone.send(phone.build("REGISTER"))
    await until(lambda: len(full.flows) == 2)
    for flow in full.flows:
        full.transport.trust(flow)
    stranger = await full.client()
    async with asyncio.timeout(patience(5)):
        await stranger.closed.wait()
    assert full.transport.broken_off == {"too-many": 1}
    assert len(full.transport) == 2
    for client in [*phones, stranger]:
        await client.close()
    await full.transport.close()


async def test_stranger_may_not_have_us_keep_a_long_beginning_of_a_message() -> None:
    streams = Streams(stranger_bytes=4096)
    async with await streams.client() as stranger, await streams.client() as phone:
        phone.send(phone.build("REGISTER"))
        await until(lambda: streams.flows)
        streams.transport.trust(streams.flows[0])
        for peer in (stranger, phone):
            peer.send("OPTIONS sip:x SIP/2.0\r\nSubject: " + "x" * 5000)
        async with asyncio.timeout(patience(5)):
            await stranger.closed.wait()
        assert streams.transport.broken_off == {"too-large": 1}
        assert streams.transport.is_open(streams.flows[0])
    await streams.transport.close()


async def test_connection_with_very_much_to_say_takes_turns_with_everything_else(streams: Streams) -> None:
    loop, before_others = asyncio.get_running_loop(), []

    def note(heard: int) -> None:
        before_others.append(len(streams.messages) - heard)

    def told() -> None:
        if len(streams.messages) % 50 == 1:
            loop.call_soon(note, len(streams.messages))

    streams.told = told
    async with await streams.client() as phone:
        said = [phone.build("OPTIONS", headers=(f"X-Number: {number}",)) for number in range(200)]
        phone.send("".join(said))
        await until(lambda: len(streams.messages) == 200)
        assert [message.decode() for message in streams.messages] == said
        assert len(before_others) == 4
        assert max(before_others) < 16
        phone.send(said[0])  # it is listened to again
        await until(lambda: len(streams.messages) == 201)


async def test_slow_message_is_not_waited_for(streams: Streams) -> None:
    async with await streams.client() as slow:
        slow.send("OPTIONS sip:")
        await until(lambda: len(streams.transport) == 1)
        await until(lambda: _partial(streams))
        streams.clock.advance(9)
        slow.send("x")
        await until(lambda: _heard_at(streams) == streams.clock.now)
        streams.transport.sweep()
        assert len(streams.transport) == 1
        streams.clock.advance(2)
        streams.transport.sweep()
        await until(lambda: streams.closed)


def _heard_at(streams: Streams) -> float:
    return max(connection.heard_at for connection in streams.transport._connections.values())


def _partial(streams: Streams) -> bool:
    connections = streams.transport._connections.values()
    return any(connection.partial_since is not None for connection in connections)


async def test_stranger_may_not_keep_a_connection_but_a_phone_may(streams: Streams) -> None:
    async with await streams.client() as stranger, await streams.client() as phone:
        phone.send(phone.build("REGISTER"))
        await until(lambda: streams.flows and len(streams.transport) == 2)
        streams.transport.trust(streams.flows[0])
        streams.clock.advance(31)
        streams.transport.sweep()
        await until(lambda: len(streams.closed) == 1)
        assert streams.closed[0].remote == tuple(stranger.local)
        streams.clock.advance(3900)
        streams.transport.sweep()
        await until(lambda: len(streams.closed) == 2)


async def test_peer_that_does_not_read_is_dropped() -> None:
    streams = Streams(write_buffer=64 * 1024)
    address = await streams.transport.listen("127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*address, limit=1024)
    writer.write(b"OPTIONS sip:x SIP/2.0\r\nContent-Length: 0\r\n\r\n")
    await until(lambda: streams.flows)
    sent = 0
    while streams.transport.send(streams.flows[0], b"x" * 60_000):
        sent += 60_000
        assert sent < 50_000_000
    await until(lambda: streams.closed == [streams.flows[0]])
    assert not streams.transport.send(streams.flows[0], b"x")
    writer.close()
    await streams.transport.close()


async def test_connections_go_with_the_service(shell: Shell) -> None:
    phone = await shell.client("tcp")
    await phone.register("1001", PASSWORD)
    await shell.stop()
    async with asyncio.timeout(patience(5)):
        await phone.closed.wait()
    assert shell.registrations == [("anna", True)], "a stop is no news about phones"
    await phone.close()


async def test_address_in_use_is_named_and_nothing_stays_open(shell: Shell, site: str) -> None:
    taken = shell.settings.sip.listen[0].model_copy(
        update={"port": shell.address("tcp")[1], "transport": "tcp"}
    )
    other = Shell(shell._redis, site + "x", listen=(shell.settings.sip.listen[0], taken))
    with pytest.raises(OSError, match=f"cannot listen on tcp:127.0.0.1:{taken.port}"):
        await other.start()
    assert other.service.listening == ()


async def test_advertised_host_stands_in_via_and_contact(redis_url: str, site: str) -> None:
    redis = Redis.from_url(redis_url)
    shell = Shell(redis, site, advertise="198.51.100.7")
    await shell.start()
    async with await shell.client() as phone:
        await phone.register("1001", PASSWORD)
        shell.service.invite_agent(
            "leg", "anna", offer=b"v=0\r\n", caller="1", caller_name="", queue="q", call_id="c"
        )
        invite = await phone.next()
        port = shell.address()[1]
        assert f"198.51.100.7:{port}" in invite.get("via")
        assert f"198.51.100.7:{port}" in invite.get("contact")
    await shell.stop()
    await redis.aclose()


BIG = b"v=0\r\n" + b"a=x:" + b"y" * 1400 + b"\r\n"


async def big_call(redis: Redis, site: str, *, takes_tcp: bool) -> tuple[list[str], list[str]]:
    """An INVITE over 1300 bytes to a phone that registered by UDP: what came by UDP, and by TCP."""
    by_tcp: asyncio.Queue[Message] = asyncio.Queue()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        by_tcp.put_nowait(Message.parse(head))
        writer.write(response_to(Message.parse(head)))
        await reader.read()
        writer.close()

    shell = Shell(redis, site)
    await shell.start()
    port = free_port()
    listener = await asyncio.start_server(accepted, "127.0.0.1", port) if takes_tcp else None
    phone = await SipClient.open(shell.address(), "udp", port=port)
    await phone.register("1001", PASSWORD)
    shell.service.invite_agent("leg", "anna", offer=BIG, caller="1", caller_name="", queue="q", call_id="c")
    if not takes_tcp:
        invite = await phone.next()
        phone.answer(invite, 200, sdp="v=0\r\n")
        seen = [invite.get("via").split()[0]]
    else:
        seen = []
    while not isinstance(await shell.event(), LegAnswered):
        pass
    ack = await phone.next()
    shell.service.hangup("leg")
    bye = await phone.next()
    phone.answer(bye, 200)
    await shell.ended()
    seen += [ack.method, bye.method]
    await phone.close()
    if listener is not None:
        listener.close()
    await shell.stop()
    return seen, [by_tcp.get_nowait().get("via").split()[0] for _ in range(by_tcp.qsize())]


def response_to(invite: Message) -> bytes:
    copied = [f"{name}: {invite.get(name)}" for name in ("via", "from", "call-id", "cseq")]
    contact = invite.first.split()[1]
    lines = ["SIP/2.0 200 OK", *copied, f"To: {invite.get('to')};tag=far", f"Contact: <{contact}>"]
    return "\r\n".join([*lines, "Content-Length: 0", "", ""]).encode()


async def test_large_request_goes_by_tcp_and_the_rest_of_the_dialog_by_udp(redis_url: str, site: str) -> None:
    redis = Redis.from_url(redis_url)
    by_udp, by_tcp = await big_call(redis, site, takes_tcp=True)
    assert by_tcp == ["SIP/2.0/TCP"]
    assert by_udp == ["ACK", "BYE"]
    await redis.aclose()


async def test_large_request_goes_by_udp_where_tcp_is_refused(redis_url: str, site: str) -> None:
    redis = Redis.from_url(redis_url)
    by_udp, by_tcp = await big_call(redis, site, takes_tcp=False)
    assert by_udp == ["SIP/2.0/UDP", "ACK", "BYE"]
    assert by_tcp == []
    await redis.aclose()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_ipv6_addresses_stand_in_brackets_and_lead_back(
    redis_url: str, site: str, transport: str
) -> None:
    redis = Redis.from_url(redis_url)
    shell = Shell(redis, site, listen=(Listen.parse("udp:[::1]:0"), Listen.parse("tcp:[::1]:0")))
    await shell.start()
    async with await shell.client(transport, host="::1") as phone:
        assert (await phone.register("1001", PASSWORD)).status == 200
        shell.service.invite_agent(
            "leg", "anna", offer=b"v=0\r\n", caller="1", caller_name="", queue="q", call_id="c"
        )
        invite = await phone.next()
        at = f"[::1]:{shell.address(transport)[1]}"
        assert invite.first.startswith("INVITE sip:phone@[::1]:")
        assert f"SIP/2.0/{transport.upper()} {at};" in invite.get("via")
        assert f"sip:acd@{at}" in invite.get("contact")
    await shell.stop()
    await redis.aclose()
