"""What the entries of a directory owe each other: unique names, references that lead somewhere. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from acd.directory.check import staffing, targets, trunks
from acd.directory.check.problem import KeyPath, Problem, suggestion
from acd.directory.check.warnings import find_warnings
from acd.directory.schema.file import DirectoryFile

__all__ = ["KeyPath", "Problem", "find_problems", "find_warnings", "suggestion"]


def find_problems(file: DirectoryFile, flows: Collection[str]) -> list[Problem]:
    """Everything that is wrong between the entries. `flows` are the names of the flows that exist."""
    return [
        *_unique(file),
        *staffing.find(file),
        *targets.find(file, flows),
        *_codes(file),
        *trunks.find(file),
    ]


def _unique(file: DirectoryFile) -> Iterator[Problem]:
    yield from _repeated("trunks", "name", [entry.name for entry in file.trunks])
    yield from _repeated("numbers", "number", [entry.number for entry in file.numbers])
    yield from _repeated("skills", None, file.skills)
    yield from _repeated("queues", "name", [entry.name for entry in file.queues])
    yield from _repeated("agents", "id", [entry.id for entry in file.agents])
    yield from _repeated("agents", "extension", [entry.extension for entry in file.agents])
    yield from _repeated("codes", "code", [entry.code for entry in file.codes])
    yield from _repeated("devices", "name", [entry.name for entry in file.devices])
    yield from _repeated("boxes", "name", [entry.name for entry in file.boxes])
    yield from _repeated("teams", "name", [entry.name for entry in file.teams])
    yield from _repeated("routes", "prefix", [entry.prefix for entry in file.routes])
    yield from _repeated("webhooks", "name", [entry.name for entry in file.webhooks])
    yield from _repeated("caller_lists", "name", [entry.name for entry in file.caller_lists])
    numbers = {entry.number for entry in file.numbers}
    for index, agent in enumerate(file.agents):
        if agent.extension in numbers:
            yield Problem(
                ("agents", index, "extension"), f"{agent.extension!r} is a number too; give one another name"
            )


def _repeated(section: str, key: str | None, values: Sequence[str]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, value in enumerate(values):
        earlier = first.setdefault(value, index)
        if earlier != index:
            path: KeyPath = (section, index) if key is None else (section, index, key)
            yield Problem(path, f"{value!r} stands already in {section}[{earlier}]; each must be unique")


def _codes(file: DirectoryFile) -> Iterator[Problem]:
    numbers = {entry.number for entry in file.numbers}
    codes = {entry.code for entry in file.codes}
    for index, entry in enumerate(file.codes):
        path: KeyPath = ("codes", index)
        if entry.code in numbers:
            yield Problem((*path, "code"), f"{entry.code!r} is a number too; change one of them")
        if entry.reasons and entry.does != "pause":
            yield Problem((*path, "reasons"), "only a code that pauses has reasons; leave them out")
        if entry.does in ("wrapup-code", "refusal-reason"):
            longer = [code for code in codes if code.startswith(entry.code)]
            for code in sorted(code for code in longer if code[len(entry.code) :].isdigit()):
                yield Problem(path, f"{code} picks something here and is a code itself")
        for digit in range(1, len(entry.reasons) + 1):
            if f"{entry.code}{digit % 10}" in codes:
                yield Problem(path, f"{entry.code}{digit % 10} picks a reason here and is a code itself")
