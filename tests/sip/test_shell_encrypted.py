"""SIP over TLS, WebSocket and secure WebSocket, as phones, browsers and carriers use it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import pytest
import structlog
import uvloop
from redis.asyncio import Redis

from acd.config import Listen, TlsSection, WebSocketSection
from acd.directory.model import Trunk
from acd.errors import ConfigError
from acd.sip.core.events import Flow, LegAnswered, LegProgressed
from acd.sip.stream import StreamLimits, StreamTransport
from acd.sip.tls import TlsContexts, why_failed
from tests.support.certificates import Authority
from tests.support.clock import FakeClock
from tests.support.net import patience
from tests.support.sip_client import SipClient
from tests.support.sip_shell import PASSWORD, Shell

KINDS = ("tls", "ws", "wss")
ANSWER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def own(authority: Authority, tmp_path: Path) -> Path:
    """The service's certificate, in a file that a test may replace."""
    path = tmp_path / "own.pem"
    path.write_bytes(authority.sign("127.0.0.1").path.read_bytes())
    return path


def encrypted(redis: Redis, site: str, authority: Authority, own: Path, **more: object) -> Shell:
    listen = tuple(Listen(transport=kind, host="127.0.0.1", port=0) for kind in KINDS)
    tls = TlsSection(certificate=str(own), client_ca=str(authority.path))
    return Shell(redis, site, listen=listen, tls=tls, **more)


@pytest.fixture
async def shell(redis_url: str, site: str, authority: Authority, own: Path) -> AsyncIterator[Shell]:
    redis = Redis.from_url(redis_url)
    made = encrypted(redis, site, authority, own)
    await made.start()
    yield made
    await made.stop()
    await redis.aclose()


async def client(
    shell: Shell, kind: str, authority: Authority, *, tls: ssl.SSLContext | None = None, **more: object
) -> SipClient:
    context = (tls or authority.client()) if kind in ("tls", "wss") else None
    return await SipClient.open(shell.address(kind), kind, tls=context, **more)  # type: ignore[arg-type]


def ring_anna(shell: Shell) -> None:
    shell.service.invite_agent(
        "leg", "anna", offer=b"v=0\r\n", caller="1", caller_name="", queue="q", call_id="c"
    )


@pytest.mark.parametrize("kind", KINDS)
async def test_phone_is_called_over_the_flow_that_it_registered_on(
    shell: Shell, authority: Authority, kind: str
) -> None:
    async with await client(shell, kind, authority) as phone:
        contact = f'{phone.contact("anna")};+sip.instance="<urn:uuid:1>";reg-id=1'
        answer = await phone.register("1001", PASSWORD, contact=contact)
        assert answer.status == 200
        ring_anna(shell)
        invite = await phone.next()
        at = f"127.0.0.1:{shell.address(kind)[1]}"
        assert invite.first.split()[1] == phone.contact("anna").strip("<>")
        assert invite.get("via").startswith(f"SIP/2.0/{kind.upper()} {at};")
        assert f"@{at};transport={'ws' if kind == 'wss' else kind}>" in invite.get("contact")
        phone.answer(invite, 180, "Ringing")
        assert isinstance(await shell.event(), LegProgressed)
        phone.answer(invite, 200, sdp=ANSWER)
        assert isinstance(await shell.event(), LegAnswered)
        assert (await phone.next()).method == "ACK"
        shell.service.hangup("leg")
        bye = await phone.next()
        assert bye.method == "BYE"
        phone.answer(bye, 200)
        await shell.ended()


@pytest.mark.parametrize("kind", KINDS)
async def test_flow_that_breaks_while_the_phone_rings_ends_the_leg_and_the_binding_at_once(
    shell: Shell, authority: Authority, kind: str
) -> None:
    phone = await client(shell, kind, authority)
    await phone.register("1001", PASSWORD)
    ring_anna(shell)
    phone.answer(await phone.next(), 180, "Ringing")
    assert isinstance(await shell.event(), LegProgressed)
    await phone.close()
    ended = await shell.ended(within=2)
    assert (ended.by, ended.status) == ("transport", 503)
    assert not shell.service.phones.registered("anna")


@pytest.mark.parametrize(("kind", "algorithms"), [("wss", ["MD5"]), ("tls", ["SHA-256", "MD5"])])
async def test_libraries_of_browsers_are_challenged_with_the_one_digest_that_they_know(
    shell: Shell, authority: Authority, kind: str, algorithms: list[str]
) -> None:
    async with await client(shell, kind, authority) as phone:
        challenge = await phone.request("REGISTER")
        offered = [
            value.partition("algorithm=")[2].partition(",")[0]
            for value in challenge.headers["www-authenticate"]
        ]
        assert offered == algorithms


