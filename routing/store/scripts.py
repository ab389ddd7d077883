"""The Lua scripts as one library of Redis functions, assembled from their files and what they include.

The server reads a library once. A script that is sent (EVALSHA) makes all of its functions anew each time it
runs, which was a fifth of what a match took.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from routing import limits
from routing.store.link import Command

_INCLUDE = re.compile(r"^-- include: (.+)$", re.MULTILINE)
_NOISE = re.compile(r"^\s*--.*\n|^\s+", re.MULTILINE)
_LIMIT = re.compile(rf"\b(?:{'|'.join(limits.FOR_SCRIPTS)})\b")

LIBRARIES = "acd_*"
"""The libraries of all releases."""

# What the scripts answer instead of a result; the same names stand in includes/base.lua.
UNKNOWN_CLASS = -1
UNKNOWN_PROFILE = -2
STALE_TOKEN = -3
RACED = -4
IN_DOUBT = -5


@dataclass(frozen=True, slots=True)
class Library:
    """What FUNCTION LOAD takes. Its name holds a digest of the text, so that releases stand side by side."""

    name: str
    text: str
    scripts: Collection[str]

    @property
    def loading(self) -> Command:
        """The command that makes the scripts known; needs Redis 7, or Valkey."""
        return ("FUNCTION", "LOAD", "REPLACE", self.text)

    def call(self, script: str, prefix: str, *arguments: str | int) -> Command:
        """The command that runs a script (the file name without .lua) for the site of this prefix."""
        return ("FCALL", f"{self.name}_{script}", 1, prefix, *arguments)


def load_library() -> Library:
    """All scripts of the package."""
    folder = files(__package__) / "lua"
    sources = {
        file.name.removesuffix(".lua"): file.read_text(encoding="utf-8")
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".lua")
    }
    body = "".join(_snippets(folder, "\n".join(sources.values()), {"begin"}))
    body += _clean((folder / "includes" / "begin.lua").read_text(encoding="utf-8"))
    for script, source in sources.items():
        body += f"register('{script}', function()\n{_clean(source)}end)\n"
    name = LIBRARIES[:-1] + hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest()[:12]
    text = f"#!lua name={name}\n" + body.replace("LIBRARY", name)
    return Library(name, text, tuple(sources))


def _snippets(folder: Traversable, source: str, included: set[str]) -> Iterator[str]:
    """Everything that a source includes, what each needs before it, each once."""
    for line in _INCLUDE.findall(source):
        for name in line.split():
            if name not in included:
                included.add(name)
                snippet = (folder / "includes" / f"{name}.lua").read_text(encoding="utf-8")
                yield from _snippets(folder, snippet, included)
                yield _clean(snippet)


def _clean(source: str) -> str:
    """Without comments, and with the limits as numbers."""
    return _LIMIT.sub(lambda found: str(getattr(limits, found[0])), _NOISE.sub("", source))
