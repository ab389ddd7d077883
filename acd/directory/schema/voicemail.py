"""Boxes of the directory file: of agents, of queues, and shared ones with names of their own."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from acd.directory.model import Box, VoicemailRules
from acd.directory.schema.words import Entry, Name, Text

_NUMBER = re.compile(r"[0-9]{0,6}", re.ASCII)
_PROMPT = re.compile(r"[A-Za-z0-9_+.:-]{1,64}", re.ASCII)
_BOX = re.compile(r"(agent|queue|box):[A-Za-z0-9_-]{1,64}|extension:[0-9]{2,15}", re.ASCII)
_LONGEST_MESSAGE_SECONDS = 3600.0
_LONGEST_DAYS = 3650.0


def _number(value: str) -> str:
    if not _NUMBER.fullmatch(value):
        raise ValueError(f"{value!r} is not the number of a box: 1 to 6 digits, in quotes")
    return value


def _prompt(value: str) -> str:
    if not _PROMPT.fullmatch(value):
        raise ValueError(f"{value!r} is not a prompt: 1 to 64 letters, digits or any of _+.:-")
    return value


def _box_name(value: str) -> str:
    if not _BOX.fullmatch(value):
        raise ValueError(
            f"{value!r} is not a box: write agent:, extension:, queue: or box: and a name, like 'agent:anna'"
        )
    return value


BoxName = Annotated[str, AfterValidator(_box_name)]


def _switched(value: Any) -> Any:
    return {} if value is True else None if value is False else value


class VoicemailEntry(Entry):
    greeting: Annotated[list[Annotated[str, AfterValidator(_prompt)]], Field(max_length=20)] = []
    max_seconds: Annotated[float, Field(ge=3, le=_LONGEST_MESSAGE_SECONDS, allow_inf_nan=False)] = 180.0
    silence_seconds: Annotated[float, Field(ge=0, le=120, allow_inf_nan=False)] = 8.0
    max_messages: Annotated[int, Field(ge=1, le=10_000)] = 100
    keep_days: Annotated[float, Field(gt=0, le=_LONGEST_DAYS, allow_inf_nan=False)] = 30.0
    wait_seconds: Annotated[float, Field(gt=0, le=600, allow_inf_nan=False)] = 10.0
    agents: Annotated[list[Name], Field(max_length=1000)] = []
    teams: Annotated[list[Text], Field(max_length=50)] = []

    def rules(self) -> VoicemailRules:
        return VoicemailRules(
            greeting=tuple(self.greeting),
            max_seconds=self.max_seconds,
            silence_seconds=self.silence_seconds,
            max_messages=self.max_messages,
            keep_days=self.keep_days,
            wait_seconds=self.wait_seconds,
            agents=tuple(self.agents),
            teams=tuple(self.teams),
        )


OptionalVoicemail = Annotated[VoicemailEntry | None, BeforeValidator(_switched)]
"""`true` is a box with every rule as usual, `false` none."""


class BoxEntry(VoicemailEntry):
    name: Name
    number: Annotated[str, AfterValidator(_number)] = ""

    def build(self) -> Box:
        return Box(self.name, self.number, self.rules())
