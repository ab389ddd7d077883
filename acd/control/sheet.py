"""Tables as CSV (RFC 4180) that a spreadsheet opens as text and numbers, whatever a caller wrote. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
"""What a spreadsheet takes for a formula, or what hides one; also in the wide forms of East Asia."""
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?", re.ASCII)
"""Has a sign but computes nothing, and stays what it is: +3725550001, -3."""

Cell = str | int | float | None


def lines(rows: Iterable[Sequence[Cell]]) -> bytes:
    """The rows as they stand in the file."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([[defused(cell) for cell in row] for row in rows])
    return text.getvalue().encode("utf-8", "replace")


def defused(cell: Cell) -> str:
    """The text of a cell; before what would be computed stands an apostrophe, which spreadsheets hide."""
    if cell is None:
        return ""
    text = str(cell)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text
