"""How one node runs: acd.toml, or the same keys from the environment (ACD_SIP__REALM=...)."""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from acd.errors import ConfigError

_LISTEN = re.compile(r"^(?P<transport>udp|tcp|tls|wss?):(?P<host>\[[0-9a-fA-F:]+\]|[^:\[\]]+):(?P<port>\d+)$")
_NAME_SERVER = re.compile(r"^(?P<host>\[[0-9a-fA-F:]+\]|[0-9.]+)(:(?P<port>[1-9]\d{0,4}))?$")
_PORTS = re.compile(r"^(\d+)-(\d+)$")
_LEAST_SESSION_SECONDS = 90
"""RFC 4028 section 5."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class NodeSection(_Section):
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


class Listen(_Section):
    """One SIP address: transport, host, port (0: any free port)."""

    transport: Literal["udp", "tcp", "tls", "ws", "wss"]
    host: str
    port: Annotated[int, Field(ge=0, le=65535)]

    @classmethod
    def parse(cls, text: str) -> Listen:
        found = _LISTEN.match(text)
        if not found:
            raise ValueError(
                f"{text!r} is not like 'udp:127.0.0.1:5060' or 'tcp:[::1]:5060'; "
                "the transport is one of udp, tcp, tls, ws and wss"
            )
        return cls(transport=found["transport"], host=found["host"].strip("[]"), port=int(found["port"]))


class TlsSection(_Section):
    certificate: str = ""
    """PEM file of our certificate with its chain; needed where `sip.listen` has tls or wss."""
    key: str = ""
    """PEM file of its private key; empty: it lies in the certificate's file."""
    client_ca: str = ""
    """PEM file of CAs whose certificates identify trunks (`tls_names` in the directory); empty: none."""
    client_certificate: str = ""
    """PEM file of the certificate that we show in connections that we open; empty: `certificate`."""
    client_key: str = ""
    """PEM file of its private key; empty: it lies in the certificate's file."""
    server_ca: str = ""
    """PEM file of CAs trusted, beside the system's, in TLS connections that we open."""


class ConnectionsSection(_Section):
    """What connections (TCP, TLS, WebSocket) may cost."""

    total: Annotated[int, Field(ge=1)] = 4096
    """Open connections of this node; more are refused."""
    per_source: Annotated[int, Field(ge=1)] = 1024
    """Open connections of one address; a whole office may sit behind one."""
    message_seconds: Annotated[float, Field(gt=0)] = 10.0
    """From the first byte of a message, or of a TLS or WebSocket handshake, to its last."""
    stranger_seconds: Annotated[float, Field(gt=0)] = 30.0
    """How long a connection may stay on which nobody has proven who they are."""
    idle_seconds: Annotated[float, Field(ge=0)] = 0.0
    """Without any byte from the peer; 0: five minutes more than the longest registration."""
    message_bytes: Annotated[int, Field(ge=4096, le=1_048_576)] = 65536
    """The longest message; a longer one ends the connection."""
    stranger_bytes: Annotated[int, Field(ge=2048)] = 16384
    """The longest beginning of a message that is kept for somebody who has proven nothing."""


class WebSocketSection(_Section):
    origins: tuple[str, ...] = ()
    """Pages that may connect, like "https://desk.example.com"; empty: every page."""


