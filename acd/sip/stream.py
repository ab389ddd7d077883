"""SIP over TCP: connections in and out, each one a flow of its own (RFC 3261 section 18, RFC 5626)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import cast

import structlog

from acd.clock import Clock
from acd.sip.core.events import Flow
from acd.sip.core.framing import PING, PONG, StreamFramer
from acd.sip.core.grammar import SipSyntaxError

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What connections may cost us. Seconds and bytes."""

    connections: int = 4096
    per_source: int = 1024
    """A whole call centre may sit behind one NAT."""
    message_seconds: float = 10.0
    """From the first byte of a message to its last (slow connections)."""
    stranger_seconds: float = 30.0
    """How long a connection may stay on which nobody has proven who they are."""
    idle_seconds: float = 3900.0
    """Without any byte from the peer; a little more than the longest registration."""
    write_buffer: int = 256 * 1024
    """A peer that does not read what we send is dropped."""
    connect_seconds: float = 5.0


class StreamTransport:
    """All TCP connections of this process. Nothing raised here reaches the loop."""

    def __init__(
        self,
        limits: StreamLimits,
        clock: Clock,
        *,
        on_message: Callable[[bytes, Flow], None],
        on_closed: Callable[[Flow], None],
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._on_message = on_message
        self._on_closed = on_closed
        self._servers: list[asyncio.Server] = []
        self._connections: dict[int, _Connection] = {}
        self._by_host: dict[str, int] = {}
        self._numbers = count(1)
        self.refused = 0
        """Connections turned away because of a cap."""

    def __len__(self) -> int:
        return len(self._connections)

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Accept connections; returns the address really bound. Raises OSError."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._accepted, host, port, backlog=512)
        self._servers.append(server)
        bound: tuple[str, int] = server.sockets[0].getsockname()[:2]
        return bound

    async def connect(self, remote: tuple[str, int], transport: str = "tcp") -> Flow:
        """Open a connection and return its flow. Raises OSError or TimeoutError."""
        if len(self._connections) >= self._limits.connections:
            self.refused += 1
            raise ConnectionRefusedError("too many connections")
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._limits.connect_seconds):
            _, connection = await loop.create_connection(lambda: _Connection(self, trusted=True), *remote)
        if connection.flow is None:
            raise ConnectionResetError(f"the {transport} connection broke at once")
        return connection.flow

    def send(self, flow: Flow, data: bytes) -> bool:
        """Send on a connection; False where it is gone or its peer does not read."""
        connection = self._connections.get(flow.connection)
        return connection is not None and connection.send(data, self._limits.write_buffer)

    def trust(self, flow: Flow) -> None:
        """The peer has proven who it is: its connection may be idle."""
        connection = self._connections.get(flow.connection)
        if connection is not None:
            connection.trusted = True

    def is_open(self, flow: Flow) -> bool:
        """Whether the connection of this flow still stands."""
        return flow.connection in self._connections

    def sweep(self) -> None:
        """Drop connections that are slow, idle or silent for too long; to be called every second or so."""
        now = self._clock.monotonic()
        limits = self._limits
        for connection in list(self._connections.values()):
            if (
                connection.partial_since is not None
                and now - connection.partial_since > limits.message_seconds
            ):
                connection.abort("slow-message")
            elif not connection.trusted and now - connection.opened_at > limits.stranger_seconds:
                connection.abort("stranger")
            elif now - connection.heard_at > limits.idle_seconds:
                connection.abort("idle")

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        for server in self._servers:
            server.close()
        for connection in list(self._connections.values()):
            connection.close()
        self._servers.clear()
        await asyncio.sleep(0)  # connection_lost runs on the next turn of the loop

    def _accepted(self) -> _Connection:
        return _Connection(self, trusted=False)

    # What connections tell us.

    def admit(self, host: str) -> bool:
        """Whether one more connection from this host is within the caps."""
        held = self._by_host.get(host, 0)
        if len(self._connections) < self._limits.connections and held < self._limits.per_source:
            return True
        self.refused += 1
        return False

    def opened(self, connection: _Connection, local: tuple[str, int], remote: tuple[str, int]) -> Flow:
        """Number a connection and take it in."""
        flow = Flow("tcp", local, remote, next(self._numbers))
        self._connections[flow.connection] = connection
        self._by_host[remote[0]] = self._by_host.get(remote[0], 0) + 1
        return flow

    def received(self, data: bytes, flow: Flow) -> None:
        """One whole message."""
        self._on_message(data, flow)

    def lost(self, flow: Flow) -> None:
        """Forget a connection and tell the owner."""
        if self._connections.pop(flow.connection, None) is None:
            return
        host = flow.remote[0]
        self._by_host[host] -= 1
        if not self._by_host[host]:
            del self._by_host[host]
        self._on_closed(flow)

    @property
    def write_buffer(self) -> int:
        """Bytes that may wait for a slow peer."""
        return self._limits.write_buffer

    def now(self) -> float:
        """Monotonic seconds."""
        return self._clock.monotonic()


class _Connection(asyncio.Protocol):
    """One connection: frames what comes in, bounds what goes out."""

    def __init__(self, owner: StreamTransport, *, trusted: bool) -> None:
        self._owner = owner
        self._framer = StreamFramer()
        self._transport: asyncio.Transport | None = None
        self.trusted = trusted
        self.flow: Flow | None = None
        self.opened_at = self.heard_at = owner.now()
        self.partial_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        remote = transport.get_extra_info("peername")
        local = transport.get_extra_info("sockname")
        if not remote or not local or not (self.trusted or self._owner.admit(remote[0])):
            self._transport.abort()
            return
        sock = transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):  # the peer may be gone already
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.flow = self._owner.opened(self, local[:2], remote[:2])

    def data_received(self, data: bytes) -> None:
        if self.flow is None:
            return
        self.heard_at = self._owner.now()
        try:
            frames = self._framer.feed(data)
        except SipSyntaxError as error:
            # After a message whose length is unknown nothing on this connection can be trusted.
            self.abort(error.part)
            return
        for frame in frames:
            if frame == PING:
                self.send(PONG, self._owner.write_buffer)
            elif frame != PONG and self.flow is not None:
                self._owner.received(frame, self.flow)
        if not self._framer.pending:
            self.partial_since = None
        elif frames or self.partial_since is None:
            self.partial_since = self.heard_at

    def connection_lost(self, exc: Exception | None) -> None:
        flow, self.flow, self._transport = self.flow, None, None
        if flow is not None:
            self._owner.lost(flow)

    def send(self, data: bytes, limit: int) -> bool:
        """Queue bytes; False where the connection is closing or its peer does not read."""
        if self._transport is None or self._transport.is_closing():
            return False
        if self._transport.get_write_buffer_size() + len(data) > limit:
            self.abort("not-reading")
            return False
        self._transport.write(data)
        return True

    def abort(self, why: str) -> None:
        """Drop the connection at once."""
        if self._transport is not None and self.flow is not None:
            _log.info("sip.connection.dropped", reason=why, source=self.flow.remote[0])
            self._transport.abort()

    def close(self) -> None:
        """Send what is queued and close."""
        if self._transport is not None:
            self._transport.close()
