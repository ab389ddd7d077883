"""The directory file as pydantic models: every key, its limits, and words that say what to do."""

from __future__ import annotations

import hashlib
import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, Literal

import phonenumbers
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from acd.directory.model import (
    STANDARD_CODES,
    Agent,
    AutoAnswer,
    CodeAction,
    Directory,
    FeatureCode,
    Number,
    Queue,
    Relaxation,
    Srtp,
    Trunk,
)
from routing.limits import STEPS_MAX
from routing.strategy import STRATEGIES

DAY_SECONDS = 86_400.0

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_NUMBER = re.compile(r"\+[1-9][0-9]{4,14}|[0-9*#]{2,15}", re.ASCII)
_EXTENSION = re.compile(r"[0-9]{2,15}", re.ASCII)
_CODE = re.compile(r"[*#][0-9*#]{1,7}", re.ASCII)
_HOST_NAME = re.compile(r"[A-Za-z0-9.:_-]{1,253}", re.ASCII)
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})?", re.ASCII)


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(f"{value!r} is not a name: 1 to 64 of A-Z, a-z, 0-9, '_' and '-'")
    return value


def _number(value: str) -> str:
    if not _NUMBER.fullmatch(value):
        raise ValueError(
            f"{value!r} is not a number: write it like '+3726000100' (E.164), or 2 to 15 of 0-9, '*', '#'"
        )
    return value


def _extension(value: str) -> str:
    if not _EXTENSION.fullmatch(value):
        raise ValueError(f"{value!r} is not an extension: 2 to 15 digits, like '1001'")
    return value


def _code(value: str) -> str:
    if not _CODE.fullmatch(value):
        raise ValueError(f"{value!r} is not a feature code: '*' or '#', then 1 to 7 of 0-9, '*', '#'")
    return value


def _language(value: str) -> str:
    if not _LANGUAGE.fullmatch(value):
        raise ValueError(f"{value!r} is not a language code like 'en' or 'pt-BR'")
    return value


def _network(value: str) -> str:
    """A CIDR network or a single address, in its canonical form."""
    try:
        network = ip_network(value)
    except ValueError:
        try:
            wanted = ip_network(value, strict=False)
        except ValueError:
            raise ValueError(
                f"{value!r} is not a network like '192.0.2.0/24' or an address like '192.0.2.7'"
            ) from None
        raise ValueError(f"{value!r} has bits beyond its mask; did you mean '{wanted}'?") from None
    if network.prefixlen == 0:
        raise ValueError(f"{value!r} lets the whole world call in as this trunk; name the carrier's networks")
    return str(network)


def _host_name(value: str) -> str:
    """A name that a certificate may carry, in lower case."""
    if not _HOST_NAME.fullmatch(value):
        raise ValueError(f"{value!r} is not a host name like 'sbc.carrier.example' or an IP address")
    return value.lower()


def _country(value: str) -> str:
    if value and value not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"{value!r} is not a country: write it like 'EE' (ISO 3166, two capital letters)")
    return value


def _header_name(value: str) -> str:
    if not _HEADER.fullmatch(value):
        raise ValueError(f"{value!r} is not the name of a SIP header like 'X-Customer'")
    return value


def _plain_text(value: str) -> str:
    if not value.isprintable():
        raise ValueError("contains control characters; remove them")
    return value


def _strategy(value: str) -> str:
    if value not in STRATEGIES:
        raise ValueError(f"{value!r} is not a strategy; there are {', '.join(STRATEGIES)}")
    return value


Name = Annotated[str, AfterValidator(_name)]
Level = Annotated[int, Field(ge=1, le=10)]
Skills = dict[Name, Level]
Seconds = Annotated[float, Field(gt=0, le=DAY_SECONDS, allow_inf_nan=False)]
SecondsOrNone = Annotated[float, Field(ge=0, le=DAY_SECONDS, allow_inf_nan=False)]
"""0 turns the thing off."""
Text = Annotated[str, Field(max_length=128), AfterValidator(_plain_text)]


HeaderName = Annotated[str, AfterValidator(_header_name)]
_OFF = BeforeValidator(lambda value: "off" if value is False else value)
"""YAML reads a bare `off` as false."""
SrtpChoice = Annotated[Srtp, _OFF]
AutoAnswerChoice = Annotated[AutoAnswer, _OFF]


class _Entry(BaseModel):
    # Strict, so that 1001 without quotes is an error and not a number that lost its leading zeros.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class TrunkEntry(_Entry):
    name: Name
    match: list[Annotated[str, AfterValidator(_network)]] = []
    max_calls: Annotated[int, Field(ge=1, le=1_000_000)] = Trunk("", ()).max_calls
    tls_names: list[Annotated[str, AfterValidator(_host_name)]] = []
    srtp: SrtpChoice = "off"
    trusted: bool = True
    country: Annotated[str, AfterValidator(_country)] = ""
    called_from: Literal["request-uri", "to"] = "request-uri"
    headers: Annotated[dict[HeaderName, Name], Field(max_length=20)] = {}

    @model_validator(mode="after")
    def _can_be_known(self) -> TrunkEntry:
        if not self.match and not self.tls_names:
            raise ValueError(
                "nothing tells whose calls these are; give match (networks) or tls_names (of its certificate)"
            )
        return self

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return tuple(ip_network(network) for network in self.match)

    def build(self) -> Trunk:
        return Trunk(
            name=self.name,
            match=self.networks,
            max_calls=self.max_calls,
            tls_names=tuple(self.tls_names),
            srtp=self.srtp,
            trusted=self.trusted,
            country=self.country,
            called_from=self.called_from,
            headers=MappingProxyType(self.headers),
        )


