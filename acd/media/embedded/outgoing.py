"""What one leg sends: a single RTP stream, whatever it is made of at the moment.

SSRC for life; sequence numbers and timestamps go on across every change of source (RFC 3550 section 5.1).
"""

from __future__ import annotations

from collections.abc import Callable

from acd.media import rtp
from acd.media.dtmf import EventPacket
from acd.media.g711 import FRAME_SAMPLES, SAMPLE_RATE, TRANSLATION, Law
from acd.media.negotiation import Address

_pack = rtp.HEADER.pack
_MAX_JUMP = 1000
"""Packets that a relayed sequence may leap before it is taken for a new stream."""

Send = Callable[[bytes, Address], object]


class Outgoing:
    """One stream. Frames of our own are paced by the caller; relayed packets go out as they come."""

    __slots__ = (
        "_event_timestamp",
        "_fresh",
        "_origin",
        "_relayed",
        "_send",
        "_sent_at",
        "_sequence_shift",
        "_timestamp_shift",
        "event_type",
        "law",
        "octets",
        "open",
        "packets",
        "payload_type",
        "remote",
        "sequence",
        "ssrc",
        "timestamp",
    )

    def __init__(self, send: Send, *, ssrc: int, sequence: int, timestamp: int) -> None:
        self._send = send
        self.ssrc, self.sequence, self.timestamp = ssrc, sequence, timestamp
        self.remote: Address = ("", 0)
        self.open = False
        """Whether the far end is known and wants to hear us."""
        self.law, self.payload_type = int(Law.PCMU), 0
        self.event_type: int | None = None
        self.packets = self.octets = 0
        self._sent_at = 0.0
        self._fresh = True  # the next packet starts a new source: marker, and time is made good
        self._event_timestamp = timestamp
        self._origin: int | None = None
        self._relayed = 0
        self._sequence_shift = self._timestamp_shift = 0

    def send_by(self, send: Send) -> None:
        """Packets leave this way from now on."""
        self._send = send

    def change_source(self) -> None:
        """The next packet comes from another source than the last."""
        self._fresh, self._origin = True, None

    def timestamp_at(self, now: float) -> int:
        """What the RTP clock of the stream shows now (RFC 3550 section 6.4.1)."""
        passed = int((now - self._sent_at) * SAMPLE_RATE) if self._sent_at else 0
        return (self.timestamp + passed) & 0xFFFFFFFF

    def frame(self, payload: bytes, now: float) -> None:
        """Send the next 20 ms of a source of our own."""
        self._advance(now)
        if not self.open:
            return
        second = self.payload_type
        if self._fresh:
            self._fresh = False
            second |= rtp.MARKER
        self.sequence = sequence = (self.sequence + 1) & 0xFFFF
        self._sent_at = now
        self.packets += 1
        self.octets += len(payload)
        self._send(_pack(0x80, second, sequence, self.timestamp, self.ssrc) + payload, self.remote)

    def event(self, packet: EventPacket | None, now: float) -> None:
        """Send the next 20 ms of a digit, None being its pause (RFC 4733 section 2.5.1)."""
        self._advance(now)
        self._fresh = True
        if packet is None or not self.open or self.event_type is None:
            return
        second = self.event_type
        if packet.fresh:
            self._event_timestamp = self.timestamp
            second |= rtp.MARKER
        self.sequence = (self.sequence + 1) & 0xFFFF
        self._sent_at = now
        self._emit(second, self.sequence, self._event_timestamp, packet.payload)

    def relay(
        self, law: int, payload: bytes, origin: int, sequence: int, timestamp: int, marker: int, now: float
    ) -> None:
        """Pass on an audio packet of another leg, its gaps kept; `origin` is its SSRC."""
        if not self.open:
            return
        if law != self.law:
            table = TRANSLATION[law][self.law]
            payload = payload.translate(table)
        self._pass(self.payload_type, payload, origin, sequence, timestamp, marker, now)

    def relay_event(
        self, payload: bytes, origin: int, sequence: int, timestamp: int, marker: int, now: float
    ) -> None:
        """Pass on an event packet, where the far end takes them."""
        if self.open and self.event_type is not None:
            self._pass(self.event_type, payload, origin, sequence, timestamp, marker, now)

    def _pass(
        self, kind: int, payload: bytes, origin: int, sequence: int, timestamp: int, marker: int, now: float
    ) -> None:
        if origin != self._origin:
            self._anchor(origin, sequence, timestamp, now)
            marker = rtp.MARKER
        number = (sequence + self._sequence_shift) & 0xFFFF
        ahead = (number - self.sequence) & 0xFFFF
        if ahead > _MAX_JUMP:
            if 0x10000 - ahead < self._relayed and 0x10000 - ahead < _MAX_JUMP:
                self._emit(kind | marker, number, (timestamp + self._timestamp_shift) & 0xFFFFFFFF, payload)
                return  # came late, but belongs to this source
            if ahead > 0x10000 - _MAX_JUMP:
                return  # from before the source became ours to pass on
            self._anchor(origin, sequence, timestamp, now)
            number, ahead, marker = (self.sequence + 1) & 0xFFFF, 1, rtp.MARKER
        self.sequence = number
        self.timestamp = stamp = (timestamp + self._timestamp_shift) & 0xFFFFFFFF
        self._relayed += ahead
        self._sent_at = now
        self._emit(kind | marker, number, stamp, payload)

    def _anchor(self, origin: int, sequence: int, timestamp: int, now: float) -> None:
        """Lay the other leg's numbers onto ours, so that its next packet follows our last."""
        self._fresh = True
        self._advance(now)
        self._origin, self._relayed, self._fresh = origin, 0, True
        self._sequence_shift = (self.sequence + 1 - sequence) & 0xFFFF
        self._timestamp_shift = (self.timestamp - timestamp) & 0xFFFFFFFF

    def _advance(self, now: float) -> None:
        """The timestamp goes on by a frame, or by the time that passed since another source spoke."""
        ahead = FRAME_SAMPLES
        if self._fresh and self._sent_at:
            ahead *= max(1, round((now - self._sent_at) * SAMPLE_RATE / FRAME_SAMPLES))
        self.timestamp = (self.timestamp + ahead) & 0xFFFFFFFF

    def _emit(self, second: int, sequence: int, timestamp: int, payload: bytes) -> None:
        self.packets += 1
        self.octets += len(payload)
        self._send(_pack(0x80, second, sequence, timestamp, self.ssrc) + payload, self.remote)
