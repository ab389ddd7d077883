"""What is said of a place in the queue."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.prompts import SHIPPED_PROMPTS, PromptLibrary
from ivr.speech import (
    LONGER_WAIT,
    WAIT_MINUTES,
    is_worth_saying,
    position_prompts,
    rounded_wait,
    wait_prompts,
)


@pytest.mark.parametrize(
    ("position", "prompts"),
    [
        (1, ("position-1",)),
        (20, ("position-20",)),
        (21, ("position-many",)),
        (5000, ("position-many",)),
        (0, ()),
        (-3, ()),
    ],
)
def test_a_place_is_one_whole_sentence(position: int, prompts: tuple[str, ...]) -> None:
    assert position_prompts(position) == prompts


def test_every_place_is_recorded_in_every_shipped_language() -> None:
    recordings = PromptLibrary([SHIPPED_PROMPTS])
    for position in range(1, 23):
        for language in recordings.languages:
            assert all(recordings.has(prompt, language) for prompt in position_prompts(position))


@given(st.floats(0, 50_000))
def test_no_less_is_promised_than_is_expected_nor_less_than_a_minute(seconds: float) -> None:
    minutes = rounded_wait(seconds)
    assert minutes >= 1
    assert minutes * 60 >= seconds
    # And not much more, as far as there are words for it.
    assert minutes == LONGER_WAIT or minutes <= max(1, 1.6 * seconds / 60 + 1)


@pytest.mark.parametrize(
    ("told", "now", "said"),
    [
        (0, 5, True),
        (0, LONGER_WAIT, True),
        (5, 4, True),
        (5, 1, True),
        (5, 5, False),
        (5, 7, False),
        (5, 10, True),
        (45, 60, False),
        (60, LONGER_WAIT, False),
        (45, LONGER_WAIT, True),
        (LONGER_WAIT, LONGER_WAIT, False),
        (LONGER_WAIT, 60, True),
    ],
)
def test_a_wait_that_is_the_same_or_grows_a_little_is_no_news(told: int, now: int, said: bool) -> None:
    assert is_worth_saying(now, told) is said


def test_every_wait_is_recorded_in_every_shipped_language() -> None:
    recordings = PromptLibrary([SHIPPED_PROMPTS])
    for minutes in (*WAIT_MINUTES, LONGER_WAIT):
        for language in recordings.languages:
            assert all(recordings.has(prompt, language) for prompt in wait_prompts(minutes))
