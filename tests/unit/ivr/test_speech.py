"""What is said of a place in the queue."""

from __future__ import annotations

import pytest

from ivr.prompts import SHIPPED_PROMPTS, PromptLibrary
from ivr.speech import position_prompts


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