async def test_page_of_another_origin_may_not_connect(
    redis_url: str, site: str, authority: Authority, own: Path
) -> None:
    redis = Redis.from_url(redis_url)
    origins = WebSocketSection(origins=("https://desk.example",))
    shell = encrypted(redis, site, authority, own, websocket=origins)
    await shell.start()
    try:
        for origin in ("https://evil.example", None):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client(shell, "ws", authority, origin=origin)
            assert refused.value.status == 403
        async with await client(shell, "ws", authority, origin="https://desk.example") as phone:
            assert (await phone.register("1001", PASSWORD)).status == 200
    finally:
        await shell.stop()
        await redis.aclose()


async def test_websocket_without_the_subprotocol_is_refused(shell: Shell) -> None:
    host, port = shell.address("ws")
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(f"ws://{host}:{port}/", protocols=("chat",))
        assert refused.value.status == 400
        async with session.get(f"http://{host}:{port}/") as page:
            assert page.status == 426


async def test_websocket_keep_alives_of_both_kinds_are_answered(shell: Shell, authority: Authority) -> None:
    async with await client(shell, "ws", authority) as phone:
        phone.send("\r\n\r\n")
        async with asyncio.timeout(patience(5)):
            assert await phone.raw.get() == b"\r\n"
        assert phone._websocket is not None
        await phone._websocket.ping()
        assert (await phone.request("OPTIONS")).status == 200


async def test_websocket_message_too_long_ends_the_connection(shell: Shell, authority: Authority) -> None:
    async with await client(shell, "ws", authority) as peer, await client(shell, "ws", authority) as other:
        peer.send("x" * 70_000)
        async with asyncio.timeout(patience(5)):
            await peer.closed.wait()
        assert (await other.request("OPTIONS")).status == 200


async def test_text_that_is_no_tls_is_dropped_and_others_are_served(
    shell: Shell, authority: Authority
) -> None:
    reader, writer = await asyncio.open_connection(*shell.address("tls"))
    writer.write(b"OPTIONS sip:x SIP/2.0\r\nContent-Length: 0\r\n\r\n")
    async with asyncio.timeout(patience(5)):
        await reader.read()
    writer.close()
    await shell.until(lambda: shell.service.figures.broken_connections.get("tls") == 1)
    async with await client(shell, "tls", authority) as phone:
        assert (await phone.request("OPTIONS")).status == 200


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_old_tls_is_refused(shell: Shell, authority: Authority) -> None:
    old = authority.client()
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await client(shell, "tls", authority, tls=old)


async def test_trunk_is_known_by_its_certificate_and_by_no_other(shell: Shell, authority: Authority) -> None:
    shell.change(trunks={"sbc": Trunk("sbc", (), tls_names=("sbc.carrier.example",))})

    async def call(context: ssl.SSLContext) -> int:
        async with await client(shell, "tls", authority, tls=context) as peer:
            peer.send(peer.build("INVITE", uri="sip:+3726000100@acd.test", body=ANSWER))
            status = 0
            while not status or status == 100:
                try:
                    async with asyncio.timeout(0.5 if shell.calls.empty() else 0.01):
                        status = (await peer.received.get()).status
                except TimeoutError:
                    break
            return status

    assert await call(authority.client(authority.sign("sbc.carrier.example"))) == 100
    assert (await shell.calls.get()).trunk == "sbc"
    assert await call(authority.client(authority.sign("other.example"))) == 401
    assert await call(authority.client()) == 401


async def test_certificate_of_a_strange_authority_is_refused(
    shell: Shell, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path).sign("sbc.carrier.example")
    # With TLS 1.3 the client learns of it after its own side of the handshake.
    async with await client(shell, "tls", authority, tls=authority.client(stranger)) as peer:
        peer.send(peer.build("OPTIONS"))
        async with asyncio.timeout(patience(5)):
            await peer.closed.wait()
        assert peer.received.empty()
    assert shell.service.figures.broken_connections == {"tls": 1}


def opener(contexts: TlsContexts, on_closed: Callable[[Flow], None]) -> StreamTransport:
    limits, clock = StreamLimits(), FakeClock()
    return StreamTransport(limits, clock, on_message=lambda *_: None, on_closed=on_closed, tls=contexts)


