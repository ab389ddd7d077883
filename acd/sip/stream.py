"""Connections of SIP: TCP, TLS and WebSocket, in and out, each one a flow of its own (RFC 3261 section 18).

Their number is bounded in all and for each source, and so is the time that they may take to say anything.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from acd.clock import Clock
from acd.config import TlsSection
from acd.sip.connection import Address, Connection, StreamKind
from acd.sip.core.events import Flow, FlowKind
from acd.sip.framing import Framing, StreamFraming
from acd.sip.tls import TlsContexts, TlsLayer
from acd.sip.websocket import WebSocketFraming

_ENCRYPTED = ("tls", "wss")


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What connections may cost us. Seconds and bytes."""

    connections: int = 4096
    per_source: int = 1024
    """A whole call centre may sit behind one NAT."""
    message_seconds: float = 10.0
    """From the first byte of a message, or of a handshake, to its last (slow connections)."""
    stranger_seconds: float = 30.0
    """How long a connection may stay on which nobody has proven who they are."""
    idle_seconds: float = 3900.0
    """Without any byte from the peer; a little more than the longest registration."""
    message_bytes: int = 65536
    stranger_bytes: int = 16384
    """Of an unfinished message of somebody who has proven nothing."""
    write_buffer: int = 256 * 1024
    """A peer that does not read what we send is dropped."""
    connect_seconds: float = 5.0


