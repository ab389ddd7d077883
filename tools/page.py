"""Tables that are made from the code and stand in a page of the documentation, between two marker lines."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path


def with_table(page: str, begin: str, end: str, table: str) -> str:
    """The page with this table between the markers, whatever stands there."""
    head, _, rest = page.partition(begin)
    _, _, tail = rest.partition(end)
    return head + begin + table + end + tail


def write(path: Path, change: Callable[[str], str]) -> None:
    """Change a page, and say which."""
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{path}\n")
