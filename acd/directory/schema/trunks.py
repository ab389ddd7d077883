"""Trunks of the directory file, and the numbers that are dialled on them."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from acd.directory.model import Diversion, FromUser, Number, Redirects, Trunk, TrunkHost
from acd.directory.schema.words import (
    OFF,
    Country,
    Dialled,
    Entry,
    HeaderName,
    HostName,
    Language,
    Name,
    Network,
    OwnHeaderName,
    Password,
    SecondsOrNone,
    Skills,
    SrtpChoice,
    Text,
    password_hashes,
)

CallRate = Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)]
"""New calls a second; 0: as many as there are."""


class HostEntry(Entry):
    host: HostName
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    transport: Literal["", "udp", "tcp", "tls"] = ""
    priority: Annotated[int, Field(ge=0, le=65535)] = 1
    weight: Annotated[int, Field(ge=0, le=65535)] = 1

    def build(self) -> TrunkHost:
        return TrunkHost(self.host, self.port, self.transport, self.priority, self.weight)


class AccountEntry(Entry):
    """Who we are at a provider."""

    username: Text
    password: Password
    realm: Text
    register_seconds: Annotated[int, Field(ge=0, le=86_400)] = 3600

    @model_validator(mode="after")
    def _is_complete(self) -> AccountEntry:
        if not self.username or not self.realm:
            raise ValueError("username and realm must not be empty; the realm is what the provider calls it")
        if 0 < self.register_seconds < 60:
            raise ValueError("register_seconds is 60 at least, or 0 not to register")
        return self


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
    hosts: Annotated[list[HostEntry], Field(max_length=16)] = []
    account: AccountEntry | None = None
    calls_per_second: CallRate = 0.0
    calls_per_second_in: CallRate = 0.0
    probe_seconds: SecondsOrNone = Trunk("", ()).probe_seconds
    send_headers: Annotated[dict[OwnHeaderName, Name], Field(max_length=20)] = {}
    diversion: Annotated[Diversion, OFF] = "off"
    redirects: Redirects = "refuse"
    from_user: FromUser = "caller"

    @model_validator(mode="after")
    def _can_be_known(self) -> TrunkEntry:
        if not self.match and not self.tls_names and not self.hosts:
            raise ValueError(
                "nothing tells whose calls these are; give match (networks), tls_names (of its certificate) "
                "or hosts (where calls to it go)"
            )
        if self.account is not None and not self.hosts:
            raise ValueError("an account needs hosts: where to register and to call")
        if self.from_user == "account" and self.account is None:
            raise ValueError("from_user is account, and there is no account; give one")
        if self.send_headers and not self.hosts:
            raise ValueError("send_headers needs hosts: no call goes out over this trunk")
        if "caller" in self.send_headers.values() and not self.trusted:
            raise ValueError("send_headers tells the caller's number, which only a trusted trunk may be told")
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
            hosts=tuple(host.build() for host in self.hosts),
            calls_per_second=self.calls_per_second,
            calls_per_second_in=self.calls_per_second_in,
            probe_seconds=self.probe_seconds,
            send_headers=MappingProxyType(self.send_headers),
            diversion=self.diversion,
            redirects=self.redirects,
            from_user=self.from_user,
            **self._account(),
        )

    def _account(self) -> dict[str, Any]:
        """The password as its hashes only, which hold for one realm (RFC 7616 section 3.4.2)."""
        if self.account is None:
            return {}
        account = self.account
        return {
            "username": account.username,
            "realm": account.realm,
            **password_hashes(account.username, account.realm, account.password),
            "register_seconds": account.register_seconds,
        }


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
