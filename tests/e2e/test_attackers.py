"""The tools that scan the internet for telephone systems, against the running service."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from tests.support.cast import BILLING, agents, caller, dial, phone
from tests.support.cpu import resident_bytes
from tests.support.net import patience
from tests.support.service import PASSWORD, RunningService
from tests.support.sip_client import SipClient

_TOOLS = Path(sys.executable).parent
_GROWTH = 40 * 1024 * 1024


async def output_of(*words: str, within: float = 60.0) -> str:
    """Run a tool to its end and return all that it said."""
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "HOME": "/tmp"},
    )
    try:
        async with asyncio.timeout(patience(within)):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return said.decode("utf-8", "replace")


def target(address: tuple[str, int]) -> tuple[str, ...]:
    host, port = address
    return ("-p", str(port), host)


class OldChallenges(asyncio.DatagramProtocol):
    """Stands before the service and leaves SHA-256 out of its challenges, over which the cracker stumbles."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._client: tuple[str, int] | None = None
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        if addr != self._server:
            self._client = addr
            self._transport.sendto(data, self._server)
        elif self._client is not None:
            lines = (line for line in data.split(b"\r\n") if b"algorithm=SHA-256" not in line)
            self._transport.sendto(b"\r\n".join(lines), self._client)


@contextlib.asynccontextmanager
async def old_challenges(service: RunningService) -> AsyncIterator[tuple[str, int]]:
    """The address of such a relay."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: OldChallenges(service.sip_address), local_addr=("127.0.0.1", 0)
    )
    try:
        yield transport.get_extra_info("sockname")
    finally:
        transport.close()


@contextlib.asynccontextmanager
async def going_on(service: RunningService, number: str) -> AsyncIterator[None]:
    """A call is connected before and stays so; after the attack another one is taken."""
    async with caller(service, number) as someone, agents(service, phone(1, ring_ms=0)):
        call = await dial(someone, BILLING)
        await service.call_reaches(number, "talking")
        yield
        await service.call_reaches(number, "talking", within=1)
        await call.hang_up()
        again = await dial(someone, BILLING)
        await service.call_reaches(number, "talking")
        await again.hang_up()


@pytest.mark.interop("SIPVicious", "svwar finds no user")
async def test_scanner_finds_no_extension(service: RunningService) -> None:
    async with going_on(service, "+37255590001"):
        outputs = await asyncio.gather(
            *(
                output_of(
                    str(_TOOLS / "sipvicious_svwar"),
                    "-e1001-1008",
                    "-m",
                    method,
                    *target(service.sip_address),
                )
                for method in ("REGISTER", "INVITE", "OPTIONS")
            )
        )
    for said in outputs:
        assert "Traceback" not in said, said
        assert not any(str(number) in said for number in range(1001, 1009)), said


async def test_scanner_that_is_forced_cannot_tell_agents_from_nobody(service: RunningService) -> None:
    said = await output_of(
        str(_TOOLS / "sipvicious_svwar"),
        "-e1000-1020",
        "--force",
        "-m",
        "REGISTER",
        *target(service.sip_address),
    )
    assert "found nothing" in said, said


@pytest.mark.interop("SIPVicious", "svcrack finds no password")
async def test_cracker_finds_no_password_though_its_list_has_the_right_one(
    service: RunningService, tmp_path: Path
) -> None:
    words = tmp_path / "words.txt"
    words.write_text("\n".join([*(f"guess-{n}" for n in range(300)), PASSWORD]) + "\n")
    async with going_on(service, "+37255590002"), old_challenges(service) as relay:
        said = await output_of(
            str(_TOOLS / "sipvicious_svcrack"), "-u1001", "-d", str(words), *target(relay), within=60
        )
    assert PASSWORD not in said
    assert await service.metric("acd_sip_rejected_total", reason="auth-failure") >= 10
    lines = service.log_tail(4000).count("acd-security event=auth-failure method=REGISTER source=127.0.0.1")
    assert lines >= 10
    async with await SipClient.open(service.sip_address, host="127.0.0.3") as elsewhere:
        assert (await elsewhere.register("1002", PASSWORD)).status == 200
        assert (await elsewhere.register("1002", PASSWORD, expires=0)).status == 200


@pytest.mark.interop("sipsak", "OPTIONS, and a flood of it")
async def test_ping_is_answered_and_a_flood_of_it_costs_no_memory(service: RunningService) -> None:
    host, port = service.sip_address
    said = await output_of("sipsak", "-v", "-s", f"sip:ping@{host}:{port}")
    assert "200" in said or not said.strip(), said
    async with going_on(service, "+37255590003"):
        memory = resident_bytes(service.pid)
        await output_of("sipsak", "-F", "-e", "20000", "-s", f"sip:flood@{host}:{port}", within=60)
        assert resident_bytes(service.pid) - memory < _GROWTH
