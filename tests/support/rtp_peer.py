"""The far end of one RTP stream: sends a tone or silence every 20 ms, keeps what it hears, sends digits."""

from __future__ import annotations

import asyncio
import random
import struct
from dataclasses import dataclass, field

from tests.support.audio import FRAME, from_law, to_law, tone

_HEADER = struct.Struct("!BBHII")
_EVENT = struct.Struct("!BBH")
_DIGITS = "0123456789*#ABCD"
_BLOCK_SECONDS = 0.02


@dataclass(slots=True)
class Heard:
    """Everything that arrived, in order of arrival."""

    packets: int = 0
    pcm: bytearray = field(default_factory=bytearray)
    digits: list[str] = field(default_factory=list)
    ssrcs: set[int] = field(default_factory=set)
    sources: set[tuple[str, int]] = field(default_factory=set)
    sequence_gaps: int = 0


class RtpPeer(asyncio.DatagramProtocol):
    """A telephone's audio. `open` binds it; `start` names where to send and begins to send."""

    def __init__(self) -> None:
        self.heard = Heard()
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None
        self._far: tuple[str, int] | None = None
        self._payload_type = 0
        self._event_type: int | None = 101
        self._ssrc = random.getrandbits(32)
        self._sequence = random.getrandbits(15)
        self._timestamp = random.getrandbits(31)
        self._voice: list[bytes] = []
        self._voice_at = 0
        self._digits: asyncio.Queue[str] = asyncio.Queue()
        self._sender: asyncio.Task[None] | None = None
        self._last_event: int | None = None
        self._last_sequence: int | None = None
        self.sending = True

    @classmethod
    async def open(cls, host: str) -> RtpPeer:
        """Bind an ephemeral port on `host`."""
        loop = asyncio.get_running_loop()
        transport, peer = await loop.create_datagram_endpoint(cls, local_addr=(host, 0))
        peer._transport = transport
        peer.port = transport.get_extra_info("sockname")[1]
        return peer

    def start(self, far: tuple[str, int], *, payload_type: int = 0, event_type: int | None = 101) -> None:
        """Send to `far` from now on (again: send elsewhere)."""
        self._far = far
        self._payload_type = payload_type
        self._event_type = event_type
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_loop())

    def say(self, frequency: float | None) -> None:
        """Send this tone from now on; None is silence."""
        if frequency is None:
            self._voice = []
            return
        pcm = tone(frequency, 1.0)
        size = FRAME * 2
        self._voice = [pcm[at : at + size] for at in range(0, len(pcm), size)]

    async def press(self, digits: str) -> None:
        """Send RFC 4733 events of 100 ms each, and return when the last one is out."""
        for digit in digits:
            self._digits.put_nowait(digit)
        await self._digits.join()

    def forget(self) -> None:
        """Begin a new recording."""
        self.heard = Heard()

    async def close(self) -> None:
        """Stop sending and give the port back."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
            self._sender = None
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    # receiving

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        if len(data) < _HEADER.size or data[0] >> 6 != 2:
            return
        _, marker_type, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
        heard = self.heard
        heard.packets += 1
        heard.ssrcs.add(ssrc)
        heard.sources.add(address)
        if self._last_sequence is not None and sequence != (self._last_sequence + 1) & 0xFFFF:
            heard.sequence_gaps += 1
        self._last_sequence = sequence
        payload_type, payload = marker_type & 0x7F, data[_HEADER.size :]
        if payload_type in (0, 8):
            heard.pcm += from_law(payload, payload_type)
        elif payload_type == self._event_type and len(payload) >= _EVENT.size:
            event = payload[0]
            if timestamp != self._last_event and event < len(_DIGITS):
                self._last_event = timestamp
                heard.digits.append(_DIGITS[event])

    # sending

    async def _send_loop(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            if not self._digits.empty():
                due = await self._send_digit(self._digits.get_nowait(), due)
                self._digits.task_done()
            elif self.sending:
                self._send_voice()
            due += _BLOCK_SECONDS
            await asyncio.sleep(max(0.0, due - loop.time()))

    def _send_voice(self) -> None:
        pcm = self._voice[self._voice_at % len(self._voice)] if self._voice else bytes(FRAME * 2)
        self._voice_at += 1
        self._send(self._payload_type, to_law(pcm, self._payload_type), self._timestamp)
        self._timestamp = (self._timestamp + FRAME) & 0xFFFFFFFF

    async def _send_digit(self, digit: str, due: float) -> float:
        """RFC 4733 section 2.5: growing duration, the end packet three times, one timestamp."""
        if self._event_type is None:
            raise ValueError("the far end did not negotiate telephone-event")
        loop = asyncio.get_running_loop()
        event, started = _DIGITS.index(digit), self._timestamp
        for block in range(1, 8):
            end = block > 5
            duration = FRAME * min(block, 5)
            payload = _EVENT.pack(event, 0x8A if end else 0x0A, duration)
            self._send(self._event_type, payload, started, marker=block == 1)
            due += _BLOCK_SECONDS
            await asyncio.sleep(max(0.0, due - loop.time()))
        payload = _EVENT.pack(event, 0x8A, FRAME * 5)
        self._send(self._event_type, payload, started)
        self._timestamp = (self._timestamp + FRAME * 8) & 0xFFFFFFFF
        return due

    def _send(self, payload_type: int, payload: bytes, timestamp: int, *, marker: bool = False) -> None:
        if self._transport is None or self._far is None:
            return
        kind = payload_type | (0x80 if marker else 0)
        header = _HEADER.pack(0x80, kind, self._sequence, timestamp & 0xFFFFFFFF, self._ssrc)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._transport.sendto(header + payload, self._far)
