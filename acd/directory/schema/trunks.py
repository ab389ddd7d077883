"""Trunks of the directory file, and the numbers that are dialled on them."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, model_validator

from acd.directory.model import Number, Trunk
from acd.directory.schema.words import (
    Country,
    Dialled,
    Entry,
    HeaderName,
    HostName,
    Language,
    Name,
    Network,
    Skills,
    SrtpChoice,
    Text,
)


class TrunkEntry(Entry):
    name: Name
    match: list[Network] = []
    max_calls: Annotated[int, Field(ge=1, le=1_000_000)] = Trunk("", ()).max_calls
    tls_names: list[HostName] = []
    srtp: SrtpChoice = "off"
    trusted: bool = True
    country: Country = ""
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


class NumberEntry(Entry):
    number: Dialled
    flow: Text | None = None
    queue: Name | None = None
    language: Language | None = None
    priority: Annotated[int, Field(ge=0, le=99)] = 0
    skills: Skills = {}

    def build(self) -> Number:
        return Number(
            self.number, self.flow, self.queue, self.language, self.priority, MappingProxyType(self.skills)
        )
