"""Free ports on the loopback, and waiting for something to become true."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def free_port(host: str = "127.0.0.1", *, tries: int = 50) -> int:
    """A port that is free for UDP and for TCP at this moment."""
    for _ in range(tries):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
        ):
            udp.bind((host, 0))
            port: int = udp.getsockname()[1]
            with contextlib.suppress(OSError):
                tcp.bind((host, port))
                return port
    raise OSError(f"no port on {host} is free for both UDP and TCP")


async def eventually(
    check: Callable[[], Awaitable[T | None]], *, within: float, every: float = 0.05, what: str = ""
) -> T:
    """Ask again until `check` gives something true; its last answer is part of the failure."""
    deadline = time.monotonic() + within
    while True:
        answer = await check()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {within} s: {what or check} (last answer: {answer!r})")
        await asyncio.sleep(every)
