"""What a REFER asks for and what a Replaces names (RFC 3515, 3891, 4488). Pure reading."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote as percent_decode

from acd.sip.core.grammar import SipSyntaxError, parse_params
from acd.sip.core.message import Request
from acd.sip.core.uri import NameAddr

_MAX_REPLACES = 1024
_MAX_CALL_ID = 256


DialogId = tuple[str, str, str]
"""Call-ID, our tag, the peer's tag."""


@dataclass(frozen=True, slots=True)
class Replaces:
    """A dialog of ours, as its peer names it (RFC 3891 section 6.1)."""

    dialog: DialogId
    early_only: bool = False

    @classmethod
    def parse(cls, text: str) -> Replaces:
        """Raises SipSyntaxError("replaces")."""
        call_id, semicolon, rest = text.strip(" \t").partition(";")
        call_id = call_id.strip(" \t")
        if len(text) > _MAX_REPLACES or not call_id or len(call_id) > _MAX_CALL_ID:
            raise SipSyntaxError("replaces", "malformed")
        params = dict(parse_params(semicolon + rest, "replaces"))
        to_tag, from_tag = params.get("to-tag"), params.get("from-tag")
        if not to_tag or not from_tag:
            raise SipSyntaxError("replaces", "needs a to-tag and a from-tag")
        return cls((call_id, to_tag, from_tag), "early-only" in params)


@dataclass(frozen=True, slots=True)
class ReferTo:
    """Where a REFER wants the other party to go; with `replaces`, in the place of that dialog."""

    user: str
    replaces: Replaces | None = None
    wants_notify: bool = True
    """False after `Refer-Sub: false` (RFC 4488)."""


def refer_to(request: Request) -> ReferTo:
    """Read a REFER. Raises SipSyntaxError: exactly one Refer-To, to be reached by an INVITE."""
    values = request.values("Refer-To")
    if len(values) != 1:
        raise SipSyntaxError("refer-to", "a REFER has exactly one")
    uri = NameAddr.parse(values[0], "refer-to").uri
    if uri.scheme not in ("sip", "sips", "tel") or (uri.param("method") or "INVITE").upper() != "INVITE":
        raise SipSyntaxError("refer-to", "not to be reached by an INVITE")
    subscribe = (request.header("Refer-Sub") or "true").partition(";")[0].strip(" \t").lower()
    return ReferTo(uri.user, _replaces_in(uri.headers), subscribe != "false")


def replaces_of(request: Request) -> Replaces | None:
    """The Replaces of an INVITE. Raises SipSyntaxError: one at most (RFC 3891 section 3)."""
    values = request.raw("Replaces")
    if len(values) > 1:
        raise SipSyntaxError("replaces", "more than one")
    return Replaces.parse(values[0]) if values else None


def _replaces_in(headers: str) -> Replaces | None:
    """The Replaces among the headers of a URI (RFC 3261 section 19.1.1)."""
    found = None
    for field in headers.split("&") if headers else ():
        name, _, value = field.partition("=")
        if percent_decode(name).lower() == "replaces":
            if found is not None:
                raise SipSyntaxError("replaces", "more than one")
            found = Replaces.parse(percent_decode(value))
    return found
