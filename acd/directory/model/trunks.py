"""Trunks, and the numbers that lead in over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

Srtp = Literal["off", "offer", "require"]
"""Whether audio is encrypted: never, where both ends can, or always."""
Redirects = Literal["refuse", "follow"]
"""What is done about a 3xx: it is a failure, or the call goes on within the trunk's own hosts."""
FromUser = Literal["caller", "account"]
"""Whose user part From carries in a call that goes out."""
Diversion = Literal["off", "diversion", "history-info"]
"""How a call that goes on to the outside for its caller says so (RFC 5806, RFC 7044)."""
CALL_WORDS = ("agent", "call", "called", "caller", "extension", "language", "queue", "team")
"""What every call can tell of itself; other words are its attributes."""


@dataclass(frozen=True, slots=True)
class TrunkHost:
    """Where calls to a trunk go. The least priority is asked first; among equals by weight (RFC 2782)."""

    host: str
    """A name or an address."""
    port: int = 0
    """0: as DNS says, else the port of the transport."""
    transport: Literal["", "udp", "tcp", "tls"] = ""
    """Empty: as DNS says, else UDP."""
    priority: int = 1
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Trunk:
    name: str
    match: tuple[IPv4Network | IPv6Network, ...]
    max_calls: int = 100
    tls_names: tuple[str, ...] = ()
    """Lower case. A peer whose certificate is for one of them is this trunk, from whatever address."""
    srtp: Srtp = "off"
    trusted: bool = True
    """Whether what it says of the caller beside From is believed (RFC 3325 section 9.1)."""
    country: str = ""
    """Where its numbers are written as they are dialled (ISO 3166); empty: they are taken as they come."""
    called_from: Literal["request-uri", "to"] = "request-uri"
    headers: Mapping[str, str] = field(default_factory=dict)
    """Header -> name of the attribute of the call that it becomes."""
    hosts: tuple[TrunkHost, ...] = ()
    """Without any, the trunk only brings calls."""
    username: str = ""
    """Of our account there; empty: we prove nothing."""
    realm: str = ""
    """The one realm whose challenges are answered."""
    ha1_md5: str = ""
    ha1_sha256: str = ""
    register_seconds: int = 0
    """How long we ask to be bound at the trunk; 0: we do not register."""
    calls_per_second: float = 0.0
    """New calls to the trunk; 0: no limit."""
    calls_per_second_in: float = 0.0
    """New calls from the trunk; 0: no limit."""
    """New calls to the trunk; 0: as many as there are."""
    probe_seconds: float = 30.0
    """Between two OPTIONS to each host; 0: none."""
    send_headers: Mapping[str, str] = field(default_factory=dict)
    """Header -> what it says of a call that goes out: one of CALL_WORDS, or an attribute of the call."""
    diversion: Diversion = "off"
    redirects: Redirects = "refuse"
    from_user: FromUser = "caller"


@dataclass(frozen=True, slots=True)
class Number:
    """A dialled number leads to a flow or straight to a queue (exactly one of the two is set)."""

    number: str
    flow: str | None = None
    queue: str | None = None
    language: str | None = None
    priority: int = 0
    skills: Mapping[str, int] = field(default_factory=dict)
