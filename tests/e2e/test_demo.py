"""`acd demo` runs by itself, loses no call, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import re
import sys

import psutil
import pytest

pytest.importorskip("pyVoIP")


@pytest.mark.interop("pyVoIP", "registers, calls, is called, digits (the demo)")
@pytest.mark.timeout(90)
async def test_demo_stops_by_itself_and_loses_no_call() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "acd", "demo", "--duration", "20", "--calls-per-minute", "60"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 80)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    text = out.decode()
    assert process.returncode == 0, text
    made, answered, lost = (
        int(found[1])
        for found in (re.search(rf"{word}\s+(\d+)", text) for word in ("calls made", "by agents", "  lost"))
        if found
    )
    assert made >= 8, text
    assert answered >= made // 3, text
    assert lost == 0, text
    assert "1099" in text
    children = [
        one for one in psutil.process_iter(["cmdline"]) if "acd.demo.softphone" in (one.info["cmdline"] or [])
    ]
    assert not [one for one in children if one.ppid() == process.pid or one.ppid() == 1]
