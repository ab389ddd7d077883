"""A traced call of the running service: as JSON, as a page, as a capture file, and at a capture server."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.cast import BILLING, agents, caller, dial, phone
from tests.support.net import eventually, free_port
from tests.support.prometheus import needs
from tests.support.service import RunningService

HEP_PORT = free_port()
SETTINGS = {"trace": {"hep": f"udp:127.0.0.1:{HEP_PORT}"}}


@pytest.fixture
def homer() -> Iterator[socket.socket]:
    """The capture server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", HEP_PORT))
        server.setblocking(False)
        yield server


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


async def test_call_traced_by_its_number_is_shown_in_every_form(
    service: RunningService, homer: socket.socket, traced: str, tmp_path: Path
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

    packets = []
    while True:
        try:
            packets.append(homer.recv(65535))
        except BlockingIOError:
            break
    assert len(packets) >= len(items)
    assert all(packet[:4] == b"HEP3" for packet in packets)


async def test_live_call_can_be_traced_and_others_are_not(service: RunningService) -> None:
    async with caller(service, "+37255577778") as someone:
        call = await dial(someone, BILLING)
        call_id = str((await service.call_reaches(someone.user, "queued"))["id"])
        path = f"/v1/calls/{call_id}/trace"
        assert (await asyncio.to_thread(service.request, "GET", path))[0] == 404
        assert (await asyncio.to_thread(service.request, "POST", path))[0] == 204
        await call.hang_up()
        await service.record_of(someone.user)

    async def kept() -> bool:
        status, answer = await asyncio.to_thread(service.request, "GET", path)
        return status == 200 and any(item["text"].startswith("BYE ") for item in answer["items"])

    await eventually(kept, within=3, what="the BYE in the trace")
