"""Small recordings and prompt libraries for tests."""

from __future__ import annotations

import wave
from collections.abc import Iterable, Mapping
from pathlib import Path

from ivr.prompts import PromptLibrary


def write_recording(
    file: Path, *, rate: int = 8000, channels: int = 1, bits: int = 16, frames: int = 80
) -> Path:
    """A WAV file of digital silence."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(file), "wb") as recording:
        recording.setparams((channels, bits // 8, rate, 0, "NONE", ""))
        recording.writeframes(bytes(frames * channels * bits // 8))
    return file


def write_prompts(directory: Path, prompts: Mapping[str, Iterable[str]]) -> Path:
    """Recordings of the named prompts, by language."""
    for language, names in prompts.items():
        for name in names:
            write_recording(directory / language / f"{name}.wav")
    return directory


def library(
    directory: Path, prompts: Mapping[str, Iterable[str]], default_language: str = "en"
) -> PromptLibrary:
    """A prompt library of just these recordings."""
    return PromptLibrary([write_prompts(directory, prompts)], default_language)