class SipSection(_Section):
    listen: tuple[Listen, ...] = (
        Listen(transport="udp", host="127.0.0.1", port=5060),
        Listen(transport="tcp", host="127.0.0.1", port=5060),
    )
    """Addresses for SIP, like "udp:192.0.2.10:5060"; port 0 takes any free one."""
    realm: str = "acd"
    """The digest realm. Passwords are stored hashed with it: after a change, apply the directory again."""
    advertise: str = ""
    """Host to put in Via and Contact; empty: the address that we listen on."""
    min_expires_seconds: Annotated[int, Field(ge=1)] = 30
    """A phone that wants to register for less is told 423 (RFC 3261 section 10.3)."""
    max_expires_seconds: Annotated[int, Field(ge=30)] = 3600
    """Longer registrations are shortened to this."""
    accept_digest_without_qop: bool = True
    """Old phones leave qop out (RFC 2617 section 3.2.2.1)."""

    name_servers: tuple[str, ...] = ()
    """DNS for the hosts of trunks, like "192.0.2.53" or "[2001:db8::53]:5353"; empty: this machine's."""
    large_requests_over_tcp: bool = True
    """Requests over 1300 bytes to a UDP peer go by TCP, and by UDP where it takes none (RFC 3261 18.1.1)."""
    session_seconds: Annotated[int, Field(ge=0, le=86_400)] = 1800
    """How often a call is said again to a peer that takes part (RFC 4028); 0: only where the peer asks."""
    session_refresh_seconds: Annotated[int, Field(ge=0, le=86_400)] = 0
    """How long we wait at most before we say a call again; 0: half of what was agreed (RFC 4028)."""
    tls: TlsSection = TlsSection()
    websocket: WebSocketSection = WebSocketSection()
    connections: ConnectionsSection = ConnectionsSection()

    @model_validator(mode="after")
    def _check_certificate(self) -> SipSection:
        encrypted = [listen.transport for listen in self.listen if listen.transport in ("tls", "wss")]
        if encrypted and not self.tls.certificate:
            raise ValueError(
                f"listen has {encrypted[0]}: set sip.tls.certificate (and sip.tls.key) to PEM files, "
                f"or take {encrypted[0]} out of listen"
            )
        return self

    @field_validator("session_seconds")
    @classmethod
    def _check_session(cls, value: int) -> int:
        if 0 < value < _LEAST_SESSION_SECONDS:
            raise ValueError(
                f"{value} is less than {_LEAST_SESSION_SECONDS}: take at least that, or 0 to ask for none"
            )
        return value

    @field_validator("name_servers")
    @classmethod
    def _check_name_servers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for server in value:
            if not _is_name_server(server):
                raise ValueError(
                    f"{server!r} is not like '192.0.2.53', '192.0.2.53:5353' or '[2001:db8::53]'"
                )
        return value

    @field_validator("listen", mode="before")
    @classmethod
    def _parse_listen(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return tuple(Listen.parse(item) if isinstance(item, str) else item for item in value)
        return value


class OverloadSection(_Section):
    """Beyond these, new calls are answered 503 with Retry-After, at once and without keeping anything."""

    max_calls: Annotated[int, Field(ge=1)] = 2000
    """Live calls of this node."""
    calls_per_second: Annotated[float, Field(gt=0)] = 100.0
    """New calls a second, on average; half of what one core was measured to hand out."""
    calls_burst: Annotated[int, Field(ge=1)] = 100
    """New calls that may come at once before the rate counts."""
    lag_seconds: Annotated[float, Field(gt=0)] = 0.2
    """No new call while the event loop runs later than this for about half a second."""
    registers_per_second: Annotated[float, Field(gt=0)] = 400.0
    """REGISTER requests a second (a phone sends two); the rest is told to come again in 5 to 30 s."""
    registers_burst: Annotated[int, Field(ge=2)] = 2400
    """REGISTER requests that may come at once; half of it is kept for addresses of registered phones."""


class SecuritySection(_Section):
    """What one source address may cost before it has proven who it is; trunks and phones have no limit."""

    requests_per_second: Annotated[float, Field(gt=0)] = 20.0
    """SIP requests that are answered, on average; the rest is told 503 with Retry-After."""
    requests_burst: Annotated[int, Field(ge=1)] = 500
    """Requests at once before the rate counts: after a power cut all phones behind one NAT register."""
    failures_per_second: Annotated[float, Field(gt=0)] = 0.2
    """Wrong passwords that are looked at, on average; 0.2 gives a guesser 12 a minute."""
    failures_burst: Annotated[int, Field(ge=1)] = 20
    """Wrong passwords at once before the rate counts."""
    user_failures_per_second: Annotated[float, Field(gt=0)] = 0.1
    """Wrong passwords for one user name, from all addresses but those of registered phones, on average."""
    user_failures_burst: Annotated[int, Field(ge=1)] = 50
    """Such at once; beyond it that user can log in from no new address (503 with Retry-After)."""
    packets_per_second: Annotated[float, Field(gt=0)] = 200.0
    """Datagrams and messages of a stranger that are read; the rest is dropped unread."""
    packets_burst: Annotated[int, Field(ge=1)] = 2000
    """Datagrams and messages at once before the rate counts."""


class MediaSection(_Section):
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


class HttpSection(_Section):
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


class RedisSection(_Section):
    url: str = ""
    """Empty: the embedded server, its data in data_dir/redis."""


class DatabaseSection(_Section):
    url: str = ""
    """Empty: SQLite in data_dir/acd.sqlite3. Otherwise an SQLAlchemy async URL."""


class IvrSection(_Section):
    flows_dir: Path | None = None
    """Flow files of the site, beside the ones that ship; None: data_dir/flows."""
    prompts_dir: Path | None = None
    """Recordings of the site (<language>/<prompt>.wav), which win over the ones that ship."""
    default_language: str = "en"
    """For calls whose number or flow sets none, and for prompts that a language lacks."""


class VoicemailSection(_Section):
    dir: Path | None = None
    """Where voice messages lie; for several nodes a folder that they share. None: data_dir/voicemail."""


class _OutwardSection(_Section):
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


class LogSection(_Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged."""
    format: Literal["auto", "json", "console"] = "auto"
    """auto: console on a terminal, JSON elsewhere."""
    mask_numbers: bool = True
    """Callers' numbers are shortened in logs."""


class TraceSection(_Section):
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
        if value and (kind != "udp" or not _is_address(host.strip("[]")) or not port.isdigit()):
            raise ValueError(f"{value!r} is not like 'udp:192.0.2.9:9060' or 'udp:[2001:db8::9]:9060'")
        return value

    @property
    def hep_target(self) -> tuple[str, int] | None:
        """Where to export to."""
        host, _, port = self.hep.removeprefix("udp:").rpartition(":")
        return (host.strip("[]"), int(port)) if self.hep else None


def _is_name_server(text: str) -> bool:
    found = _NAME_SERVER.match(text)
    return found is not None and _is_address(found["host"].strip("[]")) and int(found["port"] or 53) < 65536


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


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
