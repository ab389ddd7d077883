"""Writes the keys of acd.toml into docs/operating.md, between its two marker lines."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import BaseModel

from acd.config import Listen, Settings

PAGE = Path(__file__).parent.parent / "docs" / "operating.md"
BEGIN, END = "<!-- settings begin -->\n", "<!-- settings end -->\n"


def shown(value: object) -> str:
    """A default as it would be written in TOML."""
    if isinstance(value, Listen):
        return f'"{value.transport}:{value.host}:{value.port}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | Path):
        return f'"{value}"'
    return "" if value is None else str(value)


def table() -> str:
    lines = ["| key | default | what it is |", "|---|---|---|"]
    for section, outer in Settings.model_fields.items():
        kind = outer.annotation
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            raise TypeError(f"[{section}] is no section")
        for key, field in kind.model_fields.items():
            says = " ".join((field.description or "").split())
            lines.append(f"| `{section}.{key}` | `{shown(field.default)}` | {says} |".replace("``", ""))
    return "\n".join(lines) + "\n"


def page_with_table(page: str) -> str:
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return head + BEGIN + table() + END + tail


if __name__ == "__main__":
    PAGE.write_text(page_with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
