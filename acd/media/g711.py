"""G.711 both ways (ITU-T G.711): linear to law, law to linear, and law to law by table."""

from __future__ import annotations

import audioop
from enum import IntEnum


class Law(IntEnum):
    """The two laws; the value indexes per-law tables and frame lists."""

    PCMU = 0
    PCMA = 1


SAMPLE_RATE = 8000
FRAME_SAMPLES = 160
"""One frame: 20 ms, one byte a sample."""

_ALL = bytes(range(256))
_FROM_MU = audioop.lin2alaw(audioop.ulaw2lin(_ALL, 2), 2)
_FROM_A = audioop.lin2ulaw(audioop.alaw2lin(_ALL, 2), 2)

TRANSLATION: tuple[tuple[bytes | None, bytes | None], ...] = ((None, _FROM_MU), (_FROM_A, None))
"""TRANSLATION[from][to]: table for bytes.translate, None where nothing changes."""

SILENCE: tuple[bytes, bytes] = (b"\xff" * FRAME_SAMPLES, b"\xd5" * FRAME_SAMPLES)
"""One frame of digital silence in each law."""


def encode(linear: bytes, law: Law) -> bytes:
    """16 bit native-endian samples to one byte a sample."""
    return audioop.lin2ulaw(linear, 2) if law is Law.PCMU else audioop.lin2alaw(linear, 2)


def decode(encoded: bytes, law: Law) -> bytes:
    """One byte a sample to 16 bit native-endian samples."""
    return audioop.ulaw2lin(encoded, 2) if law is Law.PCMU else audioop.alaw2lin(encoded, 2)
