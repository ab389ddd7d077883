"""What a call is: its states, and everything known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from acd.calls.callbacks import CallbackOrder
from acd.calls.outside import Outside
from acd.calls.record import Attempt, Segment
from acd.sip.identity import Diverted
from ivr.interpreter import Run
from ivr.mailbox import Mailbox
from routing.model import Offer


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
    DIALLING = "dialling"
    """The customer of a callback is rung; an agent is reserved, or on the line already."""
    CALLING = "calling"
    """An agent calls a number outside, and hears what is said and played there."""
    FORWARDING = "forwarding"
    """A number outside is called for the caller, who hears music."""
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
    OVERFLOW = "overflow"
    RING = "ring"


_WITH_AGENT = frozenset({State.OFFERED, State.CONNECTING, State.TALKING, State.CALLING, State.FORWARDING})


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
    preferred: str = ""
    """The agent whom the call waits for alone, before it waits for any."""
    preferred_seconds: float = 0.0
    """How long, from coming here."""
    own: bool = False
    """The agent made the call: they are in it, and only to be reserved for it."""
    leads: tuple[str, ...] = ()
    """Teams whose leads may take the call too."""
    leads_alone: bool = False
    """And nobody else."""
    spent_rules: tuple[int, ...] = ()
    """The call comes back from where a rule of this queue had sent it: the rules that it has gone by."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Who talked to the caller in an earlier call, and when (seconds since the epoch)."""

    agent: str
    at: float


@dataclass(frozen=True, slots=True)
class Transferor:
    """An agent who waits for their transfer to succeed, and what they go back to where it fails."""

    agent: str
    offer: Offer | None
    place: Place | None
    ticket: str
    holds: bool
    """Their phone holds the caller."""
    made_call: bool = False
    """They sat on the caller's side, where the one they reached sits meanwhile."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How an agent was reserved who sits on the caller's side: reached by this call, or its maker."""

    offer: Offer
    place: Place
    ticket: str


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
    diversions: tuple[Diverted, ...] = ()
    """What the trunk told of numbers that the call was diverted from, the oldest first."""
    verstat: str = ""
    withheld: bool = False
    """Whoever an agent calls outside is not to see the number."""
    attributes: Mapping[str, str] = msgspec.field(default_factory=dict)
    """What the trunk told of the call in headers of its own."""
    state: State = State.NEW
    language: str = ""
    languages: tuple[str, ...] = ()
    """Those that the caller is known to speak, the best first."""
    skills: Mapping[str, int] = msgspec.field(default_factory=dict)
    priority: int = 0
    preferred: str = ""
    """The agent who should take the call before anybody else."""
    sent_on_by: str = ""
    """The agent who transferred the caller last; not to be rung for them again while others could be."""
    lists: tuple[str, ...] = ()
    """The caller lists that the caller is on, in the order in which they count."""
    goes_to: str = ""
    """The queue that the caller goes to, whatever the dialled number leads to."""
    spoke_with: tuple[Spoken, ...] = ()
    """Who talked to the caller before, the newest first, as far as that was asked for."""
    asking: bool = False
    """What is known of the caller is being looked up; the call is not answered before."""
    answer: bytes = b""
    """Of our media, while it is held back for that, or until the number answers that an agent calls."""
    run: Run | None = None
    """Where the caller is in a flow."""
    menu: Run | None = None
    """What the caller is in who waits and asked for something, say to be called back."""
    called_back: bool = False
    """The caller is to be called back: a hang-up is no abandon."""
    callback: CallbackOrder | None = None
    """What this call is made for; `caller` is who is called."""
    reached: bool = False
    """The customer of the callback is on the line."""
    extension: str = ""
    """Of the agent who made the call."""
    is_outgoing: bool = False
    """An agent made it, to a number outside: that number is the caller's side of it."""
    outside: Outside | None = None
    """The number outside that is, or was, called last."""
    is_summoned: bool = False
    """The agent did not dial: their phone is rung first, and the number called when they are there."""
    hears_early: bool = False
    """That answer may be given before anybody answers at the other end."""
    bridged_early: bool = False
    served: bool = False
    """The flow gave the caller what it is for (a message, echo, music): a hang-up is no abandon."""
    mailbox: Mailbox | None = None
    """Where an agent is who listens to messages."""
    recording: str = ""
    """The message that the caller is leaving."""
    recording_since: float | None = None
    messages: int = 0
    """Left so far."""
    place: Place | None = None
    ticket: str = ""
    """What the store calls this call's entry; empty for the call's own id, which the first entry has."""
    transfers: int = 0
    transferor: Transferor | None = None
    seated: Reached | None = None
    """The caller is an agent: who made the call, or was reached by it and sent on by who made it."""
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
    rivals: tuple[Offer, ...] = ()
    """Who is rung together with the agent of `offer`."""
    offer_needs: str = ""
    """What the call asked of its agent when the offer was made, in words."""
    offers: int = 0
    offered_at: float | None = None
    answered_at: float | None = None
    """When an agent answered first."""
    held_by: frozenset[Side] = frozenset()
    held_since: float | None = None
    hold_seconds: float = 0.0
    spent_rules: tuple[int, ...] = ()
    """Of the overflow rules of this queue, those that have been carried out, or could not be."""
    overflows: int = 0
    """How often the call has gone elsewhere by such a rule."""
    announced: bool = False
    """The caller has been told once that all agents are busy."""
    told_wait: int = 0
    """The wait that the caller was told last, in minutes (ivr.speech.rounded_wait); 0: none so far."""
    segments: tuple[Segment, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    """Who was rung, as far as that is over; the newest MOST_ATTEMPTS."""

    @property
    def queue(self) -> str:
        return self.place.queue if self.place else ""

    @property
    def entry(self) -> str:
        """The id of this call's entry in the store."""
        return self.ticket or self.id

    @property
    def awaits_customer(self) -> bool:
        """A callback whose customer is not on the line yet."""
        return self.callback is not None and not self.reached

    @property
    def agent_first(self) -> bool:
        """The customer is called when the agent is on the line."""
        return self.callback is not None and self.callback.first == "agent"

    @property
    def has_agent_leg(self) -> bool:
        """An agent's phone rings or is on the line, or what is called outside in an agent's place."""
        match self.state:
            case State.NEW:
                return self.is_outgoing
            case State.DIALLING:
                return self.agent_first
        return self.state in _WITH_AGENT

    @property
    def speaks(self) -> tuple[str, ...]:
        """The caller's languages, the one that is spoken now before the others."""
        return tuple(dict.fromkeys((self.language, *self.languages)))

    @property
    def agent(self) -> str:
        return self.offer.agent_id if self.offer else ""


def entry_of_maker(call_id: str) -> str:
    """The entry of the store by which the agent is reserved who made this call to somebody here."""
    return f"{call_id}~own"
