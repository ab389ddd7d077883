"""The sections of acd.toml about SIP: addresses, connections, and what may be asked of a node."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from acd.config.section import Section, is_address

_LISTEN = re.compile(r"^(?P<transport>udp|tcp|tls|wss?):(?P<host>\[[0-9a-fA-F:]+\]|[^:\[\]]+):(?P<port>\d+)$")
_NAME_SERVER = re.compile(r"^(?P<host>\[[0-9a-fA-F:]+\]|[0-9.]+)(:(?P<port>[1-9]\d{0,4}))?$")
_LEAST_SESSION_SECONDS = 90
"""RFC 4028 section 5."""


class Listen(Section):
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


class TlsSection(Section):
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


class ConnectionsSection(Section):
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


class WebSocketSection(Section):
    origins: tuple[str, ...] = ()
    """Pages that may connect, like "https://desk.example.com"; empty: every page."""


class SipSection(Section):
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


class OverloadSection(Section):
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


class SecuritySection(Section):
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


def _is_name_server(text: str) -> bool:
    found = _NAME_SERVER.match(text)
    return found is not None and is_address(found["host"].strip("[]")) and int(found["port"] or 53) < 65536
