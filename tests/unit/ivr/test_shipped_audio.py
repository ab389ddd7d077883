"""The recordings that ship, checked by a machine's ear."""

from __future__ import annotations

import array
import audioop
import hashlib
import itertools
import json
import math
import wave
from pathlib import Path

import pytest

from ivr.prompts import SHIPPED_PROMPTS

LANGUAGES = ("ar", "en", "es", "et", "tr")
FILES = sorted(SHIPPED_PROMPTS.glob("*/*.wav"))
_SPEECH = [file for file in FILES if file.parent.name != "music"]


def sound_of(file: Path) -> bytes:
    """Samples of 16 bits."""
    with wave.open(str(file), "rb") as recording:
        assert (recording.getframerate(), recording.getnchannels(), recording.getsampwidth()) == (8000, 1, 2)
        return recording.readframes(recording.getnframes())


def decibels(level: float) -> float:
    """Against full scale."""
    return 20 * math.log10(level / 32768)


def longest_silence(sound: bytes) -> float:
    """Seconds in which nothing is louder than -50 dB."""
    longest = quiet = 0
    for at in range(0, len(sound), 320):
        quiet = quiet + 1 if audioop.max(sound[at : at + 320], 2) < 100 else 0
        longest = max(longest, quiet)
    return longest * 0.02


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_recording_sounds_as_a_telephone_needs_it(file: Path) -> None:
    sound = sound_of(file)
    assert decibels(audioop.max(sound, 2)) <= -2
    assert -26 < decibels(audioop.rms(sound, 2)) < -12
    assert longest_silence(sound) < 0.8
    shortest = 0.5 if file.stem.startswith(("digit-", "number-", "beep", "mailbox-")) else 1
    assert shortest <= len(sound) / 16000 < 90


def test_every_language_has_every_prompt_of_english() -> None:
    recorded = {lang: {file.stem for file in (SHIPPED_PROMPTS / lang).glob("*.wav")} for lang in LANGUAGES}
    assert len(recorded["en"]) == 100
    for language in LANGUAGES:
        assert recorded[language] == recorded["en"], language


def test_the_language_menu_is_the_same_in_all_languages() -> None:
    assert len({(SHIPPED_PROMPTS / lang / "choose-language.wav").read_bytes() for lang in LANGUAGES}) == 1


def test_the_manifest_tells_text_engine_and_licence_of_every_recording() -> None:
    manifest = json.loads((SHIPPED_PROMPTS / "MANIFEST.json").read_text(encoding="utf-8"))
    for file in _SPEECH:
        entry = manifest[file.parent.name]
        assert entry["engine"]
        assert entry["licence"]
        assert entry["prompts"][file.stem]["text"]
        assert entry["prompts"][file.stem]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_hold_music_has_no_seam_where_it_begins_again() -> None:
    samples = array.array("h", sound_of(SHIPPED_PROMPTS / "music" / "hold-music.wav"))
    steps = [abs(after - before) for before, after in itertools.pairwise(samples)]
    assert abs(samples[0] - samples[-1]) <= max(steps)
    assert 60 <= len(samples) / 8000 <= 90


def test_the_recordings_stay_small() -> None:
    assert sum(file.stat().st_size for file in FILES) < 27_000_000
