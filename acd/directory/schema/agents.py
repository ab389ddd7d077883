"""Agents of the directory file, and the codes that they dial."""

from __future__ import annotations

import hashlib
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field

from acd.directory.model import STANDARD_CODES, Agent, CodeAction, FeatureCode
from acd.directory.schema.dialling import CallerId, DialClasses, OutsideCalls
from acd.directory.schema.voicemail import OptionalVoicemail
from acd.directory.schema.words import (
    Code,
    Entry,
    Extension,
    Name,
    Password,
    Skills,
    Text,
)
from routing.limits import CAPACITY_MAX


class AgentEntry(Entry):
    id: Name
    extension: Extension
    password: Password
    name: Text = ""
    skills: Skills = {}
    sign_in: Literal["on-register", "api"] = "on-register"
    team: Text = ""
    queues: dict[Name, Annotated[int, Field(ge=1, le=99)]] = {}
    order: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    weight: Annotated[int, Field(ge=1, le=1_000)] = 1
    capacity: Annotated[int, Field(ge=1, le=CAPACITY_MAX)] = 1
    device: Name | Literal[""] = ""
    voicemail: OptionalVoicemail = None
    dialling: DialClasses | None = None
    caller_id: CallerId = ""
    outside_calls: OutsideCalls | None = None

    def build(self, realm: str) -> Agent:
        """The agent, the password as HA1 only (RFC 7616 section 3.4.2); the user name is the extension."""
        secret = f"{self.extension}:{realm}:{self.password}".encode()
        return Agent(
            id=self.id,
            extension=self.extension,
            name=self.name,
            ha1_md5=hashlib.md5(secret, usedforsecurity=False).hexdigest(),
            ha1_sha256=hashlib.sha256(secret).hexdigest(),
            skills=MappingProxyType(self.skills),
            sign_in=self.sign_in,
            team=self.team,
            queues=MappingProxyType(self.queues),
            order=self.order,
            weight=self.weight,
            capacity=self.capacity,
            device=self.device,
            voicemail=self.voicemail.rules() if self.voicemail else None,
            dialling=None if self.dialling is None else tuple(self.dialling),
            caller_id=self.caller_id,
            outside_calls=self.outside_calls,
        )


class CodeEntry(Entry):
    code: Code
    does: CodeAction
    reasons: Annotated[list[Text], Field(max_length=10)] = []

    def build(self) -> FeatureCode:
        return FeatureCode(self.code, self.does, tuple(self.reasons))


STANDARD_ENTRIES = [CodeEntry(code=c.code, does=c.does, reasons=[*c.reasons]) for c in STANDARD_CODES]
