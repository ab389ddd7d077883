"""Cut a byte stream into SIP messages (RFC 3261 section 18.3) and keep-alives (RFC 5626 section 3.5.1)."""

from __future__ import annotations

import re

from acd.sip.core.message import ParseError

PING = b"\r\n\r\n"
PONG = b"\r\n"

_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*+:[ \t]*+([0-9]{1,10}+)[ \t]*+(?=\r\n)", re.IGNORECASE)


class StreamFramer:
    """One connection's receive side. Holds at most one unfinished message."""

    def __init__(self, *, max_message_bytes: int = 65536) -> None:
        self._buffer = bytearray()
        self._max = max_message_bytes
        self._searched = 0
        self._needed = 0

    @property
    def pending(self) -> int:
        """Bytes of an unfinished message: not zero for long means a slow or stuck peer."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Take received bytes; return whole messages, and PING or PONG for keep-alives.

        Raises ParseError where the stream cannot be cut any more: close the connection.
        """
        self._buffer += data
        found: list[bytes] = []
        while (item := self._next()) is not None:
            found.append(item)
        return found

    def _next(self) -> bytes | None:
        buffer = self._buffer
        if not self._needed:
            if buffer[:2] == b"\r\n":
                return self._keep_alive()
            self._find_end()
        if not self._needed or len(buffer) < self._needed:
            return None
        message = bytes(buffer[: self._needed])
        self._take(self._needed)
        return message

    def _keep_alive(self) -> bytes | None:
        if self._buffer[:4] == PING:
            self._take(4)
            return PING
        if bytes(self._buffer[2:4]) in (b"", b"\r"):
            return self._lone_line_end()
        self._take(2)
        return PONG

    def _lone_line_end(self) -> bytes | None:
        """CRLF at the end of what came so far is a pong; with a CR after it the rest is on its way."""
        if len(self._buffer) == 2:
            self._take(2)
            return PONG
        return None

    def _find_end(self) -> None:
        end = self._buffer.find(b"\r\n\r\n", max(0, self._searched - 3))
        self._searched = len(self._buffer)
        if end < 0:
            if len(self._buffer) > self._max:
                raise ParseError("too-large", "header of a stream")
            return
        lengths = _LENGTH.findall(self._buffer, 0, end + 2)
        if len(lengths) != 1:
            raise ParseError("framing", "not one Content-Length on a stream")
        self._needed = end + 4 + int(lengths[0])
        if self._needed > self._max:
            raise ParseError("too-large", "message of a stream")

    def _take(self, count: int) -> None:
        del self._buffer[:count]
        self._searched = 0
        self._needed = 0
