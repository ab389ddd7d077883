"""Listening to the messages of a box by phone, without I/O: `start` and `feed` as of ivr.interpreter.

The new messages come first. A message is heard when it was played to its end, or when the listener goes on to
another or hears it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from ivr.speech import digit_prompts, number_prompts

ANSWER_SECONDS = 6.0
"""How long a digit is waited for."""
MOST_REPEATS = 2
"""How often the choices are said again to somebody who says nothing."""
_AGAIN, _NEXT, _DELETE, _BEFORE, _CALLER = "1", "2", "3", "4", "5"
_LEAVE = ("*", "#")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message of the box."""

    id: str
    new: bool
    caller: str = ""
    """The number, as far as it is known."""


class At(StrEnum):
    """What the listener hears, or is waited for."""

    MESSAGE = "message"
    CHOICES = "choices"
    ANSWER = "answer"
    END = "end"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Where the listener is; plain data."""

    messages: tuple[Waiting, ...]
    index: int = 0
    at: At = At.OVER
    step: int = 0
    """Rises with each command that can report back; older reports are ignored."""
    silences: int = 0

    @property
    def over(self) -> bool:
        return self.at is At.OVER


@dataclass(frozen=True, slots=True)
class Say:
    """Play prompts and then the message, if one is named; report PlaybackOver(step)."""

    step: int
    prompts: tuple[str, ...]
    message: str = ""


@dataclass(frozen=True, slots=True)
class AwaitDigit:
    """Report TimeOver(step) after so many seconds."""

    step: int
    seconds: float


@dataclass(frozen=True, slots=True)
class MarkHeard:
    message: str


@dataclass(frozen=True, slots=True)
class Delete:
    message: str


@dataclass(frozen=True, slots=True)
class HangUp:
    pass


Command = Say | AwaitDigit | MarkHeard | Delete | HangUp


@dataclass(frozen=True, slots=True)
class PlaybackOver:
    step: int


@dataclass(frozen=True, slots=True)
class TimeOver:
    step: int


@dataclass(frozen=True, slots=True)
class DigitPressed:
    digit: str


Event = PlaybackOver | TimeOver | DigitPressed
_Outcome = tuple[Mailbox, tuple[Command, ...]]


def start(messages: Sequence[Waiting]) -> _Outcome:
    """How many there are, and then the first."""
    box = Mailbox(tuple(messages))
    if not messages:
        return _finish(box, ("no-messages",))
    new = sum(message.new for message in messages)
    counts = [("mailbox-new", new), ("mailbox-old", len(messages) - new)]
    said = [prompt for name, count in counts if count for prompt in (name, *number_prompts(count))]
    return _play(box, tuple(said))


def feed(box: Mailbox, event: Event) -> _Outcome:
    """Go on; an event of an older step changes nothing."""
    match event:
        case PlaybackOver(step) if step == box.step:
            return _on_playback_over(box)
        case TimeOver(step) if step == box.step and box.at is At.ANSWER:
            return _on_silence(box)
        case DigitPressed(digit) if box.at in (At.MESSAGE, At.CHOICES, At.ANSWER):
            return _on_digit(replace(box, silences=0), digit)
    return box, ()


def _on_playback_over(box: Mailbox) -> _Outcome:
    match box.at:
        case At.MESSAGE:
            box, heard = _heard(box)
            box, commands = _choices(box)
            return box, heard + commands
        case At.CHOICES:
            box = replace(box, at=At.ANSWER, step=box.step + 1)
            return box, (AwaitDigit(box.step, ANSWER_SECONDS),)
        case At.END:
            return replace(box, at=At.OVER), (HangUp(),)
    return box, ()


def _on_silence(box: Mailbox) -> _Outcome:
    if box.silences >= MOST_REPEATS:
        return _finish(box, ("goodbye",))
    return _choices(replace(box, silences=box.silences + 1))


def _on_digit(box: Mailbox, digit: str) -> _Outcome:
    if digit in _LEAVE:
        return _finish(box, ("goodbye",))
    if digit == _CALLER:
        number = digit_prompts(box.messages[box.index].caller)
        return _choices(box, ("mailbox-from", *number) if number else ("not-possible",))
    if digit == _DELETE:
        return _delete(box)
    if digit not in (_AGAIN, _NEXT, _BEFORE):
        return _choices(box, ("invalid-choice",))
    box, heard = _heard(box)
    step = {_AGAIN: 0, _NEXT: 1, _BEFORE: -1}[digit]
    box, commands = _play(replace(box, index=max(0, box.index + step)))
    return box, heard + commands


def _delete(box: Mailbox) -> _Outcome:
    gone = box.messages[box.index]
    left = box.messages[: box.index] + box.messages[box.index + 1 :]
    box, commands = _play(replace(box, messages=left), ("mailbox-deleted",))
    return box, (Delete(gone.id), *commands)


def _heard(box: Mailbox) -> _Outcome:
    message = box.messages[box.index]
    if not message.new:
        return box, ()
    messages = (*box.messages[: box.index], replace(message, new=False), *box.messages[box.index + 1 :])
    return replace(box, messages=messages), (MarkHeard(message.id),)


def _play(box: Mailbox, first: tuple[str, ...] = ()) -> _Outcome:
    """Say what message comes, and play it; past the last one there is nothing more."""
    if box.index >= len(box.messages):
        return _finish(box, (*first, "mailbox-end", "goodbye"))
    message = box.messages[box.index]
    box = replace(box, at=At.MESSAGE, step=box.step + 1)
    kind = "mailbox-message-new" if message.new else "mailbox-message-old"
    return box, (Say(box.step, (*first, kind), message.id),)


def _choices(box: Mailbox, first: tuple[str, ...] = ()) -> _Outcome:
    box = replace(box, at=At.CHOICES, step=box.step + 1)
    return box, (Say(box.step, (*first, "mailbox-menu")),)


def _finish(box: Mailbox, prompts: tuple[str, ...]) -> _Outcome:
    box = replace(box, at=At.END, step=box.step + 1)
    return box, (Say(box.step, prompts),)
