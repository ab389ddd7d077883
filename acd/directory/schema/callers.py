"""Caller lists of the directory file, and the classes of priority."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from acd.directory.model import CallerList, Gives, Lookup
from acd.directory.schema.words import Entry, Language, Name, Skills
from routing.limits import PREFERENCES_MAX

DECLINE = 603
"""RFC 3261 section 21.6.2: nobody else should be tried either."""

_NUMBER = re.compile(r"\+[1-9][0-9]{4,14}", re.ASCII)
_PREFIX = re.compile(r"\+[1-9][0-9]{0,13}", re.ASCII)
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_VARIABLE = re.compile(r"ACD_LOOKUP_[A-Z0-9_]{1,64}", re.ASCII)
_LONGEST_URL = 1000


def caller_number(value: str) -> str:
    """Raises ValueError for what is no E.164 number."""
    if not _NUMBER.fullmatch(value):
        raise ValueError(f"{value!r} is not a caller's number: write it like '+3725550001' (E.164)")
    return value


def _prefix(value: str) -> str:
    if not _PREFIX.fullmatch(value):
        raise ValueError(f"{value!r} is not the beginning of a number like '+3725'")
    return value


def _url(value: str) -> str:
    found = _PLACEHOLDER.findall(value)
    if any(word not in ("{number}", "{called}") for word in found):
        raise ValueError("{number} and {called} are all that can be filled in")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"is not a URL: {error}") from None
    if len(value) > _LONGEST_URL or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError(f"must be at most {_LONGEST_URL} printable ASCII characters, without spaces")
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        raise ValueError("must be like 'https://crm.example/callers/{number}'")
    if "{" in parts.netloc or "@" in parts.netloc or parts.fragment:
        raise ValueError("nothing is filled in before the path; no user, no password, no '#'")
    return value


def _variable(value: str) -> str:
    if value and not _VARIABLE.fullmatch(value):
        raise ValueError(f"{value!r} is not a variable for this: its name begins with ACD_LOOKUP_")
    return value


class LookupEntry(Entry):
    url: Annotated[str, AfterValidator(_url)]
    method: Literal["GET", "POST"] = "GET"
    timeout_seconds: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] = 2.0
    allow_http: bool = False
    authorization_env: Annotated[str, AfterValidator(_variable)] = ""

    @model_validator(mode="after")
    def _is_private(self) -> LookupEntry:
        if self.url.startswith("http:") and not self.allow_http:
            raise ValueError(
                "numbers of callers would go out in the clear: use https, or say allow_http: true"
            )
        return self

    def build(self) -> Lookup:
        return Lookup(self.url, self.method, self.timeout_seconds, self.authorization_env)


class CallerListEntry(Entry):
    name: Name
    numbers: list[Annotated[str, AfterValidator(caller_number)]] = []
    prefixes: Annotated[list[Annotated[str, AfterValidator(_prefix)]], Field(max_length=10_000)] = []
    lookup: LookupEntry | None = None
    priority: Annotated[int, Field(ge=0, le=99)] | Name | None = None
    skills: Skills = {}
    language: Language | None = None
    languages: Annotated[list[Language], Field(max_length=PREFERENCES_MAX)] = []
    preferred_agent: Name | None = None
    queue: Name | None = None
    reject: bool | Annotated[int, Field(ge=400, le=699)] = False

    @model_validator(mode="after")
    def _gives_something(self) -> CallerListEntry:
        given = (self.skills, self.language, self.languages, self.preferred_agent, self.queue, self.reject)
        gives = any(given) or self.priority is not None
        if self.lookup is None and not gives:
            raise ValueError(
                "gives its callers nothing: priority, skills, language, languages, preferred_agent, "
                "queue or reject"
            )
        if self.lookup is not None and (gives or self.numbers):
            raise ValueError(
                "what a look-up gives, its answer says; keep numbers and what they give in another list"
            )
        return self

    @model_validator(mode="after")
    def _speaks_in_one_order(self) -> CallerListEntry:
        if self.language and self.languages:
            raise ValueError("give either language or languages, the best first")
        return self

    def build(self, order: int, priorities: dict[str, int]) -> CallerList:
        priority = priorities.get(self.priority) if isinstance(self.priority, str) else self.priority
        gives = Gives(
            priority=priority,
            skills=MappingProxyType(self.skills),
            language=self.language or next(iter(self.languages), ""),
            languages=tuple(self.languages),
            preferred_agent=self.preferred_agent or "",
            queue=self.queue or "",
            reject=DECLINE if self.reject is True else int(self.reject),
        )
        return CallerList(
            self.name,
            order,
            frozenset(self.numbers),
            frozenset(self.prefixes),
            gives,
            self.lookup.build() if self.lookup else None,
        )
