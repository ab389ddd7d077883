"""Agents of the directory file, and the codes that they dial."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, model_validator

from acd.directory.model import (
    STANDARD_CODES,
    Agent,
    CodeAction,
    FeatureCode,
    LendsWhile,
    Queue,
    Takes,
    language_skill,
)
from acd.directory.schema.dialling import CallerId, DialClasses, OutsideCalls
from acd.directory.schema.voicemail import OptionalVoicemail
from acd.directory.schema.words import (
    Code,
    Entry,
    Extension,
    Languages,
    Name,
    Password,
    Skills,
    Text,
    password_hashes,
)
from routing.limits import CAPACITY_MAX
from routing.model import Lending

Priority = Annotated[int, Field(ge=1, le=99)]


class ServedEntry(Entry):
    """A queue that an agent serves, at any time or while another lends the agent."""

    priority: Priority = 1
    lent_by: Name | None = None


class AgentEntry(Entry):
    id: Name
    extension: Extension
    password: Password
    name: Text = ""
    skills: Skills = {}
    languages: Languages = []
    sign_in: Literal["on-register", "api"] = "on-register"
    team: Text = ""
    leads: Annotated[list[Annotated[Text, Field(min_length=1)]], Field(max_length=50)] = []
    queues: dict[Name, Priority | ServedEntry] = {}
    takes: Takes = "most-urgent"
    order: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    weight: Annotated[int, Field(ge=1, le=1_000)] = 1
    capacity: Annotated[int, Field(ge=1, le=CAPACITY_MAX)] = 1
    device: Name | Literal[""] = ""
    voicemail: OptionalVoicemail = None
    dialling: DialClasses | None = None
    caller_id: CallerId = ""
    outside_calls: OutsideCalls | None = None

    @property
    def lenders(self) -> Mapping[str, str]:
        """Queues that the agent serves while another one is well, and which."""
        entries = self.queues.items()
        return {name: e.lent_by for name, e in entries if isinstance(e, ServedEntry) and e.lent_by}

    @property
    def language_skills(self) -> Mapping[str, int]:
        """The languages as skills; in a list, all are spoken best."""
        levels = self.languages
        return {language_skill(name): levels[name] if isinstance(levels, dict) else 10 for name in levels}

    @model_validator(mode="after")
    def _says_a_language_once(self) -> AgentEntry:
        for skill in self.skills.keys() & self.language_skills.keys():
            raise ValueError(f"the level of {skill} is in skills and in languages; leave one of them out")
        return self

    def build(self, realm: str, queues: Mapping[str, Queue]) -> Agent:
        """The agent, the password as HA1 only (RFC 7616 section 3.4.2); the user name is the extension."""
        served = {name: e.priority if isinstance(e, ServedEntry) else e for name, e in self.queues.items()}
        lent = {name: _lending(queues[lender]) for name, lender in self.lenders.items()}
        return Agent(
            id=self.id,
            extension=self.extension,
            name=self.name,
            **password_hashes(self.extension, realm, self.password),
            skills=MappingProxyType({**self.skills, **self.language_skills}),
            sign_in=self.sign_in,
            team=self.team,
            leads=tuple(dict.fromkeys(self.leads)),
            queues=MappingProxyType(served),
            takes=self.takes,
            lent=MappingProxyType(lent),
            order=self.order,
            weight=self.weight,
            capacity=self.capacity,
            device=self.device,
            voicemail=self.voicemail.rules() if self.voicemail else None,
            dialling=None if self.dialling is None else tuple(self.dialling),
            caller_id=self.caller_id,
            outside_calls=self.outside_calls,
        )


def _lending(lender: Queue) -> Lending:
    terms = lender.lends_while or LendsWhile()
    longest = terms.longest_wait_under_seconds or 0.0
    return Lending(lender.name, terms.waiting_at_most, round(longest * 1000), terms.free_agents_at_least)


class CodeEntry(Entry):
    code: Code
    does: CodeAction
    reasons: Annotated[list[Text], Field(max_length=10)] = []

    def build(self) -> FeatureCode:
        return FeatureCode(self.code, self.does, tuple(self.reasons))


STANDARD_ENTRIES = [CodeEntry(code=c.code, does=c.does, reasons=[*c.reasons]) for c in STANDARD_CODES]
