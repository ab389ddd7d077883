"""A scripted SIP caller over UDP, by plain text templates; it shares no code with the service on purpose.

It is an honest, simple telephone: it retransmits its requests, acknowledges final responses, answers BYE,
re-INVITE and OPTIONS, and can be told to be rude (no ACK).
"""

from __future__ import annotations

import asyncio
import re
import uuid
from dataclasses import dataclass, field
from types import TracebackType

from tests.support.net import patience
from tests.support.rtp_peer import RtpPeer

_ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS"


@dataclass(slots=True)
class Message:
    """A SIP message cut into its first line, headers (lower-case names) and body."""

    first: str
    headers: dict[str, list[str]] = field(default_factory=dict)
    body: str = ""

    @classmethod
    def parse(cls, data: bytes) -> Message:
        head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        message = cls(first, body=body)
        for line in lines:
            name, _, value = line.partition(":")
            message.headers.setdefault(name.strip().lower(), []).append(value.strip())
        return message

    def get(self, name: str) -> str:
        return self.headers.get(name, [""])[0]

    @property
    def status(self) -> int:
        """0 for a request."""
        return int(self.first.split()[1]) if self.first.startswith("SIP/2.0") else 0

    @property
    def method(self) -> str:
        """The method of the request, or of the one that this response answers."""
        return self.get("cseq").split()[1] if self.status else self.first.split()[0]


def audio_of(sdp: str) -> tuple[str, int, list[int], str]:
    """Address, port, payload types and direction of the first audio line."""
    address = re.search(r"^c=IN IP4 (\S+)", sdp, re.M)
    media = re.search(r"^m=audio (\d+) RTP/AVP ([\d ]+)", sdp, re.M)
    direction = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)", sdp, re.M)
    if not address or not media:
        raise ValueError(f"no audio in this SDP: {sdp!r}")
    types = [int(word) for word in media[2].split()]
    return address[1], int(media[1]), types, direction[1] if direction else "sendrecv"


def event_type_of(sdp: str) -> int | None:
    """The payload type of telephone-event, None where it is not offered."""
    found = re.search(r"^a=rtpmap:(\d+) telephone-event/8000", sdp, re.M | re.I)
    return int(found[1]) if found else None


