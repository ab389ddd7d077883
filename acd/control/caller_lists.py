"""/v1/caller-lists: what is so of callers by number, and the numbers put on lists while the service runs."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from acd.callers.members import ListedNumber, ListFull
from acd.control.problems import Problem, not_found
from acd.control.route import Ask, Route
from acd.control.tokens import Role
from acd.control.words import Masked, Time, caller_for, time_of
from acd.directory.model import CallerList as Configured
from acd.directory.schema.callers import caller_number

_PAGE = 1000


class CallerList(BaseModel):
    name: str
    priority: int | None
    skills: dict[str, int]
    language: str | None
    preferred_agent: str | None
    queue: str | None
    reject: int | None = Field(description="The SIP status with which its callers are refused.")
    lookup: bool = Field(description="A page says who is on it, and what that gives.")
    numbers: int = Field(description="How many the directory names, beside those that were put on it.")
    prefixes: list[str]


class CallerLists(BaseModel):
    items: list[CallerList] = Field(description="In the order in which they count.")


class Number(BaseModel):
    number: Masked
    note: str | None
    changed_at: Time
    changed_by: str = Field(description="The role of the token that put it on the list.")


class Numbers(BaseModel):
    items: list[Number]
    next_after: str | None = Field(description="`after` of the next page; null on the last, and to a viewer.")


class NumbersQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    after: str = Field(default="", max_length=32)
    limit: int = Field(default=100, ge=1, le=_PAGE)


class NewNumber(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: Annotated[str, AfterValidator(caller_number)] = Field(examples=["+3725550001"])
    note: str = Field(default="", max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")


def list_of(entry: Configured) -> CallerList:
    gives = entry.gives
    return CallerList(
        name=entry.name,
        priority=gives.priority,
        skills=dict(gives.skills),
        language=gives.language or None,
        preferred_agent=gives.preferred_agent or None,
        queue=gives.queue or None,
        reject=gives.reject or None,
        lookup=entry.lookup is not None,
        numbers=len(entry.numbers),
        prefixes=sorted(entry.prefixes),
    )


def _number_of(listed: ListedNumber, role: Role | None) -> Number:
    return Number(
        number=caller_for(role, listed.number),
        note=listed.note or None,
        changed_at=time_of(listed.changed_at),
        changed_by=listed.changed_by,
    )


def _configured(ask: Ask) -> Configured:
    entry = ask.context.directory().caller_lists.get(ask.name("name"))
    if entry is None:
        raise not_found("caller list")
    return entry


async def show_lists(ask: Ask) -> CallerLists:
    return CallerLists(items=[list_of(entry) for entry in ask.context.directory().caller_lists.values()])


async def show_numbers(ask: Ask) -> Numbers:
    entry, query = _configured(ask), ask.query(NumbersQuery)
    found = await ask.context.caller_lists.of(entry.name, query.after, query.limit + 1)
    page = found[: query.limit]
    # A number is no secret to a supervisor; to a viewer there is no second page, since its key would be one.
    more = len(found) > len(page) and ask.role is not None and ask.role.covers(Role.SUPERVISOR)
    return Numbers(
        items=[_number_of(listed, ask.role) for listed in page],
        next_after=page[-1].number if more else None,
    )


async def put_number(ask: Ask) -> None:
    entry, new = _configured(ask), await ask.body(NewNumber)
    if entry.lookup is not None:
        raise Problem(409, "list-by-lookup", "Who is on this list, its page says.")
    try:
        await ask.context.caller_lists.put(entry.name, new.number, new.note, ask.role or "")
    except ListFull as error:
        raise Problem(409, error.cause, str(error)) from error


async def remove_number(ask: Ask) -> None:
    entry, number = _configured(ask), ask.name("number")
    if await ask.context.caller_lists.remove(entry.name, number, ask.role or ""):
        return
    if number in entry.numbers:
        raise Problem(409, "number-of-directory", "The directory file puts this number on the list.")
    raise not_found("number on this list")


_PATH = "/v1/caller-lists"

ROUTES = (
    Route("GET", _PATH, show_lists, Role.VIEWER, "callers", "Caller lists", answer=CallerLists),
    Route(
        "GET",
        f"{_PATH}/{{name}}/numbers",
        show_numbers,
        Role.VIEWER,
        "callers",
        "Numbers that were put on a list while the service runs",
        answer=Numbers,
        query=NumbersQuery,
        errors=(404,),
    ),
    Route(
        "POST",
        f"{_PATH}/{{name}}/numbers",
        put_number,
        Role.SUPERVISOR,
        "callers",
        "Put a number on a list, for all nodes",
        body=NewNumber,
        errors=(404, 409),
    ),
    Route(
        "DELETE",
        f"{_PATH}/{{name}}/numbers/{{number}}",
        remove_number,
        Role.SUPERVISOR,
        "callers",
        "Take a number off a list, for all nodes",
        errors=(404, 409),
    ),
)
