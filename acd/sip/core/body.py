"""The session description of a message, also where other parts lie beside it (RFC 5621)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from acd.sip.core.grammar import SipSyntaxError, parse_params
from acd.sip.core.message import Request, Response

SDP = "application/sdp"
MULTIPART = ("multipart/mixed", "multipart/alternative", "multipart/related")
_MAX_PARTS = 16
_MAX_DEPTH = 2
_TYPE = re.compile(rb"^(?:Content-Type|c)[ \t]*:(.*)$", re.I | re.M)
_CODING = re.compile(rb"^Content-Transfer-Encoding[ \t]*:(.*)$", re.I | re.M)
_FOLDED = re.compile(rb"\r?\n[ \t]+")
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_AS_IT_IS = (b"", b"7bit", b"8bit", b"binary")


def session_description(message: Request | Response) -> bytes | None:
    """The SDP, or None where the message has none."""
    if not message.body:
        return None
    kind = message.content_type
    if kind == SDP or not kind:
        return message.body
    return _part_of(message.header("Content-Type") or "", message.body)


def _part_of(content_type: str, body: bytes, depth: int = 0) -> bytes | None:
    """The first part that is SDP. What a hostile body can cost is bounded in parts and in depth."""
    kind, semicolon, params = content_type.partition(";")
    kind = kind.strip(" \t").lower()
    if kind == SDP and depth:
        return body or None
    if kind not in MULTIPART or depth >= _MAX_DEPTH:
        return None
    try:
        boundary = dict(parse_params(semicolon + params, "content-type")).get("boundary")
    except SipSyntaxError:
        return None
    found = (_part_of(kind, content, depth + 1) for kind, content in _parts(body, boundary or ""))
    return next((sdp for sdp in found if sdp is not None), None)


def _parts(body: bytes, boundary: str) -> Iterator[tuple[str, bytes]]:
    """Content-Type and content of each part (RFC 2046 section 5.1); none where there are too many."""
    if not 0 < len(boundary) <= 70:
        return
    delimiter = rb"(?:^|\r?\n)--" + re.escape(boundary.encode("utf-8", "replace")) + rb"(?=--|[ \t]*\r?\n)"
    pieces = re.split(delimiter, body, maxsplit=_MAX_PARTS + 2)
    if len(pieces) > _MAX_PARTS + 2:
        return
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            return
        headers = _END_OF_HEADERS.search(piece)
        head = _FOLDED.sub(b" ", piece[: headers.start()] if headers else piece)
        kind, coding = _TYPE.search(head), _CODING.search(head)
        if headers and kind and (coding[1].strip().lower() if coding else b"") in _AS_IT_IS:
            yield kind[1].strip().decode("utf-8", "replace"), piece[headers.end() :]
