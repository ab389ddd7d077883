"""Plays the hold music: ivr/prompts/music/hold-music.wav, a tune of this project's own, 8 kHz mono 16 bit.

    python -m tools.make_music

24 bars in C that come back to their beginning: every note is laid into a ring, so that what still sounds
at the end goes on at the start, and the loop has no seam. Everything stays within 200-3400 Hz.
"""

from __future__ import annotations

import array
import math
import sys
import wave
from collections.abc import Sequence
from pathlib import Path

RATE = 8000
TARGET = Path(__file__).parent.parent / "ivr" / "prompts" / "music" / "hold-music.wav"

_BEAT = 5760  # samples: 83 beats a minute
_BEATS_A_BAR = 4
_PEAK = 0.5  # -6 dB: below the prompts
_HIGHEST_HZ = 3300.0
_A4 = 69
_ECHOES = ((0.75, 0.28), (1.5, 0.10))  # beats later, how loud

_CHORDS = {
    "C": (55, 60, 64, 71),
    "Am": (57, 60, 64, 67),
    "F": (57, 60, 65, 64),
    "G": (55, 59, 62, 65),
    "Em": (55, 59, 64, 62),
    "Dm": (57, 62, 65, 60),
}
_VERSE = ("C", "Am", "F", "G", "Em", "Am", "Dm", "G")
_BRIDGE = ("F", "G", "Em", "Am", "F", "Em", "Dm", "G")
_PROGRESSION = (*_VERSE, *_VERSE, *_BRIDGE)

# Melody: a MIDI note (0: rest) and its beats, a line for each two bars.
_VERSE_TUNE = (
    *((76, 1.5), (74, 0.5), (72, 1), (67, 1), (69, 2), (72, 1), (76, 1)),
    *((77, 1.5), (76, 0.5), (74, 1), (72, 1), (74, 3), (0, 1)),
    *((71, 1.5), (74, 0.5), (79, 1), (76, 1), (72, 2), (76, 2)),
    *((74, 1.5), (72, 0.5), (69, 1), (65, 1), (67, 3), (0, 1)),
)
_SECOND_TUNE = (
    *((72, 1), (76, 1), (79, 1.5), (76, 0.5), (76, 2), (72, 1), (74, 1)),
    *((77, 1), (81, 1), (79, 1), (77, 1), (74, 3), (0, 1)),
    *((79, 1.5), (78, 0.5), (79, 1), (83, 1), (81, 2), (76, 2)),
    *((77, 1), (76, 1), (74, 1), (69, 1), (71, 3), (0, 1)),
)
_BRIDGE_TUNE = (
    *((69, 2), (72, 1), (77, 1), (74, 2), (71, 2)),
    *((71, 1.5), (74, 0.5), (76, 2), (72, 3), (0, 1)),
    *((77, 1), (76, 1), (74, 1), (72, 1), (71, 2), (67, 2)),
    *((69, 1), (74, 1), (77, 1), (74, 1), (71, 2), (74, 1), (79, 1)),
)
_TUNE = (*_VERSE_TUNE, *_SECOND_TUNE, *_BRIDGE_TUNE)
_ARPEGGIO = (0, 2, 1, 3, 2, 1, 3, 2)  # which note of the chord on each half beat


def main() -> None:
    """Play the tune into its file."""
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    samples = array.array("h", (round(value * 32767) for value in compose()))
    if sys.byteorder == "big":
        samples.byteswap()
    with wave.open(str(TARGET), "wb") as recording:
        recording.setparams((1, 2, RATE, 0, "NONE", ""))
        recording.writeframes(samples.tobytes())
    print(f"{TARGET}: {len(samples) / RATE:.1f} s")


def compose() -> list[float]:
    """The whole loop, from -1 to 1."""
    ring = [0.0] * (len(_PROGRESSION) * _BEATS_A_BAR * _BEAT)
    for bar, chord in enumerate(_PROGRESSION):
        at = bar * _BEATS_A_BAR * _BEAT
        for note in _CHORDS[chord]:
            _lay(ring, at, _pad(_hertz(note)), 0.10)
        for half, index in enumerate(_ARPEGGIO):
            _lay(ring, at + half * _BEAT // 2, _pluck(_hertz(_CHORDS[chord][index]), 0.5), 0.16)
    at = 0
    for note, beats in _TUNE:
        if note:
            _lay(ring, at, _pluck(_hertz(note), 0.9), 0.34)
        at += round(beats * _BEAT)
    return _level(_echo(ring))


def _hertz(note: int) -> float:
    return 440.0 * math.exp2((note - _A4) / 12)


def _lay(ring: list[float], at: int, sound: Sequence[float], volume: float) -> None:
    length = len(ring)
    for index, value in enumerate(sound, at):
        ring[index % length] += value * volume


def _pluck(hertz: float, seconds: float) -> list[float]:
    """A soft mallet: the overtones die away first; `seconds` until a third is left."""
    partials = [(n, 1.0 / n**1.8) for n in range(1, 5) if hertz * n < _HIGHEST_HZ]
    sound = []
    for index in range(int(3.5 * seconds * RATE)):
        now = index / RATE
        attack = min(1.0, now / 0.006)
        wave_now = sum(
            loud * math.exp(-now * n**0.7 / seconds) * math.sin(math.tau * hertz * n * now)
            for n, loud in partials
        )
        sound.append(attack * wave_now)
    return sound


def _pad(hertz: float) -> list[float]:
    """Strings that swell and fade over a bar and into the next: two voices slightly apart."""
    length = int(1.25 * _BEATS_A_BAR * _BEAT)
    return [
        math.sin(math.pi * index / length) ** 2
        * (
            math.sin(math.tau * hertz * 1.0015 * index / RATE)
            + math.sin(math.tau * hertz * 0.9985 * index / RATE)
            + 0.3 * math.sin(math.tau * hertz * 2 * index / RATE)
        )
        for index in range(length)
    ]


def _echo(ring: Sequence[float]) -> list[float]:
    delays = [(round(beats * _BEAT), loud) for beats, loud in _ECHOES]
    return [
        value + sum(loud * ring[index - delay] for delay, loud in delays) for index, value in enumerate(ring)
    ]


def _level(sound: Sequence[float]) -> list[float]:
    """To the wanted peak, with the loudest moments rounded off."""
    loudest = max(abs(value) for value in sound)
    drive = 1.8
    return [_PEAK * math.tanh(drive * value / loudest) / math.tanh(drive) for value in sound]


if __name__ == "__main__":
    main()
