"""Reads a directory file: YAML with line numbers, the schema, the references. All errors at once."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from acd.directory.check import KeyPath, Problem, find_problems, suggestion
from acd.directory.schema.agents import AgentEntry, CodeEntry
from acd.directory.schema.callers import CallerListEntry
from acd.directory.schema.devices import DeviceEntry
from acd.directory.schema.dialling import DiallingEntry, RouteEntry, TeamEntry
from acd.directory.schema.file import DirectoryFile
from acd.directory.schema.queues import QueueEntry
from acd.directory.schema.trunks import NumberEntry, TrunkEntry
from acd.directory.schema.voicemail import BoxEntry
from acd.directory.schema.webhooks import WebhookEntry
from acd.directory.yaml_lines import YamlError, read_yaml
from acd.errors import ConfigError

MAX_BYTES = 16_000_000
_MAX_SHOWN = 50

_ENTRIES: dict[str | int, type[BaseModel]] = {
    "trunks": TrunkEntry,
    "numbers": NumberEntry,
    "queues": QueueEntry,
    "agents": AgentEntry,
    "codes": CodeEntry,
    "devices": DeviceEntry,
    "boxes": BoxEntry,
    "webhooks": WebhookEntry,
    "caller_lists": CallerListEntry,
    "teams": TeamEntry,
    "routes": RouteEntry,
    "dialling": DiallingEntry,
}
_MOVED = {"not_answering_after": "it is refusals: {no-answer: {not_answering_after: 3}} now"}
"""Keys that there were, and what they are now."""
_KINDS = {
    "list_type": "must be a list, like [one, two]",
    "dict_type": "must be a mapping, like {billing: 5}",
    "model_type": "must be a mapping of keys to values",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "missing": "is missing; add it",
}


class DirectoryError(ConfigError):
    """The directory file cannot be used. `problems` holds one line each: file, line, key, what to do."""

    def __init__(self, problems: list[str]) -> None:
        shown = problems[:_MAX_SHOWN]
        if len(problems) > _MAX_SHOWN:
            shown.append(f"... and {len(problems) - _MAX_SHOWN} more")
        super().__init__("\n".join(shown))
        self.problems = tuple(problems)


def load_directory(path: Path, flows: Collection[str]) -> DirectoryFile:
    """The checked content of a directory file. Raises DirectoryError with every problem found."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise DirectoryError([f"{path}: cannot be read: {error.strerror}"]) from error
    if len(data) > MAX_BYTES:
        raise DirectoryError([f"{path}: larger than {MAX_BYTES // 1_000_000} MB; that is no directory"])
    try:
        return parse_directory(data.decode(), str(path), flows)
    except UnicodeDecodeError as error:
        raise DirectoryError([f"{path}: not UTF-8 text: {error.reason} at byte {error.start}"]) from error


def parse_directory(text: str, name: str, flows: Collection[str]) -> DirectoryFile:
    """As `load_directory`, of text that is at hand; `name` is what the errors call it."""
    try:
        document = read_yaml(text)
    except YamlError as error:
        raise DirectoryError([f"{name}:{error.line}: {error}"]) from error
    problems = document.repeated
    file = DirectoryFile()
    try:
        file = DirectoryFile.model_validate({} if document.value is None else document.value)
        problems = problems + find_problems(file, flows)
    except ValidationError as error:
        problems = problems + [_explain(found) for found in error.errors(include_url=False)]
    if problems:
        lines = sorted((document.line(problem.path), _shown(problem)) for problem in problems)
        raise DirectoryError([f"{name}:{line}: {shown}" for line, shown in lines])
    return file


def _explain(found: ErrorDetails) -> Problem:
    # A key of a skill map that is no name is reported under (..., key, "[key]").
    path: KeyPath = tuple(part for part in found["loc"] if part != "[key]")
    kind = found["type"]
    context = found.get("ctx", {})
    if kind == "extra_forbidden":
        model = _ENTRIES.get(path[0], DirectoryFile) if len(path) > 1 else DirectoryFile
        known = sorted(model.model_fields)
        hint = f"; {_MOVED[path[-1]]}" if path[-1] in _MOVED else ""
        hint = hint or suggestion(str(path[-1]), known) or f"; known are {', '.join(known)}"
        return Problem(path, f"no such key{hint}")
    if kind == "string_type":
        quotes = "" if isinstance(found["input"], list | dict | None) else "; put it in quotes"
        return Problem(path, f"must be text{quotes}")
    if kind == "string_too_short":
        return Problem(path, f"must have at least {context['min_length']} characters")
    if kind == "string_too_long":
        return Problem(path, f"must have at most {context['max_length']} characters")
    if kind == "too_short":
        return Problem(path, "must not be empty")
    if kind in _KINDS:
        return Problem(path, _KINDS[kind])
    message = found["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return Problem(path, message if kind == "value_error" else f"must be {message}")


def _shown(problem: Problem) -> str:
    where = ""
    for part in problem.path:
        where += f"[{part}]" if isinstance(part, int) else f".{part}" if where else str(part)
    return f"{where}: {problem.message}" if where else problem.message
