"""The Via header (RFC 3261 section 20.42): the way that a response takes back."""

from __future__ import annotations

import re
from dataclasses import dataclass

from acd.sip.core.grammar import Params, SipSyntaxError, param_of, parse_params

_VIA = re.compile(
    r"SIP[ \t]*+/[ \t]*+2\.0[ \t]*+/[ \t]*+(?P<transport>[A-Za-z0-9\-.!%*_+`'~]++)[ \t]++"
    r"(?P<host>\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9._\-]++)(?:[ \t]*+:[ \t]*+(?P<port>[0-9]{1,5}+))?"
    r"[ \t]*+(?P<params>(?:;.*+)?+)",
    re.IGNORECASE | re.DOTALL,
)
_COMMON_VIA = re.compile(
    r"SIP/2\.0/[A-Z]++ ([A-Za-z0-9._\-]++(?::[0-9]{1,5}+)?)"
    r"(?:;[A-Za-z0-9\-]++(?:=[A-Za-z0-9\-.!%*_+`'~:]++)?)*+"
)
"""The usual form: enough to tell transactions apart without taking the Via to pieces."""
_BRANCH = re.compile(r";branch=([^;]++)")


@dataclass(frozen=True, slots=True)
class Via:
    """One Via value (RFC 3261 section 20.42). `host` keeps the brackets of an IPv6 address."""

    transport: str
    host: str
    port: int | None
    params: Params

    @classmethod
    def parse(cls, text: str) -> Via:
        """Parse one value. Raises SipSyntaxError("via")."""
        match = _VIA.fullmatch(text.strip(" \t"))
        if match is None:
            raise SipSyntaxError("via", "malformed")
        transport, host, port, params = match.groups()
        number = int(port) if port else None
        if number is not None and number > 65535:
            raise SipSyntaxError("via", "port out of range")
        return cls(transport.upper(), host.lower(), number, parse_params(params.rstrip(" \t"), "via"))

    def param(self, name: str) -> str | None:
        """Value of a parameter; "" without a value; None where absent."""
        return param_of(self.params, name)

    @property
    def branch(self) -> str:
        return self.param("branch") or ""

    @property
    def sent_by(self) -> str:
        return self.host if self.port is None else f"{self.host}:{self.port}"


def common_key(line: str) -> tuple[str, str] | None:
    """Branch and sent-by of a Via in the usual form; None where it has to be taken to pieces."""
    common = _COMMON_VIA.fullmatch(line)
    branch = _BRANCH.search(line) if common is not None else None
    return (branch[1], common[1].lower()) if common is not None and branch is not None else None
