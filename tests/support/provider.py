"""A provider behind the trunk: rings, plays something before it answers, answers when told, or refuses."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field

from tests.support.caller import Message
from tests.support.desk_phone import Line
from tests.support.landline import Landline
from tests.support.net import eventually
from tests.support.rtp_peer import RtpPeer

RINGBACK_HZ, VOICE_HZ = 425.0, 950.0


@dataclass
class Provider(Landline):
    """`async with Provider(server, port=5080) as provider`. `early` is what it answers at once: 183 with
    audio, 180, or nothing (0); then it waits for `pick_up`."""

    early: int = 183
    says: float = VOICE_HZ
    invites: list[Message] = field(default_factory=list)
    cancelled: int = 0
    pressed: list[str] = field(default_factory=list)

    async def _take(self, request: Message) -> None:
        if request.method == "INVITE" and not self._knows(request) and not self.status:
            self.rung += 1
            if self.early == 183:  # who hears of the call may pick up at once
                self._rtp, self._sdp = await self._open_audio(request.body)
            self.invites.append(request)
            self._ring(request)
        elif request.method == "CANCEL":
            self.cancelled += 1
            self._client.answer(request, 200)
            self._client.answer(self.invites[-1], 487, "Request Terminated", tag=self._tag(self.invites[-1]))
        else:
            await super()._take(request)

    def _knows(self, request: Message) -> bool:
        return any(line.call_id == request.get("call-id") for line in self.lines)

    def _tag(self, request: Message) -> str:
        return f"p{self.invites.index(request) + 1}"

    def _ring(self, request: Message) -> None:
        if self.early == 183:
            self._rtp.say(RINGBACK_HZ)
            self._client.answer(request, 183, "Session Progress", sdp=self._sdp, tag=self._tag(request))
        elif self.early:
            self._client.answer(request, self.early, "Ringing", tag=self._tag(request))

    async def called(self, count: int = 1) -> Message:
        """The INVITE of the count-th call."""

        async def there() -> bool:
            return len(self.invites) >= count

        await eventually(there, within=5, what=f"{count} calls at the provider")
        return self.invites[count - 1]

    async def pick_up(self, call: int = -1) -> Line:
        """Answer one of the calls, else the newest; its audio is another one than what rang."""
        request = self.invites[call]
        if self.early == 183:
            rtp, sdp = self._rtp, self._sdp
        else:
            rtp, sdp = await self._open_audio(request.body)
        rtp.say(self.says)
        self._client.answer(request, 200, sdp=sdp, tag=self._tag(request))
        to = f"{request.get('to')};tag={self._tag(request)}"
        target = request.get("contact").strip("<>")
        line = Line(request.get("call-id"), to, request.get("from"), target, rtp=rtp)
        self.lines.append(line)
        return line

    def hang_up(self, line: Line) -> None:
        """BYE."""
        line.cseq += 1
        bye = self._client.build(
            "BYE", line.target, from_=line.local, to=line.remote, call_id=line.call_id, cseq=line.cseq
        )
        self._client.send(bye)
        line.over = True

    async def digits(self, line: Line, wanted: str) -> None:
        """Wait until these keys were heard."""
        rtp = line.rtp
        assert isinstance(rtp, RtpPeer)

        async def all_heard() -> bool:
            return "".join(rtp.heard.digits) == wanted

        await eventually(all_heard, within=5, what=f"the keys {wanted} at the provider")

    async def no_more(self, seconds: float = 0.3) -> None:
        """A moment in which nobody calls."""
        before = len(self.invites)
        await asyncio.sleep(seconds)
        assert len(self.invites) == before


def number_in(value: str) -> str:
    """The user part of the address in a header."""
    found = re.search(r"sips?:([^@;>]*)@", value)
    return found[1] if found else ""
