"""Writes the table of the call machine into docs/call.md, between its two marker lines."""

from __future__ import annotations

from pathlib import Path

from acd.calls.machine import STEPS, Key
from acd.calls.model import State
from tools.page import with_table, write

PAGE = Path(__file__).parent.parent / "docs" / "call.md"
BEGIN, END = "<!-- table begins -->\n", "<!-- table ends -->\n"


def name_of(key: Key) -> str:
    """`LegOver(caller)`, `OfferMade`."""
    return f"{key[0].__name__}({key[1].value})" if isinstance(key, tuple) else key.__name__


def table() -> str:
    """One row an event, one column a state; the cell is the function that decides."""
    states = [state for state in State if STEPS[state]]
    keys = sorted({key for state in states for key in STEPS[state]}, key=name_of)
    lines = ["| event | " + " | ".join(states) + " |", "|---" * (len(states) + 1) + "|"]
    for key in keys:
        cells = (STEPS[state].get(key) for state in states)
        lines.append(
            f"| {name_of(key)} | " + " | ".join(cell.__name__ if cell else "" for cell in cells) + " |"
        )
    return "\n".join(lines) + "\n"


def page_with_table(page: str) -> str:
    return with_table(page, BEGIN, END, table())


if __name__ == "__main__":
    write(PAGE, page_with_table)