class StreamTransport:
    """All connections of this process. Nothing raised here reaches the loop."""

    def __init__(
        self,
        limits: StreamLimits,
        clock: Clock,
        *,
        on_message: Callable[[bytes, Flow], None],
        on_closed: Callable[[Flow], None],
        tls: TlsContexts | None = None,
        origins: Sequence[str] = (),
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._on_message = on_message
        self._on_closed = on_closed
        self._tls = tls or TlsContexts(TlsSection())
        self._origins = origins
        self._servers: list[asyncio.Server] = []
        self._connections: dict[int, Connection] = {}
        self._strangers: dict[int, Connection] = {}
        """Connections on which nobody has proven who they are, the oldest first."""
        self._by_host: dict[str, int] = {}
        self._numbers = count(1)
        self.refused = 0
        """Connections turned away because of a cap."""
        self.broken_off: Counter[str] = Counter()
        """Connections that we have ended or refused, by a fixed word why."""

    def __len__(self) -> int:
        return len(self._connections)

    def by_transport(self) -> Mapping[str, int]:
        """Open connections by transport."""
        return Counter(connection.transport for connection in self._connections.values())

    async def listen(self, host: str, port: int, transport: StreamKind = "tcp") -> Address:
        """Accept connections; returns the address really bound. Raises OSError, ConfigError."""
        if transport in _ENCRYPTED:
            self._tls.accept(transport)  # without a certificate this is the moment to say so
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: self._accepted(transport), host, port, backlog=512)
        self._servers.append(server)
        bound: Address = server.sockets[0].getsockname()[:2]
        return bound

    async def connect(self, remote: Address, transport: FlowKind = "tcp", name: str = "") -> Flow:
        """Open a connection by TCP or TLS and return its flow, ready to be used.

        `name` is whom the certificate must be for; empty: the address. Raises OSError or TimeoutError.
        """
        if transport != "tcp" and transport != "tls":
            raise ConnectionRefusedError(f"a {transport} peer has to come to us")
        if len(self._connections) >= self._limits.connections:
            self._refuse("too-many")
            raise ConnectionRefusedError("too many connections")
        loop = asyncio.get_running_loop()
        tls = self._tls.connect(name or remote[0]) if transport == "tls" else None
        connection = Connection(self, transport, self._framing(transport), tls, is_ours=True)
        connection.ready = loop.create_future()
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                await loop.create_connection(lambda: connection, *remote)
                return await connection.ready
        except BaseException:
            if connection.ready.done() and not connection.ready.cancelled():
                connection.ready.exception()  # it is told here, and nowhere else
            connection.close()
            raise

    def send(self, flow: Flow, data: bytes) -> bool:
        """Send on a connection; False where it is gone or its peer does not read."""
        connection = self._connections.get(flow.connection)
        return connection is not None and connection.send(data)

    def trust(self, flow: Flow) -> None:
        """The peer has proven who it is: its connection may be idle."""
        connection = self._connections.get(flow.connection)
        if connection is not None:
            connection.trusted = True
            self._strangers.pop(flow.connection, None)

    def give_up(self, flow: Flow) -> None:
        """Break off a connection whose peer is gone."""
        if (connection := self._connections.get(flow.connection)) is not None:
            connection.abort("peer-gone")

    def is_open(self, flow: Flow) -> bool:
        """Whether the connection of this flow still stands."""
        return flow.connection in self._connections

    def peer_names(self, flow: Flow) -> frozenset[str]:
        """The names that the peer's certificate proves; none without one."""
        connection = self._connections.get(flow.connection)
        return connection.peer_names if connection is not None else frozenset()

    def sweep(self) -> None:
        """Drop connections that are slow, idle or silent for too long; to be called every second or so."""
        now = self._clock.monotonic()
        limits = self._limits
        for connection in list(self._connections.values()):
            since = connection.partial_since
            if since is not None and now - since > limits.message_seconds:
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

    def _accepted(self, transport: StreamKind) -> Connection:
        tls: TlsLayer | None = self._tls.accept(transport) if transport in _ENCRYPTED else None
        return Connection(self, transport, self._framing(transport), tls)

    def _framing(self, transport: str) -> Framing:
        if transport in ("ws", "wss"):
            return WebSocketFraming(self._limits.message_bytes, self._origins)
        return StreamFraming(self._limits.message_bytes)

    def _refuse(self, why: str) -> None:
        self.refused += 1
        self.dropped(why)

    # What connections tell us.

    def admit(self, host: str) -> bool:
        """Whether one more connection from this host is within the caps.

        Where all places are taken the oldest stranger makes room: a flood of silent connections keeps no
        phone out that says at once who it is.
        """
        if self._by_host.get(host, 0) >= self._limits.per_source:
            self._refuse("too-many-of-source")
            return False
        if len(self._connections) >= self._limits.connections and not self._make_room():
            self._refuse("too-many")
            return False
        return True

    def _make_room(self) -> bool:
        number = next(iter(self._strangers), None)
        if number is None:
            return False
        self._strangers.pop(number).abort("crowded-out")
        return True

    def opened(self, connection: Connection, local: Address, remote: Address) -> Flow:
        """Number a connection and take it in."""
        flow = Flow(connection.transport, local, remote, next(self._numbers))
        self._connections[flow.connection] = connection
        if not connection.trusted:
            self._strangers[flow.connection] = connection
        self._by_host[remote[0]] = self._by_host.get(remote[0], 0) + 1
        return flow

    def received(self, data: bytes, flow: Flow) -> None:
        """One whole message."""
        self._on_message(data, flow)

    def dropped(self, why: str) -> None:
        """Count a connection that is broken off."""
        self.broken_off[why] += 1

    def lost(self, flow: Flow) -> None:
        """Forget a connection and tell the owner."""
        if self._connections.pop(flow.connection, None) is None:
            return
        self._strangers.pop(flow.connection, None)
        host = flow.remote[0]
        self._by_host[host] -= 1
        if not self._by_host[host]:
            del self._by_host[host]
        self._on_closed(flow)

    @property
    def write_buffer(self) -> int:
        """Bytes that may wait for a slow peer."""
        return self._limits.write_buffer

    @property
    def stranger_bytes(self) -> int:
        """Bytes of an unfinished message that are kept for a peer who has proven nothing."""
        return self._limits.stranger_bytes

    def now(self) -> float:
        """Monotonic seconds."""
        return self._clock.monotonic()
