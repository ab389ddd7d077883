"""A SIP peer that says exactly what a test tells it to, over any transport; no code of the service in it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import re
import ssl
import uuid
from types import TracebackType

import aiohttp

from tests.support.caller import Message
from tests.support.net import patience

_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
_COUNT = itertools.count(1)


class SipClient(asyncio.DatagramProtocol):
    """One socket. `received` holds every message that came, in order, for `next` to take."""

    def __init__(self, server: tuple[str, int], transport: str = "udp") -> None:
        self.server = server
        self.transport = transport
        self.local = ("", 0)
        self.received: asyncio.Queue[Message] = asyncio.Queue()
        self.raw: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed = asyncio.Event()
        self._udp: asyncio.DatagramTransport | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None
        self._websocket: aiohttp.ClientWebSocketResponse | None = None
        self._sending: set[asyncio.Future[None]] = set()

    @classmethod
    async def open(
        cls,
        server: tuple[str, int],
        transport: str = "udp",
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: ssl.SSLContext | None = None,
        origin: str | None = None,
    ) -> SipClient:
        """`tls` for tls and wss; `origin` is the page of a browser phone."""
        client = cls(server, transport)
        if transport == "udp":
            loop = asyncio.get_running_loop()
            udp, _ = await loop.create_datagram_endpoint(lambda: client, local_addr=(host, port))
            client._udp, client.local = udp, udp.get_extra_info("sockname")[:2]
        elif transport in ("ws", "wss"):
            await client._connect_websocket(tls, origin)
        else:
            name = server[0] if tls else None
            reader, writer = await asyncio.open_connection(
                *server, local_addr=(host, port), ssl=tls, server_hostname=name
            )
            client._writer, client.local = writer, writer.get_extra_info("sockname")[:2]
            client._reading = asyncio.create_task(client._read(reader))
        return client

    async def _connect_websocket(self, tls: ssl.SSLContext | None, origin: str | None) -> None:
        url = f"{self.transport}://{self.server[0]}:{self.server[1]}/"
        self._session = aiohttp.ClientSession()
        try:
            self._websocket = await self._session.ws_connect(
                url, protocols=("sip",), origin=origin, ssl=tls or True
            )
        except BaseException:
            await self._session.close()
            raise
        self.local = (f"{uuid.uuid4().hex[:12]}.invalid", 5060)
        self._reading = asyncio.create_task(self._read_websocket(self._websocket))

    async def _read_websocket(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        async for frame in websocket:
            data = frame.data.encode() if isinstance(frame.data, str) else frame.data
            self.raw.put_nowait(data)
            if data.strip():
                self.received.put_nowait(Message.parse(data))
        self.closed.set()

    async def __aenter__(self) -> SipClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        if self._udp is not None:
            self._udp.close()
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            self._writer.close()
        if self._session is not None:
            await self._session.close()
        await asyncio.sleep(0)

    def drop(self) -> None:
        """Break off the connection."""
        assert self._writer is not None
        self._writer.transport.abort()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.raw.put_nowait(data)
        self.received.put_nowait(Message.parse(data))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self._take_all(reader)
        self.closed.set()

    async def _take_all(self, reader: asyncio.StreamReader) -> None:
        buffer = b""
        while chunk := await reader.read(65536):
            self.raw.put_nowait(chunk)
            buffer = (buffer + chunk).lstrip(b"\r\n")
            while b"\r\n\r\n" in buffer:
                head, _, rest = buffer.partition(b"\r\n\r\n")
                found = re.search(rb"(?mi)^content-length: *(\d+)", head)
                length = int(found[1]) if found else 0
                if len(rest) < length:
                    break
                self.received.put_nowait(Message.parse(head + b"\r\n\r\n" + rest[:length]))
                buffer = rest[length:].lstrip(b"\r\n")

    def send(self, data: bytes | str) -> None:
        raw = data.encode() if isinstance(data, str) else data
        if self._udp is not None:
            self._udp.sendto(raw, self.server)
        elif self._writer is not None:
            self._writer.write(raw)
        elif self._websocket is not None:
            sending = asyncio.ensure_future(self._websocket.send_str(raw.decode()))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)

    async def next(self, within: float = 5.0) -> Message:
        async with asyncio.timeout(patience(within)):
            return await self.received.get()

    async def final(self, within: float = 5.0) -> Message:
        """The next final response; provisional ones are passed over."""
        while True:
            message = await self.next(within)
            if message.status >= 200:
                return message

    async def request(self, method: str, **how: object) -> Message:
        """Send one request and wait for its final response."""
        self.send(self.build(method, **how))  # type: ignore[arg-type]
        return await self.final()

    def build(
        self,
        method: str,
        uri: str = "sip:acd.test",
        *,
        from_: str = "<sip:tester@acd.test>;tag=t1",
        to: str = "<sip:tester@acd.test>",
        call_id: str = "",
        cseq: int = 0,
        branch: str = "",
        contact: str | None = "",
        headers: tuple[str, ...] = (),
        body: str = "",
        hops: int = 70,
    ) -> str:
        """Text of a request; `contact` is a whole value, "" for this socket, None for none."""
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{self.transport.upper()} {_at(self.local)};rport;branch={branch or new_branch()}",
            f"Max-Forwards: {hops}",
            f"From: {from_}",
            f"To: {to}",
            f"Call-ID: {call_id or uuid.uuid4().hex}",
            f"CSeq: {cseq or next(_COUNT)} {method}",
        ]
        if contact is not None:
            lines.append(f"Contact: {contact or self.contact()}")
        lines += headers
        if body:
            lines.append("Content-Type: application/sdp")
        lines += [f"Content-Length: {len(body)}", "", body]
        return "\r\n".join(lines)

    def contact(self, user: str = "phone") -> str:
        kind = {"udp": "", "wss": "ws"}.get(self.transport, self.transport)
        tail = f";transport={kind}" if kind else ""
        return f"<sip:{user}@{_at(self.local)}{tail}>"

    async def register(
        self,
        extension: str,
        password: str,
        *,
        algorithm: str = "MD5",
        contact: str | None = "",
        expires: int | None = 600,
        call_id: str = "",
        cseq: int = 0,
        headers: tuple[str, ...] = (),
    ) -> Message:
        """REGISTER, answer the challenge, and return the last response."""
        uri, aor, call_id = "sip:acd.test", f"<sip:{extension}@acd.test>", call_id or uuid.uuid4().hex
        first_cseq = cseq or next(_COUNT)
        common = headers if expires is None else (f"Expires: {expires}", *headers)

        async def ask(number: int, *authorization: str) -> Message:
            return await self.request(
                "REGISTER",
                uri=uri,
                from_=f"{aor};tag=r1",
                to=aor,
                call_id=call_id,
                cseq=number,
                contact=contact,
                headers=(*common, *authorization),
            )

        answer = await ask(first_cseq)
        if answer.status != 401:
            return answer
        line = credentials(answer, "REGISTER", uri, extension, password, algorithm)
        return await ask(first_cseq + 1, line)

    def answer(
        self, request: Message, status: int, reason: str = "OK", *, sdp: str = "", tag: str = "far"
    ) -> None:
        """Respond to a request that came in."""
        to = request.get("to")
        lines = [f"SIP/2.0 {status} {reason}"]
        lines += [f"Via: {via}" for via in request.headers["via"]]
        lines += [f"Record-Route: {route}" for route in request.headers.get("record-route", ())]
        lines += [
            f"From: {request.get('from')}",
            f"To: {to}" if "tag=" in to or status == 100 else f"To: {to};tag={tag}",
            f"Call-ID: {request.get('call-id')}",
            f"CSeq: {request.get('cseq')}",
            f"Contact: {self.contact()}",
        ]
        if sdp:
            lines.append("Content-Type: application/sdp")
        self.send("\r\n".join([*lines, f"Content-Length: {len(sdp)}", "", sdp]))

    def acknowledge(self, invite: str, response: Message) -> None:
        """ACK a final response to an INVITE made by `build`."""
        sent = Message.parse(invite.encode())
        is_success = response.status < 300
        branch = new_branch() if is_success else sent.get("via").rpartition("branch=")[2]
        self.send(
            self.build(
                "ACK",
                uri=invite.split()[1],
                from_=sent.get("from"),
                to=response.get("to"),
                call_id=sent.get("call-id"),
                cseq=int(sent.get("cseq").split()[0]),
                branch=branch,
                contact=None,
            )
        )


def _at(address: tuple[str, int]) -> str:
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


def new_branch() -> str:
    return f"z9hG4bK{uuid.uuid4().hex}"


def credentials(
    challenge: Message,
    method: str,
    uri: str,
    user: str,
    password: str,
    algorithm: str = "MD5",
    *,
    qop: bool = True,
) -> str:
    """An Authorization header line that answers the challenge of this algorithm."""
    offered = next(v for v in challenge.headers["www-authenticate"] if f"algorithm={algorithm}," in v)
    realm, nonce = (re.search(rf'{name}="([^"]*)"', offered)[1] for name in ("realm", "nonce"))  # type: ignore[index]

    def digest(text: str) -> str:
        return _HASHES[algorithm](text.encode()).hexdigest()

    first, second = digest(f"{user}:{realm}:{password}"), digest(f"{method}:{uri}")
    middle = f"{nonce}:00000001:abc:auth" if qop else nonce
    tail = ', qop=auth, nc=00000001, cnonce="abc"' if qop else ""
    return (
        f'Authorization: Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
        f'algorithm={algorithm}, response="{digest(f"{first}:{middle}:{second}")}"{tail}'
    )
