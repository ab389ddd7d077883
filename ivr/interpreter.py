"""Runs a flow without I/O: `start` and `feed` take the run as it was and give it as it is, with commands.

A run is plain data, so that a call can be written down and gone on with elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import assert_never

from ivr.flow import Callback, Echo, FlowDefinition, HangUp, Menu, Music, Play, Queue, Set, Transfer
from ivr.speech import digit_prompts

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


class Noted(StrEnum):
    """What became of a wish to be called back."""

    NOTED = "noted"
    KNOWN = "known"
    """The number has one in that queue already; it stays as it is."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Run:
    """Where a caller is in a flow, and what is known of the call so far."""

    flow: str
    node: str
    language: str
    skills: Mapping[str, int] = field(default_factory=dict)
    priority: int = 0
    agent: str = ""
    """Who should take the call before anybody else."""
    attempt: int = 0
    """Tries of the present menu so far."""
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


Event = PromptsEnded | DigitPressed | TimerFired | TransferFailed | CallbackNoted


_Outcome = tuple[Run, tuple[Command, ...]]


def start(
    flow: FlowDefinition,
    language: str,
    skills: Mapping[str, int],
    priority: int,
    *,
    agent: str = "",
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
        run = replace(run, node=name, attempt=0, visits=run.visits + 1, entering=False, noted=None)
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
    )


def _begin(run: Run, node: Play | Menu | Queue | Transfer | Callback | HangUp | Echo | Music) -> _Outcome:
    match node:
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
