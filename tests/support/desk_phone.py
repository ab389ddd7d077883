"""An agent's desk phone over UDP: takes calls, dials, transfers, watches lamps, in plain text of its own."""

from __future__ import annotations

import asyncio
import contextlib
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from tests.support.audio import seconds_of
from tests.support.caller import Message, audio_of
from tests.support.net import eventually, patience
from tests.support.rtp_peer import RtpPeer
from tests.support.sip_client import SipClient, credentials

_SDP = (
    "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
)


@dataclass
class Line:
    """One dialog of the phone, as it writes From, To and the target of its requests."""

    call_id: str
    local: str
    remote: str
    target: str
    cseq: int = 100
    rtp: RtpPeer | None = None
    over: bool = False

    @property
    def replaces(self) -> str:
        """How a REFER names this dialog: escaped, from the far end's point of view (RFC 3891)."""
        ours, theirs = (re.search(r";tag=([^;]+)", text) for text in (self.local, self.remote))
        assert ours is not None
        assert theirs is not None
        return f"{self.call_id}%3Bto-tag%3D{theirs[1]}%3Bfrom-tag%3D{ours[1]}"


@dataclass
class DeskPhone:
    """`async with DeskPhone(server, "1001", password, says=700) as phone`; it answers every call at once."""

    server: tuple[str, int]
    """Where it registers, and unregisters in the end."""
    user: str
    password: str
    says: float = 700.0
    lines: list[Line] = field(default_factory=list)
    notified: list[Message] = field(default_factory=list)
    on_ring: Callable[[], None] | None = None
    """Called as a call arrives, before it is answered."""

    async def __aenter__(self) -> DeskPhone:
        self._client = await SipClient.open(self.server, "udp", "127.0.0.1")
        assert (await self._client.register(self.user, self.password)).status == 200
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._fall_silent()
        self._client.server = self.server
        with contextlib.nullcontext() if error is None else contextlib.suppress(TimeoutError):
            await self._client.register(self.user, self.password, expires=0)
        await self._client.close()

    async def _fall_silent(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        for line in self.lines:
            if line.rtp is not None:
                await line.rtp.close()

    async def _read(self) -> None:
        while True:
            message = await self._client.next(3600)
            if message.status:
                self._answers.put_nowait(message)
            else:
                await self._take(message)

    async def _take(self, request: Message) -> None:
        known = next((line for line in self.lines if line.call_id == request.get("call-id")), None)
        if request.method == "INVITE" and known is None:
            if self.on_ring is not None:
                self.on_ring()
            tag = uuid.uuid4().hex
            rtp, sdp = await self._open_audio(request.body)
            self._client.answer(request, 200, sdp=sdp, tag=tag)
            target = request.get("contact").strip("<>")
            to = f"{request.get('to')};tag={tag}"
            self.lines.append(Line(request.get("call-id"), to, request.get("from"), target, rtp=rtp))
        elif request.method != "ACK":
            self._client.answer(request, 200)
        if request.method == "NOTIFY":
            self.notified.append(request)
        if request.method == "BYE" and known is not None:
            known.over = True

    async def _open_audio(self, far: str = "") -> tuple[RtpPeer, str]:
        rtp = await RtpPeer.open("127.0.0.1")
        if far:
            self._speak(rtp, far)
        return rtp, _SDP.format(host="127.0.0.1", port=rtp.port)

    def _speak(self, rtp: RtpPeer, far: str) -> None:
        host, port, _, _ = audio_of(far)
        rtp.start((host, port))
        rtp.say(self.says)

    async def _final(self, cseq: int) -> Message:
        async with asyncio.timeout(patience(5)):
            while True:
                answer = await self._answers.get()
                if answer.status >= 200 and answer.get("cseq").startswith(f"{cseq} "):
                    return answer

    async def _outside(self, method: str, to: str, *headers: str, body: str = "") -> tuple[str, Message]:
        """A request outside of dialogs, with the password: its text, and the final answer."""
        uri, cseq = f"sip:{to}@127.0.0.1", 1
        told = {
            "from_": f"<sip:{self.user}@127.0.0.1>;tag={uuid.uuid4().hex}",
            "to": f"<{uri}>",
            "call_id": uuid.uuid4().hex,
            "body": body,
        }
        text = self._client.build(method, uri, cseq=cseq, headers=headers, **told)  # type: ignore[arg-type]
        self._client.send(text)
        challenge = await self._final(cseq)
        if method == "INVITE":
            self._client.acknowledge(text, challenge)
        assert challenge.status == 401
        line = credentials(challenge, method, uri, self.user, self.password, "MD5")
        text = self._client.build(method, uri, cseq=2, headers=(*headers, line), **told)  # type: ignore[arg-type]
        self._client.send(text)
        return text, await self._final(2)

    async def dial(self, number: str, *headers: str) -> Line | int:
        """Call somebody: the line, or the status of the refusal."""
        rtp, sdp = await self._open_audio()
        text, answer = await self._outside("INVITE", number, *headers, body=sdp)
        self._client.acknowledge(text, answer)
        if answer.status != 200:
            await rtp.close()
            return answer.status
        self._speak(rtp, answer.body)
        sent = Message.parse(text.encode())
        target = answer.get("contact").strip("<>")
        line = Line(sent.get("call-id"), sent.get("from"), answer.get("to"), target, rtp=rtp)
        self.lines.append(line)
        return line

    async def watch(self, extension: str) -> int:
        """Subscribe to an extension's lamp; the status."""
        return (await self._outside("SUBSCRIBE", extension, "Event: dialog"))[1].status

    async def refer(self, line: Line, to: str, *, replaces: str = "") -> int:
        """Transfer the other party of a line; the status of the answer."""
        line.cseq += 1
        target = f"sip:{to}@127.0.0.1" + (f"?Replaces={replaces}" if replaces else "")
        self._client.send(
            self._client.build(
                "REFER",
                line.target,
                from_=line.local,
                to=line.remote,
                call_id=line.call_id,
                cseq=line.cseq,
                headers=(f"Refer-To: <{target}>",),
            )
        )
        return (await self._final(line.cseq)).status

    async def rung(self) -> Line:
        """The line of the call that it has answered."""
        await eventually(self._has_line, within=5, what="a call at the desk phone")
        return self.lines[-1]

    def turn_to(self, server: tuple[str, int]) -> None:
        """Speak with this server from now on; it knows the phone already. What was on the lines is over."""
        self.server = self._client.server = server
        for line in self.lines:
            line.over = True

    async def _has_line(self) -> bool:
        if self._reading.done():
            self._reading.result()  # whatever it died of
        return any(not line.over for line in self.lines)

    async def told(self, words: str, within: float = 5.0) -> None:
        """Wait until a NOTIFY holds these words."""

        async def there() -> bool:
            return any(words in notify.body for notify in self.notified)

        await eventually(there, within=within, what=f"{words!r} in {[n.body for n in self.notified]}")

    async def ended(self, line: Line) -> None:
        async def over() -> bool:
            return line.over

        await eventually(over, within=5, what="the BYE of a line")

    async def hears(self, line: Line, frequency: float, seconds: float = 0.5) -> None:
        """From now on the line brings this tone."""
        rtp = line.rtp
        assert rtp is not None
        rtp.forget()

        async def enough() -> bool:
            return seconds_of(frequency, bytes(rtp.heard.pcm)) >= seconds

        await eventually(enough, within=5, what=f"{frequency} Hz on the desk phone")
