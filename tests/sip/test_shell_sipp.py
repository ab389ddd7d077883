"""SIPp, a strict peer, calls the service."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from acd.sip.core.events import LegConfirmed, LegEnded
from tests.support.sip_shell import Shell, directory

SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


async def sipp(shell: Shell, folder: Path, transport: str, calls: int) -> tuple[int, str]:
    """Run SIPp's own caller from the trunk's address; its exit code and what it printed."""
    host, port = shell.address(transport)
    process = await asyncio.create_subprocess_exec(
        *("sipp", "-sn", "uac", f"{host}:{port}", "-i", "127.0.0.2", "-s", "+3726000100", "-d", "20"),
        *("-m", str(calls), "-r", "100", "-nostdin", "-timeout", "15s", "-timeout_error"),
        *("-t", "u1" if transport == "udp" else "t1"),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_sipp_callers_are_all_answered_and_leave_nothing_behind(
    shell: Shell, tmp_path: Path, transport: str
) -> None:
    calls = 100
    shell.directory = directory(max_calls=calls)
    shell.on_call = lambda call: shell.service.accept(call.leg, SDP)
    code, output = await sipp(shell, tmp_path, transport, calls)
    assert code == 0, output[-2000:]
    events = [shell.events.get_nowait() for _ in range(shell.events.qsize())]
    assert sum(isinstance(event, LegConfirmed) for event in events) == calls
    assert sum(isinstance(event, LegEnded) for event in events) == calls
    assert shell.service.figures.trunks["carrier"].calls == 0
    assert shell.service.figures.responses["INVITE", 200] == calls
