"""What is wrong with a request before anybody looks at what it wants (RFC 3261 section 8.2)."""

from __future__ import annotations

from dataclasses import dataclass

from acd.sip.core.body import MULTIPART, SDP
from acd.sip.core.dialog import Routes
from acd.sip.core.message import Header, Request, Response
from acd.sip.core.session_expires import LEAST_SECONDS, has_timer, session_expires

_SCHEMES = frozenset(("sip", "sips", "tel"))
_WITH_OFFER = frozenset(("INVITE", "UPDATE"))
_BODIES = (SDP, *MULTIPART)


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
        if fault := _body_fault(request) or _session_fault(request):
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
    if request.content_type not in _BODIES:
        disposition = (request.header("Content-Disposition") or "").lower().replace(" ", "")
        if "handling=optional" not in disposition:
            return Fault(415, headers=(("Accept", ", ".join(_BODIES)),))
    if (request.header("Content-Encoding") or "identity").lower() != "identity":
        return Fault(415, headers=(("Accept-Encoding", "identity"),))
    return None


def _session_fault(request: Request) -> Fault | None:
    asked, _ = session_expires(request), request.number("Min-SE")
    if asked is not None and asked.seconds < LEAST_SECONDS and has_timer(request):
        return Fault(422, headers=(("Min-SE", str(LEAST_SECONDS)),))  # RFC 4028 section 9
    if not request.raw("Accept"):
        return None
    accepted = [value.partition(";")[0].strip().lower() for value in request.values("Accept")]
    if not any(kind in accepted for kind in (SDP, "application/*", "*/*")):
        return Fault(406)
    return None


def check_response(response: Response, method: str) -> None:
    """Read all that will be needed of it. Raises SipSyntaxError before anything has come of the response."""
    _ = response.to_tag
    if method == "INVITE" and (200 <= response.status < 300 or response.raw("RSeq")):
        _ = response.contacts, Routes.recorded(response), response.number("RSeq")
    if method in _WITH_OFFER:
        _ = session_expires(response), response.number("Min-SE")
