"""A day of a centre as its event stream tells of it, in a compact file.

What callers and agents did of themselves is kept: who came when with what ticket, how long phones rang and to
what end, how long conversations and wrap-ups lasted, who hung up waiting, who came, paused and went. Who got
whom is left to the store, so that a day can be played on it again (tests/support/day_player.py).
"""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from routing.model import AgentState, RejectReason, Ticket

_AWAY = (AgentState.OFFLINE, AgentState.PAUSED, AgentState.NOT_ANSWERING)


@dataclass(frozen=True)
class Ring:
    """An agent's phone rang for so long. `refused` is why they did not answer; None for one who did."""

    ms: int
    refused: RejectReason | None = None


_TO_NO_END = Ring(3_600_000)
"""The caller hung up, or the agent paused, before anything came of it."""


@dataclass(frozen=True)
class DayCall:
    """A caller. Times in ms; `ticket.enqueued_ms` is when they came."""

    ticket: Ticket
    rings: tuple[Ring, ...] = ()
    talk_ms: int = 0
    wrapup_ms: int = 0
    gives_up_ms: int | None = None
    """After coming; None for one who was answered."""
    waited_ms: int | None = None
    """Until an agent answered."""


@dataclass(frozen=True)
class Change:
    """An agent comes (AVAILABLE), pauses or goes."""

    at_ms: int
    agent: str
    state: AgentState


@dataclass(frozen=True)
class Day:
    """`skills` are those of each agent."""

    begins_ms: int
    skills: Mapping[str, Mapping[str, int]]
    calls: tuple[DayCall, ...]
    changes: tuple[Change, ...]


def read(file: Path) -> Day:
    """Raises OSError, msgspec.MsgspecError."""
    return msgspec.json.decode(gzip.decompress(file.read_bytes()), type=Day)


def write(day: Day, file: Path) -> None:
    """The same bytes for the same day."""
    file.write_bytes(gzip.compress(msgspec.json.encode(day), 9, mtime=0))


def day_of(
    events: Iterable[Mapping[str, str]],
    tickets: Mapping[str, Ticket],
    skills: Mapping[str, Mapping[str, int]],
    begins_ms: int,
) -> Day:
    """What the events (docs/events.md) say of the calls that came with these tickets."""
    story = _Story()
    for event in events:
        story.hear(event["k"], int(event["t"]), event)
    calls = [
        DayCall(
            ticket,
            tuple(story.rings[call]),
            story.talks.get(call, 0),
            story.wrapups.get(call, 0),
            gone - ticket.enqueued_ms if (gone := story.gone.get(call)) is not None else None,
            answered - ticket.enqueued_ms if (answered := story.answered.get(call)) is not None else None,
        )
        for call, ticket in tickets.items()
    ]
    return Day(begins_ms, skills, tuple(calls), tuple(story.changes))


class _Story:
    """What was heard so far. Times in ms."""

    def __init__(self) -> None:
        self.rings: dict[str, list[Ring]] = defaultdict(list)
        self.answered: dict[str, int] = {}
        self.gone: dict[str, int] = {}
        self.talks: dict[str, int] = {}
        self.wrapups: dict[str, int] = {}
        self.changes: list[Change] = []
        self._rung: dict[str, int] = {}
        self._wraps: dict[str, str] = {}
        self._states: dict[str, AgentState] = {}

    def hear(self, kind: str, at: int, event: Mapping[str, str]) -> None:
        call, agent = event.get("c", ""), event.get("a", "")
        match kind:
            case "offers":
                self._rung[call] = at
            case "answered":
                self.rings[call].append(Ring(at - self._rung[call]))
                self.answered[call] = at
            case "rejected":
                self.rings[call].append(Ring(at - self._rung[call], RejectReason(event["why"])))
            case "completed":
                self.talks[call] = at - self.answered[call]
                self._wraps[agent] = call
            case "wrapped":
                self.wrapups[self._wraps[agent]] = int(event["ms"])
            case "withdrawn":
                self.rings[call].append(_TO_NO_END)
            case "abandoned":
                self.gone[call] = at
                if event["from"] == AgentState.OFFERED:
                    self.rings[call].append(_TO_NO_END)
            case "agent" | "asked" if event.get("st"):
                self._changes(agent, AgentState(event["st"]), at)

    def _changes(self, agent: str, state: AgentState, at: int) -> None:
        """Words of the agent only: that they are free again after a call is none."""
        before = self._states.get(agent, AgentState.OFFLINE)
        if state == before or (state not in _AWAY and before not in _AWAY):
            return
        self._states[agent] = state
        self.changes.append(Change(at, agent, state))
