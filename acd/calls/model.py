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
from acd.directory.model import CodeAction
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
    CODE = "code"
    """An agent dialled a feature code; it is carried out and confirmed."""
    ENDED = "ended"


class Side(StrEnum):
    CALLER = "caller"
    AGENT = "agent"
    TRANSFEROR = "transferor"
    """The agent who transferred the call, on the line until the target has it."""


TALKERS = (Side.CALLER, Side.AGENT)


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
    is_transfer: bool = False
    """The agent is tried once: busy, no answer and no free moment all give the transfer up."""
    way_back: tuple[Place, ...] = ()
    """Where to wait next where this one is given up."""


@dataclass(frozen=True, slots=True)
class Transferor:
    """An agent who waits for their transfer to succeed, and what they go back to where it fails."""

    agent: str
    offer: Offer | None
    place: Place | None
    ticket: str
    holds: bool
    """Their phone holds the caller."""


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
    diverted_from: str = ""
    verstat: str = ""
    attributes: Mapping[str, str] = msgspec.field(default_factory=dict)
    """What the trunk told of the call in headers of its own."""
    state: State = State.NEW
    language: str = ""
    skills: Mapping[str, int] = msgspec.field(default_factory=dict)
    priority: int = 0
    run: Run | None = None
    """Where the caller is in a flow."""
    served: bool = False
    """The flow gave the caller what it is for (a message, echo, music): a hang-up is no abandon."""
    place: Place | None = None
    ticket: str = ""
    """What the store calls this call's entry; empty for the call's own id, which the first entry has."""
    transfers: int = 0
    transferor: Transferor | None = None
    enqueued_at: float | None = None
    """When the call came to its place."""
    ranked_at: float | None = None
    """The age that counts in its queue, where a transfer kept an older one."""
    waited_seconds: float = 0.0
    """In the places before."""
    talking_since: float | None = None
    talked_seconds: float = 0.0
    """In the conversations before."""
    offer: Offer | None = None
    offers: int = 0
    offered_at: float | None = None
    answered_at: float | None = None
    """When an agent answered first."""
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
    def entry(self) -> str:
        """The id of this call's entry in the store."""
        return self.ticket or self.id

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
class ReofferAnswered:
    """That side answered an offer that we made within the call; `direction` is how it sees itself."""

    side: Side
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


@dataclass(frozen=True, slots=True)
class TransferAsked:
    """Send the other party to `to`. By the agent's phone (REFER), or by a supervisor."""

    to: str
    by_phone: bool


@dataclass(frozen=True, slots=True)
class JoinAsked:
    """The agent's phone wants its two calls joined: this one's caller, and who the other one reached."""

    other_call: str


@dataclass(frozen=True, slots=True)
class HandOverAsked:
    """Another call takes over whom this one has reached."""

    to_call: str


@dataclass(frozen=True, slots=True)
class HandOverRefused:
    """The other call has nobody to give, and leads nowhere."""


@dataclass(frozen=True, slots=True)
class TargetJoined:
    """Another call has handed over the agent whom it had reached, with the phone's leg."""

    offer: Offer
    place: Place
    holds: bool


@dataclass(frozen=True, slots=True)
class PhoneMoved:
    """A phone has taken over a side of the call with Replaces (RFC 3891), and is answered."""

    side: Side


@dataclass(frozen=True, slots=True)
class DeskAnswered:
    """What a feature code asked for is done, or is not possible: the prompt that says so."""

    prompt: str


Event = (
    CallArrived
    | CallerMediaOpened
    | CallerMediaRefused
    | CallerConfirmed
    | LegOver
    | Reoffered
    | ReofferAnswered
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
    | TransferAsked
    | JoinAsked
    | HandOverAsked
    | HandOverRefused
    | TargetJoined
    | PhoneMoved
    | DeskAnswered
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

    ticket: str


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
class AskDesk:
    """Set an agent's state, as a feature code says."""

    agent: str
    action: CodeAction
    reason: str


@dataclass(frozen=True, slots=True)
class AskPosition:
    pass


@dataclass(frozen=True, slots=True)
class AnswerRefer:
    """Answer the REFER of the agent's phone."""

    status: int


@dataclass(frozen=True, slots=True)
class ReportRefer:
    """Tell the phone that transfers how it goes; a final status is the last word."""

    side: Side
    status: int


@dataclass(frozen=True, slots=True)
class ParkAgentLeg:
    """The agent's leg becomes that of the transferor."""


@dataclass(frozen=True, slots=True)
class ReclaimAgentLeg:
    """The transferor's leg is the agent's again."""


@dataclass(frozen=True, slots=True)
class ReleaseTransferor:
    """Hang up the transferor's phone and close its media leg."""

    reason: str


@dataclass(frozen=True, slots=True)
class AskHandOver:
    """Ask another call for whom it has reached."""

    other_call: str


@dataclass(frozen=True, slots=True)
class HandOver:
    """Give the agent's leg to another call."""

    to_call: str
    offer: Offer
    place: Place
    holds: bool


@dataclass(frozen=True, slots=True)
class PassOn:
    """Nobody is reached yet: let the other call try where this one was going."""

    to_call: str


@dataclass(frozen=True, slots=True)
class TakeJoined:
    """The leg that joined becomes that of this side; the one before is told `report`, and let go."""

    side: Side
    reason: str
    report: int = 0


@dataclass(frozen=True, slots=True)
class DropJoined:
    """The leg that joined is not wanted any more."""


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
    | AskDesk
    | AskPosition
    | AnswerRefer
    | ReportRefer
    | ParkAgentLeg
    | ReclaimAgentLeg
    | ReleaseTransferor
    | AskHandOver
    | HandOver
    | PassOn
    | TakeJoined
    | DropJoined
    | Tell
    | Close
)
