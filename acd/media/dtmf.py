"""Digits as RTP events (RFC 4733), received and sent, without I/O."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from acd.media.g711 import FRAME_SAMPLES

DIGITS = "0123456789*#ABCD"
_PAYLOAD = struct.Struct("!BBH")
_END = 0x80
_VOLUME = 10
"""In -dBm0 (section 2.3.4)."""
_TONE_FRAMES = 5
_END_PACKETS = 3
_PAUSE_FRAMES = 3
"""With the end packets: 100 ms between two tones."""
_SLACK = 2 * FRAME_SAMPLES


@dataclass(frozen=True, slots=True)
class EventPacket:
    """One packet of a digit that we send; `fresh` starts a new event with a new timestamp."""

    payload: bytes
    fresh: bool


def packets_of(digit: str) -> Iterator[EventPacket | None]:
    """The packets of one key press, one each 20 ms; None where nothing is sent (section 2.5.1).

    A 100 ms tone whose duration grows, its end said three times, and a pause.
    """
    code = DIGITS.index(digit.upper())
    for frame in range(1, _TONE_FRAMES):
        yield EventPacket(_PAYLOAD.pack(code, _VOLUME, frame * FRAME_SAMPLES), frame == 1)
    for _ in range(_END_PACKETS):
        yield EventPacket(_PAYLOAD.pack(code, _END | _VOLUME, _TONE_FRAMES * FRAME_SAMPLES), False)
    for _ in range(_PAUSE_FRAMES):
        yield None


class DigitReceiver:
    """Folds event packets into key presses.

    A press counts when its first packet comes, so lost end packets do not matter; it is known by its
    timestamp, so repeated, reordered and late packets add nothing.
    """

    __slots__ = ("_code", "_duration", "_ended", "_ssrc", "_timestamp")

    def __init__(self) -> None:
        self._ssrc: int | None = None
        self._timestamp = 0
        self._code = -1
        self._duration = 0
        self._ended = True

    def receive(self, ssrc: int, timestamp: int, payload: bytes, *, marker: bool) -> str | None:
        """The digit where this packet starts a press, else None. Malformed packets give None."""
        if len(payload) < _PAYLOAD.size:
            return None
        code, flags, duration = _PAYLOAD.unpack_from(payload)
        ended = bool(flags & _END)
        if ssrc == self._ssrc:
            ahead = (timestamp - self._timestamp) & 0xFFFFFFFF
            if ahead == 0:
                self._duration = max(self._duration, duration)
                self._ended = self._ended or ended
                return None
            if ahead >= 1 << 31:
                return None
            if code == self._code and not self._ended and not marker and ahead <= self._duration + _SLACK:
                # A long press goes on in a further segment (section 2.5.1.3), or the sender moves
                # the timestamp with every packet.
                self._remember(ssrc, timestamp, code, duration, ended)
                return None
        self._remember(ssrc, timestamp, code, duration, ended)
        return DIGITS[code] if code < len(DIGITS) else None

    def _remember(self, ssrc: int, timestamp: int, code: int, duration: int, ended: bool) -> None:
        self._ssrc, self._timestamp = ssrc, timestamp
        self._code, self._duration, self._ended = code, duration, ended
