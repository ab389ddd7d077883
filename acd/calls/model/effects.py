"""What a call asks for, in the imperative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from acd.calls.callbacks import CallbackOrder
from acd.calls.facts import CallFact
from acd.calls.messages import NewMessage
from acd.calls.model.call import Place, Side, Timer
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
class NoteCallback:
    """The caller is to be called back; CallbackAnswered says whether."""

    order: CallbackOrder
    step: int


@dataclass(frozen=True, slots=True)
class MakeCallback:
    """Put the callback that was noted in line."""


@dataclass(frozen=True, slots=True)
class DropCallback:
    """The callback that was just noted is not needed any more."""

    id: str


@dataclass(frozen=True, slots=True)
class BeginAttempt:
    """Ask for the right to call the customer now; AttemptAllowed answers."""


@dataclass(frozen=True, slots=True)
class CallbackMade:
    """Customer and agent talk: the callback is done."""


@dataclass(frozen=True, slots=True)
class SettleCallback:
    """The call ends before the two have talked: another attempt, another node, or the end of it."""

    why: str
    cancel: bool = False
    """Nobody is to try again."""


@dataclass(frozen=True, slots=True)
class TakeMessage:
    """Record what the caller says as a message; RecordingOver tells when that is over."""

    message: NewMessage
    limit_seconds: float
    silence_seconds: float


@dataclass(frozen=True, slots=True)
class EndMessage:
    """The message that is being taken is over."""


@dataclass(frozen=True, slots=True)
class OpenMailbox:
    """Look up the messages of a box; MailboxOpened answers."""

    box: str


@dataclass(frozen=True, slots=True)
class PlayMessage:
    """Prompts and then a message, if one is named."""

    playback: int
    prompts: tuple[str, ...]
    message: str
    language: str


@dataclass(frozen=True, slots=True)
class MarkHeard:
    message: str
    agent: str


@dataclass(frozen=True, slots=True)
class DeleteMessage:
    message: str


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
class AnswerRefer:
    """Answer the REFER of an agent's phone."""

    status: int
    side: Side = Side.AGENT


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
class ChangeSeats:
    """The caller's leg becomes that of the transferor, and the agent's that of the caller."""


@dataclass(frozen=True, slots=True)
class ChangeSeatsBack:
    """The caller's leg is the agent's again, and the transferor's that of the caller."""


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
class HandOverOutside:
    """Give the leg of the number outside, which this call has reached, to another call."""

    to_call: str
    outside: Outside
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
    | NoteCallback
    | MakeCallback
    | DropCallback
    | BeginAttempt
    | CallOutside
    | AskLeave
    | NoteRefusedDial
    | SeatAgent
    | TellRinging
    | CallbackMade
    | SettleCallback
    | TakeMessage
    | EndMessage
    | OpenMailbox
    | PlayMessage
    | MarkHeard
    | DeleteMessage
    | AskDesk
    | AskPosition
    | AskSituation
    | AnswerRefer
    | ReportRefer
    | ParkAgentLeg
    | ReclaimAgentLeg
    | ChangeSeats
    | ChangeSeatsBack
    | ReleaseTransferor
    | AskHandOver
    | HandOver
    | HandOverOutside
    | PassOn
    | TakeJoined
    | DropJoined
    | Tell
    | Close
)
