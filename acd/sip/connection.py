"""One SIP connection: what comes in is decrypted and cut into messages, what goes out is bounded."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from typing import Literal, Protocol, cast

import structlog

from acd.sip.core.events import Flow
from acd.sip.core.grammar import SipSyntaxError
from acd.sip.framing import Framing
from acd.sip.tls import TlsLayer, why_failed

_log = structlog.get_logger(__name__)

Address = tuple[str, int]
StreamKind = Literal["tcp", "tls", "ws", "wss"]

_MESSAGES_A_TURN = 16
"""What one connection may have handled before the loop turns to everything else."""


class ConnectionOwner(Protocol):
    """Who counts connections and takes their messages."""

    @property
    def write_buffer(self) -> int:
        """Bytes that may wait for a slow peer."""
        ...

    @property
    def stranger_bytes(self) -> int:
        """Bytes of an unfinished message that are kept for a peer who has proven nothing."""
        ...

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def admit(self, host: str) -> bool:
        """Whether one more connection from this host is within the caps."""
        ...

    def opened(self, connection: Connection, local: Address, remote: Address) -> Flow:
        """Number a connection and take it in."""
        ...

    def received(self, data: bytes, flow: Flow) -> None:
        """One whole message."""

    def dropped(self, why: str) -> None:
        """Count a connection that is broken off."""

    def lost(self, flow: Flow) -> None:
        """Forget a connection."""


class Connection(asyncio.Protocol):
    """Bytes to messages and back. Nothing raised in here reaches the loop."""

    def __init__(
        self,
        owner: ConnectionOwner,
        transport: StreamKind,
        framing: Framing,
        tls: TlsLayer | None = None,
        *,
        is_ours: bool = False,
    ) -> None:
        self.transport = transport
        self.trusted = self._is_ours = is_ours
        self.flow: Flow | None = None
        self.opened_at = self.heard_at = owner.now()
        self.partial_since: float | None = None
        self.ready: asyncio.Future[Flow] | None = None
        """Of a connection that we open: its flow, once something can be sent."""
        self._owner = owner
        self._framing = framing
        self._tls = tls
        self._socket: asyncio.Transport | None = None
        self._has_heard = self._ended_here = False
        self._unhandled: deque[bytes] = deque()
        """Messages that wait for the next turn; meanwhile nothing more is read."""

    @property
    def peer_names(self) -> frozenset[str]:
        """What the peer has proven by its certificate to be called."""
        return self._tls.peer_names if self._tls is not None else frozenset()

    # What the loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.Transport, transport)
        remote = transport.get_extra_info("peername")
        local = transport.get_extra_info("sockname")
        if not remote or not local or not (self._is_ours or self._owner.admit(remote[0])):
            self._socket.abort()
            return
        sock = transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):  # the peer may be gone already
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.flow = self._owner.opened(self, local[:2], remote[:2])
        if self._tls is not None and self._is_ours:
            self._tls.start()
            self._socket.write(self._tls.take_outgoing())
        self._note_progress(had_message=False)
        self._tell_ready()

    def data_received(self, data: bytes) -> None:
        if self.flow is None:
            return
        self.heard_at = self._owner.now()
        try:
            text = self._tls.feed(data) if self._tls is not None else data
            messages = self._framing.feed(text) if text else []
        except SipSyntaxError as error:
            # After a message whose length is unknown nothing on this connection can be trusted.
            self.abort(error.part)
            return
        except ssl.SSLError as error:
            self._say_good_bye(error)
            return
        self._answer()
        self._has_heard = self._has_heard or bool(text)
        self._unhandled += messages
        self._handle_some()
        self._note_progress(had_message=bool(messages))

    def connection_lost(self, exc: Exception | None) -> None:
        flow, self.flow, self._socket = self.flow, None, None
        if flow is not None and self._is_refusal:
            _log.warning("sip.tls.failed", remote=flow.remote[0], why="closed before a word was said")
        if self.ready is not None and not self.ready.done():
            self.ready.set_exception(ConnectionResetError("the connection broke before it could be used"))
        if flow is not None:
            self._owner.lost(flow)

    @property
    def _is_refusal(self) -> bool:
        """The peer hung up before a word: so do some that do not take our certificate, without an alert."""
        is_ready = self._is_ours and self._tls is not None and self._tls.ready
        return is_ready and not self._has_heard and not self._ended_here

    def _handle_some(self) -> None:
        for _ in range(min(_MESSAGES_A_TURN, len(self._unhandled))):
            if self.flow is not None:
                self._owner.received(self._unhandled.popleft(), self.flow)
        if self._socket is None or self._socket.is_closing():
            self._unhandled.clear()
        elif self._unhandled:
            self._socket.pause_reading()
            asyncio.get_running_loop().call_soon(self._handle_rest)

    def _handle_rest(self) -> None:
        self._handle_some()
        if self._socket is not None and not self._unhandled and not self._socket.is_closing():
            self._socket.resume_reading()

    # What the owner wants.

    def send(self, message: bytes) -> bool:
        """Queue a message; False where the connection is closing or its peer does not read."""
        if self._socket is None or self._socket.is_closing():
            return False
        try:
            data = self._framing.encode(message)
            if self._tls is not None:
                data = self._tls.encrypt(data)
        except ssl.SSLError:
            return False
        return bool(data) and self._write(data)

    def abort(self, why: str) -> None:
        """Drop the connection at once."""
        if self._socket is not None and self.flow is not None:
            _log.info("sip.connection.dropped", reason=why, source=self.flow.remote[0])
            self._ended_here = True
            self._owner.dropped(why)
            self._socket.abort()

    def close(self) -> None:
        """Send what is queued and close."""
        self._ended_here = True
        if self._socket is not None:
            self._socket.close()

    # Within.

    def _write(self, data: bytes) -> bool:
        assert self._socket is not None
        if self._socket.get_write_buffer_size() + len(data) > self._owner.write_buffer:
            self.abort("not-reading")
            return False
        self._socket.write(data)
        return True

    def _answer(self) -> None:
        """Say what keep-alives and handshakes ask for, and close where they end."""
        data, tls = self._framing.take_replies(), self._tls
        if tls is not None:
            data = tls.encrypt(data) if tls.ready else tls.take_outgoing()
        if data and self._socket is not None and not self._socket.is_closing():
            self._write(data)
        self._tell_ready()
        if (self._framing.closed or (tls is not None and tls.ended)) and self._socket is not None:
            self._socket.close()

    def _say_good_bye(self, error: ssl.SSLError) -> None:
        """TLS has failed; its alert tells the peer why."""
        self._ended_here = True
        self._owner.dropped("tls")
        if self.ready is not None and not self.ready.done():
            self.ready.set_exception(error)
        elif self.flow is not None and self._is_ours:
            # With TLS 1.3 the peer looks at our certificate when the connection is ready for us.
            _log.warning("sip.tls.failed", remote=self.flow.remote[0], why=why_failed(error))
        elif self.flow is not None:
            _log.info(
                "sip.connection.dropped", reason="tls", source=self.flow.remote[0], why=why_failed(error)
            )
        if self._socket is not None and self._tls is not None:
            self._socket.write(self._tls.take_outgoing())
            self._socket.close()

    def _tell_ready(self) -> None:
        is_ready = self._tls is None or self._tls.ready
        if is_ready and self.flow is not None and self.ready is not None and not self.ready.done():
            self.ready.set_result(self.flow)

    def _note_progress(self, *, had_message: bool) -> None:
        """Keep since when something is unfinished: a handshake, or a message."""
        is_unfinished = self._framing.pending or (self._tls is not None and not self._tls.ready)
        if not is_unfinished:
            self.partial_since = None
        elif had_message or self.partial_since is None:
            self.partial_since = self.heard_at
        if not self.trusted and self._framing.held > self._owner.stranger_bytes:
            self.abort("too-large")
