"""What a caller hears, step by step."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ivr import interpreter
from ivr.flow import Echo, FlowDefinition, HangUp, Menu, Music, Node, Play, Queue, Set, Transfer
from ivr.interpreter import (
    MAX_VISITS,
    Command,
    DigitPressed,
    EndCall,
    EnterQueue,
    Event,
    PlayEcho,
    PlayMusic,
    PlayPrompts,
    PromptsEnded,
    Run,
    StartTimer,
    StopPrompts,
    TimerFired,
    TransferCall,
    TransferFailed,
)


class Caller:
    """One run through a flow."""

    def __init__(self, nodes: dict[str, Node], language: str = "en", **known: int) -> None:
        self.flow = FlowDefinition("test", next(iter(nodes)), nodes)
        self.run, self.heard = interpreter.start(self.flow, language, known, 0)

    def feed(self, event: Event) -> tuple[Command, ...]:
        self.run, self.heard = interpreter.feed(self.flow, self.run, event)
        return self.heard

    def listen(self) -> tuple[Command, ...]:
        return self.feed(PromptsEnded(self.run.step))

    def press(self, digit: str) -> tuple[Command, ...]:
        return self.feed(DigitPressed(digit))

    def wait(self) -> tuple[Command, ...]:
        return self.feed(TimerFired(self.run.step))

    def prompts(self) -> tuple[str, ...]:
        [played] = [command.prompts for command in self.heard if isinstance(command, PlayPrompts)]
        return played


MENU = Menu(("choose",), {"1": "sales", "2": "bye"}, "support", 7.0, 2, ("no-input",), ("invalid",))
NODES: dict[str, Node] = {
    "menu": MENU,
    "sales": Queue("sales"),
    "support": Queue("support"),
    "bye": HangUp(("goodbye",)),
}


def test_prompts_are_played_in_the_callers_language_and_then_the_flow_goes_on() -> None:
    caller = Caller({"hello": Play(("welcome", "news"), "q"), "q": Queue("sales")}, "et")
    assert caller.heard == (PlayPrompts(1, ("welcome", "news"), "et"),)
    assert caller.listen() == (EnterQueue("sales"),)
    assert caller.run.over


def test_a_digit_interrupts_only_prompts_that_may_be_interrupted() -> None:
    strict = Caller({"hello": Play(("welcome",), "q"), "q": Queue("sales")})
    assert strict.press("1") == ()
    hasty = Caller({"hello": Play(("welcome",), "q", barge_in=True), "q": Queue("sales")})
    assert hasty.press("1") == (StopPrompts(), EnterQueue("sales"))


def test_a_digit_interrupts_the_prompts_of_a_menu() -> None:
    caller = Caller(NODES)
    assert caller.press("1") == (StopPrompts(), EnterQueue("sales"))


def test_the_menus_timer_starts_when_its_prompts_end() -> None:
    caller = Caller(NODES)
    assert caller.heard == (PlayPrompts(1, ("choose",), "en"),)
    assert caller.listen() == (StartTimer(2, 7.0),)
    assert caller.press("1") == (EnterQueue("sales"),)


def test_no_input_repeats_the_menu_and_then_goes_otherwise() -> None:
    caller = Caller(NODES)
    for _ in range(2):
        caller.listen()
        caller.wait()
        assert caller.prompts() == ("no-input", "choose")
    caller.listen()
    assert caller.wait() == (EnterQueue("support"),)


def test_a_wrong_digit_repeats_the_menu_and_then_goes_otherwise() -> None:
    caller = Caller(NODES)
    assert caller.press("9") == (StopPrompts(), PlayPrompts(2, ("invalid", "choose"), "en"))
    caller.listen()
    caller.press("#")
    assert caller.prompts() == ("invalid", "choose")
    assert caller.press("9") == (StopPrompts(), EnterQueue("support"))


def test_a_menu_entered_again_counts_its_tries_anew() -> None:
    nodes: dict[str, Node] = {
        "menu": replace(MENU, otherwise="hint", retries=1),
        "hint": Play(("hint",), "menu"),
    }
    caller = Caller({**NODES, **nodes})
    for _ in range(3):
        caller.press("9")
        assert caller.prompts() == ("invalid", "choose")
        caller.press("9")
        assert caller.prompts() == ("hint",)
        caller.listen()
        assert caller.prompts() == ("choose",)


def test_no_retries_means_one_try() -> None:
    caller = Caller({**NODES, "menu": replace(MENU, retries=0)})
    caller.listen()
    assert caller.wait() == (EnterQueue("support"),)


def test_setting_the_language_changes_what_is_played_from_then_on() -> None:
    caller = Caller(
        {"a": Play(("x",), "b"), "b": Set("c", language="tr"), "c": Play(("y",), "d"), "d": HangUp()}
    )
    caller.listen()
    assert caller.heard == (PlayPrompts(2, ("y",), "tr"),)
    assert caller.listen() == (EndCall(),)


def test_setting_adds_skills_and_leaves_the_rest_as_it_is() -> None:
    nodes: dict[str, Node] = {
        "a": Set("b", skills={"vip": 2, "billing": 5}),
        "b": Set("c", priority=7),
        "c": Set("d", language="et"),
        "d": Queue("billing"),
    }
    caller = Caller(nodes, vip=1, old=3)
    assert caller.heard == (EnterQueue("billing"),)
    assert caller.run.skills == {"vip": 2, "billing": 5, "old": 3}
    assert (caller.run.language, caller.run.priority) == ("et", 7)


def test_a_transfer_that_fails_goes_otherwise_and_without_that_ends_the_call() -> None:
    nodes: dict[str, Node] = {"t": Transfer("extension:1001", "bye"), "bye": HangUp(("transfer-failed",))}
    caller = Caller(nodes)
    assert caller.heard == (TransferCall(1, "extension:1001"),)
    assert caller.feed(TransferFailed(1)) == (PlayPrompts(2, ("transfer-failed",), "en"),)
    assert caller.listen() == (EndCall(),)
    alone = Caller({"t": Transfer("extension:1001")})
    assert alone.feed(TransferFailed(1)) == (EndCall(),)


def test_hanging_up_waits_for_its_prompts() -> None:
    caller = Caller({"bye": HangUp(("goodbye",))})
    assert caller.press("1") == ()
    assert caller.listen() == (EndCall(),)
    assert Caller({"bye": HangUp()}).heard == (EndCall(),)


@pytest.mark.parametrize(("node", "sound"), [(Echo(60), PlayEcho()), (Music(60), PlayMusic())])
def test_echo_and_music_end_after_their_time(node: Node, sound: Command) -> None:
    caller = Caller({"n": node})
    assert caller.heard == (sound, StartTimer(1, 60))
    assert caller.press("1") == ()
    assert caller.wait() == (EndCall(),)


def test_reports_of_older_steps_or_of_the_wrong_kind_change_nothing() -> None:
    caller = Caller(NODES)
    first = caller.run.step
    caller.press("9")
    before = caller.run
    for event in (
        PromptsEnded(first),
        TimerFired(before.step),
        TransferFailed(before.step),
        PromptsEnded(99),
    ):
        assert caller.feed(event) == ()
        assert caller.run == before
    caller.listen()
    waiting = caller.run
    for event in (PromptsEnded(waiting.step), TimerFired(first), TransferFailed(waiting.step)):
        assert caller.feed(event) == ()
        assert caller.run == waiting


def test_nothing_happens_after_the_flow_is_over() -> None:
    caller = Caller({"q": Queue("sales")})
    over = caller.run
    for event in (
        DigitPressed("1"),
        PromptsEnded(over.step),
        TimerFired(over.step),
        TransferFailed(over.step),
    ):
        assert caller.feed(event) == ()
        assert caller.run == over


def test_a_caller_who_goes_round_in_circles_is_let_go() -> None:
    nodes: dict[str, Node] = {
        "menu": replace(MENU, choices={"1": "again"}),
        "again": Play(("x",), "menu"),
        "support": Queue("q"),
    }
    caller = Caller(nodes)
    for _ in range(2 * MAX_VISITS):
        caller.press("1") or caller.listen()
        if caller.run.over:
            break
    assert EndCall() in caller.heard
    assert caller.run.visits == MAX_VISITS


def test_a_menu_that_repeats_for_ever_is_let_go() -> None:
    caller = Caller({**NODES, "menu": replace(MENU, retries=10**9)})
    for _ in range(MAX_VISITS - 1):
        caller.press("9")
        assert not caller.run.over
    assert caller.press("9") == (StopPrompts(), EndCall())


def test_a_run_at_a_node_that_an_edited_flow_no_longer_has_ends_the_call() -> None:
    caller = Caller(NODES)
    edited = FlowDefinition("test", "sales", {"sales": Queue("sales")})
    run, commands = interpreter.feed(edited, caller.run, PromptsEnded(caller.run.step))
    assert commands == (EndCall(),)
    assert run.over


def test_a_run_does_not_share_the_skills_it_was_given() -> None:
    skills = {"vip": 1}
    flow = FlowDefinition("f", "q", {"q": Queue("sales")})
    run, _ = interpreter.start(flow, "en", skills, 0)
    skills["vip"] = 9
    assert run == Run("f", "q", "en", {"vip": 1}, step=1, visits=1)
