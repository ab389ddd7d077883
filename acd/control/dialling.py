"""/v1/do-not-call: numbers that no agent is to call."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from acd.calls.outward import written
from acd.control.problems import Problem, not_found
from acd.control.route import Ask, Route
from acd.control.tokens import Role
from acd.control.words import Time, time_of
from acd.directory.do_not_call import ANY_MORE

_MOST_AT_ONCE = 2000
_ENTRY = re.compile(r"\+?[0-9]{2,20}\*?", re.ASCII)


def _entry(value: str) -> str:
    if not _ENTRY.fullmatch(value):
        raise ValueError("write a number like +3725550001, or what numbers begin with like +372555*")
    return value


class DoNotCallEntry(BaseModel):
    entry: str = Field(description="A number as E.164, or with * at its end all numbers that begin so.")
    note: str | None
    added_at: Time


class DoNotCallPage(BaseModel):
    items: list[DoNotCallEntry]
    next_after: str | None = Field(description="`after` of the next page; null on the last one.")


class DoNotCallQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    after: str = Field(default="", max_length=24, description="Entries after this one, in their order.")
    limit: int = Field(default=200, ge=1, le=1000)


class DoNotCallOrder(BaseModel):
    """Numbers are read as agents dial them (`dialling.country`), and kept as E.164."""

    model_config = ConfigDict(extra="forbid")

    numbers: list[Annotated[str, AfterValidator(_entry)]] = Field(min_length=1, max_length=_MOST_AT_ONCE)
    note: str = Field(default="", max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")


class DoNotCallAdded(BaseModel):
    added: int = Field(description="How many were not there before.")


class DoNotCallAnswer(BaseModel):
    number: str = Field(description="As E.164.")
    forbidden: bool


async def list_entries(ask: Ask) -> DoNotCallPage:
    query = ask.query(DoNotCallQuery)
    found = await ask.context.do_not_call.entries(query.after, query.limit)
    items = [
        DoNotCallEntry(entry=one.entry, note=one.note or None, added_at=time_of(one.added_at))
        for one in found
    ]
    return DoNotCallPage(items=items, next_after=items[-1].entry if len(items) == query.limit else None)


async def add_entries(ask: Ask) -> DoNotCallAdded:
    order = await ask.body(DoNotCallOrder)
    entries = [_kept(ask, number) for number in order.numbers]
    return DoNotCallAdded(added=await ask.context.do_not_call.add(entries, order.note))


def _kept(ask: Ask, entry: str) -> str:
    return entry if entry.endswith(ANY_MORE) else written(ask.context.directory(), entry)


async def remove_entry(ask: Ask) -> None:
    if not await ask.context.do_not_call.remove(_kept(ask, _named(ask))):
        raise not_found("entry of the do-not-call list")


async def check_number(ask: Ask) -> DoNotCallAnswer:
    number = written(ask.context.directory(), _named(ask))
    return DoNotCallAnswer(number=number, forbidden=await ask.context.do_not_call.forbids(number))


def _named(ask: Ask) -> str:
    entry = ask.name("entry")
    if not _ENTRY.fullmatch(entry):
        raise Problem(400, "invalid-query", "The path names no number; write its + as %2B.")
    return entry


_TAG = "do-not-call"

ROUTES = (
    Route(
        "GET",
        "/v1/do-not-call",
        list_entries,
        Role.SUPERVISOR,
        _TAG,
        "Numbers that are not to be called",
        answer=DoNotCallPage,
        query=DoNotCallQuery,
    ),
    Route(
        "POST",
        "/v1/do-not-call",
        add_entries,
        Role.SUPERVISOR,
        _TAG,
        "Put numbers on the list",
        answer=DoNotCallAdded,
        body=DoNotCallOrder,
    ),
    Route(
        "GET",
        "/v1/do-not-call/{entry}",
        check_number,
        Role.SUPERVISOR,
        _TAG,
        "Whether a number may not be called",
        answer=DoNotCallAnswer,
        errors=(400,),
    ),
    Route(
        "DELETE",
        "/v1/do-not-call/{entry}",
        remove_entry,
        Role.SUPERVISOR,
        _TAG,
        "Take an entry off the list",
        errors=(400, 404),
    ),
)
