"""Listening to a box: what is said, heard and deleted, for any listener."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ivr import mailbox
from ivr.mailbox import (
    At,
    AwaitDigit,
    Command,
    Delete,
    DigitPressed,
    Event,
    HangUp,
    Mailbox,
    MarkHeard,
    PlaybackOver,
    Say,
    TimeOver,
    Waiting,
)
from ivr.prompts import SHIPPED_PROMPTS, PromptLibrary
from ivr.speech import number_prompts

NEW, OTHER, OLD = Waiting("m1", True, "+3725551"), Waiting("m2", True), Waiting("m3", False)


def drive(box: Mailbox, *events: Event | str) -> tuple[Mailbox, list[Command]]:
    """A word is a digit; "end" is the end of what is played, "time" that of the wait."""
    told: list[Command] = []
    for event in events:
        if isinstance(event, str):
            event = {"end": PlaybackOver(box.step), "time": TimeOver(box.step)}.get(
                event, DigitPressed(event)
            )
        box, commands = mailbox.feed(box, event)
        told += commands
    return box, told


def test_an_empty_box_says_so_and_hangs_up() -> None:
    box, commands = mailbox.start([])
    assert commands == (Say(1, ("no-messages",)),)
    assert drive(box, "1", "end")[1] == [HangUp()]


def test_how_many_there_are_and_then_the_first_with_what_can_be_done() -> None:
    box, commands = mailbox.start([NEW, OTHER, OLD])
    counts = ("mailbox-new", "digit-2", "mailbox-old", "digit-1")
    assert commands == (Say(1, (*counts, "mailbox-message-new"), "m1"),)
    assert drive(box, "end", "end")[1] == [
        MarkHeard("m1"),
        Say(2, ("mailbox-menu",)),
        AwaitDigit(3, mailbox.ANSWER_SECONDS),
    ]


def test_a_message_is_heard_once_whether_played_to_its_end_or_gone_on_from() -> None:
    box, _ = mailbox.start([NEW, OTHER])
    _, told = drive(box, "end", "1", "end", "2", "2")
    assert [each.message for each in told if isinstance(each, MarkHeard)] == ["m1", "m2"]
    assert [each.message for each in told if isinstance(each, Say) and each.message] == ["m1", "m2"]
    assert told[-1] == Say(6, ("mailbox-end", "goodbye"))


def test_what_is_deleted_is_gone_and_the_next_one_comes() -> None:
    box, _ = mailbox.start([NEW, OTHER, OLD])
    box, told = drive(box, "3", "2", "3")
    assert told == [
        Delete("m1"),
        Say(2, ("mailbox-deleted", "mailbox-message-new"), "m2"),
        MarkHeard("m2"),
        Say(3, ("mailbox-message-old",), "m3"),
        Delete("m3"),
        Say(4, ("mailbox-deleted", "mailbox-end", "goodbye")),
    ]
    assert drive(box, "4", "end")[1] == [HangUp()]


def test_back_goes_to_the_message_before_and_no_further() -> None:
    box, _ = mailbox.start([OLD, NEW])
    assert [each.message for each in drive(box, "2", "4", "4")[1] if isinstance(each, Say)] == [
        "m1",
        "m3",
        "m3",
    ]


def test_the_number_of_the_caller_is_said_where_it_is_known() -> None:
    box, _ = mailbox.start([NEW, OTHER])
    digits = tuple(f"digit-{digit}" for digit in "3725551")
    assert drive(box, "5")[1] == [Say(2, ("mailbox-from", *digits, "mailbox-menu"))]
    assert drive(box, "2", "5")[1][-1] == Say(3, ("not-possible", "mailbox-menu"))


def test_who_says_nothing_is_asked_again_and_then_let_go() -> None:
    box, _ = mailbox.start([OLD])
    box, told = drive(box, "end", *["end", "time"] * 3)
    assert told[-1] == Say(8, ("goodbye",))
    assert [type(each) for each in drive(box, "end")[1]] == [HangUp]


def test_counts_are_said_in_words_that_every_language_has() -> None:
    prompts = PromptLibrary([SHIPPED_PROMPTS])
    for number in (0, 1, 9, 10, 20, 21, 5000):
        for language in prompts.languages:
            assert all(prompts.has(prompt, language) for prompt in number_prompts(number)), (number, language)


_boxes = st.lists(st.booleans(), max_size=25).map(
    lambda new: [Waiting(f"m{at}", each, "+372") for at, each in enumerate(new)]
)
_events = st.one_of(
    st.builds(DigitPressed, st.sampled_from("0123456789*#A")),
    st.builds(PlaybackOver, st.integers(-1, 60)),
    st.builds(TimeOver, st.integers(-1, 60)),
)
PROMPTS = PromptLibrary([SHIPPED_PROMPTS])


@given(_boxes, st.lists(_events, max_size=60))
def test_whatever_comes_only_what_is_there_is_played_heard_or_deleted_and_each_once(
    messages: list[Waiting], events: list[Event]
) -> None:
    box, commands = mailbox.start(messages)
    left, heard = {each.id for each in messages}, {each.id for each in messages if not each.new}
    for event in events:
        was = box.over
        box, commands = mailbox.feed(box, event)
        assert not (was and commands)
        for command in commands:
            match command:
                case Say(_, prompts, message):
                    assert not message or message in left
                    assert all(PROMPTS.has(prompt, "en") for prompt in prompts)
                case MarkHeard(message):
                    assert message in left - heard
                    heard.add(message)
                case Delete(message):
                    left.remove(message)
    assert {each.id for each in box.messages} == left


@given(_boxes, st.lists(st.sampled_from("0123456789*#"), max_size=40))
def test_a_listener_who_presses_nothing_any_more_is_let_go(
    messages: list[Waiting], digits: list[str]
) -> None:
    box, _ = mailbox.start(messages)
    for digit in digits:
        box, _ = mailbox.feed(box, DigitPressed(digit))
    for _ in range(2 * mailbox.MOST_REPEATS + 5):
        if not box.over:
            event = TimeOver(box.step) if box.at is At.ANSWER else PlaybackOver(box.step)
            box, commands = mailbox.feed(box, event)
            assert commands
    assert box.over
    assert commands == (HangUp(),)
