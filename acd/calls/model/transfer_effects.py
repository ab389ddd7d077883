"""What a call asks for while it is sent on: transfers, calls handed over, legs that change their seats."""

from __future__ import annotations

from dataclasses import dataclass

from acd.calls.model.call import Place, Side
from acd.calls.outside import Outside
from routing.model import Offer


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


TransferEffect = (
    AnswerRefer
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
)
