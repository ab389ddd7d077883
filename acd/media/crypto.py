"""Keys of SRTP in SDP: the crypto attribute (RFC 4568), without I/O."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

KEY_BYTES = 30
"""Master key and salt of both suites (RFC 4568 section 6.2)."""
_MAX_LINES = 16
_LINE = re.compile(
    r"([1-9]\d{0,8}) +([A-Z0-9_]{1,40}) +inline:([A-Za-z0-9+/=]{40})(\|[^ ]{1,60})? *(.{0,200})"
)
_LIFETIME = re.compile(r"\|(?:2\^\d{1,2}|\d{1,15})")
_HARMLESS = re.compile(r"(?:WSH=\d{1,5} *)?")
"""A hint about a window. Every other session parameter changes what is on the wire (section 6.3)."""


class Suite(Enum):
    """What is offered, the longer authentication tag first."""

    AES_CM_128_HMAC_SHA1_80 = "AES_CM_128_HMAC_SHA1_80"
    AES_CM_128_HMAC_SHA1_32 = "AES_CM_128_HMAC_SHA1_32"


@dataclass(frozen=True, slots=True)
class CryptoLine:
    """One usable crypto attribute."""

    tag: int
    suite: Suite
    key: bytes

    def __str__(self) -> str:
        return f"a=crypto:{self.tag} {self.suite.value} inline:{base64.b64encode(self.key).decode()}"

    def __repr__(self) -> str:
        return f"<CryptoLine {self.tag} {self.suite.value}>"  # the key belongs into no log


@dataclass(frozen=True, slots=True)
class Keys:
    """What protects a stream each way; both ends use one suite (section 5.1.2)."""

    suite: Suite
    send: bytes
    receive: bytes

    def __repr__(self) -> str:
        return f"<Keys {self.suite.value}>"


def crypto_lines(values: Iterable[str]) -> tuple[CryptoLine, ...]:
    """The attributes that we can use, in their order; what we cannot is passed over (section 5.1.2)."""
    found = []
    for value, _ in zip(values, range(_MAX_LINES), strict=False):
        line = _LINE.fullmatch(value)
        if line is None or line[2] not in Suite.__members__:
            continue
        if (line[4] and not _LIFETIME.fullmatch(line[4])) or not _HARMLESS.fullmatch(line[5]):
            continue
        try:
            key = base64.b64decode(line[3], validate=True)
        except binascii.Error:
            continue
        if len(key) == KEY_BYTES:
            found.append(CryptoLine(int(line[1]), Suite[line[2]], key))
    return tuple(found)
