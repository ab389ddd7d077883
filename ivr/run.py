"""The words of a flow that runs: where a caller is in it, its commands, and the events that it is told.

Plain data, so that a call can be written down and gone on with elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

SHORTEST_NUMBER = 5
LONGEST_NUMBER = 15
"""Digits of a number that can be called (E.164)."""
MAX_VISITS = 200
"""Nodes entered and menus repeated in one run; a caller who goes round in circles is then let go."""


class Waiting(StrEnum):
    """What a run waits for besides digits."""

    NOTHING = "nothing"
    """The flow is over; no event changes anything any more."""
    PROMPTS = "prompts"
    TIMER = "timer"
    TRANSFER = "transfer"
    CALLBACK = "callback"
    MESSAGE = "message"


class Noted(StrEnum):
    """What became of a wish to be called back."""

    NOTED = "noted"
    KNOWN = "known"
    """The number has one in that queue already; it stays as it is."""
    REFUSED = "refused"


class Left(StrEnum):
    """What became of a message."""

    LEFT = "left"
    EMPTY = "empty"
    """Nothing was said."""
    FULL = "full"
    """The box takes no more."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Run:
    """Where a caller is in a flow, and what is known of the call so far."""

    flow: str
    node: str
    language: str
    skills: Mapping[str, int] = field(default_factory=dict)
    priority: int = 0
    languages: tuple[str, ...] = ()
    """Those that the caller is known to speak, the best first."""
    agent: str = ""
    """Who should take the call before anybody else."""
    attempt: int = 0
    """Tries of the present menu so far; of a voicemail node 1 where the greeting was passed over."""
    step: int = 0
    """Rises with each command that can report back; older reports are ignored."""
    waiting: Waiting = Waiting.NOTHING
    visits: int = 0
    """Towards MAX_VISITS."""
    number: str = ""
    """Where the caller can be called; empty where that is not known."""
    entering: bool = False
    """The caller of a callback node is entering `entered`, and else confirms `number`."""
    entered: str = ""
    enter_for: tuple[str, ...] = ()
    """Queues, as callback nodes name them, whose callers may enter another number."""
    noted: Noted | None = None
    """What became of the wish to be called back; the flow goes on when that is said."""
    left: Left | None = None
    """What became of the message for a box; likewise."""

    @property
    def over(self) -> bool:
        """The flow gave its last command: a queue, or the end of the call."""
        return self.waiting is Waiting.NOTHING


# Commands, in the imperative.


@dataclass(frozen=True, slots=True)
class PlayPrompts:
    """Play in the given language; report PromptsEnded(step)."""

    step: int
    prompts: tuple[str, ...]
    language: str


@dataclass(frozen=True, slots=True)
class StopPrompts:
    pass


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Report TimerFired(step) after so many seconds. A run has one timer: this replaces the one before."""

    step: int
    seconds: float


@dataclass(frozen=True, slots=True)
class EnterQueue:
    queue: str


@dataclass(frozen=True, slots=True)
class TransferCall:
    """Report TransferFailed(step) where it is not possible."""

    step: int
    to: str


@dataclass(frozen=True, slots=True)
class NoteCallback:
    """Report CallbackNoted(step) when it is known whether the caller can be called back."""

    step: int
    queue: str
    number: str


@dataclass(frozen=True, slots=True)
class PlayGreeting:
    """Play the greeting and the tone of a box, as PlayPrompts; none of its own: that of the box.

    Report MessageLeft(step) instead where the box takes no messages."""

    step: int
    box: str
    greeting: tuple[str, ...]
    language: str


@dataclass(frozen=True, slots=True)
class RecordMessage:
    """Take a message; report MessageLeft(step) when it is over. No time: as long as the box says."""

    step: int
    box: str
    max_seconds: float | None


@dataclass(frozen=True, slots=True)
class EndMessage:
    """The message that is being taken is over; MessageLeft follows."""


@dataclass(frozen=True, slots=True)
class EndCall:
    pass


@dataclass(frozen=True, slots=True)
class PlayEcho:
    pass


@dataclass(frozen=True, slots=True)
class PlayMusic:
    pass


Command = (
    PlayPrompts
    | StopPrompts
    | StartTimer
    | EnterQueue
    | TransferCall
    | NoteCallback
    | PlayGreeting
    | RecordMessage
    | EndMessage
    | EndCall
    | PlayEcho
    | PlayMusic
)

# Events, in the past tense.


@dataclass(frozen=True, slots=True)
class PromptsEnded:
    step: int


@dataclass(frozen=True, slots=True)
class DigitPressed:
    digit: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    step: int


@dataclass(frozen=True, slots=True)
class TransferFailed:
    step: int


@dataclass(frozen=True, slots=True)
class CallbackNoted:
    step: int
    result: Noted


@dataclass(frozen=True, slots=True)
class MessageLeft:
    step: int
    result: Left


Event = PromptsEnded | DigitPressed | TimerFired | TransferFailed | CallbackNoted | MessageLeft
