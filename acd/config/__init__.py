"""How one node runs: acd.toml, or the same keys from the environment (ACD_SIP__REALM=...)."""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from acd.config.section import Section, is_address
from acd.config.sip import (
    ConnectionsSection,
    Listen,
    OverloadSection,
    SecuritySection,
    SipSection,
    TlsSection,
    WebSocketSection,
)
from acd.errors import ConfigError

__all__ = [
    "ConnectionsSection",
    "DatabaseSection",
    "HttpSection",
    "IvrSection",
    "Listen",
    "LogSection",
    "LookupsSection",
    "MediaSection",
    "NodeSection",
    "OverloadSection",
    "RedisSection",
    "SecuritySection",
    "Settings",
    "SipSection",
    "TlsSection",
    "TraceSection",
    "VoicemailSection",
    "WebSocketSection",
    "WebhooksSection",
    "find_settings",
    "load_settings",
]

_PORTS = re.compile(r"^(\d+)-(\d+)$")


class NodeSection(Section):
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")] = "a"
    """Name of this node; each node of a site has its own."""
    data_dir: Path = Path("var")
    """Where the embedded Redis, the database and uploaded audio lie."""
    site: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")] = "main"
    """Name of the centre; nodes of one site share queues and agents through one Redis."""
    address: str = ""
    """The IP address at which the other nodes reach our SIP; empty: the one that we listen on."""
    lease_seconds: Annotated[float, Field(ge=1, le=60)] = 5.0
    """A node that has not been heard of for so long is taken for dead."""
    drain_seconds: Annotated[float, Field(ge=0)] = 60.0
    """How long SIGTERM lets live calls go on before it ends them."""

    @field_validator("address")
    @classmethod
    def _check_address(cls, value: str) -> str:
        if value:
            ipaddress.ip_address(value)
        return value


class MediaSection(Section):
    address: str = "127.0.0.1"
    """The IP address that RTP is sent from and received on."""
    advertise: str = ""
    """The IP address to put in SDP where it differs (1:1 NAT); empty: `address`."""
    ports: str = "20000-29999"
    """First and last UDP port for RTP and RTCP; a call in a conversation needs four."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Media worker processes; about one a core that signalling leaves free."""
    rtp_timeout_seconds: Annotated[float, Field(ge=0)] = 30.0
    """A call whose far end sends no audio for so long is ended; 0 turns it off."""
    codecs: tuple[Literal["PCMU", "PCMA"], ...] = ("PCMA", "PCMU")
    """In order of preference."""
    srtp_without_tls: bool = False
    """Exchange keys of encrypted audio over unencrypted SIP, too: who reads it can then listen."""

    @field_validator("address")
    @classmethod
    def _check_address(cls, value: str) -> str:
        ipaddress.ip_address(value)
        return value

    @field_validator("ports")
    @classmethod
    def _check_ports(cls, value: str) -> str:
        found = _PORTS.match(value)
        if not found or not 1024 <= int(found[1]) < int(found[2]) <= 65535:
            raise ValueError(f"{value!r} is not a range like '20000-29999' within 1024-65535")
        return value

    @property
    def port_range(self) -> tuple[int, int]:
        """First and last port, inclusive."""
        first, last = self.ports.split("-")
        return int(first), int(last)


