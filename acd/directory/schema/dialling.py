"""Calls to the outside in the directory file: routes, and what holds for teams and for all."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from acd.directory.model import DialClass, Dialling, Route, Team
from acd.directory.schema.words import Country, Dialled, Entry, Name, SecondsOrNone, Text

_PREFIX = re.compile(r"\+[0-9]{0,15}|[0-9*#]{1,15}", re.ASCII)
_DIGITS = re.compile(r"\+?[0-9*#]{0,15}", re.ASCII)


def _prefix(value: str) -> str:
    if not _PREFIX.fullmatch(value):
        raise ValueError(f"{value!r} is not the beginning of a number like '+372', '+' or '112'")
    return value


def _digits(value: str) -> str:
    if not _DIGITS.fullmatch(value):
        raise ValueError(f"{value!r} is nothing to dial: up to 15 of 0-9, '*', '#', perhaps after a '+'")
    return value


def _each_once(values: list[DialClass]) -> list[DialClass]:
    if len(set(values)) < len(values):
        raise ValueError("names a class twice; each must stand once")
    return values


DialClasses = Annotated[list[DialClass], AfterValidator(_each_once)]
CallerId = Dialled | Annotated[str, Field(max_length=0)]
OutsideCalls = Annotated[int, Field(ge=1, le=100)]


class RouteEntry(Entry):
    prefix: Annotated[str, AfterValidator(_prefix)]
    kind: Annotated[DialClass, Field(alias="class")]
    trunks: Annotated[list[Name], Field(max_length=16)] = []
    strip: Annotated[int, Field(ge=0, le=16)] = 0
    prepend: Annotated[str, AfterValidator(_digits)] = ""

    def build(self) -> Route:
        return Route(self.prefix, self.kind, tuple(self.trunks), self.strip, self.prepend)


class TeamEntry(Entry):
    name: Annotated[Text, Field(min_length=1)]
    dialling: DialClasses = []
    caller_id: CallerId = ""
    outside_calls: OutsideCalls | None = None

    def build(self) -> Team:
        return Team(self.name, tuple(self.dialling), self.caller_id, self.outside_calls)


class DiallingEntry(Entry):
    country: Country = ""
    caller_id: CallerId = ""
    outside_calls: OutsideCalls = Dialling().outside_calls
    ring_seconds: Annotated[float, Field(gt=0, le=120, allow_inf_nan=False)] = Dialling().ring_seconds
    wrapup_seconds: SecondsOrNone = 0.0
    operators: DialClasses = [*Dialling().operators]

    def build(self) -> Dialling:
        return Dialling(**{**dict(self), "operators": tuple(self.operators)})
