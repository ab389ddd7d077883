"""How SIP messages lie in the bytes of a connection."""

from __future__ import annotations

from typing import Protocol

from acd.sip.core.framing import PING, PONG, StreamFramer


class Framing(Protocol):
    """One connection's way between bytes and messages. Holds at most one unfinished message."""

    @property
    def pending(self) -> bool:
        """Whether a handshake or a message has begun and not ended."""
        ...

    @property
    def held(self) -> int:
        """Bytes kept of what is unfinished."""
        ...

    @property
    def closed(self) -> bool:
        """Whether the connection is to be closed once everything is sent."""
        ...

    def feed(self, data: bytes) -> list[bytes]:
        """Take received bytes; return whole messages. Raises SipSyntaxError where nothing can follow."""
        ...

    def encode(self, message: bytes) -> bytes:
        """A message as it is sent."""
        ...

    def take_replies(self) -> bytes:
        """What is to be sent without a message: answers to keep-alives and handshakes."""
        ...


class StreamFraming:
    """TCP and TLS: messages by Content-Length, CRLF keep-alives (RFC 5626 section 3.5.1)."""

    closed = False

    def __init__(self, max_message_bytes: int) -> None:
        self._framer = StreamFramer(max_message_bytes=max_message_bytes)
        self._pings = 0

    @property
    def pending(self) -> bool:
        return self._framer.pending > 0

    @property
    def held(self) -> int:
        return self._framer.pending

    def feed(self, data: bytes) -> list[bytes]:
        messages = []
        for item in self._framer.feed(data):
            if item == PING:
                self._pings += 1
            elif item != PONG:
                messages.append(item)
        return messages

    def encode(self, message: bytes) -> bytes:
        return message

    def take_replies(self) -> bytes:
        pings, self._pings = self._pings, 0
        return PONG * pings
