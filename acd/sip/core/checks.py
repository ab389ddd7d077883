"""What is wrong with a request before anybody looks at what it wants (RFC 3261 section 8.2)."""

from __future__ import annotations

from dataclasses import dataclass

from acd.sip.core.message import Header, Request

_SCHEMES = frozenset(("sip", "sips", "tel"))
_WITH_OFFER = frozenset(("INVITE", "UPDATE"))
_SDP = "application/sdp"


@dataclass(frozen=True, slots=True)
class Fault:
    """The answer to a request that cannot be served."""

    status: int
    reason: str = ""
    headers: tuple[Header, ...] = ()


def fault_of(request: Request, supported: frozenset[str]) -> Fault | None:
    """The first thing wrong, or None. Raises SipSyntaxError where a header that we need is malformed."""
    method, cseq = request.method, request.cseq
    _ = request.call_id, request.from_tag, request.to_tag
    if cseq.method != method:
        return Fault(400, "CSeq method does not match")
    if method == "ACK" or method == "CANCEL":
        return None
    if method in _WITH_OFFER:
        _ = request.contacts
        if request.max_forwards == 0:
            return Fault(483)
        if not request.from_tag and request.to_tag:
            return Fault(400, "Missing From tag")
        if fault := _body_fault(request):
            return fault
    if request.raw("Require"):
        unknown = {tag.lower() for tag in request.values("Require")} - supported
        if unknown:
            return Fault(420, headers=(("Unsupported", ", ".join(sorted(unknown))),))
    if request.uri.scheme not in _SCHEMES:
        return Fault(416)
    return None


def _body_fault(request: Request) -> Fault | None:
    if not request.body:
        return None
    if request.content_type != _SDP:
        return Fault(415, headers=(("Accept", _SDP),))
    if (request.header("Content-Encoding") or "identity").lower() != "identity":
        return Fault(415, headers=(("Accept-Encoding", "identity"),))
    return None
