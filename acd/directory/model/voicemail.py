"""Boxes for messages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VoicemailRules:
    """How a box takes messages, and how it keeps them."""

    greeting: tuple[str, ...] = ()
    """Prompts before the tone; none: the usual words."""
    max_seconds: float = 180.0
    """Of one message."""
    silence_seconds: float = 8.0
    """Of silence that end a message; 0: none does."""
    max_messages: int = 100
    keep_days: float = 30.0
    wait_seconds: float = 10.0
    """Of an agent: how long who dialled the extension waits while the agent cannot be rung."""
    agents: tuple[str, ...] = ()
    """Who may listen beside the agent whose box it is."""
    teams: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Box:
    """A voicemail box of nobody in particular."""

    name: str
    number: str = ""
    """Dialled after the code for voicemail; empty: not by phone."""
    rules: VoicemailRules = VoicemailRules()
