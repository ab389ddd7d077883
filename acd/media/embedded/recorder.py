"""What the far end of one leg says, laid out in time. No I/O: packets in, pieces of 16 bit samples out.

Each packet lies where its timestamp says, what is missing is silence. A timestamp ahead of the time that has
passed is not believed, so that no packet can make a recording longer than it took.
"""

from __future__ import annotations

import audioop

from acd.media.g711 import SAMPLE_RATE, Law, decode
from acd.media.wav import SOUND_LEVEL

_DRIFT = 2 * SAMPLE_RATE
"""Samples that a stream may be ahead of the time passed, or leap back, before it is laid out anew."""
_HELD_BACK = SAMPLE_RATE // 10
"""The newest samples, which a late packet may still fill."""


class Recorder:
    """One recording. Every `now` is in monotonic seconds.

    It is over, and says why in `ended`, at its limit or after so long a silence (0: no matter how long).
    """

    __slots__ = (
        "_buffer",
        "_given",
        "_limit",
        "_origin",
        "_silence_seconds",
        "_sound_at",
        "_ssrc",
        "_started_at",
        "ended",
        "name",
        "sound_samples",
    )

    def __init__(self, name: str, *, limit_seconds: float, silence_seconds: float, now: float) -> None:
        self.name = name
        self.ended = ""
        self.sound_samples = 0
        """How many of them were no silence."""
        self._limit = round(limit_seconds * SAMPLE_RATE)
        self._silence_seconds = silence_seconds
        self._started_at = self._sound_at = now
        self._ssrc: int | None = None
        self._origin = 0
        """The timestamp of the first sample, were the stream one from the beginning."""
        self._buffer = bytearray()
        self._given = 0
        """Samples before the buffer: they are written, or on their way."""

    @property
    def _end(self) -> int:
        return self._given + len(self._buffer) // 2

    def take(self, law: int, payload: bytes, ssrc: int, timestamp: int, now: float) -> None:
        """A packet of audio."""
        if self.ended or not payload:
            return
        passed = round((now - self._started_at) * SAMPLE_RATE)
        at = _signed(timestamp - self._origin)
        if ssrc != self._ssrc or not self._end - _DRIFT <= at <= passed + _DRIFT:
            # Another stream, or one that leapt: it goes on where it arrives.
            at = max(self._end, passed)
            if at > passed + _DRIFT:
                return
            self._ssrc, self._origin = ssrc, (timestamp - at) & 0xFFFFFFFF
        linear = decode(payload, Law(law))
        if audioop.rms(linear, 2) >= SOUND_LEVEL:
            self._sound_at = now
            self.sound_samples += len(payload)
        self._lay(at, linear)
        if self._end >= self._limit:
            del self._buffer[2 * (self._limit - self._given) :]
            self.ended = "limit"

    def _lay(self, at: int, linear: bytes) -> None:
        start = 2 * (at - self._given)
        if start < 0:
            return  # too late: what lay there is written
        if start > len(self._buffer):
            self._buffer += bytes(start - len(self._buffer))
        self._buffer[start : start + len(linear)] = linear

    def look(self, now: float) -> None:
        """Once a second: whether it is over by itself."""
        if not self.ended and round((now - self._started_at) * SAMPLE_RATE) >= self._limit:
            self.ended = "limit"
        elif not self.ended and 0 < self._silence_seconds <= now - self._sound_at:
            self.ended = "silence"

    def piece(self, *, last: bool = False) -> bytes:
        """What can be written now; with `last` all that is left."""
        ready = len(self._buffer) if last else max(0, len(self._buffer) - 2 * _HELD_BACK)
        piece = bytes(self._buffer[:ready])
        del self._buffer[:ready]
        self._given += ready // 2
        return piece


def _signed(difference: int) -> int:
    """Of two timestamps that wrap at 2**32."""
    return (difference + 0x80000000) % 0x100000000 - 0x80000000
