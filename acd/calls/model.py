"""The words of one call: its states, what can happen to it (events), and what it asks for (effects).

Everything here is plain data that msgspec can write down, so that a call survives its process.
Times in seconds since the epoch, durations in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import msgspec

from acd.calls.facts import CallFact
from acd.calls.record import Outcome, Segment
from acd.media.engine import Direction
from acd.sip.core.events import EndedBy
from ivr.interpreter import Run
from routing.model import Offer, RejectReason, Ticket


class State(StrEnum):
    """Where a call stands."""

    NEW = "new"
    """Arrived; its media leg is being opened."""
    ANSWERING = "answering"
    """200 sent; the caller's ACK is awaited."""
    IVR = "ivr"
    QUEUED = "queued"
    OFFERED = "offered"
    """An agent is reserved and rung."""
    CONNECTING = "connecting"
    """The agent answered; the reservation is being confirmed."""
    TALKING = "talking"
    ENDED = "ended"


class Side(StrEnum):
    CALLER = "caller"
    AGENT = "agent"

    @property
    def other(self) -> Side:
        return Side.AGENT if self is Side.CALLER else Side.CALLER


class Timer(StrEnum):
    """One running timer of each kind at most; starting it again replaces it."""

    IVR = "ivr"
    ANNOUNCE = "announce"
    LONGEST_WAIT = "longest-wait"
    RING = "ring"


@dataclass(frozen=True, slots=True)
class Place:
    """What a call is waiting for: a queue of the directory, or one agent by extension."""

    queue: str
    agent: str | None = None
    transfer_step: int | None = None
    """The flow's step to report to where the wait is given up; None ends the call instead."""


class Call(msgspec.Struct, frozen=True):
    """Everything known of one call. A struct and no dataclass, since every step makes one anew."""

    id: str
    node: str
    caller: str
    caller_name: str
    called: str
    trunk: str
    from_agent: str
    started_at: float
    state: State = State.NEW
    language: str = ""
    skills: Mapping[str, int] = msgspec.field(default_factory=dict)
    priority: int = 0
    run: Run | None = None
    """Where the caller is in a flow."""
    served: bool = False
    """The flow gave the caller what it is for (a message, echo, music): a hang-up is no abandon."""
    place: Place | None = None
    enqueued_at: float | None = None
    offer: Offer | None = None
    offers: int = 0
    offered_at: float | None = None
    answered_at: float | None = None
    held_by: frozenset[Side] = frozenset()
    held_since: float | None = None
    hold_seconds: float = 0.0
    announced: bool = False
    """The caller has been told once that all agents are busy."""
    segments: tuple[Segment, ...] = ()

    @property
    def queue(self) -> str:
        return self.place.queue if self.place else ""

    @property
    def agent(self) -> str:
        return self.offer.agent_id if self.offer else ""


# Events, in the past tense.


@dataclass(frozen=True, slots=True)
class CallArrived:
    """The first event of every call. `offer` is None where the caller's INVITE has no SDP."""

    offer: bytes | None


@dataclass(frozen=True, slots=True)
class CallerMediaOpened:
    sdp: bytes


@dataclass(frozen=True, slots=True)
class CallerMediaRefused:
    status: int
    cause: str


@dataclass(frozen=True, slots=True)
class CallerConfirmed:
    """The ACK arrived, with the caller's answer where the offer was ours."""

    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class LegOver:
    """The SIP leg of one side ended by itself."""

    side: Side
    by: EndedBy
    status: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reoffered:
    """A re-INVITE that our media could answer; `direction` is how that side sees itself."""

    side: Side
    answer: bytes
    direction: Direction


@dataclass(frozen=True, slots=True)
class ReofferUnusable:
    side: Side
    status: int


@dataclass(frozen=True, slots=True)
class DigitPressed:
    side: Side
    digit: str


@dataclass(frozen=True, slots=True)
class PlaybackOver:
    playback: int


@dataclass(frozen=True, slots=True)
class MediaLost:
    """No RTP from that side for too long, or its media worker died."""

    side: Side
    cause: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    timer: Timer
    serial: int


@dataclass(frozen=True, slots=True)
class OfferMade:
    """The store reserved an agent for this call."""

    offer: Offer


@dataclass(frozen=True, slots=True)
class OfferTakenBack:
    """The reservation is gone in the store; the call has its old place there."""

    token: int


@dataclass(frozen=True, slots=True)
class OfferConfirmed:
    token: int


