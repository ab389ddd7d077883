"""Calls to the outside: who may call what, and which way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

DialClass = Literal["internal", "national", "international", "premium", "emergency"]
"""What it takes to call a number outside. Emergency numbers may be called by every agent."""
DIAL_CLASSES: tuple[DialClass, ...] = get_args(DialClass)


@dataclass(frozen=True, slots=True)
class Route:
    """The way of calls to numbers that begin so. The longest prefix counts."""

    prefix: str
    """Of the number as E.164 where it begins with a plus; else of what is dialled, just as it is dialled."""
    kind: DialClass
    trunks: tuple[str, ...] = ()
    """Asked in this order; without any nobody gets through."""
    strip: int = 0
    """So many characters less are sent to the trunk, the plus being one."""
    prepend: str = ""


@dataclass(frozen=True, slots=True)
class Dialling:
    """What holds for all calls to the outside."""

    country: str = ""
    """How agents dial (ISO 3166); empty: only E.164, and what a route takes just as it is dialled."""
    caller_id: str = ""
    """The number shown where neither agent, team nor queue has one; empty: the first of the directory."""
    outside_calls: int = 2
    """That an agent may have at a time."""
    ring_seconds: float = 60.0
    """Of a number that a caller is transferred to."""
    wrapup_seconds: float = 0.0
    """After a call that an agent made."""
    operators: tuple[DialClass, ...] = ("internal", "national", "international")
    """Where the API may send callers."""


@dataclass(frozen=True, slots=True)
class Team:
    """What holds for the agents of a team who have nothing of their own."""

    name: str
    dialling: tuple[DialClass, ...] = ()
    caller_id: str = ""
    outside_calls: int | None = None
