"""What is known of callers by their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class PriorityClass:
    """A name for a priority, so that lists and look-ups need not know numbers."""

    name: str
    priority: int


@dataclass(frozen=True, slots=True)
class Gives:
    """What is so of the callers on a list. Nothing of it, where it is empty or None, is left as it was."""

    priority: int | None = None
    skills: Mapping[str, int] = field(default_factory=dict)
    language: str = ""
    preferred_agent: str = ""
    queue: str = ""
    """Where they go to, whatever the number that they dialled leads to."""
    reject: int = 0
    """The SIP status with which they are refused; 0: they are not."""
    languages: tuple[str, ...] = ()
    """Those that they speak, the best first; `language` is the first of them, where there are any."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """A page that says what is known of a caller, as JSON."""

    url: str
    """{number} and {called} are filled in."""
    method: Literal["GET", "POST"] = "GET"
    """A POST has both as JSON in its body."""
    timeout_seconds: float = 2.0
    authorization_env: str = ""
    """The variable of a node's environment that holds the Authorization header."""


@dataclass(frozen=True, slots=True)
class CallerList:
    """Callers by number, or those of whom a look-up knows something."""

    name: str
    order: int = 0
    """What a list with less gives holds."""
    numbers: frozenset[str] = frozenset()
    prefixes: frozenset[str] = frozenset()
    """What their numbers begin with; of a look-up, whom it is asked for, without any for everybody."""
    gives: Gives = Gives()
    lookup: Lookup | None = None

    def begins_like(self, number: str) -> bool:
        """Whether the number begins with one of the prefixes."""
        return bool(self.prefixes) and any(number[:n] in self.prefixes for n in range(1, len(number) + 1))
