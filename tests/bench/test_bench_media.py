"""Bridged calls and callers on hold that one core carries: one media worker, its load on another core.

Every far end sends and is sent a packet each 20 ms. Reported are the worker's share of its core and what it
sent of the packets that were due.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from acd.clock import SystemClock
from acd.config import MediaSection
from acd.media.embedded.engine import EmbeddedEngine
from tests.support.cpu import cpu_seconds, pin

SECONDS = 5.0
PACKETS_A_SECOND = 50
MUSIC = Path("ivr/prompts/music/hold-music.wav")
_HOST = "127.0.0.1"


def _load(ports: list[int], source: socket.socket) -> None:
    """Speak on every port from one socket until killed: all legs expect this address."""
    payload = bytes(range(160))
    header = struct.Struct("!BBHII")
    started, sequence = time.monotonic(), 0
    slices = [ports[at::10] for at in range(10)]
    while True:
        for part in range(10):
            stamp = header.pack(0x80, 0, sequence & 0xFFFF, sequence * 160 & 0xFFFFFFFF, 7) + payload
            for port in slices[part]:
                source.sendto(stamp, (_HOST, port))
            due = started + sequence * 0.02 + (part + 1) * 0.002
            time.sleep(max(0.0, due - time.monotonic()))
        sequence += 1


def _offer(port: int) -> bytes:
    lines = (
        "v=0",
        f"o=- 1 1 IN IP4 {_HOST}",
        "s=-",
        f"c=IN IP4 {_HOST}",
        "t=0 0",
        f"m=audio {port} RTP/AVP 0",
    )
    return "\r\n".join([*lines, ""]).encode()


def _port_of(sdp: bytes) -> int:
    return int(sdp.split(b"m=audio ")[1].split()[0])


async def _measure(legs: int, *, bridged: bool) -> dict[str, float]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
        source.bind((_HOST, 0))
        engine = EmbeddedEngine(MediaSection(address=_HOST, ports="20000-29999"), SystemClock())
        await engine.start()
        (worker,) = engine.worker_pids
        pin(worker, 0)
        try:
            names = [f"leg{n}" for n in range(legs)]
            offer = _offer(source.getsockname()[1])
            ports = [_port_of(await engine.answer(name, offer)) for name in names]
            speaking = time.monotonic()
            if bridged:
                for one, other in zip(names[::2], names[1::2], strict=True):
                    engine.bridge(one, other)
            else:
                for name in names:
                    engine.music(name, MUSIC.absolute())
            speakers = subprocess.Popen(
                (sys.executable, "-m", __name__, str(source.fileno()), *map(str, ports)),
                pass_fds=[source.fileno()],
            )
            try:
                await asyncio.sleep(2)
                before, began = cpu_seconds(worker)["all"], time.monotonic()
                await asyncio.sleep(SECONDS)
                used, took = cpu_seconds(worker)["all"] - before, time.monotonic() - began
            finally:
                speakers.kill()
                speakers.wait()
            closing = time.monotonic()
            sent = sum(one.packets_sent for one in await asyncio.gather(*map(engine.close, names)))
            whole = (closing + time.monotonic()) / 2 - speaking  # they close one after the other
        finally:
            await engine.stop()
    return {
        "legs": legs,
        "core_percent": round(100 * used / took, 1),
        "microseconds_a_packet": round(1e6 * used / took / (legs * PACKETS_A_SECOND), 2),
        "packets_sent_of_due_percent": round(100 * sent / (legs * PACKETS_A_SECOND * whole), 1),
    }


def _run(benchmark: BenchmarkFixture, legs: int, *, bridged: bool) -> None:
    os.sched_setaffinity(0, {1} if (os.cpu_count() or 1) > 1 else {0})
    found = benchmark.pedantic(lambda: asyncio.run(_measure(legs, bridged=bridged)), rounds=1, iterations=1)
    benchmark.extra_info.update(found)
    print(found)


@pytest.mark.parametrize("calls", [100, 250, 400])
def test_bench_bridged_calls(benchmark: BenchmarkFixture, calls: int) -> None:
    _run(benchmark, 2 * calls, bridged=True)


@pytest.mark.parametrize("callers", [500, 1000])
def test_bench_callers_on_hold(benchmark: BenchmarkFixture, callers: int) -> None:
    _run(benchmark, callers, bridged=False)


if __name__ == "__main__":
    _load([int(word) for word in sys.argv[2:]], socket.socket(fileno=int(sys.argv[1])))
