"""What a call asks for, in the imperative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from acd.calls.facts import CallFact
from acd.calls.model.call import Side, Timer
from acd.calls.model.later_effects import LaterEffect
from acd.calls.model.transfer_effects import TransferEffect
from acd.calls.outside import Outside
from acd.calls.record import Outcome
from acd.directory.model import CodeAction
from routing.model import Departure, Offer, Refusal, Ticket


@dataclass(frozen=True, slots=True)
class OpenCallerMedia:
    """Take the offer of who called us; `side` is theirs."""

    offer: bytes | None
    side: Side = Side.CALLER


@dataclass(frozen=True, slots=True)
class AnswerCaller:
    sdp: bytes
    side: Side = Side.CALLER


@dataclass(frozen=True, slots=True)
class RefuseCaller:
    status: int
    side: Side = Side.CALLER
    why: str = ""
    """A fixed word, told to the phone."""


@dataclass(frozen=True, slots=True)
class SeatAgent:
    """Who called us is the agent's side of the call; the caller's is still to be called."""


@dataclass(frozen=True, slots=True)
class TellRinging:
    """Pass on to the agent who calls that it rings; `sdp` lets them hear what is played there."""

    status: int
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class AskLeave:
    """Ask whether this number may be called now; DialAllowed or DialForbidden answers."""

    outside: Outside


@dataclass(frozen=True, slots=True)
class CallOutside:
    """Open a media leg and call the number, by the way that is next; NumberUnreachable where that fails."""

    side: Side
    outside: Outside


@dataclass(frozen=True, slots=True)
class NoteRefusedDial:
    """Nobody was called: log it and count it."""

    agent: str
    number: str
    cause: str


@dataclass(frozen=True, slots=True)
class ApplyCallerAnswer:
    sdp: bytes
    side: Side = Side.CALLER


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
class RingRival:
    """Open a media leg and INVITE the phone of one more agent who is reserved for the call."""

    offer: Offer


@dataclass(frozen=True, slots=True)
class ReleaseRival:
    """Hang up the phone that rings for this reservation beside the agent's."""

    token: int
    reason: str


@dataclass(frozen=True, slots=True)
class TakeRival:
    """The leg that rings for this reservation becomes the agent's; the one before is let go already."""

    token: int


@dataclass(frozen=True, slots=True)
class AskCaller:
    """Report CallerKnown, soon and in any case."""

    number: str
    called: str
    since: float | None
    """From when on it matters who talked to the caller (seconds since the epoch); None: not at all."""
    lookups: tuple[str, ...] = ()
    """The caller lists whose look-ups are asked."""


@dataclass(frozen=True, slots=True)
class EnterQueue:
    ticket: Ticket


@dataclass(frozen=True, slots=True)
class ChangeNeeds:
    """The call asks what this ticket says from now on, in the place that it has."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class SayPlaceAgain:
    """The store may have forgotten where the call waits."""


@dataclass(frozen=True, slots=True)
class LeaveQueue:
    """The caller no longer waits; a reserved agent is free again."""

    ticket: str
    how: Departure = "abandoned"


@dataclass(frozen=True, slots=True)
class ConfirmOffer:
    offer: Offer


@dataclass(frozen=True, slots=True)
class ConfirmMaker:
    """The agent who made the call is in it already."""

    offer: Offer


@dataclass(frozen=True, slots=True)
class RejectOffer:
    offer: Offer
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class FinishConversation:
    """The reserved agent is done with this call: wrap-up begins."""

    offer: Offer
    wrapup: bool = True
    """False where there was nobody to talk to."""


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
class AskSituation:
    """Find out what the overflow rules of the queue want to know of who joins it; SituationKnown says it."""


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
    | RingRival
    | ReleaseRival
    | TakeRival
    | AskCaller
    | EnterQueue
    | ChangeNeeds
    | SayPlaceAgain
    | LeaveQueue
    | ConfirmOffer
    | ConfirmMaker
    | RejectOffer
    | FinishConversation
    | CallOutside
    | AskLeave
    | NoteRefusedDial
    | SeatAgent
    | TellRinging
    | AskDesk
    | AskPosition
    | AskSituation
    | Tell
    | Close
    | LaterEffect
    | TransferEffect
)