class Call:
    """One call that we made. Waits take a limit in seconds and raise TimeoutError beyond it."""

    def __init__(self, phone: Caller, number: str, rtp: RtpPeer, payload_types: tuple[int, ...]) -> None:
        self.phone = phone
        self.number = number
        self.rtp = rtp
        self.call_id = f"{uuid.uuid4().hex}@{phone.host}"
        self.status = 0
        """The final status of the INVITE."""
        self.reason = ""
        self.ended_by = ""
        """`us`, `far`, or empty while it goes on."""
        self.acknowledge = True
        self.provisional: list[int] = []
        self.far_direction = ""
        self._payload_types = payload_types
        self._tag = uuid.uuid4().hex[:8]
        self._cseq = 1
        self._invite_branch = ""
        self._far_contact = ""
        self._far_to = f"<sip:{number}@{phone.server[0]}>"
        self._sdp_version = 1
        self._final = asyncio.Event()
        self._ended = asyncio.Event()
        self._reinvite: asyncio.Future[Message] | None = None
        self._resending: dict[str, asyncio.Task[None]] = {}

    # what a test does with it

    async def answered(self, within: float = 5.0) -> Call:
        """Wait for a 2xx; AssertionError on any other final response."""
        async with asyncio.timeout(patience(within)):
            await self._final.wait()
        assert 200 <= self.status < 300, f"the call to {self.number} got {self.status} {self.reason}"
        return self

    async def refused(self, within: float = 5.0) -> int:
        """Wait for a final response that is not a 2xx and return its status."""
        async with asyncio.timeout(patience(within)):
            await self._final.wait()
        assert self.status >= 300, f"the call to {self.number} was answered with {self.status}"
        return self.status

    async def ended(self, within: float = 5.0) -> str:
        """Wait until either side has ended it; returns who did (`us` or `far`)."""
        async with asyncio.timeout(patience(within)):
            await self._ended.wait()
        return self.ended_by

    async def hang_up(self, within: float = 5.0) -> None:
        """Send BYE and wait for its answer."""
        self.bye()
        await self.ended(within)

    def bye(self) -> None:
        """Send BYE now and go on."""
        self.ended_by = self.ended_by or "us"
        self._request("BYE")

    def cancel(self) -> None:
        """Send CANCEL for the INVITE that is under way (RFC 3261 section 9.1)."""
        to = f"<sip:{self.number}@{self.phone.server[0]}>"
        self._send_request("CANCEL", self._uri(), self._invite_branch, 1, to)

    async def hold(self, direction: str = "sendonly") -> str:
        """Re-INVITE with a direction; returns the direction of the answer."""
        self._reinvite = asyncio.get_running_loop().create_future()
        self._sdp_version += 1
        self._cseq += 1
        self._invite_branch = _branch()
        self._send_invite(self._far_contact, self.sdp(direction))
        async with asyncio.timeout(patience(5)):
            answer = await self._reinvite
        assert answer.status == 200, f"the re-INVITE got {answer.first}"
        self._start_rtp(answer.body)
        return audio_of(answer.body)[3]

    async def resume(self) -> str:
        """Re-INVITE with sendrecv."""
        return await self.hold("sendrecv")

    # its inside

    def sdp(self, direction: str = "sendrecv") -> str:
        names = {0: "PCMU", 8: "PCMA"}
        kinds = [*self._payload_types, 101]
        lines = [
            "v=0",
            f"o=caller 1 {self._sdp_version} IN IP4 {self.phone.host}",
            "s=-",
            f"c=IN IP4 {self.phone.host}",
            "t=0 0",
            f"m=audio {self.rtp.port} RTP/AVP {' '.join(map(str, kinds))}",
            *(f"a=rtpmap:{kind} {names[kind]}/8000" for kind in self._payload_types),
            "a=rtpmap:101 telephone-event/8000",
            "a=fmtp:101 0-15",
            "a=ptime:20",
            f"a={direction}",
        ]
        return "\r\n".join(lines) + "\r\n"

    def invite(self) -> None:
        self._invite_branch = _branch()
        self._send_invite(self._uri(), self.sdp())

    def _uri(self) -> str:
        host, port = self.phone.server
        return f"sip:{self.number}@{host}:{port}"

    def _send_invite(self, uri: str, sdp: str) -> None:
        data = self._text("INVITE", uri, self._invite_branch, self._cseq, self._far_to, sdp)
        self._resend("INVITE", data)

    def _request(self, method: str) -> None:
        self._cseq += 1
        data = self._text(method, self._far_contact or self._uri(), _branch(), self._cseq, self._far_to)
        self._resend(method, data)

    def _send_request(self, method: str, uri: str, branch: str, cseq: int, to: str) -> None:
        self.phone.send(self._text(method, uri, branch, cseq, to))

    def _text(self, method: str, uri: str, branch: str, cseq: int, to: str, sdp: str = "") -> bytes:
        phone = self.phone
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {phone.host}:{phone.port};branch={branch};rport",
            "Max-Forwards: 70",
            f"From: <sip:{phone.user}@{phone.host}>;tag={self._tag}",
            f"To: {to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:{phone.user}@{phone.host}:{phone.port}>",
            f"Allow: {_ALLOW}",
            *(["Content-Type: application/sdp"] if sdp else []),
            f"Content-Length: {len(sdp)}",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n" + sdp).encode()

    def _resend(self, method: str, data: bytes) -> None:
        """Send, and again after 0.5, 1, 2 ... seconds until it is answered (timers A and E)."""

        async def again() -> None:
            wait = 0.5
            while wait < 32:
                await asyncio.sleep(wait)
                self.phone.send(data)
                wait *= 2

        self._stop_resending(method)
        self.phone.send(data)
        self._resending[method] = asyncio.create_task(again())

    def _stop_resending(self, method: str) -> None:
        task = self._resending.pop(method, None)
        if task is not None:
            task.cancel()

    def on_response(self, message: Message) -> None:
        self._stop_resending(message.method)
        if message.method == "BYE":
            self._finish()
        elif message.method == "INVITE" and message.status < 200:
            self.provisional.append(message.status)
        elif message.method == "INVITE":
            self._on_final(message)

    def _on_final(self, message: Message) -> None:
        again = self._final.is_set()
        if message.status < 300:
            self._far_to = message.get("to")
            contact = re.search(r"<([^>]+)>", message.get("contact"))
            self._far_contact = contact[1] if contact else self._uri()
        if self.acknowledge:
            self._acknowledge(message)
        if self._reinvite is not None and int(message.get("cseq").split()[0]) > 1:
            if not self._reinvite.done():
                self._reinvite.set_result(message)
        elif not again:
            self.status, self.reason = message.status, message.first.split(" ", 2)[2]
            if message.status < 300:
                self._start_rtp(message.body)
            else:
                self._finish()
            self._final.set()

    def _acknowledge(self, message: Message) -> None:
        ok = message.status < 300
        branch = _branch() if ok else self._invite_branch
        cseq = int(message.get("cseq").split()[0])
        self._send_request("ACK", self._far_contact if ok else self._uri(), branch, cseq, message.get("to"))

    def _start_rtp(self, sdp: str) -> None:
        address, port, types, self.far_direction = audio_of(sdp)
        self.rtp.start((address, port), payload_type=types[0], event_type=event_type_of(sdp))

    def on_request(self, message: Message) -> None:
        if message.method == "BYE":
            self.phone.respond(message, 200, self._tag)
            self.ended_by = self.ended_by or "far"
            self._finish()
        elif message.method == "INVITE":
            self._on_far_reinvite(message)
        elif message.method == "OPTIONS":
            self.phone.respond(message, 200, self._tag)

    def _on_far_reinvite(self, message: Message) -> None:
        mirrored = {"sendonly": "recvonly", "recvonly": "sendonly"}
        if message.body:
            self._start_rtp(message.body)
        self._sdp_version += 1
        direction = mirrored.get(self.far_direction, self.far_direction) if message.body else "sendrecv"
        self.phone.respond(message, 200, self._tag, self.sdp(direction))

    def _finish(self) -> None:
        self.ended_by = self.ended_by or "far"
        for method in list(self._resending):
            self._stop_resending(method)
        self.rtp.sending = False
        self._ended.set()

    async def close(self) -> None:
        if not self._ended.is_set() and 200 <= self.status < 300:
            self.bye()
        self._finish()
        await self.rtp.close()


