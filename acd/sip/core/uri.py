"""SIP, SIPS and TEL URIs, and the name-addr form around them (RFC 3261 sections 19.1 and 25.1, RFC 3966)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from urllib.parse import quote as percent_encode
from urllib.parse import unquote as percent_decode

from acd.sip.core.grammar import (
    Params,
    SipSyntaxError,
    format_params,
    param_of,
    parse_params,
    plain,
    quote,
    unquote,
)

_SIP = re.compile(
    r"(?P<scheme>[sS][iI][pP][sS]?):"
    r"(?:(?P<user>[^@\s<>\"\x00-\x1f\x7f]++)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9._\-]++)(?::(?P<port>[0-9]{1,5}+))?"
    r"(?P<params>(?:;[^;?\s<>\"]++)*+)(?:\?(?P<headers>[^\s<>\"]*+))?"
)
_OTHER = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*+):(?P<rest>[^\s<>\"]++)")
_USER_SAFE = "-_.!~*'()&=+$,;?/"
_PARAM_SAFE = "-_.!~*'()[]/:&+$"
_MAX_URI = 4096


@dataclass(frozen=True, slots=True)
class Uri:
    """One URI. Parts are unescaped; `str()` of a parsed URI is what was received, byte for byte.

    For `tel:` the number is in `user` and `host` is empty; for a scheme that we do not know
    everything after the colon is in `opaque`.
    """

    host: str
    """Lower case, without the brackets of an IPv6 address."""
    user: str = ""
    port: int | None = None
    scheme: str = "sip"
    password: str = ""
    params: Params = ()
    headers: str = ""
    opaque: str = ""
    text: str = field(default="", init=False, compare=False, repr=False)
    """The form received; empty for a URI of our own."""

    @classmethod
    def parse(cls, text: str) -> Uri:
        """Parse a whole URI. Raises SipSyntaxError("uri")."""
        if len(text) > _MAX_URI:
            raise SipSyntaxError("uri", "too long")
        match = _SIP.fullmatch(text)
        uri = _from_match(match) if match else _other(text)
        object.__setattr__(uri, "text", text)
        return uri

    def __str__(self) -> str:
        return self.text or self._format()

    def _format(self) -> str:
        params = "".join(
            f";{name}" if value is None else f";{name}={percent_encode(value, _PARAM_SAFE)}"
            for name, value in self.params
        )
        if self.opaque:
            return f"{self.scheme}:{self.opaque}"
        user = percent_encode(self.user, _USER_SAFE)
        if self.scheme == "tel":
            return f"tel:{user}{params}"
        if user:
            user += f":{percent_encode(self.password, _USER_SAFE)}@" if self.password else "@"
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{format_host(self.host, self.port)}{params}{headers}"

    def param(self, name: str) -> str | None:
        """Value of a parameter by its lower-case name; "" where it has none; None where it is absent."""
        return param_of(self.params, name)

    @property
    def transport(self) -> str:
        """The transport parameter in lower case; "" where absent."""
        return (self.param("transport") or "").lower()

    def at(self, host: str, port: int | None) -> Uri:
        """The same URI at another address."""
        return replace(self, host=host, port=port)


def _from_match(match: re.Match[str]) -> Uri:
    scheme, user, host, port, params, headers = match.groups()
    password = ""
    if user and ":" in user:
        user, _, password = user.partition(":")
    if user and "%" in user:
        user = percent_decode(user)
    number = int(port) if port else None
    if number is not None and not 0 < number < 65536:
        raise SipSyntaxError("uri", "port out of range")
    return Uri(
        host=host.strip("[]").lower(),
        user=user or "",
        port=number,
        scheme=scheme.lower(),
        password=percent_decode(password) if password else "",
        params=_uri_params(params) if params else (),
        headers=headers or "",
    )


def _other(text: str) -> Uri:
    match = _OTHER.fullmatch(text)
    if match is None or match["scheme"].lower() in ("sip", "sips"):
        raise SipSyntaxError("uri", "malformed")
    scheme, rest = match["scheme"].lower(), match["rest"]
    if scheme != "tel":
        return Uri(host="", scheme=scheme, opaque=rest)
    number, semicolon, params = rest.partition(";")
    return Uri(
        host="",
        scheme="tel",
        user=percent_decode(number),
        params=_uri_params(semicolon + params) if params else (),
    )


def _uri_params(text: str) -> Params:
    found: list[tuple[str, str | None]] = []
    for item in text[1:].split(";"):
        name, equals, value = item.partition("=")
        found.append((percent_decode(name).lower(), percent_decode(value) if equals else None))
    return tuple(found)


def format_host(host: str, port: int | None) -> str:
    """`host[:port]`, with brackets around an IPv6 address."""
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


_NAME_ADDR = re.compile(
    r'[ \t]*+(?:("(?:[^"\\]|\\.)*+")[ \t]*+|([^"<>,;:\\@=()/?\x00-\x1f\x7f]*+))<([^<>\s\"]++)>(.*+)',
    re.DOTALL,
)
_ADDR_SPEC = re.compile(r"[ \t]*+([^\s<>,;\"?]++)(.*+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class NameAddr:
    """`"Display" <uri>;params`, as in From, To, Contact, Route (RFC 3261 section 20.10)."""

    uri: Uri
    display: str = ""
    params: Params = ()

    @classmethod
    def parse(cls, text: str, part: str = "address") -> NameAddr:
        """Parse one value. Raises SipSyntaxError naming `part`.

        Without angle brackets what follows a semicolon belongs to the header (section 20),
        and a question mark is an error.
        """
        spec, params, display = split_name_addr(text, part)
        try:
            uri = Uri.parse(spec)
        except SipSyntaxError as error:
            raise SipSyntaxError(part, str(error)) from error
        return cls(uri, display, parse_params(params, part))

    def __str__(self) -> str:
        name = f"{quote(plain(self.display))} " if self.display else ""
        return f"{name}<{self.uri}>{format_params(self.params)}"

    def param(self, name: str) -> str | None:
        """Value of a header parameter by its lower-case name; "" without a value; None where absent."""
        return param_of(self.params, name)

    @property
    def tag(self) -> str:
        """The tag, "" where absent."""
        return self.param("tag") or ""

    def with_tag(self, tag: str) -> NameAddr:
        """The same address with this tag only."""
        return replace(self, params=(*((k, v) for k, v in self.params if k != "tag"), ("tag", tag)))


def split_name_addr(text: str, part: str) -> tuple[str, str, str]:
    """The URI, the text of the parameters, and the display name. Raises SipSyntaxError naming `part`."""
    match = _NAME_ADDR.match(text)
    if match is not None:
        quoted, words, uri, params = match.groups()
        display = words if quoted is None else unquote(quoted)
        return uri, params.strip(" \t"), plain(display.strip()) if display else ""
    match = _ADDR_SPEC.match(text)
    if match is None:
        raise SipSyntaxError(part, "malformed address")
    uri, params = match.groups()
    return uri, params.strip(" \t"), ""
