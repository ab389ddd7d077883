"""The Lua scripts, each assembled from its file, the snippets it includes, and the limits."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from routing import limits

_INCLUDE = re.compile(r"^-- include: (.+)$", re.MULTILINE)
_NOISE = re.compile(r"^\s*--.*\n|^\s+", re.MULTILINE)

# What the scripts answer instead of a result; the same names stand in includes/base.lua.
UNKNOWN_CLASS = -1
UNKNOWN_PROFILE = -2
STALE_TOKEN = -3
RACED = -4
IN_DOUBT = -5


@dataclass(frozen=True, slots=True)
class Script:
    """One operation. `sha` is what EVALSHA calls it by."""

    name: str
    text: str
    sha: str


def load_scripts() -> Mapping[str, Script]:
    """Every script of the package by its name (the file name without .lua)."""
    folder = files(__package__) / "lua"
    head = "".join(f"local {name} = {getattr(limits, name)}\n" for name in limits.FOR_SCRIPTS)
    scripts = {}
    for file in folder.iterdir():
        if file.name.endswith(".lua"):
            text = head + _assemble(folder, file.read_text(encoding="utf-8"), set())
            name = file.name.removesuffix(".lua")
            scripts[name] = Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
    return scripts


def _assemble(folder: Traversable, source: str, included: set[str]) -> str:
    """The source after everything that it includes, each snippet once, comments left out."""
    parts = []
    for line in _INCLUDE.findall(source):
        for name in line.split():
            if name not in included:
                included.add(name)
                snippet = (folder / "includes" / f"{name}.lua").read_text(encoding="utf-8")
                parts.append(_assemble(folder, snippet, included))
    return "".join(parts) + _NOISE.sub("", source)
