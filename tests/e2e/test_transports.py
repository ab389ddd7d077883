"""Phones, browsers and carriers over each transport: they register, are called, and hang up."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.support.audio import seconds_of
from tests.support.baresip import Baresip
from tests.support.browser import LIBRARIES, Chromium, PhonePage
from tests.support.cast import AGENT_HZ, BILLING, CALLER_HZ, ECHO, agents, caller, dial, phone
from tests.support.certificates import Authority
from tests.support.desk_phone import DeskPhone
from tests.support.edge import Edge
from tests.support.every_transport import V6, EveryTransport
from tests.support.kamailio import is_missing
from tests.support.net import eventually, free_port
from tests.support.pjsua import INSTALLED, Pjsua
from tests.support.receiver import receiving
from tests.support.rtp_peer import RtpPeer
from tests.support.service import HOST, PASSWORD, TRUNK, standard_directory
from tests.support.sipp import run

SERVICE = EveryTransport
DIRECTORY = standard_directory()
DIRECTORY["devices"] = [{"name": "encrypted", "srtp": "require"}]
DIRECTORY["agents"][7]["device"] = "encrypted"
DIRECTORY["trunks"].append({"name": "partner", "tls_names": ["sbc.partner.example"], "srtp": "require"})
SECURE, SECURE_NAME, OUTSIDE = "127.0.0.4", "sbc.secure.example", "+37255570001"
SECURE_PORT = free_port(SECURE)
DIRECTORY["trunks"].append(
    {
        "name": "secure",
        "hosts": [{"host": SECURE, "port": SECURE_PORT, "transport": "tls"}],
        "tls_names": [SECURE_NAME],
        "srtp": "require",
        "probe_seconds": 0.5,
    }
)
DIRECTORY["routes"] = [{"prefix": "+372555", "class": "national", "trunks": ["secure"]}]
DIRECTORY["agents"][0]["dialling"] = ["national"]
PROVIDER_HZ = 500.0
EDGE = "127.0.0.8"


@pytest.mark.parametrize(
    ("transport", "extension", "mediaenc"),
    [
        pytest.param("tcp", "1001", "", marks=pytest.mark.interop("baresip", "TCP, audio both ways")),
        pytest.param("tls", "1001", "", marks=pytest.mark.interop("baresip", "TLS, audio both ways")),
        pytest.param(
            *("tls", "1008", "srtp-mand"),
            marks=pytest.mark.interop("baresip", "TLS with SRTP (SDES) required by both, audio both ways"),
        ),
    ],
)
async def test_softphone_registers_is_called_and_both_hear_each_other(
    service: EveryTransport, transport: str, extension: str, mediaenc: str
) -> None:
    softphone = Baresip(
        service.at(transport),
        *(extension, PASSWORD),
        says=AGENT_HZ,
        transport=transport,
        mediaenc=mediaenc,
        authority=service.authority.path,
    )
    async with softphone as agent, caller(service) as someone:
        await agent.registered()
        assert await service.metric("acd_sip_connections", transport=transport) == 1
        call = await dial(someone, BILLING)
        await agent.until("CALL_ESTABLISHED")

        async def both_hear() -> bool:
            caller_hears = seconds_of(AGENT_HZ, bytes(call.rtp.heard.pcm)) >= 0.5
            return caller_hears and seconds_of(CALLER_HZ, agent.heard()) >= 0.5

        await eventually(both_hear, within=6, what="each other's tone")
        await agent.hang_up()
        assert await call.ended() == "far"


@pytest.mark.interop("baresip", "calls as a trunk known by its certificate (mutual TLS), SRTP required")
@pytest.mark.parametrize("name", ["sbc.partner.example", "sbc.other.example"])
async def test_trunk_is_known_by_its_certificate(service: EveryTransport, name: str) -> None:
    server = Baresip(
        service.at("tls"),
        *("+37255500088", "none"),
        says=CALLER_HZ,
        transport="tls",
        interval=0,
        mediaenc="srtp-mand",
        authority=service.authority.path,
        certificate=service.authority.sign(name).path,
    )
    async with server as partner, agents(service, phone(1, ring_ms=50)):
        await partner.dial(f"sip:{BILLING}@{HOST}:{service.ports['tls']};transport=tls")
        if name == "sbc.partner.example":
            await service.call_reaches("+37255500088", "talking")
            await partner.hang_up()
            assert (await service.record_of("+37255500088"))["trunk"] == "partner"
        else:
            await partner.until("CALL_CLOSED")
            assert not await service.calls()


def provider(service: EveryTransport, authority: Path, certificate: Path) -> Pjsua:
    """A provider over TLS alone, who asks for a certificate that this authority has signed, and for SRTP."""
    return Pjsua(
        service.at("tls"),
        *("+37255500099", "none"),
        host=SECURE,
        port=SECURE_PORT,
        transport="tls",
        srtp="required",
        says=PROVIDER_HZ,
        registers=False,
        authority=str(authority),
        certificate=str(certificate),
    )


async def trunk_is(service: EveryTransport, *, up: bool) -> None:
    async def so() -> bool:
        shown = await service.ask("/v1/trunks/secure")
        host_up = [host["up"] for host in shown["hosts"]] == [up]
        return host_up and await service.metric("acd_trunk_up", trunk="secure") == up

    await eventually(so, within=15, what=f"the trunk {'up' if up else 'down'}")


def tls_failures(service: EveryTransport) -> list[str]:
    """What the log says of TLS connections to the provider that came to nothing."""
    lines = map(json.loads, service.log_file.read_text().splitlines())
    return [one["why"] for one in lines if one["event"] == "sip.tls.failed" and one["remote"] == SECURE]


@pytest.mark.skipif(not INSTALLED, reason="not installed: pjsua2")
@pytest.mark.interop(
    "pjsua2", "a provider over TLS that asks for our certificate, SRTP required, calls both ways"
)
async def test_calls_go_to_and_come_from_a_provider_over_mutual_tls(service: EveryTransport) -> None:
    certificate = service.authority.sign(SECURE, SECURE_NAME).path
    async with (
        provider(service, service.authority.path, certificate) as far,
        Baresip(service.at("udp"), "1001", PASSWORD, says=AGENT_HZ) as agent,
    ):
        await trunk_is(service, up=True)
        await agent.registered()
        await service.agent_reaches("a1", "available")
        await agent.dial(OUTSIDE)
        line = await far.incoming()
        assert "RTP/SAVP" in (await far.until("incoming"))["message"]
        await agent.until("CALL_ESTABLISHED")

        def hear_each_other(line: int) -> Callable[[], Awaitable[bool]]:
            async def both() -> bool:
                provider_hears = seconds_of(AGENT_HZ, far.heard(line, last_seconds=1.0)) >= 0.4
                return provider_hears and seconds_of(PROVIDER_HZ, agent.heard(last_seconds=1.0)) >= 0.4

            return both

        await eventually(hear_each_other(line), within=8, what="each hears the other's tone")
        await agent.hang_up()
        await far.ended(line)
        await service.agent_reaches("a1", "available")
        line = await far.dial(BILLING)
        await agent.until("CALL_ESTABLISHED", count=2)
        await eventually(hear_each_other(line), within=8, what="the same of the call that came in")
        await far.command("hang_up", line=line)
        await agent.until("CALL_CLOSED", count=2)
        record = await service.record_of("+37255500099")
    assert (record["trunk"], record["agent"], record["outcome"]) == ("secure", "a1", "answered")


@pytest.mark.skipif(not INSTALLED, reason="not installed: pjsua2")
@pytest.mark.interop("pjsua2", "a provider that refuses our certificate, or shows one for another name")
@pytest.mark.parametrize("whose", ["ours", "theirs"])
async def test_a_certificate_that_does_not_do_keeps_the_trunk_down_and_the_log_says_why(
    service: EveryTransport, tmp_path: Path, whose: str
) -> None:
    authority = service.authority.path if whose == "theirs" else Authority(tmp_path).path
    names = ("sbc.other.example",) if whose == "theirs" else (SECURE, SECURE_NAME)
    before = len(tls_failures(service))
    async with (
        provider(service, authority, service.authority.sign(*names).path) as far,
        DeskPhone(service.at("udp"), "1001", PASSWORD) as phone,
    ):

        async def told() -> bool:
            return len(tls_failures(service)) > before

        await eventually(told, within=10, what="why TLS failed")
        why = tls_failures(service)[-1]
        assert why.startswith("closed before") if whose == "ours" else why.startswith("their certificate: ")
        await trunk_is(service, up=False)
        assert await phone.dial(OUTSIDE) == 503
        assert not far.seen("incoming")


@pytest.mark.skipif(not INSTALLED or is_missing(), reason="not installed: pjsua2, kamailio")
@pytest.mark.interop(
    "pjsua2", "registers over TCP through a proxy that adds a Path, keeps its flow (RFC 5626), is called"
)
@pytest.mark.interop("Kamailio", "before the phones: Path, outbound, calls to and from a phone behind it")
async def test_phone_behind_a_proxy_is_called_by_its_path(service: EveryTransport) -> None:
    with Edge(EDGE, service.at("udp")) as edge:
        behind = Pjsua(edge.address, "1002", PASSWORD, transport="tcp", says=AGENT_HZ)
        async with behind as agent, caller(service, "+37255512010") as someone:
            await agent.registered()
            await service.agent_reaches("a2", "available")
            answer = edge.heard("REGISTER", status="200")[-1]
            assert (answer["require"], f"<sip:{EDGE}:{edge.port}" in answer["path"]) == ("outbound", True)
            assert "reg-id=1" in agent.log
            call = await dial(someone, BILLING)
            line = await agent.incoming()
            invite = edge.saw("INVITE", src=HOST)[-1]
            assert f"<sip:{EDGE}:{edge.port}" in invite["route"]
            await agent.talking(line)

            async def both_hear() -> bool:
                agent_hears = seconds_of(CALLER_HZ, agent.heard(line)) >= 0.5
                return agent_hears and seconds_of(AGENT_HZ, bytes(call.rtp.heard.pcm)) >= 0.5

            await eventually(both_hear, within=8, what="the two hear each other")
            assert await service.metric("acd_sip_connections", transport="tcp") == 0
            await call.hang_up()
            await agent.ended(line)
            again = await dial(someone, BILLING)
            line = await agent.incoming(2)
            await agent.talking(line)
            await agent.command("hang_up", line=line)
            assert await again.ended() == "far"
            await service.agent_reaches("a2", "available")
            line = await agent.dial(ECHO)
            await agent.command("hang_up", line=line)
            await agent.ended(line)


async def test_what_happens_to_a_call_is_told_to_a_webhook_and_its_record_is_a_line_of_a_file(
    service: EveryTransport,
) -> None:
    secret, number = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "=1+1"
    async with (
        receiving(service.authority) as receiver,
        agents(service, phone(1, ring_ms=50)),
        caller(service, number) as someone,
    ):
        url = f"https://{HOST}:{receiver.port}/acd"
        receiver.answers = [503]
        await service.takes({**DIRECTORY, "webhooks": [{"name": "crm", "url": url, "secret": secret}]})
        call = await dial(someone, BILLING)
        await service.call_reaches(number, "talking")
        await call.hang_up()
        got = await receiver.until(4)
        told = [Webhook(secret).verify(body, headers) for headers, body in got]
        kinds = [event["type"] for event in told]
        assert kinds == ["call.queued", "call.queued", "call.answered", "call.ended"]
        assert (told[2]["data"]["agent"], told[2]["data"]["caller"]) == ("a1", number)
        assert told[3]["data"]["outcome"] == "answered"

        async def delivered() -> bool:
            return (
                await service.metric("acd_webhook_deliveries_total", webhook="crm", outcome="delivered") == 3
            )

        await eventually(delivered, within=3, what="three deliveries")
        await service.record_of(number)
        file = await asyncio.to_thread(service.download, "/v1/records?format=csv")
    rows = [row for row in csv.DictReader(io.StringIO(file)) if row["caller"] == f"'{number}"]
    assert [(row["agent"], row["outcome"]) for row in rows] == [("a1", "answered")]
    await asyncio.to_thread(service.apply, DIRECTORY)


@pytest.mark.interop("baresip", "its TLS connection breaks while it rings")
async def test_softphone_that_dies_while_it_rings_passes_the_caller_on_at_once(
    service: EveryTransport,
) -> None:
    softphone = Baresip(
        service.at("tls"),
        *("1001", PASSWORD),
        transport="tls",
        auto_answer=False,
        authority=service.authority.path,
    )
    async with softphone as first, caller(service, "+37255500089") as someone:
        await first.registered()
        await service.agent_reaches("a1", "available")
        call = await dial(someone, BILLING)
        await first.until("CALL_INCOMING")
        async with agents(service, phone(2, ring_ms=50)):
            first.kill()
            # Well before the two seconds that an offer may ring.
            await service.call_reaches(someone.user, "talking", within=1.5)
            await call.hang_up()


@pytest.mark.interop("SIPp", "calls over IPv6")
@pytest.mark.parametrize("transport", ["u1", "t1"], ids=["udp", "tcp"])
async def test_carrier_calls_over_ipv6(service: EveryTransport, transport: str) -> None:
    server = (V6, service.ports["v6"])
    async with agents(service, phone(1, ring_ms=50)):
        result = await run(
            "caller",
            server,
            calls=3,
            rate=2,
            number=BILLING,
            pause_ms=300,
            host=V6,
            media_host=TRUNK,
            transport=transport,
        )
    result.assert_clean(3)


@pytest.mark.interop("SIPp", "calls over TCP")
async def test_carrier_calls_over_tcp(service: EveryTransport) -> None:
    async with agents(service, phone(1, ring_ms=50)):
        result = await run(
            "caller", service.sip_address, calls=3, rate=2, number=BILLING, pause_ms=300, transport="t1"
        )
    result.assert_clean(3)


@pytest.fixture
def browser_phones() -> None:
    if shutil.which("chromium") is None or not (LIBRARIES / "sipjs.js").is_file():
        pytest.skip("not installed: chromium, JsSIP and SIP.js; run: make setup-test")


_OVER_WSS = "registers, is called, hangs up over secure WebSocket (signalling)"


@pytest.mark.usefixtures("browser_phones")
@pytest.mark.parametrize(
    "library",
    [
        pytest.param("jssip", marks=pytest.mark.interop("JsSIP", _OVER_WSS)),
        pytest.param("sipjs", marks=pytest.mark.interop("SIP.js", _OVER_WSS)),
    ],
)
async def test_phone_in_a_browser_registers_is_called_and_hangs_up(
    service: EveryTransport, library: str
) -> None:
    rtp = await RtpPeer.open(HOST)
    async with Chromium() as browser, caller(service, "+37255500071") as someone:
        url = f"wss://{HOST}:{service.ports['wss']}/"
        async with PhonePage(browser, url, "1001", PASSWORD, rtp=(HOST, rtp.port), library=library) as agent:
            await agent.until("registered")
            await service.agent_reaches("a1", "available")
            call = await dial(someone, BILLING)
            shown = await agent.until("call")
            assert (shown["by"], shown["from"], shown["queue"]) == ("remote", someone.user, "billing")
            assert "RTP/AVP" in (await agent.until("description"))["sdp"]
            await agent.until("confirmed")
            await service.call_reaches(someone.user, "talking")
            await agent.hang_up()
            assert (await agent.until("ended"))["by"] == "local"
            assert await call.ended() == "far"
            assert (await service.record_of(someone.user))["hangup_side"] == "agent"
            await agent.stop()
            await agent.until("unregistered")
            await service.agent_reaches("a1", "offline")
    await rtp.close()


@pytest.mark.interop("Chromium", "page closed while it rings")
@pytest.mark.usefixtures("browser_phones")
async def test_browser_that_closes_while_it_rings_passes_the_caller_on_at_once(
    service: EveryTransport,
) -> None:
    async with Chromium() as browser, caller(service, "+37255500072") as someone:
        url = f"ws://{HOST}:{service.ports['ws']}/"
        rings = PhonePage(browser, url, "1001", PASSWORD, rtp=(HOST, 9), answers=False)
        async with rings as first:
            await first.until("registered")
            await service.agent_reaches("a1", "available")
            call = await dial(someone, BILLING)
            await first.until("call")
            async with agents(service, phone(2, ring_ms=50)):
                await first.page.close()
                # Well before the two seconds that an offer may ring.
                await service.call_reaches(someone.user, "talking", within=1.5)
                assert (await service.agent("a1"))["state"] == "offline"
                await call.hang_up()
