"""PCM WAV files: read as 8 kHz mono, a second at a time, and the header of those that are recorded."""

from __future__ import annotations

import audioop
import os
import struct
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

from acd.errors import AcdError
from acd.media.g711 import FRAME_SAMPLES, SAMPLE_RATE

_RATES = range(8000, 48001)
_WIDTHS = (1, 2, 3, 4)
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")

HEADER_BYTES = _HEADER.size
BYTES_A_SECOND = 2 * SAMPLE_RATE
"""Of what is recorded: mono, 16 bit."""
SOUND_LEVEL = 200
"""Root mean square of 20 ms that are no silence: -44 dB of full scale, above the noise of usual lines."""
_MOST_BYTES = 3600 * BYTES_A_SECOND


class BadRecording(AcdError):
    """A prompt or music file cannot be read; the message names the file and the fault."""

    cause = "bad-recording"


def read_seconds(path: Path) -> Iterator[bytes]:
    """Pieces of one second, 16 bit native-endian samples at 8 kHz, the last one shorter.

    Takes 8 to 48 kHz, mono or stereo, 8 to 32 bit. Raises BadRecording.
    """
    try:
        with wave.open(str(path), "rb") as file:
            yield from _convert(path, file)
    except (OSError, EOFError, wave.Error, audioop.error) as error:
        raise BadRecording(
            f"{path}: not a PCM WAV file that can be played: {error or 'it is cut short'}"
        ) from error


def _convert(path: Path, file: wave.Wave_read) -> Iterator[bytes]:
    channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
    if channels not in (1, 2) or width not in _WIDTHS or rate not in _RATES:
        raise BadRecording(
            f"{path}: {channels} channels of {8 * width} bit at {rate} Hz; "
            "give mono or stereo, 8 to 32 bit, 8000 to 48000 Hz"
        )
    if file.getnframes() == 0:
        raise BadRecording(f"{path}: there is no sound in it")
    state = None
    while piece := file.readframes(rate):
        linear = _to_16_bit(piece, width)
        if channels == 2:
            linear = audioop.tomono(linear, 2, 0.5, 0.5)
        if rate != SAMPLE_RATE:
            linear, state = audioop.ratecv(linear, 2, 1, rate, SAMPLE_RATE, state)
        if linear:
            yield linear


def _to_16_bit(piece: bytes, width: int) -> bytes:
    """From the file's little-endian samples, 8 bit ones unsigned, to native 16 bit."""
    if width == 1:
        return audioop.lin2lin(audioop.bias(piece, 1, -128), 1, 2)
    if sys.byteorder == "big":
        piece = audioop.byteswap(piece, width)
    return piece if width == 2 else audioop.lin2lin(piece, width, 2)


def wav_header(data_bytes: int) -> bytes:
    """Of a recording with so many bytes of samples."""
    return _HEADER.pack(
        *(b"RIFF", HEADER_BYTES - 8 + data_bytes, b"WAVE", b"fmt ", 16),
        *(1, 1, SAMPLE_RATE, BYTES_A_SECOND, 2, 16),
        *(b"data", data_bytes),
    )


def seconds_of_sound(path: Path) -> float:
    """How long a recording is no silence, in windows of 20 ms. Raises OSError."""
    with path.open("rb") as file:
        file.seek(HEADER_BYTES)
        samples = _to_16_bit(file.read(_MOST_BYTES), 2)
    window = 2 * FRAME_SAMPLES
    pieces = (samples[at : at + window] for at in range(0, len(samples) - window + 1, window))
    return sum(audioop.rms(piece, 2) >= SOUND_LEVEL for piece in pieces) * FRAME_SAMPLES / SAMPLE_RATE


def mend_recording(path: Path) -> float:
    """Make the header of a recording fit what is in the file, which was cut off; its seconds.

    Raises OSError.
    """
    with path.open("r+b") as file:
        size = max(0, file.seek(0, os.SEEK_END) - HEADER_BYTES)
        size -= size % 2
        file.seek(0)
        file.write(wav_header(size))
        file.truncate(HEADER_BYTES + size)
    return size / BYTES_A_SECOND