async def refused_by(server: ssl.SSLContext, settings: TlsSection) -> str:
    """What the log says where a TLS server does not take the certificate that we show, or we not its."""
    listening = socket.create_server(("127.0.0.1", 0))

    def shake_hands() -> None:
        # Not one of asyncio, which leaves the alert unsaid.
        peer, _ = listening.accept()
        with contextlib.suppress(OSError), peer, server.wrap_socket(peer, server_side=True) as encrypted:
            encrypted.read()

    shaking = asyncio.get_running_loop().run_in_executor(None, shake_hands)
    lost = asyncio.Event()
    streams = opener(TlsContexts(settings), lambda _: lost.set())
    with structlog.testing.capture_logs() as logs:
        try:
            await streams.connect(listening.getsockname(), "tls", "sbc.carrier.example")
            async with asyncio.timeout(5):
                await lost.wait()
        except ssl.SSLError as error:
            return why_failed(error)
        finally:
            await streams.close()
            await shaking
            listening.close()
    (line,) = (line for line in logs if line["event"] == "sip.tls.failed")
    assert (line["log_level"], line["remote"]) == ("warning", "127.0.0.1")
    return str(line["why"])


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_carrier_that_does_not_take_our_certificate_is_told_of_with_its_reason(
    authority: Authority, tmp_path: Path, newest: ssl.TLSVersion
) -> None:
    def server(name: str = "sbc.carrier.example") -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.path))
        context.load_cert_chain(authority.sign(name).path)
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = newest
        return context

    stranger = Authority(tmp_path).sign("acd.example").text
    known = {"server_ca": str(authority.path)}
    assert "unknown ca" in await refused_by(server(), TlsSection(certificate=stranger, **known))
    assert "certificate required" in (why := await refused_by(server(), TlsSection(**known))) or (
        newest == ssl.TLSVersion.TLSv1_2 and "handshake failure" in why
    )
    why = await refused_by(server("sbc.other.example"), TlsSection(certificate=stranger, **known))
    assert why.startswith("their certificate: Hostname mismatch")


async def test_carrier_is_shown_the_certificate_that_is_for_carriers(
    authority: Authority, tmp_path: Path
) -> None:
    """The one for phones may be of an authority that carriers do not know."""
    shown: asyncio.Queue[object] = asyncio.Queue()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        shown.put_nowait(writer.get_extra_info("ssl_object").getpeercert()["subjectAltName"])
        writer.close()

    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.path))
    server.load_cert_chain(authority.sign("sbc.carrier.example").path)
    server.verify_mode = ssl.CERT_REQUIRED
    listening = await asyncio.start_server(take, "127.0.0.1", 0, ssl=server)
    for_carriers = tmp_path / "client.pem"
    for_carriers.write_bytes(authority.sign("acd.example").path.read_bytes())
    contexts = TlsContexts(
        TlsSection(
            certificate=Authority(tmp_path).sign("127.0.0.1").text,
            client_certificate=str(for_carriers),
            server_ca=str(authority.path),
        )
    )
    streams = opener(contexts, lambda _: None)
    for name in ("acd.example", "renewed.example"):
        for_carriers.write_bytes(authority.sign(name).path.read_bytes())
        assert contexts.reload()
        await streams.connect(listening.sockets[0].getsockname()[:2], "tls", "sbc.carrier.example")
        assert await asyncio.wait_for(shown.get(), 5) == (("DNS", name),)
    for_carriers.write_text("nothing")
    with pytest.raises(ConfigError, match=r"sip\.tls\.client_certificate"):
        contexts.reload()
    await streams.close()
    listening.close()


async def test_renewed_certificate_is_shown_without_a_restart(
    shell: Shell, authority: Authority, own: Path
) -> None:
    async def serial() -> object:
        _, writer = await asyncio.open_connection(*shell.address("tls"), ssl=authority.client())
        certificate = writer.get_extra_info("ssl_object").getpeercert()
        writer.close()
        return certificate["serialNumber"]

    before = await serial()
    own.write_bytes(authority.sign("127.0.0.1").path.read_bytes())
    assert shell.service.reload_certificate()
    renewed = await serial()
    assert renewed != before
    own.write_text("nothing")
    with pytest.raises(ConfigError, match=r"sip\.tls\.certificate"):
        shell.service.reload_certificate()
    assert await serial() == renewed, "the old one stays in use"


