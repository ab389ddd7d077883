"""Runs a flow without I/O: `start` and `feed` take the run as it was and give it as it is, with commands.

A run is plain data, so that a call can be written down and gone on with elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from ivr.flow import (
    Callback,
    Echo,
    FlowDefinition,
    HangUp,
    Menu,
    Music,
    Play,
    Queue,
    Set,
    Transfer,
    Voicemail,
)
from ivr.run import (
    LONGEST_NUMBER,
    MAX_VISITS,
    SHORTEST_NUMBER,
    CallbackNoted,
    Command,
    DigitPressed,
    EndCall,
    EndMessage,
    EnterQueue,
    Event,
    Left,
    MessageLeft,
    NoteCallback,
    Noted,
    PlayEcho,
    PlayGreeting,
    PlayMusic,
    PlayPrompts,
    PromptsEnded,
    RecordMessage,
    Run,
    StartTimer,
    StopPrompts,
    TimerFired,
    TransferCall,
    TransferFailed,
    Waiting,
)
from ivr.speech import digit_prompts

__all__ = [
    "LONGEST_NUMBER",
    "MAX_VISITS",
    "SHORTEST_NUMBER",
    "CallbackNoted",
    "Command",
    "DigitPressed",
    "EndCall",
    "EndMessage",
    "EnterQueue",
    "Event",
    "Left",
    "MessageLeft",
    "NoteCallback",
    "Noted",
    "PlayEcho",
    "PlayGreeting",
    "PlayMusic",
    "PlayPrompts",
    "PromptsEnded",
    "RecordMessage",
    "Run",
    "StartTimer",
    "StopPrompts",
    "TimerFired",
    "TransferCall",
    "TransferFailed",
    "Waiting",
    "feed",
    "start",
]

_Outcome = tuple[Run, tuple[Command, ...]]
_Doing = Play | Menu | Queue | Transfer | Callback | Voicemail | HangUp | Echo | Music
"""Nodes that take time, or end the flow."""


def start(
    flow: FlowDefinition,
    language: str,
    skills: Mapping[str, int],
    priority: int,
    *,
    agent: str = "",
    languages: Sequence[str] = (),
    number: str = "",
    enter_for: Collection[str] = (),
) -> _Outcome:
    """Enter the flow at its start node. `number` is where the caller can be called; see Run."""
    run = Run(
        flow=flow.name,
        node=flow.start,
        language=language,
        skills=dict(skills),
        priority=priority,
        agent=agent,
        languages=tuple(languages),
        enter_for=tuple(sorted(enter_for)),
        number=number if SHORTEST_NUMBER <= len(digit_prompts(number)) <= LONGEST_NUMBER else "",
    )
    return _enter(flow, run, flow.start)


def feed(flow: FlowDefinition, run: Run, event: Event) -> _Outcome:
    """Go on from `run`; an event of an older step changes nothing.

    Never raises for a flow that the loader accepted. Where `run` comes from an earlier edition of the
    flow and its node is no more, the call ends.
    """
    if run.over:
        return run, ()
    if run.node not in flow.nodes:
        return _end(run)
    match event:
        case DigitPressed(digit):
            return _on_digit(flow, run, digit)
        case PromptsEnded(step) if step == run.step and run.waiting is Waiting.PROMPTS:
            return _on_prompts_ended(flow, run)
        case TimerFired(step) if step == run.step and run.waiting is Waiting.TIMER:
            return _on_timer(flow, run)
        case TransferFailed(step) if step == run.step and run.waiting is Waiting.TRANSFER:
            return _on_transfer_failed(flow, run)
        case CallbackNoted(step, result) if step == run.step and run.waiting is Waiting.CALLBACK:
            return _on_callback_noted(flow, run, result)
        case MessageLeft(step, result) if step == run.step and run.waiting in _TAKING:
            return _on_message_left(flow, run, result)
    return run, ()


def _on_digit(flow: FlowDefinition, run: Run, digit: str) -> _Outcome:
    """Digits count in a menu, and in prompts that may be interrupted; elsewhere nobody asked for them."""
    playing = run.waiting is Waiting.PROMPTS
    match flow.nodes[run.node]:
        case Play(next=following, barge_in=True) if playing:
            outcome = _enter(flow, run, following)
        case Menu() as menu if digit in menu.choices:
            outcome = _enter(flow, run, menu.choices[digit])
        case Menu() as menu:
            outcome = _repeat(flow, run, menu, menu.on_invalid)
        case Callback() as callback if run.waiting is not Waiting.CALLBACK and run.noted is None:
            outcome = _on_callback_digit(flow, run, callback, digit)
        case Voicemail() if digit == _MESSAGE_OVER and run.left is None:
            return _on_message_over(run)
        case _:
            return run, ()
    run, commands = outcome
    return run, (StopPrompts(), *commands) if playing else commands


def _on_prompts_ended(flow: FlowDefinition, run: Run) -> _Outcome:
    match flow.nodes[run.node]:
        case Play(next=following):
            return _enter(flow, run, following)
        case Callback() as callback if run.noted is not None:
            return _leave_callback(flow, run, callback) if run.noted is Noted.REFUSED else _end(run)
        case Voicemail() as voicemail if run.left is not None:
            return _leave_voicemail(flow, run, voicemail)
        case Voicemail(box=box, max_seconds=longest):
            run = _await(run, Waiting.MESSAGE)
            return run, (RecordMessage(run.step, box, longest),)
        case Menu(timeout_seconds=seconds) | Callback(timeout_seconds=seconds):
            run = _await(run, Waiting.TIMER)
            return run, (StartTimer(run.step, seconds),)
        case _:
            return _end(run)


def _on_timer(flow: FlowDefinition, run: Run) -> _Outcome:
    match flow.nodes[run.node]:
        case Menu() as menu:
            return _repeat(flow, run, menu, menu.on_timeout)
        case Callback() as callback:
            return _on_callback_silence(flow, run, callback)
        case _:
            return _end(run)


def _on_transfer_failed(flow: FlowDefinition, run: Run) -> _Outcome:
    match flow.nodes[run.node]:
        case Transfer(otherwise=str(following)):
            return _enter(flow, run, following)
        case _:
            return _end(run)


# A message for a box.

_MESSAGE_OVER = "#"
_BEEP = "beep"
_TAKING = (Waiting.PROMPTS, Waiting.MESSAGE)
_SAID = {
    Left.LEFT: ("voicemail-saved",),
    Left.EMPTY: ("voicemail-empty",),
    Left.FULL: ("voicemail-full",),
    Left.FAILED: ("not-possible",),
}


def _on_message_over(run: Run) -> _Outcome:
    """The caller is done, or wants to hear no more of the greeting."""
    if run.waiting is Waiting.MESSAGE:
        return run, (EndMessage(),)
    if run.attempt:
        return run, ()  # the tone sounds already
    run, commands = _play(replace(run, attempt=1), (_BEEP,))
    return run, (StopPrompts(), *commands)


def _on_message_left(flow: FlowDefinition, run: Run, result: Left) -> _Outcome:
    match flow.nodes[run.node]:
        case Voicemail() as node if run.left is None:
            following = node.next if result is Left.LEFT else node.otherwise
            said = _SAID[result] if following else (*_SAID[result], "goodbye")
            return _play(replace(run, left=result), said)
    return run, ()


def _leave_voicemail(flow: FlowDefinition, run: Run, node: Voicemail) -> _Outcome:
    following = node.next if run.left is Left.LEFT else node.otherwise
    return _end(run) if following is None else _enter(flow, run, following)


# The number to call back.

_DIGITS = frozenset("0123456789")
_CONFIRM, _ENTER, _LEAVE, _ENTERED = "1", "2", "*", "#"


def _ask_number(run: Run, node: Callback, first: tuple[str, ...] = ()) -> _Outcome:
    """Ask for the number, or whether the one that we know is right."""
    if run.visits >= MAX_VISITS:
        return _end(run)
    may_enter = node.queue in run.enter_for
    run = replace(run, visits=run.visits + 1, entering=run.entering or not run.number, entered="")
    if not run.entering:
        other = ("callback-other",) if may_enter else ()
        asked = ("callback-number", *digit_prompts(run.number), "callback-confirm", *other, "callback-leave")
        return _play(run, first + asked)
    if may_enter:
        return _play(run, (*first, "callback-enter", "callback-leave"))
    return _play(replace(run, noted=Noted.REFUSED), ("not-possible",))


def _on_callback_digit(flow: FlowDefinition, run: Run, node: Callback, digit: str) -> _Outcome:
    if digit == _LEAVE:
        return _leave_callback(flow, run, node)
    if run.entering:
        return _on_number_digit(flow, run, node, digit)
    if digit == _ENTER and node.queue in run.enter_for:
        return _ask_number(replace(run, entering=True), node)
    if digit != _CONFIRM:
        return _repeat(flow, run, node, ("invalid-choice",))
    run = _await(run, Waiting.CALLBACK)
    return run, (NoteCallback(run.step, node.queue, run.number),)


def _on_number_digit(flow: FlowDefinition, run: Run, node: Callback, digit: str) -> _Outcome:
    if digit == _ENTERED:
        return _on_number_entered(flow, run, node)
    if len(run.entered) >= LONGEST_NUMBER or digit not in _DIGITS:
        return _repeat(flow, run, node, ("invalid-choice",))
    run = _await(replace(run, entered=run.entered + digit), Waiting.TIMER)
    return run, (StartTimer(run.step, node.timeout_seconds),)


def _on_number_entered(flow: FlowDefinition, run: Run, node: Callback) -> _Outcome:
    if len(run.entered) < SHORTEST_NUMBER:
        return _repeat(flow, run, node, ("invalid-choice",))
    return _ask_number(replace(run, number=run.entered, entering=False), node)


def _on_callback_silence(flow: FlowDefinition, run: Run, node: Callback) -> _Outcome:
    if run.entering and run.entered:
        return _on_number_entered(flow, run, node)
    return _repeat(flow, run, node, ("no-input",))


def _on_callback_noted(flow: FlowDefinition, run: Run, result: Noted) -> _Outcome:
    said = ("not-possible",) if result is Noted.REFUSED else (f"callback-{result}", "goodbye")
    return _play(replace(run, noted=result), said)


def _leave_callback(flow: FlowDefinition, run: Run, node: Callback) -> _Outcome:
    return _end(run) if node.otherwise is None else _enter(flow, run, node.otherwise)


def _repeat(flow: FlowDefinition, run: Run, node: Menu | Callback, first: tuple[str, ...]) -> _Outcome:
    """Say what was wrong and ask again, or give up."""
    if run.attempt >= node.retries:
        return _enter(flow, run, node.otherwise) if node.otherwise is not None else _end(run)
    if run.visits >= MAX_VISITS:
        return _end(run)
    run = replace(run, attempt=run.attempt + 1)
    if isinstance(node, Callback):
        return _ask_number(run, node, first)
    return _play(replace(run, visits=run.visits + 1), first + node.prompts)


def _enter(flow: FlowDefinition, run: Run, name: str) -> _Outcome:
    """Go to a node, and through those that need no time, until one has something to do."""
    while run.visits < MAX_VISITS:
        run = replace(run, node=name, attempt=0, visits=run.visits + 1, entering=False, noted=None, left=None)
        node = flow.nodes[name]
        if not isinstance(node, Set):
            return _begin(run, node)
        run = _note(run, node)
        name = node.next
    return _end(run)


def _note(run: Run, node: Set) -> Run:
    return replace(
        run,
        language=run.language if node.language is None else node.language,
        skills={**run.skills, **node.skills},
        priority=run.priority if node.priority is None else node.priority,
        agent=run.agent if node.agent is None else node.agent,
        languages=run.languages if node.languages is None else node.languages,
    )


def _begin(run: Run, node: _Doing) -> _Outcome:
    match node:
        case Voicemail(box=box, greeting=greeting):
            run = _await(run, Waiting.PROMPTS)
            return run, (PlayGreeting(run.step, box, greeting, run.language),)
        case Play(prompts=prompts) | Menu(prompts=prompts):
            return _play(run, prompts)
        case Callback() as callback:
            return _ask_number(run, callback)
        case HangUp(prompts=prompts):
            return _play(run, prompts) if prompts else _end(run)
        case Queue(queue=queue):
            return _await(run, Waiting.NOTHING), (EnterQueue(queue),)
        case Transfer(to=to):
            run = _await(run, Waiting.TRANSFER)
            return run, (TransferCall(run.step, to),)
        case Echo(seconds=seconds):
            run = _await(run, Waiting.TIMER)
            return run, (PlayEcho(), StartTimer(run.step, seconds))
        case Music(seconds=seconds):
            run = _await(run, Waiting.TIMER)
            return run, (PlayMusic(), StartTimer(run.step, seconds))
        case _:
            assert_never(node)


def _play(run: Run, prompts: tuple[str, ...]) -> _Outcome:
    run = _await(run, Waiting.PROMPTS)
    return run, (PlayPrompts(run.step, prompts, run.language),)


def _await(run: Run, waiting: Waiting) -> Run:
    return replace(run, waiting=waiting, step=run.step + 1)


def _end(run: Run) -> _Outcome:
    return _await(run, Waiting.NOTHING), (EndCall(),)
