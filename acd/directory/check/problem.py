"""What is wrong with a directory file, where, and what was perhaps meant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

KeyPath = tuple[str | int, ...]
"""The way to a value in the file: ("queues", 0, "requires")."""


@dataclass(frozen=True, slots=True)
class Problem:
    path: KeyPath
    message: str


def suggestion(word: str, known: Iterable[str]) -> str:
    """A hint at the name that was perhaps meant, or "" where none is near."""
    near = get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
