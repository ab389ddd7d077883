"""Many telephones over TCP in one process: they register by digest, again and again; called, they are busy.

Each has a connection of its own and keeps its nonce, as real phones do: a registration once challenged is
renewed with one request.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import uuid
from collections.abc import Sequence
from types import TracebackType

from tests.support.caller import Message

_CHALLENGE = re.compile(r'realm="([^"]*)", algorithm=MD5, nonce="([^"]*)"')
_AT_ONCE = 100


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class Phone(asyncio.Protocol):
    """One telephone."""

    def __init__(self, user: str, password: str, expires: int) -> None:
        self.user = user
        self.invited = 0
        self.lost = False
        self._password = password
        self._expires = expires
        self._call_id = uuid.uuid4().hex
        self._cseq = 0
        self._realm = self._nonce = ""
        self._count = 0
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._local = transport.get_extra_info("sockname")[:2]

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError(f"{self.user} lost its connection"))

    def data_received(self, data: bytes) -> None:
        self._buffer = (self._buffer + data).lstrip(b"\r\n")
        while b"\r\n\r\n" in self._buffer:
            head, _, rest = self._buffer.partition(b"\r\n\r\n")
            found = re.search(rb"(?mi)^content-length: *(\d+)", head)
            length = int(found[1]) if found else 0
            if len(rest) < length:
                return
            self._buffer = rest[length:].lstrip(b"\r\n")
            self._take(Message.parse(head + b"\r\n\r\n"))

    def _take(self, message: Message) -> None:
        if message.status:
            self._take_answer(message)
        elif message.method == "INVITE":
            self.invited += 1
            self._send(self._busy(message))

    def _take_answer(self, message: Message) -> None:
        challenge = _CHALLENGE.search(" ".join(message.headers.get("www-authenticate", [])))
        is_new = challenge is not None and challenge[2] != self._nonce
        if message.status == 401 and challenge is not None and is_new:
            self._realm, self._nonce, self._count = challenge[1], challenge[2], 0
            self._send(self._register())
        elif message.status >= 200 and self._answer is not None and not self._answer.done():
            self._answer.set_result(message.status)

    async def register(self) -> int:
        """REGISTER, with the nonce known so far; the final status."""
        self._answer = asyncio.get_running_loop().create_future()
        self._send(self._register())
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _send(self, text: str) -> None:
        if self._transport is not None:
            self._transport.write(text.encode())

    def _register(self) -> str:
        self._cseq += 1
        host, port = self._local
        lines = [
            "REGISTER sip:acd.test SIP/2.0",
            f"Via: SIP/2.0/TCP {host}:{port};branch=z9hG4bK{uuid.uuid4().hex};rport",
            "Max-Forwards: 70",
            f"From: <sip:{self.user}@acd.test>;tag={self._call_id[:8]}",
            f"To: <sip:{self.user}@acd.test>",
            f"Call-ID: {self._call_id}",
            f"CSeq: {self._cseq} REGISTER",
            f"Contact: <sip:{self.user}@{host}:{port};transport=tcp>",
            f"Expires: {self._expires}",
            *([self._authorization()] if self._nonce else []),
            "Content-Length: 0",
        ]
        return "\r\n".join(lines) + "\r\n\r\n"

    def _authorization(self) -> str:
        self._count += 1
        secret, what = _md5(f"{self.user}:{self._realm}:{self._password}"), _md5("REGISTER:sip:acd.test")
        response = _md5(f"{secret}:{self._nonce}:{self._count:08x}:fleet:auth:{what}")
        return (
            f'Authorization: Digest username="{self.user}", realm="{self._realm}", nonce="{self._nonce}", '
            f'uri="sip:acd.test", algorithm=MD5, qop=auth, nc={self._count:08x}, cnonce="fleet", '
            f'response="{response}"'
        )

    def _busy(self, invite: Message) -> str:
        copied = [f"{name}: {invite.get(name)}" for name in ("via", "from", "call-id", "cseq")]
        lines = ["SIP/2.0 486 Busy Here", *copied, f"To: {invite.get('to')};tag=busy", "Content-Length: 0"]
        return "\r\n".join(lines) + "\r\n\r\n"


class Fleet:
    """`async with Fleet(server, users, password, hosts=[...]) as fleet: await fleet.register()`."""

    def __init__(
        self,
        server: tuple[str, int],
        users: Sequence[str],
        password: str,
        *,
        hosts: Sequence[str],
        expires: int = 60,
    ) -> None:
        self.phones = [Phone(user, password, expires) for user in users]
        self._server = server
        self._hosts = hosts

    async def __aenter__(self) -> Fleet:
        loop = asyncio.get_running_loop()

        async def connect(number: int, phone: Phone) -> None:
            host = self._hosts[number % len(self._hosts)]
            await loop.create_connection(lambda: phone, *self._server, local_addr=(host, 0))

        for start in range(0, len(self.phones), _AT_ONCE):
            part = enumerate(self.phones[start : start + _AT_ONCE], start)
            await asyncio.gather(*(connect(number, phone) for number, phone in part))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for phone in self.phones:
            phone.close()
        await asyncio.sleep(0)

    async def register(self, *, within: float) -> list[int]:
        """Register every phone, evenly over so many seconds; the final statuses."""

        async def one(number: int, phone: Phone) -> int:
            await asyncio.sleep(within * number / len(self.phones))
            return await phone.register()

        return await asyncio.gather(*(one(number, phone) for number, phone in enumerate(self.phones)))

    @property
    def lost(self) -> int:
        """Phones whose connection broke."""
        return sum(phone.lost for phone in self.phones)

    @property
    def invited(self) -> int:
        """Calls that phones were offered."""
        return sum(phone.invited for phone in self.phones)
