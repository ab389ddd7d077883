"""What is said with numbers, as prompt names. Whole sentences: word order and endings differ by language."""

from __future__ import annotations

LAST_NUMBERED_POSITION = 20
LAST_SPOKEN_NUMBER = 20


def position_prompts(position: int) -> tuple[str, ...]:
    """The prompts that tell a caller their place in a queue; 1 is next.

    Nothing is said to someone who is not waiting (below 1).
    """
    if position < 1:
        return ()
    if position <= LAST_NUMBERED_POSITION:
        return (f"position-{position}",)
    return ("position-many",)


WAIT_MINUTES = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 45, 60)
"""The waits that there is a sentence for."""


LONGER_WAIT = 1_000
"""Minutes of one that is longer than all of them."""


def rounded_wait(seconds: float) -> int:
    """The minutes that a caller is told who expects to wait for so long: the next in WAIT_MINUTES, so that no
    less is promised than is expected, nor less than a minute."""
    return next((minutes for minutes in WAIT_MINUTES if seconds <= 60 * minutes), LONGER_WAIT)


def wait_prompts(minutes: int) -> tuple[str, ...]:
    """The prompts that tell a caller a wait of so many minutes (rounded_wait)."""
    return ("wait-many",) if minutes == LONGER_WAIT else (f"wait-{minutes}",)


def is_worth_saying(minutes: int, told: int) -> bool:
    """Whether a caller who was told one wait (0: none yet) is told another: it is shorter, or much longer.

    That an expectation has grown by a step, or is the same, is no news to somebody who waits.
    """
    steps = (*WAIT_MINUTES, LONGER_WAIT)
    return not told or minutes < told or steps.index(minutes) > steps.index(told) + 1


def digit_prompts(number: str) -> tuple[str, ...]:
    """The prompts that read a number out digit by digit; its plus sign is not said."""
    return tuple(f"digit-{digit}" for digit in number if digit.isdecimal() and digit.isascii())


def number_prompts(number: int) -> tuple[str, ...]:
    """The prompts that say how many there are of something, from 0."""
    if number > LAST_SPOKEN_NUMBER:
        return ("number-many",)
    return (f"digit-{number}",) if number < 10 else (f"number-{number}",)
