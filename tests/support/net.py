"""Free ports on the loopback, and waiting for something to become true."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_PORTS = range(10_000, 20_000)
"""Below the ephemeral ports and those of media."""
_COUNTER = Path(tempfile.gettempdir()) / f"acd-tests-ports-{os.getuid()}"
"""How many have been given away on this machine: whoever runs beside is given others."""


def _next_ports(count: int) -> int:
    """The first of so many that nobody has been given since all others were."""
    with _COUNTER.open("a+") as counter:
        fcntl.flock(counter, fcntl.LOCK_EX)
        counter.seek(0)
        given = int(counter.read() or 0) % len(_PORTS)
        given += given % 2
        if given + count > len(_PORTS):
            given = 0
        counter.truncate(0)
        counter.write(str(given + count))
    return _PORTS[given]


def patience(seconds: float) -> float:
    """How long to wait for what takes so long at most where the machine has nothing else to do."""
    return seconds * max(2.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def free_port(host: str = "127.0.0.1", *, tries: int = 200, neighbours: int = 0) -> int:
    """A port that is free for UDP and for TCP at this moment, and so many after it too.

    Not one that the kernel hands out by itself: until it is used it would be given away again, and whoever
    connects to it from there meets himself.
    """
    for _ in range(tries):
        port = _next_ports(1 + neighbours)
        with contextlib.suppress(OSError), contextlib.ExitStack() as held:
            for each in range(port, port + 1 + neighbours):
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    held.enter_context(socket.socket(socket.AF_INET, kind)).bind((host, each))
            return port
    raise OSError(f"no port on {host} is free for both UDP and TCP")


def free_media_port(host: str = "127.0.0.1", *, count: int = 4, tries: int = 200) -> int:
    """An even UDP port, those after it free too: phones take RTP and RTCP for audio and for video."""
    for _ in range(tries):
        base = _next_ports(count)
        with contextlib.suppress(OSError), contextlib.ExitStack() as held:
            for port in range(base, base + count):
                udp = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                udp.bind((host, port))
            return base
    raise OSError(f"no {count} neighbouring UDP ports on {host} are free")


async def eventually(
    check: Callable[[], Awaitable[T | None]], *, within: float, every: float = 0.05, what: str = ""
) -> T:
    """Ask again until `check` gives something true; its last answer is part of the failure.

    The limit is in seconds of a machine that has nothing else to do (`patience`).
    """
    deadline = time.monotonic() + patience(within)
    while True:
        answer = await check()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {within} s: {what or check} (last answer: {answer!r})")
        await asyncio.sleep(every)
