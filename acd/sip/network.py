"""Every socket of SIP: which one a message goes out on, and what our address is to the peer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable

import structlog

from acd.clock import Clock
from acd.config import ConnectionsSection, Listen, SipSection
from acd.sip.core.events import Flow, FlowKind
from acd.sip.core.uri import format_host
from acd.sip.stream import StreamLimits, StreamTransport
from acd.sip.tls import TlsContexts, why_failed
from acd.sip.udp import UdpTransport

_log = structlog.get_logger(__name__)

_WILDCARDS = frozenset(("0.0.0.0", "::"))
_SWEEP_SECONDS = 1.0
_STOP_SECONDS = 0.1
_MAX_ROUTES = 4096
_MAX_WAITING = 64
"""Messages that may wait for a connection to open."""
_IDLE_GRACE_SECONDS = 300.0


class Network:
    """Opens, keeps and finds transports. Nothing raised in here reaches the event loop."""

    def __init__(
        self,
        settings: SipSection,
        clock: Clock,
        *,
        on_message: Callable[[bytes, Flow], None],
        on_opened: Callable[[Flow, Flow], None],
        on_lost: Callable[[Flow], None],
    ) -> None:
        """Raises ConfigError where a file of `sip.tls` cannot be used."""
        self._settings = settings
        self._on_message = on_message
        self._on_opened = on_opened
        self._on_lost = on_lost
        self._tls = TlsContexts(settings.tls)
        self._udp: dict[tuple[str, int], UdpTransport] = {}
        self.streams = StreamTransport(
            stream_limits(settings.connections, settings.max_expires_seconds),
            clock,
            on_message=on_message,
            on_closed=self._closed,
            tls=self._tls,
            origins=settings.websocket.origins,
        )
        self._sweeper: asyncio.TimerHandle | None = None
        self._routes: dict[str, str] = {}
        self._opening: dict[Flow, deque[bytes]] = {}
        self._opened: dict[Flow, Flow] = {}
        """Connections that we have opened, by the flow that was asked for: the next message goes there."""
        self._asked: dict[Flow, Flow] = {}
        self._names: dict[tuple[str, int], str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.listening: tuple[Flow, ...] = ()
        """The addresses really bound, as flows without a peer."""

    async def start(self) -> None:
        """Bind every address of the settings. Raises OSError naming the address, or ConfigError."""
        bound: list[Flow] = []
        for listen in self._settings.listen:
            try:
                bound.append(await self._bind(listen))
            except OSError as error:
                where = f"{listen.transport}:{format_host(listen.host, listen.port)}"
                why = error.strerror or str(error)
                raise OSError(error.errno, f"sip.listen: cannot listen on {where}: {why}") from error
        self.listening = tuple(bound)
        self._sweep()

    async def _bind(self, listen: Listen) -> Flow:
        if listen.transport != "udp":
            address = await self.streams.listen(listen.host, listen.port, listen.transport)
            return Flow(listen.transport, address, ("", 0))
        udp = UdpTransport(self._on_message)
        await udp.open(listen.host, listen.port)
        self._udp[udp.address] = udp
        return Flow("udp", udp.address, ("", 0))

    async def stop(self) -> None:
        """Let go of every address and connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)
        await self.streams.close()
        for udp in self._udp.values():
            udp.close()
        self._udp.clear()
        await asyncio.sleep(0)  # the sockets close on the next turn of the loop

    def reload_certificate(self) -> bool:
        """Show a renewed certificate on new connections; False without one. Raises ConfigError."""
        return self._tls.reload()

    # Peers.

    def trust(self, flow: Flow) -> None:
        """The peer on this connection has proven who it is."""
        if flow.connection:
            self.streams.trust(flow)

    def give_up(self, remote: tuple[str, int]) -> None:
        """Nobody answers at this address any more: break off our connections to it, as their loss would."""
        for wanted, opened in list(self._opened.items()):
            if wanted.remote == remote:
                self.streams.give_up(opened)

    def is_open(self, flow: Flow) -> bool:
        """Whether the flow can still be used; a datagram flow always can."""
        return not flow.connection or self.streams.is_open(flow)

    def peer_names(self, flow: Flow) -> frozenset[str]:
        """The names that the peer's certificate proves; none without one."""
        return self.streams.peer_names(flow) if flow.connection else frozenset()

    def expect_name(self, remote: tuple[str, int], name: str) -> None:
        """Whom the certificate at this address must be for, when a TLS connection is opened to it."""
        if len(self._names) >= _MAX_ROUTES:
            self._names.clear()
        self._names[remote] = name

    def sent_by(self, flow: Flow) -> str:
        """`host:port` for Via and Contact: where this peer reaches us, whoever opened the connection."""
        ports = [
            listen.local[1]
            for listen in self.listening
            if listen.transport == flow.transport and _covers(listen.local[0], flow.local[0])
        ]
        port = flow.local[1] if not ports or flow.local[1] in ports else ports[0]
        return format_host(self.host_for(flow), port)

    def host_for(self, flow: Flow) -> str:
        """Our host as this peer can reach it: for Via and Contact."""
        host = self._settings.advertise or flow.local[0]
        if host not in _WILDCARDS:
            return host
        remote = flow.remote[0]
        if remote not in self._routes:
            if len(self._routes) >= _MAX_ROUTES:
                self._routes.clear()
            self._routes[remote] = _source_address(remote) or host
        return self._routes[remote]

    def way_to(self, transport: FlowKind, remote: tuple[str, int]) -> Flow:
        """The flow to an address; a connection is opened when something is sent."""
        is_v6 = ":" in remote[0]
        ours = (
            listen.local
            for listen in self.listening
            if listen.transport == transport and (":" in listen.local[0]) == is_v6
        )
        return Flow(transport, next(ours, ("::" if is_v6 else "0.0.0.0", 0)), remote)

    def own_host(self, host: str) -> str:
        """An address of ours that others can use; for a wildcard, the one of our way out."""
        if host not in _WILDCARDS:
            return host
        return _source_address("2001:db8::1" if ":" in host else "192.0.2.1") or host

    # What goes out.

    def send(self, flow: Flow, data: bytes) -> bool:
        """Send a message; False where that cannot be. A flow that is not open yet is opened."""
        if flow.transport == "udp":
            udp = self._udp.get(flow.local) or self._any_udp(flow)
            return udp is not None and udp.send(data, flow.remote)
        if flow.connection:
            return self.streams.send(flow, data)
        if (opened := self._opened.get(flow)) is not None:
            self._on_opened(flow, opened)
            return self.streams.send(opened, data)
        waiting = self._opening.get(flow)
        if waiting is None:
            waiting = self._opening[flow] = deque()
            task = asyncio.get_running_loop().create_task(self._open(flow))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        waiting.append(data)
        return len(waiting) <= _MAX_WAITING

    def _any_udp(self, flow: Flow) -> UdpTransport | None:
        """A socket of the same family: that of a binding made before a restart may be another one."""
        is_v6 = ":" in flow.remote[0]
        for address, udp in self._udp.items():
            if (":" in address[0]) == is_v6:
                return udp
        return None

    async def _open(self, wanted: Flow) -> None:
        name = self._names.get(wanted.remote, "")
        try:
            opened = await self.streams.connect(wanted.remote, wanted.transport, name)
        except (OSError, TimeoutError) as error:
            self._opening.pop(wanted, None)
            if isinstance(error, ssl.SSLError):
                _log.warning("sip.tls.failed", remote=wanted.remote[0], name=name, why=why_failed(error))
            else:
                _log.info("sip.connection.failed", remote=wanted.remote[0], why=why_failed(error))
            self._on_lost(wanted)
            return
        self._opened[wanted] = opened
        self._asked[opened] = wanted
        waiting = self._opening.pop(wanted)
        self._on_opened(wanted, opened)
        for data in waiting:
            self.streams.send(opened, data)

    def _closed(self, flow: Flow) -> None:
        wanted = self._asked.pop(flow, None)
        if wanted is not None:
            self._opened.pop(wanted, None)
        self._on_lost(flow)

    def _sweep(self) -> None:
        self.streams.sweep()
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)


def stream_limits(settings: ConnectionsSection, longest_registration: float) -> StreamLimits:
    """The bounds of connections, as configured."""
    return StreamLimits(
        connections=settings.total,
        per_source=settings.per_source,
        message_seconds=settings.message_seconds,
        stranger_seconds=settings.stranger_seconds,
        idle_seconds=settings.idle_seconds or longest_registration + _IDLE_GRACE_SECONDS,
        message_bytes=settings.message_bytes,
        stranger_bytes=settings.stranger_bytes,
    )


def _covers(listening: str, local: str) -> bool:
    """Whether a listening host is the one that a flow uses, or the wildcard of its family."""
    return listening == local or (listening in _WILDCARDS and (":" in listening) == (":" in local))


def _source_address(remote: str) -> str | None:
    """The local address that packets to this peer leave from (nothing is sent)."""
    family = socket.AF_INET6 if ":" in remote else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((remote, 9))
        host: str = probe.getsockname()[0]
        return host
    return None