@dataclass(frozen=True, slots=True)
class OfferStale:
    """The store refused our accept: the reservation had ended before."""

    token: int


@dataclass(frozen=True, slots=True)
class AgentAnswered:
    sdp: bytes


@dataclass(frozen=True, slots=True)
class AgentUnavailable:
    """The agent's phone could not be rung at all, or its answer cannot be used."""

    cause: str


@dataclass(frozen=True, slots=True)
class PositionKnown:
    position: int


@dataclass(frozen=True, slots=True)
class ClearRequested:
    """A supervisor, or the node that stops, ends the call. `cause`: operator, shutdown, node-died, ..."""

    cause: str


Event = (
    CallArrived
    | CallerMediaOpened
    | CallerMediaRefused
    | CallerConfirmed
    | LegOver
    | Reoffered
    | ReofferUnusable
    | DigitPressed
    | PlaybackOver
    | MediaLost
    | TimerFired
    | OfferMade
    | OfferTakenBack
    | OfferConfirmed
    | OfferStale
    | AgentAnswered
    | AgentUnavailable
    | PositionKnown
    | ClearRequested
)

# Effects, in the imperative.


@dataclass(frozen=True, slots=True)
class OpenCallerMedia:
    offer: bytes | None


@dataclass(frozen=True, slots=True)
class AnswerCaller:
    sdp: bytes


@dataclass(frozen=True, slots=True)
class RefuseCaller:
    status: int


@dataclass(frozen=True, slots=True)
class ApplyCallerAnswer:
    sdp: bytes


@dataclass(frozen=True, slots=True)
class HangUp:
    side: Side
    reason: str


@dataclass(frozen=True, slots=True)
class AcceptReoffer:
    side: Side
    answer: bytes


@dataclass(frozen=True, slots=True)
class RefuseReoffer:
    side: Side
    status: int


@dataclass(frozen=True, slots=True)
class PlayToCaller:
    playback: int
    prompts: tuple[str, ...]
    language: str


@dataclass(frozen=True, slots=True)
class PlayMusic:
    side: Side
    name: str


@dataclass(frozen=True, slots=True)
class PlaySilence:
    side: Side


@dataclass(frozen=True, slots=True)
class PlayEcho:
    pass


@dataclass(frozen=True, slots=True)
class BridgeLegs:
    pass


@dataclass(frozen=True, slots=True)
class StartTimer:
    timer: Timer
    seconds: float
    serial: int = 0


@dataclass(frozen=True, slots=True)
class StopTimer:
    timer: Timer


@dataclass(frozen=True, slots=True)
class RingAgent:
    """Open a media leg and INVITE the agent's phone; the reservation is already ours."""

    offer: Offer


@dataclass(frozen=True, slots=True)
class ReleaseAgentLeg:
    """Hang up the agent's phone, whatever it is doing, and close its media leg."""

    reason: str


@dataclass(frozen=True, slots=True)
class EnterQueue:
    ticket: Ticket


@dataclass(frozen=True, slots=True)
class LeaveQueue:
    """The caller no longer waits; a reserved agent is free again."""


@dataclass(frozen=True, slots=True)
class ConfirmOffer:
    offer: Offer


@dataclass(frozen=True, slots=True)
class RejectOffer:
    offer: Offer
    reason: RejectReason
    not_answering_after: int


@dataclass(frozen=True, slots=True)
class FinishConversation:
    """The reserved agent is done with this call: wrap-up begins."""

    offer: Offer


@dataclass(frozen=True, slots=True)
class AskPosition:
    pass


@dataclass(frozen=True, slots=True)
class Tell:
    fact: CallFact


@dataclass(frozen=True, slots=True)
class Close:
    """Release all media, write the one record, and forget the call."""

    outcome: Outcome
    hangup_side: Literal["caller", "agent", "system"]
    cause: str


Effect = (
    OpenCallerMedia
    | AnswerCaller
    | RefuseCaller
    | ApplyCallerAnswer
    | HangUp
    | AcceptReoffer
    | RefuseReoffer
    | PlayToCaller
    | PlayMusic
    | PlaySilence
    | PlayEcho
    | BridgeLegs
    | StartTimer
    | StopTimer
    | RingAgent
    | ReleaseAgentLeg
    | EnterQueue
    | LeaveQueue
    | ConfirmOffer
    | RejectOffer
    | FinishConversation
    | AskPosition
    | Tell
    | Close
)
