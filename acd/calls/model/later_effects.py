"""What a call asks for that is for later: callbacks and voice messages."""

from __future__ import annotations

from dataclasses import dataclass

from acd.calls.callbacks import CallbackOrder
from acd.calls.messages import NewMessage


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


LaterEffect = (
    NoteCallback
    | MakeCallback
    | DropCallback
    | BeginAttempt
    | CallbackMade
    | SettleCallback
    | TakeMessage
    | EndMessage
    | OpenMailbox
    | PlayMessage
    | MarkHeard
    | DeleteMessage
)
