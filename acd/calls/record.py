"""The call record: one a call, written once."""

from __future__ import annotations

from typing import Literal

import msgspec

from routing.model import Decision, RejectReason
from routing.overflow import Why

Outcome = Literal[
    "answered",
    "abandoned",
    "rejected",
    "failed",
    "completed",
    "timed-out",
    "cleared",
    "callback",
    "voicemail",
    "forwarded",
    "unanswered",
]
"""answered: an agent talked to the caller, or to whom they called. abandoned: the caller left the queue or
the IVR before that.
completed: the flow itself ended the call (message, echo, music). rejected: never taken in.
callback: the caller is to be called back and keeps the place.
voicemail: the caller left a message.
timed-out: the queue's longest wait passed. cleared: a supervisor or a stopping node ended it.
forwarded: no agent, but a number outside talked to the caller.
unanswered: an agent called a number outside, and nobody answered there; or the one agent whom the caller
wanted did not take the call.
failed: broken by us, the network or a crash."""


NODE_DIED = "node-died"
"""The cause of a call whose node was gone, or taken for that."""
Direction = Literal["inbound", "outbound", "internal"]


class Segment(msgspec.Struct, frozen=True, omit_defaults=True):
    """One state of the call, from `at` (seconds since the epoch) until the next segment.

    The states "transfer" and "overflow" are marks between two others.
    """

    state: str
    at: float
    queue: str = ""
    agent: str = ""
    to: str = ""
    """Of a "transfer": where to; `agent` is who transferred, empty for a supervisor. Of an "overflow": the
    kind of target and its name."""
    why: Why | Literal[""] = ""
    """Of an "overflow": what the rule went by."""


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One agent who was rung for the call, why just that one, and what came of it."""

    at: float
    """Seconds since the epoch, when the phone was rung."""
    queue: str
    agent: str
    needs: str
    """What the call asked of its agent at that moment, in words."""
    result: str
    """"answered", "elsewhere" (by another who was rung with this one), "withdrawn", a
    routing.model.RejectReason value, or "ended": the call ended meanwhile."""
    ring_seconds: float
    decision: Decision | None = None


NOT_TAKEN = frozenset({*RejectReason, "withdrawn"})
"""Results of an attempt that left the call waiting."""


class CallRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds since the epoch, durations in seconds."""

    id: str
    node: str
    caller: str
    called: str
    trunk: str = ""
    language: str = ""
    queue: str = ""
    agent: str = ""
    outcome: Outcome
    started_at: float
    answered_at: float | None = None
    """When an agent answered first."""
    ended_at: float
    wait_seconds: float = 0.0
    """From entering a queue to an agent's answer or the end, all such waits together."""
    talk_seconds: float = 0.0
    """All conversations together."""
    hold_seconds: float = 0.0
    hangup_side: Literal["caller", "agent", "system"]
    cause: str
    """A short fixed word: normal, cancelled, no-ack, rtp-timeout, node-died, ..."""
    offers: int = 0
    segments: tuple[Segment, ...] = ()
    packets_lost: int = 0
    jitter_seconds: float = 0.0
    diverted_from: str = ""
    verstat: str = ""
    attributes: dict[str, str] = {}
    attempts: tuple[Attempt, ...] = ()
    direction: Direction = "inbound"
    """outbound: an agent called a number outside, or we did for one; internal: an agent called one of us."""
    shown: str = ""
    """The number that was shown to the number outside."""
    outside: str = ""
    """The number outside that was called last: by an agent, or for the caller."""
    trunk_out: str = ""
    """What it was called over."""
    callback: str = ""
    """The callback that the caller was given, or that this call was made for."""
