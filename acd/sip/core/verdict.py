"""What a final response says besides its status: when to come back, and where else to ask."""

from __future__ import annotations

from acd.sip.core.grammar import SipSyntaxError
from acd.sip.core.message import Response
from acd.sip.core.uri import Uri

_MOST_RETRY_AFTER = 3600.0
_MOST_CONTACTS = 8


def retry_after(response: Response) -> float:
    """Seconds of a Retry-After (RFC 3261 section 20.33), within reason; 0 where there is none."""
    text = (response.header("Retry-After") or "").partition(";")[0].partition("(")[0].strip()
    seconds = float(text) if text.isascii() and text.isdigit() and len(text) <= 10 else 0.0
    return min(seconds, _MOST_RETRY_AFTER)


def redirected_to(response: Response) -> tuple[Uri, ...]:
    """Where a 3xx sends a call (section 8.1.3.4), the best first; empty for what cannot be read."""
    if not 300 <= response.status < 400:
        return ()
    try:
        contacts = response.contacts[:_MOST_CONTACTS]
    except SipSyntaxError:
        return ()
    ranked = sorted(contacts, key=lambda contact: -_quality(contact.param("q")))
    return tuple(contact.uri for contact in ranked)


def _quality(text: str | None) -> float:
    """The q of a contact (section 20.10); 1 where it says nothing that makes sense."""
    try:
        quality = float(text) if text and len(text) <= 5 else 1.0
    except ValueError:
        return 1.0
    return quality if 0 <= quality <= 1 else 1.0
