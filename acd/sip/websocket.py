"""SIP over WebSocket, the server's side, without I/O (RFC 7118, RFC 6455)."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import CONNECTING, OPEN
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

from acd.sip.core.framing import PING, PONG

_SILENT = logging.Logger("websocket", logging.CRITICAL + 1)
"""For the library: what is worth a line is logged by the connection."""
_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


class WebSocketFraming:
    """One message of SIP in one message of WebSocket; the handshake asks for the subprotocol `sip`."""

    def __init__(self, max_message_bytes: int, origins: Sequence[str] = ()) -> None:
        self._protocol = ServerProtocol(
            origins=[Origin(origin) for origin in origins] or None,
            subprotocols=[Subprotocol("sip")],
            max_size=max_message_bytes,
            logger=_SILENT,
        )
        self._parts: list[bytes] = []
        self._pings = 0
        self._half_frame = 0
        self.closed = False

    @property
    def pending(self) -> bool:
        return self.held > 0 or self._protocol.state is CONNECTING

    @property
    def held(self) -> int:
        return self._half_frame + sum(map(len, self._parts))

    def feed(self, data: bytes) -> list[bytes]:
        protocol, messages = self._protocol, []
        protocol.receive_data(data)
        events = protocol.events_received()
        # Frames that have come whole are told, the beginning of one is not.
        self._half_frame = 0 if events else self._half_frame + len(data)
        for event in events:
            if isinstance(event, Request):
                protocol.send_response(protocol.accept(event))
            elif isinstance(event, Frame) and (message := self._whole(event)) is not None:
                messages.append(message)
        return messages

    def _whole(self, frame: Frame) -> bytes | None:
        """The message that ends with this frame; keep-alives are noted (RFC 7118 section 6)."""
        if frame.opcode not in _DATA:
            return None
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return None
        message = b"".join(self._parts)
        self._parts.clear()
        if message == PING:
            self._pings += 1
        return message if message.strip() else None

    def encode(self, message: bytes) -> bytes:
        """As text, which scripts like better, where it is text at all. Empty where nothing can be sent."""
        if self._protocol.state is not OPEN:
            return b""
        try:
            message.decode()
        except UnicodeDecodeError:
            self._protocol.send_binary(message)
        else:
            self._protocol.send_text(message)
        return self._take()

    def take_replies(self) -> bytes:
        pings, self._pings = self._pings, 0
        try:
            for _ in range(pings):
                self._protocol.send_text(PONG)
        except InvalidState:  # the peer has said good-bye in the same breath
            pass
        return self._take()

    def _take(self) -> bytes:
        pieces = self._protocol.data_to_send()
        if b"" in pieces:  # the end of what we have to say
            self.closed = True
        return b"".join(pieces)
