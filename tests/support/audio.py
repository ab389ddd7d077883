"""Tones and how to find them again: what the phones of the tests say and hear.

Audio is 16-bit mono PCM at 8000 samples a second unless told otherwise.
"""

from __future__ import annotations

import array
import atexit
import math
import struct
import tempfile
import wave
from collections.abc import Mapping
from pathlib import Path

from acd.media import g711

RATE = 8000
FRAME = 160
"""Samples in 20 ms."""


def tone(frequency: float, seconds: float, *, rate: int = RATE, amplitude: float = 0.4) -> bytes:
    """A sine as 16-bit PCM; `amplitude` is a share of full scale."""
    step = 2 * math.pi * frequency / rate
    peak = amplitude * 32767
    return array.array("h", (round(peak * math.sin(step * n)) for n in range(int(seconds * rate)))).tobytes()


def write_wav(path: Path, pcm: bytes, *, rate: int = RATE) -> Path:
    """Write mono 16-bit PCM as a WAV file and return its path."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return path


def tones(prompts: Mapping[str, tuple[float, float]], language: str = "en") -> str:
    """A directory of recordings that are tones (Hz, seconds), which is gone when the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="acd-tones-")
    atexit.register(folder.cleanup)
    spoken = Path(folder.name) / language
    spoken.mkdir()
    for prompt, (frequency, seconds) in prompts.items():
        write_wav(spoken / f"{prompt}.wav", tone(frequency, seconds))
    return folder.name


def read_wav(path: Path) -> bytes:
    """The samples of a 16-bit WAV file as mono at 8000 a second.

    A recording that is still being written has lengths of nothing in its header, so they are not believed.
    """
    data = path.read_bytes()
    form, body = data.find(b"fmt "), data.find(b"data")
    if form < 0 or body < 0:
        return b""
    channels, rate = struct.unpack_from("<HI", data, form + 10)
    (length,) = struct.unpack_from("<I", data, body + 4)
    pcm = data[body + 8 :]
    if 0 < length < len(pcm):
        pcm = pcm[:length]
    pcm = pcm[: len(pcm) - len(pcm) % (2 * channels)]
    samples = array.array("h", pcm)
    if channels == 2:
        samples = array.array("h", map(_middle, samples[::2], samples[1::2]))
    return (samples if rate == RATE else _resampled(samples, rate)).tobytes()


def _middle(left: int, right: int) -> int:
    return (left + right) // 2


def _resampled(samples: array.array[int], rate: int) -> array.array[int]:
    """The same sound at RATE samples a second, by straight lines between the samples that there are."""
    count = (len(samples) - 1) * RATE // rate
    places = (divmod(n * rate, RATE) for n in range(count))
    return array.array(
        "h", (samples[at] + (samples[at + 1] - samples[at]) * part // RATE for at, part in places)
    )


def to_law(pcm: bytes, payload_type: int) -> bytes:
    """Encode as PCMU (0) or PCMA (8)."""
    return g711.encode(pcm, _law(payload_type))


def from_law(payload: bytes, payload_type: int) -> bytes:
    """Decode PCMU (0) or PCMA (8)."""
    return g711.decode(payload, _law(payload_type))


def _law(payload_type: int) -> g711.Law:
    return g711.Law.PCMU if payload_type == 0 else g711.Law.PCMA


def share_of(frequency: float, pcm: bytes, *, rate: int = RATE) -> float:
    """The share (0 to 1) of the sound's energy that lies at `frequency`, by Goertzel. Silence has none."""
    samples = array.array("h", pcm)
    energy = float(sum(value * value for value in samples))
    if energy < len(samples) * 100.0:  # below -70 dBFS: the noise of the law codec
        return 0.0
    coefficient = 2 * math.cos(2 * math.pi * frequency / rate)
    before = last = 0.0
    for value in samples:
        before, last = last, value + coefficient * last - before
    power = before * before + last * last - coefficient * before * last
    return min(1.0, 2 * power / (len(samples) * energy))


def seconds_of(frequency: float, pcm: bytes, *, least_share: float = 0.6) -> float:
    """How long, in seconds, a tone rules the sound, measured in windows of 40 ms."""
    window = 2 * FRAME * 2
    windows = (pcm[at : at + window] for at in range(0, len(pcm) - window + 1, window))
    return 0.04 * sum(share_of(frequency, part) >= least_share for part in windows)


def seconds_of_sound(pcm: bytes, *, least_rms: int = 150) -> float:
    """How long, in seconds, there is any sound at all, measured in windows of 40 ms."""
    window = 2 * FRAME * 2
    windows = (pcm[at : at + window] for at in range(0, len(pcm) - window + 1, window))
    return 0.04 * sum(_rms(part) >= least_rms for part in windows)


def _rms(pcm: bytes) -> float:
    samples = array.array("h", pcm)
    return math.sqrt(sum(value * value for value in samples) / max(len(samples), 1))