class Caller(asyncio.DatagramProtocol):
    """A telephone with one UDP socket and any number of calls: `async with Caller(server) as caller`."""

    def __init__(
        self, server: tuple[str, int], *, host: str = "127.0.0.2", port: int = 0, user: str = "+37255500001"
    ) -> None:
        self.server = server
        self.host = host
        self.user = user
        self.port = port
        self.strange: list[Message] = []
        """Requests that belong to no call of ours."""
        self._calls: dict[str, Call] = {}
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Caller:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=(self.host, self.port)
        )
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for call in self._calls.values():
            await call.close()
        if self._transport is not None:
            self._transport.close()

    async def dial(self, number: str, *, payload_types: tuple[int, ...] = (0, 8)) -> Call:
        """Send an INVITE; wait for what comes of it on the call."""
        call = Call(self, number, await RtpPeer.open(self.host), payload_types)
        self._calls[call.call_id] = call
        call.invite()
        return call

    def send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.sendto(data, self.server)

    def respond(self, request: Message, status: int, tag: str, sdp: str = "") -> None:
        to = request.get("to")
        lines = [
            f"SIP/2.0 {status} {'OK' if status == 200 else 'No'}",
            *(f"Via: {via}" for via in request.headers.get("via", [])),
            f"From: {request.get('from')}",
            f"To: {to if ';tag=' in to else f'{to};tag={tag}'}",
            f"Call-ID: {request.get('call-id')}",
            f"CSeq: {request.get('cseq')}",
            f"Contact: <sip:{self.user}@{self.host}:{self.port}>",
            *(["Content-Type: application/sdp"] if sdp else []),
            f"Content-Length: {len(sdp)}",
        ]
        self.send(("\r\n".join(lines) + "\r\n\r\n" + sdp).encode())

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        if not data.strip():
            return
        message = Message.parse(data)
        call = self._calls.get(message.get("call-id"))
        if call is None:
            if not message.status and message.method != "ACK":
                self.strange.append(message)
                self.respond(message, 200 if message.method == "OPTIONS" else 481, "stranger")
        elif message.status:
            call.on_response(message)
        else:
            call.on_request(message)


def _branch() -> str:
    return f"z9hG4bK{uuid.uuid4().hex[:16]}"
