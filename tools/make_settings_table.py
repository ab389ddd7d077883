"""Writes the keys of acd.toml into docs/operating.md, between its two marker lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from acd.config import Listen, Settings
from tools.page import with_table, write

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


def rows(section: str, kind: type[BaseModel]) -> Iterator[str]:
    """The keys of a section and of those within it."""
    for key, field in kind.model_fields.items():
        name, inner = f"{section}.{key}", field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from rows(name, inner)
        else:
            says = " ".join((field.description or "").split())
            yield f"| `{name}` | `{shown(field.default)}` | {says} |".replace("``", "")


def table() -> str:
    lines = ["| key | default | what it is |", "|---|---|---|"]
    for section, outer in Settings.model_fields.items():
        kind = outer.annotation
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            raise TypeError(f"[{section}] is no section")
        lines += rows(section, kind)
    return "\n".join(lines) + "\n"


def page_with_table(page: str) -> str:
    return with_table(page, BEGIN, END, table())


if __name__ == "__main__":
    write(PAGE, page_with_table)
