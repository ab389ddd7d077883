"""What happened to a call, for whoever counts, records or shows it. Published by the call session.

Observers are called on the event loop, in order, and must neither block nor raise.
Durations in seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from acd.calls.record import CallRecord
from acd.media.engine import LegStatistics
from routing.model import Ticket
from routing.overflow import Why

ToldWhen = Literal["joined", "updated"]


@dataclass(frozen=True, slots=True)
class CallStarted:
    call_id: str
    trunk: str


@dataclass(frozen=True, slots=True)
class CallQueued:
    """The caller entered a queue (once a queue; a requeue after a failed offer is not told again)."""

    call_id: str
    queue: str
    ticket: Ticket | None = None
    """As the store is told."""


@dataclass(frozen=True, slots=True)
class CallOverflowed:
    """A rule of the queue was carried out. `to_kind` is an OverflowKind of who left the queue by it. The
    caller waits on after "message-then-wait", and with "nowhere": the target was not there, or the call has
    gone round too often."""

    call_id: str
    queue: str
    to_kind: str
    why: Why


@dataclass(frozen=True, slots=True)
class AgentRung:
    call_id: str
    queue: str
    agent: str


@dataclass(frozen=True, slots=True)
class OfferFailed:
    """`reason` is a routing.model.RejectReason value, "withdrawn", or "elsewhere": one of several who were
    rung together, of whom another answered."""

    call_id: str
    queue: str
    agent: str
    reason: str
    ring_seconds: float


@dataclass(frozen=True, slots=True)
class CallAnswered:
    call_id: str
    queue: str
    agent: str
    wait_seconds: float
    ring_seconds: float


@dataclass(frozen=True, slots=True)
class DialRefused:
    """A number outside was not called; `cause` is that of an acd.calls.outward.DialRefused."""

    call_id: str
    agent: str
    cause: str


@dataclass(frozen=True, slots=True)
class LegClosed:
    """`side` is "caller" or "agent"; `leg` is its name among the calls of the node."""

    call_id: str
    side: str
    statistics: LegStatistics
    leg: str = ""


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The last fact of a call."""

    record: CallRecord


@dataclass(frozen=True, slots=True)
class ConversationOver:
    """The agent has parted from the caller, and wraps up where the queue says so; the call may go on."""

    call_id: str
    queue: str
    agent: str


@dataclass(frozen=True, slots=True)
class NoteMissed:
    """The wrap-up of a conversation ended, and the agent has not noted what the queue requires."""

    queue: str
    agent: str


@dataclass(frozen=True, slots=True)
class WrapupEnded:
    """The agent did what was to do after a conversation of this node; the call itself is long over."""

    queue: str
    agent: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ExpectationMet:
    """A caller was answered, of whom a wait was expected when they `joined`, or at a later time of the wait
    (`updated`). Both from joining on."""

    queue: str
    expected_seconds: float
    actual_seconds: float
    when: ToldWhen = "joined"


@dataclass(frozen=True, slots=True)
class CallerLookedUp:
    """The page of a caller list was asked about a caller: it `found` something, knows nothing (`unknown`),
    `failed`, or was `skipped`, since it failed before or too much is asked of it already."""

    list: str
    result: str
    seconds: float


CallFact = (
    CallStarted
    | CallQueued
    | CallOverflowed
    | AgentRung
    | OfferFailed
    | CallAnswered
    | DialRefused
    | LegClosed
    | CallEnded
    | ConversationOver
    | NoteMissed
    | WrapupEnded
    | ExpectationMet
    | CallerLookedUp
)

Observer = Callable[[CallFact], None]
