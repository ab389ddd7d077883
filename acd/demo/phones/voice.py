"""What the demo's phones say and hear: tones in mu-law and A-law, and an ear that knows them again."""

from __future__ import annotations

import array
import audioop
import math
import threading

RATE = 8000
FRAME_SAMPLES = 160
FRAME_SECONDS = 0.02
AGENT_TONE = 1850.0
"""Hz; neither speech nor the hold music rests on it."""
CALLER_TONE = 620.0
_PCMU = 0
_AUDIBLE_RMS = 200
_SURE_AFTER_FRAMES = 5


def tone_frames(frequency: float, *, seconds: float = 1.0, amplitude: float = 0.25) -> tuple[bytes, ...]:
    """A tone cut into 20 ms of 16-bit PCM each; whole periods, so that it can be repeated without a click."""
    step = 2 * math.pi * frequency / RATE
    peak = amplitude * 32767
    samples = array.array("h", (round(peak * math.sin(step * n)) for n in range(int(seconds * RATE))))
    pcm = samples.tobytes()
    size = FRAME_SAMPLES * 2
    return tuple(pcm[at : at + size] for at in range(0, len(pcm), size))


def encode(pcm: bytes, payload_type: int) -> bytes:
    """16-bit PCM to PCMU (0), else to PCMA."""
    return audioop.lin2ulaw(pcm, 2) if payload_type == _PCMU else audioop.lin2alaw(pcm, 2)


def decode(payload: bytes, payload_type: int) -> bytes:
    """PCMU (0), else PCMA, to 16-bit PCM."""
    return audioop.ulaw2lin(payload, 2) if payload_type == _PCMU else audioop.alaw2lin(payload, 2)


def rules(frequency: float, pcm: bytes, *, share: float = 0.7) -> bool:
    """Whether most of the sound's energy lies at this frequency (Goertzel)."""
    samples = array.array("h", pcm)
    if not samples or audioop.rms(pcm, 2) < _AUDIBLE_RMS:
        return False
    energy = float(sum(value * value for value in samples))
    coefficient = 2 * math.cos(2 * math.pi * frequency / RATE)
    before = last = 0.0
    for value in samples:
        before, last = last, value + coefficient * last - before
    power = before * before + last * last - coefficient * before * last
    return 2 * power / (len(samples) * energy) >= share


class Ear:
    """Listens to one call: has there been any sound, and has the awaited tone been there for 100 ms?"""

    def __init__(self, awaited: float) -> None:
        self.packets = 0
        self.sound = threading.Event()
        self.tone = threading.Event()
        self._awaited = awaited
        self._in_a_row = 0

    def listen(self, payload: bytes, payload_type: int) -> None:
        """Take one packet's payload."""
        self.packets += 1
        if self.tone.is_set():
            return
        pcm = decode(payload, payload_type)
        if audioop.rms(pcm, 2) >= _AUDIBLE_RMS:
            self.sound.set()
        self._in_a_row = self._in_a_row + 1 if rules(self._awaited, pcm) else 0
        if self._in_a_row >= _SURE_AFTER_FRAMES:
            self.tone.set()
