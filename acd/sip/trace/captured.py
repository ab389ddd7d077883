"""One SIP message as it went over the wire, without the secrets in it. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from acd.sip.core.events import Flow

_CALL_ID = re.compile(rb"\r\n(?:Call-ID|i)[ \t]*:[ \t]*([!-~]{1,512})", re.IGNORECASE)
_SECRETS = (
    re.compile(rb"(?<=\n)((?:Proxy-)?Authorization[ \t]*:)([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)", re.IGNORECASE),
    re.compile(rb"(inline:)([A-Za-z0-9+/=]+)"),
)
_CALLED_OR_CALLING = re.compile(
    rb"(?:^[A-Z]+ |\r\n(?:From|f|To|t|P-Asserted-Identity)[ \t]*:)[^\r\n]*?"
    rb"(?:sips?|tel):([+0-9*#().-]{2,64})(?=[@;>\s])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Captured:
    """`at` in seconds since the epoch; `sent` by us, else received."""

    at: float
    sent: bool
    flow: Flow
    data: bytes
    call_id: str
    """Of SIP, not of the call."""
    call: str = ""
    """The call that this is a leg of, where that is known yet."""

    @property
    def source(self) -> tuple[str, int]:
        return self.flow.local if self.sent else self.flow.remote

    @property
    def target(self) -> tuple[str, int]:
        return self.flow.remote if self.sent else self.flow.local


@dataclass(frozen=True, slots=True)
class Report:
    """What somebody said of audio that went from source to target, at a time in seconds since the epoch."""

    at: float
    source: tuple[str, int]
    target: tuple[str, int]
    facts: Mapping[str, str | int | float]
    correlation: str = ""
    """The SIP Call-ID of the leg."""


def sip_call_id(data: bytes) -> str:
    """The Call-ID of a message; empty where there is none."""
    found = _CALL_ID.search(data)
    return found[1].decode("ascii") if found else ""


def numbers_in(data: bytes) -> frozenset[str]:
    """The numbers that call and are called, digits and a leading plus only."""
    head = data.partition(b"\r\n\r\n")[0]
    return frozenset(
        re.sub(r"[().-]", "", found[1].decode("ascii")) for found in _CALLED_OR_CALLING.finditer(head)
    )


def without_secrets(data: bytes) -> bytes:
    """Credentials and keys crossed out, byte for byte, so that lengths stay true."""
    for secret in _SECRETS:
        data = secret.sub(lambda found: found[1] + _crossed_out(found[2]), data)
    return data


def _crossed_out(secret: bytes) -> bytes:
    return b" " + b"x" * (len(secret) - 1) if secret.startswith(b" ") else b"x" * len(secret)
