"""What an agent notes about a conversation: a code and a small form, checked against the queue. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from acd.directory.model import FormField, Queue
from acd.errors import AcdError

LONGEST_TEXT = 4000
_LARGEST = 1e15
"""Neither infinity nor a NaN is below it."""

Value = str | int | float


@dataclass(frozen=True, slots=True)
class Note:
    """One note an agent and call. `given_at` in seconds since the epoch."""

    call_id: str
    agent: str
    queue: str
    code: str | None
    fields: Mapping[str, Value]
    given_at: float
    complete: bool = True
    """Whether nothing that the queue requires is missing; by phone only a code can be given."""


@dataclass(frozen=True, slots=True)
class Owed:
    """A conversation that an agent has not noted all about that its queue requires."""

    call_id: str
    queue: str


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """A call that an agent did not take, of a queue that asks why. Times in seconds since the epoch."""

    call_id: str
    agent: str
    queue: str
    refused_at: float
    required: bool
    """Whether the queue wants a reason."""
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class NoteProblem:
    """`field` is "code", or a field of the form."""

    field: str
    message: str
    in_form: bool = True


class NoteRefused(AcdError):
    """The note does not fit the queue; `problems` names each field."""

    cause = "invalid-note"

    def __init__(self, problems: list[NoteProblem]) -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.message}" for problem in problems))
        self.problems = tuple(problems)


class NoteMissing(AcdError):
    """The wrap-up cannot be ended yet; `fields` has what is to be noted first: "code", or of the form."""

    sip_status = 403
    cause = "note-missing"

    def __init__(self, problems: Sequence[NoteProblem]) -> None:
        names = ", ".join(problem.field for problem in problems)
        super().__init__(f"the wrap-up goes on until its time: note first {names}")
        self.problems = tuple(problems)


def missing_in(rules: Queue, note: Note | None) -> tuple[NoteProblem, ...]:
    """What the queue requires and nobody has noted."""
    problems = []
    if rules.wrapup_code_required and (note is None or note.code is None):
        problems.append(NoteProblem("code", "is required", in_form=False))
    given = note.fields if note else {}
    problems += [
        NoteProblem(field.name, "is required")
        for field in rules.wrapup_form
        if field.required and field.name not in given
    ]
    return tuple(problems)


def check_note(rules: Queue, code: str | None, given: Mapping[str, object]) -> Mapping[str, Value]:
    """The fields as they are kept: in the order of the form, empty ones left out. Raises NoteRefused."""
    problems = _code_problems(rules, code)
    known = {field.name: field for field in rules.wrapup_form}
    for name in given:
        if name not in known:
            problems.append(NoteProblem(name, f"the form of queue {rules.name!r} has no such field"))
    kept: dict[str, Value] = {}
    for name, field in known.items():
        value = given.get(name)
        if value is None or value == "":
            if field.required:
                problems.append(NoteProblem(name, "is required"))
        elif message := _wrong(field, value):
            problems.append(NoteProblem(name, message))
        elif isinstance(value, str | int | float):
            kept[name] = value
    if problems:
        raise NoteRefused(problems)
    return kept


def _code_problems(rules: Queue, code: str | None) -> list[NoteProblem]:
    if code is None:
        return [NoteProblem("code", "is required", in_form=False)] if rules.wrapup_code_required else []
    if code in rules.wrapup_codes:
        return []
    known = ", ".join(rules.wrapup_codes) or "none"
    return [NoteProblem("code", f"is not among the codes of queue {rules.name!r}: {known}", in_form=False)]


def _wrong(field: FormField, value: object) -> str:
    """What is wrong with a value, or nothing."""
    if field.kind == "number":
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "must be a number"
        return "" if abs(value) < _LARGEST else f"must be a number below {_LARGEST:.0e}"
    if not isinstance(value, str):
        return "must be text"
    if field.kind == "choice":
        return "" if value in field.choices else f"must be one of: {', '.join(field.choices)}"
    if len(value) > LONGEST_TEXT:
        return f"must have at most {LONGEST_TEXT} characters"
    return "" if all(c.isprintable() or c in "\n\t" for c in value) else "contains control characters"
