"""A traced call of the running service: as JSON, as a page, as a capture file, and at a capture server."""

from __future__ import annotations

import asyncio
import json
import subprocess
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.capture_server import CaptureServer
from tests.support.cast import BILLING, MUSIC, agents, caller, dial, phone
from tests.support.kamailio import is_missing
from tests.support.net import eventually, free_port
from tests.support.prometheus import needs
from tests.support.service import RunningService

HEP_PORT = free_port()
SETTINGS = {"trace": {"hep": f"udp:127.0.0.1:{HEP_PORT}"}}


@pytest.fixture
async def traced(service: RunningService) -> AsyncIterator[str]:
    """The id of a call that is over, traced by its number, with an agent."""
    await service.post("/v1/trace", {"number": BILLING})
    async with caller(service, "+37255577777") as someone, agents(service, phone(1, ring_ms=0)):
        call = await dial(someone, BILLING)
        call_id = str((await service.call_reaches(someone.user, "talking"))["id"])
        await call.hang_up()
        await service.record_of(someone.user)
    yield call_id
    await asyncio.to_thread(service.request, "DELETE", "/v1/trace")


def fetched(service: RunningService, path: str) -> bytes:
    headers = {"Authorization": f"Bearer {service.token()}"}
    with urllib.request.urlopen(urllib.request.Request(service.http_url + path, None, headers)) as answer:
        return bytes(answer.read())


@pytest.mark.interop("tshark", "reads the capture file of a call")
async def test_call_traced_by_its_number_is_shown_in_every_form(
    service: RunningService, traced: str, tmp_path: Path
) -> None:
    items = (await service.ask(f"/v1/calls/{traced}/trace"))["items"]
    starts = [item["text"].partition("\r\n")[0] for item in items]
    assert starts[0] == f"INVITE sip:{BILLING}@127.0.0.1 SIP/2.0" or starts[0].startswith(
        f"INVITE sip:{BILLING}"
    )
    assert sum(start.startswith("INVITE ") for start in starts) == 2
    assert sum(start.startswith("BYE ") for start in starts) == 2
    assert {item["direction"] for item in items} == {"in", "out"}

    page = await asyncio.to_thread(fetched, service, f"/v1/calls/{traced}/trace.html")
    assert page.count(b"<details>") == len(items)

    path = tmp_path / "call.pcap"
    path.write_bytes(await asyncio.to_thread(fetched, service, f"/v1/calls/{traced}/trace.pcap"))
    port = str(service.sip_address[1])
    words = (
        needs("tshark"),
        "-r",
        str(path),
        "-d",
        f"udp.port=={port},sip",
        "-T",
        "fields",
        "-e",
        "sip.CSeq",
    )
    seen = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    assert len(seen) == len(items)
    assert all(seen)


@pytest.mark.skipif(is_missing(), reason="not installed: kamailio")
@pytest.mark.interop("Kamailio", "takes every message by HEPv3 (sipcapture)")
async def test_every_message_reaches_a_capture_server(service: RunningService) -> None:
    port = service.sip_address[1]
    with CaptureServer(HEP_PORT) as server:
        async with caller(service, "+37255577779") as someone, agents(service, phone(1, ring_ms=0)):
            call = await dial(someone, BILLING)
            await service.call_reaches(someone.user, "talking")
            await call.hang_up()
            await service.record_of(someone.user)

        async def complete() -> bool:
            """Both legs, from the first message to the last, each with who sent it."""
            kinds = Counter(
                (kind, at.endswith(f":{port}")) for kind, leg, at in server.captured() if leg in legs(server)
            )
            return kinds["INVITE", False] == kinds["INVITE", True] == 1 and kinds["BYE", True] == 1

        await eventually(complete, within=5, what=f"both legs in {server.captured()}")
        sent_by = {at for kind, _, at in server.captured() if kind == "INVITE"}
        assert f"127.0.0.1:{port}" in sent_by
        assert any(at.startswith("127.0.0.2:") for at in sent_by)


async def test_audio_of_each_leg_is_reported_to_a_capture_server(service: RunningService) -> None:
    loop, got = asyncio.get_running_loop(), asyncio.Queue[bytes]()

    class Server(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            got.put_nowait(data)

    transport, _ = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", HEP_PORT))
    try:
        async with caller(service, "+37255577780") as someone:
            call = await dial(someone, MUSIC)

            async def heard() -> bool:
                return call.rtp.heard.packets > 25

            await eventually(heard, within=5, what="half a second of audio")
            await call.hang_up()
            await service.record_of(someone.user)
            report = await asyncio.wait_for(_report_of(got, call.call_id), 5)
    finally:
        transport.close()
    assert (report["DIR"], report["PARTY"], report["TYPE"]) == (0, 0, "FINAL")
    assert (report["SRC_IP"], report["SRC_PORT"]) == (someone.host, call.rtp.port)
    assert report["TOTAL_PK"] >= 10
    assert report["EXPECTED_PK"] == report["TOTAL_PK"] + report["PACKET_LOSS"]
    assert report["CODEC_NAME"] == "PCMA"
    assert 1 <= report["MOS"] <= 4.5


async def _report_of(got: asyncio.Queue[bytes], leg: str) -> dict[str, Any]:
    """The report of what came in on this leg, by its Call-ID."""
    kind, about = b"\0\0\0\x0b\0\x07\x22", leg.encode()
    while not (kind in (data := await got.get()) and data.endswith(about)):
        pass
    return dict(json.loads(data[data.index(b"{") : data.rindex(b"}") + 1]))


def legs(server: CaptureServer) -> set[str]:
    """The Call-IDs of calls."""
    return {leg for kind, leg, _ in server.captured() if kind == "INVITE"}


async def ends(service: RunningService, call_id: str, *, count: int) -> list[dict[str, Any]]:
    """What is kept of a call, once so many BYEs are among it."""

    async def there() -> list[dict[str, Any]]:
        _, answer = await asyncio.to_thread(service.request, "GET", f"/v1/calls/{call_id}/trace")
        items = answer.get("items", [])
        return items if len(begins(items, "BYE ")) == count else []

    return list(await eventually(there, within=5, what=f"{count} BYEs in the trace"))


def begins(items: list[dict[str, Any]], word: str) -> list[tuple[str, str]]:
    """Direction and first words of the messages that begin so."""
    return [
        (item["direction"], item["text"].partition("@")[0]) for item in items if item["text"].startswith(word)
    ]


async def test_live_call_can_be_traced_on_all_its_legs_and_others_are_not(service: RunningService) -> None:
    async with (
        caller(service, "+37255577778") as someone,
        agents(service, phone(1, ring_ms=0, talk_ms=60_000)),
    ):
        call = await dial(someone, BILLING)
        call_id = str((await service.call_reaches(someone.user, "talking"))["id"])
        path = f"/v1/calls/{call_id}/trace"
        assert (await asyncio.to_thread(service.request, "GET", path))[0] == 404
        assert (await asyncio.to_thread(service.request, "POST", path))[0] == 204
        await call.hang_up()
        await service.record_of(someone.user)
        items = await ends(service, call_id, count=2)
    assert [way for way, _ in begins(items, "BYE ")] == ["in", "out"]
    assert begins(items, "INVITE ") == [], "they were sent before anybody asked"
    await asyncio.to_thread(service.request, "DELETE", "/v1/trace")
