"""Which recordings there are: <directory>/<language>/<prompt>.wav, and <directory>/music/<name>.wav."""

from __future__ import annotations

import re
import wave
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

SHIPPED_PROMPTS = Path(__file__).parent / "prompts"
"""The recordings that come with this package."""

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_MUSIC = "music"


class PromptError(Exception):
    """Recordings that cannot be used, all of them; each line says which, why, and the remedy."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class UnknownPrompt(LookupError):
    """No directory of the library has this recording."""


class PromptLibrary:
    """The recordings of some directories as they were when the library was made.

    A recording in an earlier directory wins over one of the same name in a later one; a directory that
    is not there holds nothing. Raises PromptError where a recording is not 8 kHz mono 16-bit WAV, or where
    nothing is recorded in the default language.
    """

    def __init__(self, dirs: Sequence[Path], default_language: str = "en") -> None:
        self.default_language = default_language
        files: dict[str, dict[str, Path]] = {}
        for directory in reversed(dirs):
            for language, file in _recordings(directory):
                files.setdefault(language, {})[file.stem] = file
        self._music: Mapping[str, Path] = files.pop(_MUSIC, {})
        self._prompts: Mapping[str, Mapping[str, Path]] = files
        self.languages = frozenset(files)
        self.names = frozenset(name for recorded in files.values() for name in recorded)
        """Prompts that at least one language has."""
        spoken = [file for recorded in files.values() for file in recorded.values()]
        _check([*self._music.values(), *spoken], self.languages, default_language)

    def has(self, prompt: str, language: str) -> bool:
        """Whether the prompt is recorded in this very language."""
        return prompt in self._prompts.get(language, {})

    def resolve(self, prompt: str, language: str) -> Path:
        """The recording in this language, else in the default language. Raises UnknownPrompt."""
        for candidate in (language, self.default_language):
            found = self._prompts.get(candidate, {}).get(prompt)
            if found is not None:
                return found
        raise UnknownPrompt(
            f"prompt {prompt!r} is recorded neither in {language} nor in {self.default_language}"
        )

    def music(self, name: str = "hold-music") -> Path:
        """A piece of hold music, made to be played over and over. Raises UnknownPrompt."""
        found = self._music.get(name)
        if found is None:
            raise UnknownPrompt(
                f"no music is named {name!r}; there is: {', '.join(sorted(self._music)) or 'none'}"
            )
        return found


def _recordings(directory: Path) -> Iterator[tuple[str, Path]]:
    """The folder (a language, or music) and file of each recording."""
    if not directory.is_dir():
        return
    for folder in sorted(directory.iterdir()):
        if folder.is_dir() and (folder.name == _MUSIC or _LANGUAGE.fullmatch(folder.name)):
            for file in sorted(folder.glob("*.wav")):
                yield folder.name, file


def _check(files: Sequence[Path], languages: frozenset[str], default_language: str) -> None:
    problems = [f"{file}: {fault}" for file in files if (fault := _fault(file))]
    if languages and default_language not in languages:
        known = ", ".join(sorted(languages))
        problems.append(
            f"nothing is recorded in the default language {default_language!r}; there is: {known}"
        )
    if problems:
        raise PromptError(tuple(problems))


def _fault(file: Path) -> str:
    try:
        with wave.open(str(file), "rb") as recording:
            found = (recording.getframerate(), recording.getnchannels(), recording.getsampwidth() * 8)
            frames = recording.getnframes()
    except (OSError, EOFError, wave.Error) as error:
        return f"cannot be read as PCM WAV ({error or 'the file is cut short'})"
    if found != (8000, 1, 16):
        return (
            "is {} Hz, {} channel(s), {} bit; it must be 8000 Hz, mono, 16 bit".format(*found)
            + f" (sox in.wav -r 8000 -c 1 -b 16 {file.name})"
        )
    return "" if frames else "holds no audio"
