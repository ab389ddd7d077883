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


def digit_prompts(number: str) -> tuple[str, ...]:
    """The prompts that read a number out digit by digit; its plus sign is not said."""
    return tuple(f"digit-{digit}" for digit in number if digit.isdecimal() and digit.isascii())


def number_prompts(number: int) -> tuple[str, ...]:
    """The prompts that say how many there are of something, from 0."""
    if number > LAST_SPOKEN_NUMBER:
        return ("number-many",)
    return (f"digit-{number}",) if number < 10 else (f"number-{number}",)
