"""Free ports on the loopback, and waiting for something to become true."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_SHARE = 2_500
_FIRST = 10_000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 4 * _SHARE
_PORTS = (_FIRST, _FIRST + _SHARE - 8)
"""Below the ephemeral ports and those of media; tests that run side by side have a share each."""


def patience(seconds: float) -> float:
    """How long to wait for what takes so long at most where the machine has nothing else to do."""
    return seconds * max(2.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def free_port(host: str = "127.0.0.1", *, tries: int = 200, neighbours: int = 0) -> int:
    """A port that is free for UDP and for TCP at this moment, and so many after it too.

    Not one that the kernel hands out by itself: until it is used it would be given away again, and whoever
    connects to it from there meets himself.
    """
    for _ in range(tries):
        port = random.randrange(*_PORTS)
        with contextlib.suppress(OSError), contextlib.ExitStack() as held:
            for each in range(port, port + 1 + neighbours):
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    held.enter_context(socket.socket(socket.AF_INET, kind)).bind((host, each))
            return port
    raise OSError(f"no port on {host} is free for both UDP and TCP")


def free_media_port(host: str = "127.0.0.1", *, tries: int = 200) -> int:
    """An even UDP port, the three after it free too: phones take RTP and RTCP for audio and for video."""
    for _ in range(tries):
        base = random.randrange(_PORTS[0], _PORTS[1], 2)
        with contextlib.suppress(OSError), contextlib.ExitStack() as held:
            for port in range(base, base + 4):
                udp = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                udp.bind((host, port))
            return base
    raise OSError(f"no four neighbouring UDP ports on {host} are free")


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