@pytest.mark.parametrize("is_silent", [False, True], ids=["begun", "silent"])
async def test_handshake_that_never_ends_is_not_waited_for(shell: Shell, *, is_silent: bool) -> None:
    for kind in KINDS:
        reader, writer = await asyncio.open_connection(*shell.address(kind))
        begun = b"\x16\x03\x01\x02\x00\x01" if kind != "ws" else b"GET / HTTP/1.1\r\nHost: a\r\n"
        writer.write(b"" if is_silent else begun)
        await shell.until(lambda: sum(shell.service.figures.connections.values()) == 1)
        await asyncio.sleep(0.01)
        shell.clock.advance(11)  # type: ignore[attr-defined]
        shell.service._endpoint.network.streams.sweep()
        async with asyncio.timeout(patience(5)):
            assert await reader.read() == b""
        writer.close()
        await shell.until(lambda: not shell.service.figures.connections)
    assert shell.service.figures.broken_connections["slow-message"] == 3


FIRST_WORDS = {
    "tls": (b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"),
    "ws": (b"", b"GET / HTTP/1.1\r\nHost: a\r\n"),
    "wss": (b"", b"\x16\x03\x01\x02\x00\x01", b"nonsense"),
}


async def test_connections_reset_at_any_moment_leave_nothing_behind_and_break_nothing(
    shell: Shell, authority: Authority
) -> None:
    raised: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: raised.append(about))
    for kind in KINDS:
        for words in FIRST_WORDS[kind]:
            for is_late in (False, True):
                attackers = [socket.create_connection(shell.address(kind)) for _ in range(20)]
                if is_late:
                    await shell.until(lambda: sum(shell.service.figures.connections.values()) == 20)
                for attacker in attackers:
                    attacker.sendall(words)
                    attacker.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    attacker.close()
                await asyncio.sleep(0.05)
                await shell.until(lambda: not shell.service.figures.connections)
    assert raised == []
    async with await client(shell, "tls", authority) as phone:
        assert (await phone.register("1001", PASSWORD)).status == 200


def test_connections_reset_before_they_are_accepted_are_passed_over() -> None:
    """The loop of the service then knows no peer any more."""

    async def attack() -> list[object]:
        raised: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, about: raised.append(about))
        streams = StreamTransport(
            StreamLimits(), FakeClock(), on_message=lambda data, flow: None, on_closed=lambda flow: None
        )
        address = await streams.listen("127.0.0.1", 0)
        for _ in range(20):
            attacker = socket.create_connection(address)
            attacker.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            attacker.close()
        await asyncio.sleep(0.05)
        raised.extend([] if len(streams) == 0 else [f"{len(streams)} connections"])
        await streams.close()
        return raised

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(attack()) == []


@pytest.mark.parametrize("kind", ["tls", "wss"])
async def test_sips_call_is_answered_with_a_sips_contact(
    shell: Shell, authority: Authority, kind: str
) -> None:
    shell.change(trunks={"sbc": Trunk("sbc", (ip_network("127.0.0.1/32"),))})
    async with await client(shell, kind, authority) as carrier:
        carrier.send(carrier.build("INVITE", uri="sips:+3726000100@acd.test", body=ANSWER))
        async with asyncio.timeout(patience(5)):
            call = await shell.calls.get()
        shell.service.accept(call.leg, ANSWER.encode())
        answer = await carrier.final()
        port = shell.address(kind)[1]
        transport = "tcp" if kind == "tls" else "ws"
        assert answer.get("contact") == f"<sips:+3726000100@127.0.0.1:{port};transport={transport}>"
        shell.service.hangup(call.leg)


async def test_tls_peer_that_we_connect_to_must_have_the_right_certificate(
    shell: Shell, authority: Authority
) -> None:
    remote = shell.address("tls")

    async def connect(name: str, **tls: str) -> str:
        told: list[Flow] = []
        streams = StreamTransport(
            StreamLimits(),
            shell.clock,
            on_message=lambda data, flow: told.append(flow),
            on_closed=told.append,
            tls=TlsContexts(TlsSection(**tls)),
        )
        try:
            flow = await streams.connect(remote, "tls", name)
            assert streams.send(flow, b"OPTIONS sip:x SIP/2.0\r\nContent-Length: 0\r\n\r\n")
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        finally:
            await streams.close()
        return "connected"

    known = str(authority.path)
    assert await connect("", server_ca=known) == "connected"
    assert "mismatch" in await connect("sip.provider.example", server_ca=known)
    assert "certificate" in await connect(""), "an authority that nobody trusts"
