"""The session description of a message, also where other parts lie beside it (RFC 5621)."""

from __future__ import annotations

from email import policy
from email.parser import BytesParser

from acd.sip.core.message import Request, Response

SDP = "application/sdp"
MULTIPART = ("multipart/mixed", "multipart/alternative", "multipart/related")
_MAX_PARTS = 16
_PARSER = BytesParser(policy=policy.compat32)


def session_description(message: Request | Response) -> bytes | None:
    """The SDP, or None where the message has none."""
    if not message.body:
        return None
    kind = message.content_type
    if kind == SDP or not kind:
        return message.body
    return _part_of(message) if kind in MULTIPART else None


def _part_of(message: Request | Response) -> bytes | None:
    head = f"Content-Type: {message.header('Content-Type')}\r\n\r\n".encode("utf-8", "surrogateescape")
    for count, part in enumerate(_PARSER.parsebytes(head + message.body).walk()):
        if count > _MAX_PARTS:
            return None
        if part.get_content_type() == SDP and not part.is_multipart():
            found = part.get_payload(decode=True)
            return found if isinstance(found, bytes) and found else None
    return None
