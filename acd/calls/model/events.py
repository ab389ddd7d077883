"""What can happen to a call, in the past tense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from acd.calls.model.call import Place, Side, Spoken, Timer
from acd.calls.outside import Outside
from acd.directory.model import Gives
from acd.media.engine import Direction
from acd.sip.core.events import EndedBy
from ivr.interpreter import Noted
from ivr.mailbox import Waiting
from routing.model import Offer
from routing.overflow import Situation


@dataclass(frozen=True, slots=True)
class CallArrived:
    """The first event of every call. `offer` is None where the caller's INVITE has no SDP."""

    offer: bytes | None
    lists: tuple[str, ...] = ()
    """The caller lists that the caller is on by number."""


@dataclass(frozen=True, slots=True)
class CallerMediaOpened:
    sdp: bytes


@dataclass(frozen=True, slots=True)
class CallerMediaRefused:
    status: int
    cause: str


@dataclass(frozen=True, slots=True)
class Found:
    """What the look-up of a caller list says of the caller."""

    list: str
    gives: Gives
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallerKnown:
    """What could be found out about the caller in the time there was."""

    spoke_with: tuple[Spoken, ...] = ()
    found: tuple[Found, ...] = ()


@dataclass(frozen=True, slots=True)
class CallerConfirmed:
    """The ACK arrived, with the caller's answer where the offer was ours."""

    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class AgentConfirmed:
    """The ACK of an agent who called, with their answer where the offer was ours."""

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
class RecordingOver:
    """A message is recorded, or cannot be: `why` is a word of acd.media.engine.RecordingEnd, or "full"."""

    recording: str
    sound_seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class MailboxOpened:
    """What is in the box that an agent listens to; None where that cannot be known now."""

    messages: tuple[Waiting, ...] | None


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
class MakerReserved:
    """The store reserved the agent who made this call to somebody here."""

    offer: Offer


@dataclass(frozen=True, slots=True)
class MakerLost:
    """That reservation is gone in the store."""

    token: int


@dataclass(frozen=True, slots=True)
class OfferConfirmed:
    token: int
    offer: Offer | None = None
    """The same reservation, for one that the call had given up when its answer was heard."""


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
class RivalAnswered:
    """One of several agents who are rung together answered."""

    token: int


@dataclass(frozen=True, slots=True)
class RivalOver:
    """The phone of one of several agents who are rung together rings no longer."""

    token: int
    by: EndedBy
    status: int


@dataclass(frozen=True, slots=True)
class PositionKnown:
    position: int
    expected_seconds: float | None = None
    """Until an agent answers, as far as that is known."""


@dataclass(frozen=True, slots=True)
class SituationKnown:
    """What the overflow rules of the queue ask about, of the place that the store calls `entry`."""

    entry: str
    situation: Situation


@dataclass(frozen=True, slots=True)
class ClearRequested:
    """A supervisor, or the node that stops, ends the call. `cause`: operator, shutdown, node-died, ..."""

    cause: str


@dataclass(frozen=True, slots=True)
class TransferAsked:
    """Send the other party to `to`. By an agent's phone (REFER), or over the API."""

    to: str
    by_phone: bool
    side: Side = Side.AGENT
    """Where the phone is that asks for it."""
    preferred: str = ""
    """The agent who should take the call there before others do."""
    by: str = ""
    """The agent on the line who asked for it over the API, with whose rights."""


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


@dataclass(frozen=True, slots=True)
class CallbackDue:
    """The first event of a call that is made for a callback."""


@dataclass(frozen=True, slots=True)
class CallbackAnswered:
    """Whether the caller of this call will be called back; `step` is of the flow that asked."""

    id: str
    step: int
    result: Noted


@dataclass(frozen=True, slots=True)
class AttemptAllowed:
    """`attempt` counts from 1; 0: the callback is not ours to make any more."""

    attempt: int


@dataclass(frozen=True, slots=True)
class DialRequested:
    """The first event of a call that is made for an agent who asked for it elsewhere than on the phone."""


@dataclass(frozen=True, slots=True)
class DialAllowed:
    """The number outside may be called now."""


@dataclass(frozen=True, slots=True)
class DialForbidden:
    status: int
    cause: str


@dataclass(frozen=True, slots=True)
class NumberProgressed:
    """The network of the number outside says how it goes; `early`: it can be heard."""

    status: int
    early: bool


@dataclass(frozen=True, slots=True)
class NumberAnswered:
    """The number outside answered."""


@dataclass(frozen=True, slots=True)
class NumberUnreachable:
    """The number outside could not be called this way, or its answer cannot be used."""

    cause: str


@dataclass(frozen=True, slots=True)
class OutsideJoined:
    """Another call has handed over the number outside that it had reached, with its leg."""

    outside: Outside
    holds: bool


@dataclass(frozen=True, slots=True)
class CallbackGone:
    """The callback was cancelled, was made, has expired, or another node makes it (`how`)."""

    how: str


Event = (
    CallArrived
    | CallerKnown
    | CallbackDue
    | CallbackAnswered
    | AttemptAllowed
    | DialRequested
    | DialAllowed
    | DialForbidden
    | NumberProgressed
    | NumberAnswered
    | NumberUnreachable
    | OutsideJoined
    | AgentConfirmed
    | CallbackGone
    | CallerMediaOpened
    | CallerMediaRefused
    | CallerConfirmed
    | LegOver
    | Reoffered
    | ReofferAnswered
    | ReofferUnusable
    | DigitPressed
    | PlaybackOver
    | RecordingOver
    | MailboxOpened
    | MediaLost
    | TimerFired
    | OfferMade
    | OfferTakenBack
    | MakerReserved
    | MakerLost
    | OfferConfirmed
    | OfferStale
    | AgentAnswered
    | AgentUnavailable
    | RivalAnswered
    | RivalOver
    | PositionKnown
    | SituationKnown
    | ClearRequested
    | TransferAsked
    | JoinAsked
    | HandOverAsked
    | HandOverRefused
    | TargetJoined
    | PhoneMoved
    | DeskAnswered
)
