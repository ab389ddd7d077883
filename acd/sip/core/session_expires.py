"""What messages say of a session's end (RFC 4028 sections 4 and 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from acd.sip.core.grammar import SipSyntaxError
from acd.sip.core.message import Request, Response

Refresher = Literal["uac", "uas"]

LEAST_SECONDS = 90
"""The shortest interval that may be asked for (section 5)."""
_LONGEST_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class SessionExpires:
    seconds: int
    refresher: Refresher | None = None


def session_expires(message: Request | Response) -> SessionExpires | None:
    """What a message says of its session's end. Raises SipSyntaxError."""
    text = message.header("Session-Expires")
    if text is None:
        return None
    number, *parameters = (part.strip() for part in text.split(";"))
    if not (number.isascii() and number.isdigit() and len(number) <= 10):
        raise SipSyntaxError("session-expires", "not a number of seconds")
    named = dict(part.lower().partition("=")[::2] for part in parameters)
    match named.get("refresher"):
        case "uac":
            return SessionExpires(int(number), "uac")
        case "uas":
            return SessionExpires(int(number), "uas")
    return SessionExpires(int(number))


def least_of(message: Request | Response) -> int:
    """The Min-SE of a message, the default where it has none. Raises SipSyntaxError."""
    return min(max(LEAST_SECONDS, message.number("Min-SE") or 0), _LONGEST_SECONDS)


def has_timer(message: Request | Response) -> bool:
    """Whether its sender knows of session timers."""
    return any(tag.lower() == "timer" for name in ("Supported", "Require") for tag in message.values(name))
