"""The difference between two directories, for people to read before it is applied. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from acd.directory.model import Directory

Kind = Literal[
    "trunk",
    "number",
    "skill",
    "queue",
    "agent",
    "code",
    "device",
    "box",
    "webhook",
    "priority",
    "caller-list",
    "team",
    "route",
    "dialling",
]
_MOST_SHOWN = 5
_SECRETS = {"ha1_md5": "password", "ha1_sha256": "password", "secret": "secret"}
"""Fields of which only that they changed is told, under which name."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """What one field of an entry was and will be, as text. Passwords are never shown."""

    field: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.field}: {self.before} -> {self.after}" if self.before else f"{self.field} {self.after}"


@dataclass(frozen=True, slots=True)
class Change:
    """One entry that comes, goes, or becomes different (then with its fields)."""

    action: Literal["add", "change", "remove"]
    kind: Kind
    name: str
    fields: tuple[FieldChange, ...] = ()

    def __str__(self) -> str:
        sign = {"add": "+", "change": "~", "remove": "-"}[self.action]
        details = "; ".join(map(str, self.fields))
        return f"{sign} {self.kind} {self.name}" + (f"  ({details})" if details else "")


def compare(before: Directory, after: Directory) -> tuple[Change, ...]:
    """What has to happen to make `before` into `after`: by kind, then by name."""
    return (
        *_entries("trunk", before.trunks, after.trunks),
        *_entries("number", before.numbers, after.numbers),
        *_entries("skill", dict.fromkeys(before.skills), dict.fromkeys(after.skills)),
        *_entries("queue", before.queues, after.queues),
        *_entries("agent", before.agents, after.agents),
        *_entries("code", before.codes, after.codes),
        *_entries("device", before.devices, after.devices),
        *_entries("box", before.boxes, after.boxes),
        *_entries("webhook", before.webhooks, after.webhooks),
        *_entries("priority", before.priorities, after.priorities),
        *_entries("caller-list", before.caller_lists, after.caller_lists),
        *_entries("team", before.teams, after.teams),
        *_entries("route", before.routes, after.routes),
        *_entries("dialling", {"centre": before.dialling}, {"centre": after.dialling}),
    )


def _entries(kind: Kind, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield Change("add", kind, name)
        elif name not in after:
            yield Change("remove", kind, name)
        elif before[name] != after[name]:
            yield Change("change", kind, name, tuple(_fields(before[name], after[name])))


def _fields(before: Any, after: Any) -> Iterator[FieldChange]:
    names = [field.name for field in fields(before)]
    changed = [name for name in _SECRETS if name in names and getattr(before, name) != getattr(after, name)]
    for told in dict.fromkeys(_SECRETS[name] for name in changed):
        yield FieldChange(told, "", "changed")
    for name in names:
        old, new = getattr(before, name), getattr(after, name)
        if name not in _SECRETS and old != new:
            yield FieldChange(name, _text(old), _text(new))


def _text(value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {level}" for key, level in sorted(value.items())) or "none"
    if isinstance(value, frozenset):
        shown = sorted(map(str, value))
        return (
            ", ".join(shown[:_MOST_SHOWN])
            + (f" and {len(shown) - _MOST_SHOWN} more" if len(shown) > _MOST_SHOWN else "")
            or "none"
        )
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
