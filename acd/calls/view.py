"""A live call as others may see it: a copy, so that looking never touches the call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from acd.calls.record import Attempt, Direction, Segment
from routing.model import Requirement


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why a live call is where it is. `needs` is what it waits for, None where it does not wait."""

    view: CallView
    attempts: tuple[Attempt, ...]
    needs: Requirement | None
    segments: tuple[Segment, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallView:
    """`started_at` in seconds since the epoch. Empty strings where there is nothing (yet)."""

    id: str
    state: str
    """An acd.calls.model.State value."""
    queue: str
    agent: str
    """The agent who is rung or talks."""
    caller: str
    called: str
    started_at: float
    waiting_seconds: float
    """Since the caller entered the queue, until an agent answered; 0 for a call that never waited."""
    language: str = ""
    node: str = ""
    direction: Direction = "inbound"
    entry: str = ""
    """What the store calls the place of a call that waits."""