class HttpSection(Section):
    listen: str = "127.0.0.1:8080"
    """Address of the API and of /metrics."""

    @field_validator("listen")
    @classmethod
    def _check_listen(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            raise ValueError(f"{value!r} is not like '127.0.0.1:8080'")
        return value

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


class RedisSection(Section):
    url: str = ""
    """Empty: the embedded server, its data in data_dir/redis."""


class DatabaseSection(Section):
    url: str = ""
    """Empty: SQLite in data_dir/acd.sqlite3. Otherwise an SQLAlchemy async URL."""


class IvrSection(Section):
    flows_dir: Path | None = None
    """Flow files of the site, beside the ones that ship; None: data_dir/flows."""
    prompts_dir: Path | None = None
    """Recordings of the site (<language>/<prompt>.wav), which win over the ones that ship."""
    default_language: str = "en"
    """For calls whose number or flow sets none, and for prompts that a language lacks."""


class VoicemailSection(Section):
    dir: Path | None = None
    """Where voice messages lie; for several nodes a folder that they share. None: data_dir/voicemail."""


class _OutwardSection(Section):
    allow_networks: tuple[str, ...] = ()
    """Networks beside the public internet that may be connected to, like "10.1.0.0/16"; empty: none."""
    ca: str = ""
    """PEM file of CAs that are trusted beside the system's."""

    @field_validator("allow_networks")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            ipaddress.ip_network(text)
        return value

    @property
    def networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """The networks that are allowed."""
        return tuple(ipaddress.ip_network(text) for text in self.allow_networks)


class WebhooksSection(_OutwardSection):
    """How what happens is told to the `webhooks` of the directory."""

    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    """For one attempt, from the connection to the answer."""
    retry_seconds: tuple[Annotated[float, Field(gt=0, le=3600)], ...] = (5.0, 30.0, 120.0, 600.0)
    """How long to wait before each further attempt; after the last the message is given up."""
    queue: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Messages that wait for one webhook; more are given up."""


class LookupsSection(_OutwardSection):
    """Where the look-ups of `caller_lists` may go."""


class LogSection(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged."""
    format: Literal["auto", "json", "console"] = "auto"
    """auto: console on a terminal, JSON elsewhere."""
    mask_numbers: bool = True
    """Callers' numbers are shortened in logs."""


class TraceSection(Section):
    numbers: tuple[str, ...] = ()
    """Calls from or to these are kept for `/v1/calls/{id}/trace`; written as in SIP: "+3726000100"."""
    trunks: tuple[str, ...] = ()
    """Calls over these trunks are kept."""
    max_bytes: Annotated[int, Field(ge=100_000, le=1_000_000_000)] = 16_000_000
    """Of all that is kept; the oldest messages make room."""
    hep: str = ""
    """Capture server that gets every SIP message by HEP version 3, like "udp:192.0.2.9:9060"; empty: none."""
    hep_reports: bool = True
    """The capture server also gets a report of each leg's audio when it ends."""
    hep_agent: Annotated[int, Field(ge=0, le=2**32 - 1)] = 1
    """Number of this node at the capture server."""

    @field_validator("hep")
    @classmethod
    def _check_hep(cls, value: str) -> str:
        kind, _, rest = value.partition(":")
        host, _, port = rest.rpartition(":")
        if value and (kind != "udp" or not is_address(host.strip("[]")) or not port.isdigit()):
            raise ValueError(f"{value!r} is not like 'udp:192.0.2.9:9060' or 'udp:[2001:db8::9]:9060'")
        return value

    @property
    def hep_target(self) -> tuple[str, int] | None:
        """Where to export to."""
        host, _, port = self.hep.removeprefix("udp:").rpartition(":")
        return (host.strip("[]"), int(port)) if self.hep else None


class Settings(BaseSettings):
    """Everything in acd.toml. Every key has a default that works on one machine."""

    model_config = SettingsConfigDict(
        env_prefix="ACD_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    node: NodeSection = NodeSection()
    sip: SipSection = SipSection()
    overload: OverloadSection = OverloadSection()
    trace: TraceSection = TraceSection()
    security: SecuritySection = SecuritySection()
    media: MediaSection = MediaSection()
    http: HttpSection = HttpSection()
    redis: RedisSection = RedisSection()
    database: DatabaseSection = DatabaseSection()
    ivr: IvrSection = IvrSection()
    voicemail: VoicemailSection = VoicemailSection()
    webhooks: WebhooksSection = WebhooksSection()
    lookups: LookupsSection = LookupsSection()
    log: LogSection = LogSection()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    @property
    def voicemail_dir(self) -> Path:
        return self.voicemail.dir or self.node.data_dir / "voicemail"

    @property
    def database_url(self) -> str:
        return self.database.url or f"sqlite+aiosqlite:///{self.node.data_dir.absolute() / 'acd.sqlite3'}"


def find_settings(path: Path | None = None) -> Path | None:
    """The file to read: the argument, else ACD_CONFIG, else ./acd.toml where it exists, else none.

    Raises ConfigError where the file that is named does not exist.
    """
    named = path or (Path(os.environ["ACD_CONFIG"]) if os.environ.get("ACD_CONFIG") else None)
    if named is not None and not named.is_file():
        raise ConfigError(f"{named}: no such configuration file; create it or name another with --config")
    usual = Path("acd.toml")
    return named or (usual if usual.is_file() else None)


def load_settings(path: Path | None = None) -> Settings:
    """What `find_settings` finds, and the environment. Raises ConfigError with file, key and fix."""
    file = find_settings(path)
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: not valid TOML: {error}") from error
    try:
        return Settings(**values)
    except ValidationError as error:
        raise ConfigError(_explain(file or "environment", error)) from error


def _explain(path: Path | str, error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "no such key; check its spelling and section"
        lines.append(f"{path}: {key}: {message}")
    return "\n".join(lines)
