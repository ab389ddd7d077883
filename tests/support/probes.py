"""More SIP than a service can answer in time: OPTIONS over many connections, hundreds under way on each."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable
from types import TracebackType

from tests.support.net import eventually

_AT_ONCE = 300
"""Of one connection: their answers fit into what a service keeps for a peer that does not read."""
_MOST_CONNECTIONS = 128
_CHUNK = 1 << 16


class Probes:
    """A peer gone mad: it asks again as soon as it is answered, over more and more connections.

    What is under way is bounded, so it is over a moment after `stop`.
    """

    def __init__(self, server: tuple[str, int], host: str) -> None:
        self._server = server
        self._host = host
        self._asking: list[asyncio.Task[None]] = []
        self.answered = 0

    async def __aenter__(self) -> Probes:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def connections(self) -> int:
        return len(self._asking)

    def add(self, connections: int) -> None:
        """Ask over so many more."""
        self._asking += [asyncio.create_task(self._ask_on()) for _ in range(connections)]

    async def until(self, check: Callable[[], Awaitable[bool]]) -> None:
        """Ask over more and more connections until it is so, and over half as many again beyond that."""
        while not await check():
            assert self.connections < _MOST_CONNECTIONS, f"not so: {check}"
            self.add(8)
            with contextlib.suppress(AssertionError):
                await eventually(check, within=2, every=0.1)
        self.add(self.connections // 2)

    async def stop(self) -> None:
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        self._asking.clear()

    async def _ask_on(self) -> None:
        reader, writer = await asyncio.open_connection(*self._server, local_addr=(self._host, 0))
        try:
            while True:
                writer.write(b"".join(self._options() for _ in range(_AT_ONCE)))
                left, tail = _AT_ONCE, b""
                while left:
                    data = await reader.read(_CHUNK)
                    assert data, "the service closed the connection"
                    whole, _, tail = (tail + data).rpartition(b"\n")
                    found = whole.count(b"SIP/2.0 200")
                    left -= found
                    self.answered += found
        finally:
            writer.transport.abort()

    def _options(self) -> bytes:
        host, port = self._server
        name = uuid.uuid4().hex
        return (
            f"OPTIONS sip:{host}:{port} SIP/2.0\r\n"
            f"Via: SIP/2.0/TCP {self._host}:5060;branch=z9hG4bK{name[:16]}\r\n"
            "Max-Forwards: 70\r\n"
            f"From: <sip:probe@{self._host}>;tag={name[:8]}\r\n"
            f"To: <sip:{host}:{port}>\r\n"
            f"Call-ID: {name}\r\n"
            "CSeq: 1 OPTIONS\r\n"
            "Content-Length: 0\r\n\r\n"
        ).encode()