class NumberEntry(_Entry):
    number: Annotated[str, AfterValidator(_number)]
    flow: Text | None = None
    queue: Name | None = None
    language: Annotated[str, AfterValidator(_language)] | None = None
    priority: Annotated[int, Field(ge=0, le=99)] = 0
    skills: Skills = {}

    def build(self) -> Number:
        return Number(
            self.number, self.flow, self.queue, self.language, self.priority, MappingProxyType(self.skills)
        )


class RelaxEntry(_Entry):
    after_seconds: Seconds
    requires: dict[Name, Annotated[int, Field(ge=0, le=10)]] = {}
    teams: Annotated[list[Text], Field(max_length=50)] = []
    any_language: bool = False

    def build(self) -> Relaxation:
        return Relaxation(
            self.after_seconds, MappingProxyType(self.requires), tuple(self.teams), self.any_language
        )


class QueueEntry(_Entry):
    name: Name
    requires: Skills = {}
    any_of: Annotated[list[Annotated[Skills, Field(min_length=1)]], Field(max_length=10)] = []
    teams: Annotated[list[Text], Field(max_length=50)] = []
    languages: Annotated[list[Annotated[str, AfterValidator(_language)]], Field(max_length=20)] = []
    relax: Annotated[list[RelaxEntry], Field(max_length=STEPS_MAX)] = []
    order_by: Literal["arrival", "target"] = "arrival"
    strategy: Annotated[str, AfterValidator(_strategy)] = "longest-idle"
    ring_seconds: Seconds = 15.0
    wrapup_seconds: SecondsOrNone = 0.0
    service_level_seconds: Seconds = 20.0
    max_wait_seconds: Seconds | None = None
    announce_position_seconds: SecondsOrNone = 30.0
    music: Name = "hold-music"
    not_answering_after: Annotated[int, Field(ge=1, le=1000)] = 3
    transfer_place: Literal["keep", "last"] = "keep"

    @model_validator(mode="after")
    def _steps_follow_each_other(self) -> QueueEntry:
        times = [step.after_seconds for step in self.relax]
        if any(later <= earlier for earlier, later in pairwise(times)):
            raise ValueError("each step of relax must come after the one before: sort them by after_seconds")
        return self

    def build(self) -> Queue:
        return Queue(
            **{
                **dict(self),
                "requires": MappingProxyType(self.requires),
                "any_of": tuple(MappingProxyType(group) for group in self.any_of),
                "teams": tuple(self.teams),
                "languages": tuple(self.languages),
                "relax": tuple(step.build() for step in self.relax),
            }
        )


class AgentEntry(_Entry):
    id: Name
    extension: Annotated[str, AfterValidator(_extension)]
    password: Annotated[str, Field(min_length=6, max_length=128, repr=False), AfterValidator(_plain_text)]
    name: Text = ""
    skills: Skills = {}
    sign_in: Literal["on-register", "api"] = "on-register"
    team: Text = ""
    queues: dict[Name, Annotated[int, Field(ge=1, le=99)]] = {}
    order: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    weight: Annotated[int, Field(ge=1, le=1_000)] = 1
    srtp: SrtpChoice = "off"
    auto_answer: AutoAnswerChoice = "off"

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
            srtp=self.srtp,
            auto_answer=self.auto_answer,
        )


class CodeEntry(_Entry):
    code: Annotated[str, AfterValidator(_code)]
    does: CodeAction
    reasons: Annotated[list[Text], Field(max_length=10)] = []

    def build(self) -> FeatureCode:
        return FeatureCode(self.code, self.does, tuple(self.reasons))


_STANDARD_CODES = [CodeEntry(code=c.code, does=c.does, reasons=[*c.reasons]) for c in STANDARD_CODES]


class DirectoryFile(_Entry):
    """The whole file. Entries are checked by themselves here, against each other in acd.directory.check."""

    trunks: list[TrunkEntry] = []
    numbers: list[NumberEntry] = []
    skills: list[Name] = []
    queues: list[QueueEntry] = []
    agents: list[AgentEntry] = []
    codes: list[CodeEntry] = _STANDARD_CODES

    def build(self, realm: str) -> Directory:
        """The snapshot that this file describes, revision 0, with passwords hashed for `realm`."""
        agents = [entry.build(realm) for entry in self.agents]
        return Directory(
            trunks=MappingProxyType({entry.name: entry.build() for entry in self.trunks}),
            numbers=MappingProxyType({entry.number: entry.build() for entry in self.numbers}),
            skills=frozenset(self.skills),
            queues=MappingProxyType({entry.name: entry.build() for entry in self.queues}),
            agents=MappingProxyType({agent.id: agent for agent in agents}),
            agent_by_extension=MappingProxyType({agent.extension: agent for agent in agents}),
            codes=MappingProxyType({entry.code: entry.build() for entry in self.codes}),
        )
