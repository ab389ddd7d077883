"""Any flow that the loader accepts, with any events: never an exception, and always an end."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ivr import interpreter
from ivr.flow import FlowDefinition
from ivr.interpreter import (
    LONGEST_NUMBER,
    MAX_VISITS,
    CallbackNoted,
    Command,
    DigitPressed,
    EndCall,
    EnterQueue,
    Event,
    Left,
    MessageLeft,
    Noted,
    PromptsEnded,
    Run,
    TimerFired,
    TransferFailed,
    Waiting,
)
from ivr.loader import FlowError, read_flows
from ivr.prompts import SHIPPED_PROMPTS, PromptLibrary

PROMPTS = PromptLibrary([SHIPPED_PROMPTS])
LANGUAGES = sorted(PROMPTS.languages)
NAMES = ["a", "b", "c", "d", "e", "f"]
DIGITS = st.sampled_from("0123456789*#A")

_names = st.sampled_from(NAMES)
_prompts = st.lists(st.sampled_from(sorted(PROMPTS.names)), min_size=1, max_size=2)
_nodes = st.one_of(
    st.fixed_dictionaries({"play": _prompts, "next": _names, "barge_in": st.booleans()}),
    st.fixed_dictionaries(
        {
            "menu": _prompts,
            "choices": st.dictionaries(DIGITS, _names, min_size=1, max_size=4),
            "otherwise": _names,
            "retries": st.integers(0, 3),
            "on_timeout": st.just([]) | _prompts,
        }
    ),
    st.fixed_dictionaries(
        {"set": st.fixed_dictionaries({"language": st.sampled_from(LANGUAGES)}), "next": _names}
    ),
    st.fixed_dictionaries({"set": st.fixed_dictionaries({"priority": st.integers(0, 99)}), "next": _names}),
    st.fixed_dictionaries({"transfer": st.just("extension:1001"), "otherwise": _names}),
    st.fixed_dictionaries({"callback": st.sampled_from([None, "q"]), "otherwise": _names}),
    st.fixed_dictionaries({"voicemail": st.sampled_from(["queue:q", "agent:a"]), "otherwise": _names}),
    st.fixed_dictionaries({"voicemail": st.just("box:b"), "next": _names, "greeting": _prompts}),
    st.sampled_from([{"queue": "q"}, {"hangup": ["goodbye"]}, {"hangup": []}, {"echo": 9}, {"music": None}]),
)
_events = st.one_of(
    st.builds(DigitPressed, st.one_of(DIGITS, st.text(max_size=2))),
    st.builds(PromptsEnded, st.integers(-1, 30)),
    st.builds(TimerFired, st.integers(-1, 30)),
    st.builds(TransferFailed, st.integers(-1, 30)),
    st.builds(CallbackNoted, st.integers(-1, 30), st.sampled_from(Noted)),
    st.builds(MessageLeft, st.integers(-1, 30), st.sampled_from(Left)),
)


@st.composite
def flows(draw: st.DrawFn) -> FlowDefinition:
    """Flows as the loader gives them: those that it refuses are thrown away."""
    nodes = {name: draw(_nodes) for name in NAMES}
    flow = accepted({"name": "f", "start": "a", "nodes": _reachable(nodes)})
    assume(flow is not None)
    assert flow is not None
    return flow


def _reachable(nodes: dict[str, Any]) -> dict[str, Any]:
    reached: dict[str, Any] = {}
    pending = ["a"]
    while pending:
        name = pending.pop()
        if name not in reached:
            node = reached[name] = nodes[name]
            pending += [node[key] for key in ("next", "otherwise") if key in node]
            pending += node.get("choices", {}).values()
    return reached


def accepted(document: object) -> FlowDefinition | None:
    """The flow, or None where the loader refuses it."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "f.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
        try:
            return read_flows([Path(folder)], PROMPTS)["f"]
        except FlowError:
            return None


def awaited(run: Run, digit: str | None) -> Event:
    """What happens next where nothing is lost; a digit instead where the caller presses one."""
    if digit is not None and run.waiting in (Waiting.PROMPTS, Waiting.TIMER):
        return DigitPressed(digit)
    match run.waiting:
        case Waiting.PROMPTS:
            return PromptsEnded(run.step)
        case Waiting.TIMER:
            return TimerFired(run.step)
        case Waiting.MESSAGE:
            return MessageLeft(run.step, Left.EMPTY if run.visits % 2 else Left.LEFT)
        case Waiting.CALLBACK:
            return CallbackNoted(run.step, Noted.REFUSED)
        case _:
            return TransferFailed(run.step)


def begun(flow: FlowDefinition) -> tuple[Run, tuple[Command, ...]]:
    """A caller with a number, who may enter another."""
    return interpreter.start(flow, "en", {}, 0, number="+3725550001", enter_for=("", "q"))


def is_last(commands: tuple[Command, ...]) -> bool:
    return bool(commands) and isinstance(commands[-1], EndCall | EnterQueue)


_settings = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@_settings
@given(flows(), st.lists(_events, max_size=60))
def test_no_event_raises_and_a_run_ends_with_exactly_one_last_command(
    flow: FlowDefinition, events: list[Event]
) -> None:
    run, commands = begun(flow)
    for event in events:
        assert run.over == is_last(commands) or not commands
        before = run
        run, commands = interpreter.feed(flow, run, event)
        assert run.step >= before.step
        assert not (before.over and commands)
        assert run == before or commands


@_settings
@given(flows(), st.lists(st.none() | DIGITS, min_size=1, max_size=20))
def test_every_run_ends_within_the_bound(flow: FlowDefinition, habit: list[str | None]) -> None:
    run, commands = begun(flow)
    fed = 0
    while not run.over:
        # a habit that presses ignored digits for ever must let time pass as well
        event = awaited(run, habit[fed % len(habit)])
        after, told = interpreter.feed(flow, run, event)
        if not told:
            after, told = interpreter.feed(flow, run, awaited(run, None))
        assert told, (run, event)
        run, commands, fed = after, told, fed + 1
        # Each time that a number is asked for, so many digits may be entered.
        assert fed <= (LONGEST_NUMBER + 2) * MAX_VISITS + 1
    assert is_last(commands)
    assert run.visits <= MAX_VISITS


_junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | _names,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["play", "menu", "set", "next", "choices", "1", "language"]), inner)
    ),
    max_leaves=8,
)


@_settings
@given(st.dictionaries(_names | st.text(max_size=3), _nodes | _junk, max_size=4) | _junk, _junk | _names)
def test_the_loader_accepts_or_explains_whatever_a_file_holds(nodes: object, start: object) -> None:
    accepted({"name": "f", "start": start, "nodes": nodes})
