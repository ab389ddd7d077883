"""SIP over UDP: one socket for every listening address."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, cast

import structlog

from acd.sip.core.events import Flow

_log = structlog.get_logger(__name__)

_RECEIVE_BUFFER = 4 * 1024 * 1024
"""Bytes the kernel may hold for us while one event loop turn lasts; a burst of INVITEs is not loss."""


class UdpTransport(asyncio.DatagramProtocol):
    """Receives datagrams with their flow, and sends on a flow. Nothing raised here reaches the loop."""

    def __init__(self, on_datagram: Callable[[bytes, Flow], None]) -> None:
        self._on_datagram = on_datagram
        self._transport: asyncio.DatagramTransport | None = None
        self.address: tuple[str, int] = ("", 0)
        """The address really bound; set by `open`."""
        self.errors = 0
        """Send and receive errors that the kernel reported."""

    async def open(self, host: str, port: int) -> None:
        """Bind. Raises OSError where the address is taken or not ours."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            if family == socket.AF_INET6:  # as asyncio does for TCP: 0.0.0.0 and :: are two addresses
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)
            await loop.create_datagram_endpoint(lambda: self, sock=sock)
        except BaseException:
            sock.close()
            raise

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.address = transport.get_extra_info("sockname")[:2]
        sock = transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):  # the kernel's own limit then stands
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._on_datagram(data, Flow("udp", self.address, (addr[0], addr[1])))

    def error_received(self, exc: Exception) -> None:
        # An ICMP error does not say which request it belongs to; the transaction timers find out.
        self.errors += 1

    def send(self, data: bytes, remote: tuple[str, int]) -> bool:
        """Send one datagram; False where the address cannot be sent to at all."""
        if self._transport is None or self._transport.is_closing():
            return False
        try:
            self._transport.sendto(data, remote)
        except (OSError, ValueError, TypeError, OverflowError) as error:
            self.errors += 1
            _log.warning("sip.udp.send_failed", error=type(error).__name__)
            return False
        return True

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None
