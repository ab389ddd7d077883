"""An agent listens to the messages of a box by phone."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from acd.calls.model import (
    Call,
    DeleteMessage,
    DigitPressed,
    Effect,
    MailboxOpened,
    MarkHeard,
    OpenMailbox,
    PlaybackOver,
    PlayMessage,
    PlayToCaller,
    StartTimer,
    StopTimer,
    Timer,
    TimerFired,
)
from acd.calls.steps.context import Context, Step
from acd.calls.steps.ending import end
from acd.directory.boxes import box_by_number, box_of_agent, may_listen
from ivr import mailbox as ivr

_CONFIRMATION = 0
"""The playback that ends the call; those of a mailbox count from 1."""


def open_mailbox(context: Context, call: Call, number: str) -> Step:
    """The agent's own box, or the shared one of a number."""
    directory = context.directory
    agent = directory.agents.get(call.from_agent)
    box = box_by_number(directory, number) if number else box_of_agent(call.from_agent)
    if agent is None or box is None or not may_listen(directory, box, agent):
        prompt = "not-possible" if number else "no-messages"
        return call, (PlayToCaller(_CONFIRMATION, (prompt,), call.language),)
    return call, (OpenMailbox(box),)


def on_mailbox_opened(context: Context, call: Call, event: MailboxOpened, now: float) -> Step:
    if event.messages is None:
        return call, (PlayToCaller(_CONFIRMATION, ("not-possible",), call.language),)
    return _obey(call, *ivr.start(event.messages), now)


def on_playback_over(context: Context, call: Call, event: PlaybackOver, now: float) -> Step:
    if call.mailbox is None:
        return end(call, now, side="system", cause="normal", outcome="completed")
    return _obey(call, *ivr.feed(call.mailbox, ivr.PlaybackOver(event.playback)), now)


def on_digit(context: Context, call: Call, event: DigitPressed, now: float) -> Step:
    if call.mailbox is None:
        return call, ()
    return _obey(call, *ivr.feed(call.mailbox, ivr.DigitPressed(event.digit)), now)


def on_timer(context: Context, call: Call, event: TimerFired, now: float) -> Step:
    if call.mailbox is None:
        return call, ()
    return _obey(call, *ivr.feed(call.mailbox, ivr.TimeOver(event.serial)), now)


def _obey(call: Call, mailbox: ivr.Mailbox, commands: Sequence[ivr.Command], now: float) -> Step:
    call = replace(call, mailbox=mailbox)
    effects: list[Effect] = []
    for command in commands:
        match command:
            case ivr.Say(step, prompts, message):
                effects.append(StopTimer(Timer.IVR))
                effects.append(PlayMessage(step, prompts, message, call.language))
            case ivr.AwaitDigit(step, seconds):
                effects.append(StartTimer(Timer.IVR, seconds, step))
            case ivr.MarkHeard(message):
                effects.append(MarkHeard(message, call.from_agent))
            case ivr.Delete(message):
                effects.append(DeleteMessage(message))
            case ivr.HangUp():
                call, more = end(call, now, side="system", cause="normal", outcome="completed")
                effects += more
    return call, tuple(effects)
