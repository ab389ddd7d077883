"""Runs a flow without I/O: `start` and `feed` take the run as it was and give it as it is, with commands.

A run is plain data, so that a call can be written down and gone on with elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ivr.flow import FlowDefinition


@dataclass(frozen=True, slots=True)
class Run:
    """Where a caller is in a flow, and what is known of the call so far."""

    flow: str
    node: str
    language: str
    skills: Mapping[str, int] = field(default_factory=dict)
    priority: int = 0
    attempt: int = 0
    """Tries of the present menu so far."""
    step: int = 0
    """Rises with each command that can report back; older reports are ignored."""


# Commands, in the imperative.


@dataclass(frozen=True, slots=True)
class PlayPrompts:
    """Play in the given language; report PromptsEnded(step)."""

    step: int
    prompts: tuple[str, ...]
    language: str


@dataclass(frozen=True, slots=True)
class StopPrompts:
    pass


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Report TimerFired(step) after so many seconds."""

    step: int
    seconds: float


@dataclass(frozen=True, slots=True)
class EnterQueue:
    queue: str


@dataclass(frozen=True, slots=True)
class TransferCall:
    """Report TransferFailed(step) where it is not possible."""

    step: int
    to: str


@dataclass(frozen=True, slots=True)
class EndCall:
    pass


@dataclass(frozen=True, slots=True)
class PlayEcho:
    pass


@dataclass(frozen=True, slots=True)
class PlayMusic:
    pass


Command = (
    PlayPrompts | StopPrompts | StartTimer | EnterQueue | TransferCall | EndCall | PlayEcho | PlayMusic
)

# Events, in the past tense.


@dataclass(frozen=True, slots=True)
class PromptsEnded:
    step: int


@dataclass(frozen=True, slots=True)
class DigitPressed:
    digit: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    step: int


@dataclass(frozen=True, slots=True)
class TransferFailed:
    step: int


Event = PromptsEnded | DigitPressed | TimerFired | TransferFailed


def start(
    flow: FlowDefinition, language: str, skills: Mapping[str, int], priority: int
) -> tuple[Run, tuple[Command, ...]]:
    """Enter the flow at its start node."""
    raise NotImplementedError


def feed(flow: FlowDefinition, run: Run, event: Event) -> tuple[Run, tuple[Command, ...]]:
    """Go on from `run`; an event of an older step changes nothing."""
    raise NotImplementedError
