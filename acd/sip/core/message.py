"""SIP messages: a lazy parser and a strict writer (RFC 3261 section 7).

Parsing splits the head into lines and checks the framing; a header is understood when somebody
asks for it, once. Values are kept byte for byte (bytes that are not UTF-8 ride along as surrogates);
what we write is always `Name: value`, one line a header, nothing folded and nothing empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from acd.sip.core.grammar import SipSyntaxError, plain, split_list
from acd.sip.core.uri import NameAddr, Uri
from acd.sip.core.via import Via, common_key

Header = tuple[str, str]

_COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}
_STANDARD = (
    *("Accept", "Accept-Encoding", "Accept-Language", "Alert-Info", "Allow", "Authentication-Info"),
    *("Authorization", "Call-ID", "Call-Info", "Contact", "Content-Disposition", "Content-Encoding"),
    *("Content-Language", "Content-Length", "Content-Type", "CSeq", "Date", "Error-Info", "Expires", "From"),
    *("In-Reply-To", "Max-Forwards", "MIME-Version", "Min-Expires", "Organization", "Priority"),
    *("Proxy-Authenticate", "Proxy-Authorization", "Proxy-Require", "Record-Route", "Reply-To", "Require"),
    *("Retry-After", "Route", "Server", "Subject", "Supported", "Timestamp", "To", "Unsupported"),
    *("User-Agent", "Via", "Warning", "WWW-Authenticate"),
)
_KEYS = {name: name.lower() for name in _STANDARD} | _COMPACT | {k.upper(): v for k, v in _COMPACT.items()}
_TOLERANT = frozenset(name.lower() for name in _STANDARD) | frozenset(_COMPACT)
"""Headers that RFC 3261 names; only these may have white space before the colon (see `_unusual_lines`)."""

_START = re.compile(
    r"(?:(?P<method>[A-Za-z0-9\-.!%*_+`'~]++) (?P<uri>[^\s<>]++) SIP/(?P<version>[0-9]++\.[0-9]++)"
    r"|SIP/2\.0 (?P<status>[1-6][0-9][0-9]) (?P<reason>[^\r\n]*+))\r\n",
    re.IGNORECASE,
)
_LINE = re.compile(r"^([A-Za-z0-9\-.!%*_+`'~]++):[ \t]*+([^\r]*+)\r\n", re.MULTILINE)
"""For text in which every CR is part of a CRLF; a class of one character is twice as fast as one of two."""
_LOOSE_LINE = re.compile(r"([A-Za-z0-9\-.!%*_+`'~]++)([ \t]*+):[ \t]*+([^\r\n]*+)")
_FOLD = re.compile(r"[ \t]*+\r\n[ \t]++")
_CSEQ = re.compile(r"([0-9]{1,10}+)[ \t]++([A-Za-z0-9\-.!%*_+`'~]++)")
_CALL_ID = re.compile(r"[!-~]{1,512}+")
_COMMON_ADDRESS = re.compile(
    r'(?:"[^"\\]*+" ?|[A-Za-z0-9\-.!%*_+`\'~ ]*+)<[^<>\s"]++>(?:;tag=([A-Za-z0-9\-.!%*_+`\'~]++))?+'
)
"""The usual form of From and To: enough to read the tag without taking the address to pieces."""
_NUMBER = re.compile(r"[0-9]++")
_UNPRINTED = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]+")
_NAME = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]++")
_MAX_CSEQ = 2**31
MAX_NUMBER = 2**32 - 1


class ParseError(SipSyntaxError):
    """The bytes are no SIP message and cannot be answered.

    `part`: framing, start-line, header-line or too-large.
    """


@dataclass(frozen=True, slots=True)
class CSeq:
    """Sequence number (below 2**31) and method."""

    number: int
    method: str


class Message:
    """What requests and responses share. Treat one as read-only: typed fields are computed once and kept."""

    __slots__ = (
        "_call_id",
        "_contacts",
        "_cseq",
        "_from",
        "_from_tag",
        "_index",
        "_to",
        "_to_tag",
        "_via",
        "body",
        "headers",
    )

    def __init__(self, headers: Sequence[Header], body: bytes = b"") -> None:
        self.headers = headers
        self.body = body
        index: dict[str, list[str]] = {}
        for name, value in headers:
            key = _KEYS.get(name) or _key(name)
            if key in index:
                index[key].append(value)
            else:
                index[key] = [value]
        self._index = index
        self._via: Via | None = None
        self._from: NameAddr | None = None
        self._to: NameAddr | None = None
        self._cseq: CSeq | None = None
        self._call_id: str | None = None
        self._contacts: list[NameAddr] | None = None
        self._from_tag: str | None = None
        self._to_tag: str | None = None

    def raw(self, name: str) -> list[str]:
        """All values of a header as received, one a line, by any spelling of its name."""
        return self._index.get(_KEYS.get(name) or _key(name), [])

    def header(self, name: str) -> str | None:
        """The first value of a header, or None."""
        values = self.raw(name)
        return values[0] if values else None

    def values(self, name: str) -> list[str]:
        """All values of a header that is a comma-separated list. Raises SipSyntaxError."""
        lines = self.raw(name)
        if not lines:
            return []
        part = name.lower()
        return [item for line in lines for item in split_list(line, part) if item]

    def single(self, name: str) -> str:
        """The value of a header that must be there exactly once. Raises SipSyntaxError."""
        values = self.raw(name)
        if len(values) != 1:
            raise SipSyntaxError(name.lower(), "repeated" if values else "missing")
        return values[0]

    def number(self, name: str) -> int | None:
        """A header that is a number, capped at 2**32-1; None where absent. Raises SipSyntaxError."""
        values = self.raw(name)
        if not values:
            return None
        digits = _NUMBER.match(values[0])
        if digits is None or len(values) > 1:
            raise SipSyntaxError(name.lower(), "not one number")
        return MAX_NUMBER if digits.end() > 10 else min(int(digits[0]), MAX_NUMBER)

    @property
    def via(self) -> Via:
        """The topmost Via. Raises SipSyntaxError("via")."""
        if self._via is None:
            self._via = Via.parse(split_list(self._top_via(), "via")[0])
        return self._via

    def _top_via(self) -> str:
        lines = self._index.get("via")
        if not lines:
            raise SipSyntaxError("via", "missing")
        return lines[0]

    @property
    def via_key(self) -> tuple[str, str]:
        """Branch ("" where absent) and sent-by of the topmost Via. Raises SipSyntaxError("via")."""
        return common_key(self._top_via()) or (self.via.branch, self.via.sent_by)

    @property
    def from_(self) -> NameAddr:
        if self._from is None:
            self._from = NameAddr.parse(self.single("From"), "from")
        return self._from

    @property
    def to(self) -> NameAddr:
        if self._to is None:
            self._to = NameAddr.parse(self.single("To"), "to")
        return self._to

    @property
    def from_tag(self) -> str:
        """The From tag, "" where absent; the address before it is checked. Raises SipSyntaxError."""
        if self._from_tag is None:
            common = _COMMON_ADDRESS.fullmatch(self.single("From"))
            self._from_tag = (common[1] or "") if common else self.from_.tag
        return self._from_tag

    @property
    def to_tag(self) -> str:
        """The To tag, as `from_tag`."""
        if self._to_tag is None:
            common = _COMMON_ADDRESS.fullmatch(self.single("To"))
            self._to_tag = (common[1] or "") if common else self.to.tag
        return self._to_tag

    @property
    def call_id(self) -> str:
        """The Call-ID: visible ASCII. Raises SipSyntaxError("call-id")."""
        if self._call_id is None:
            value = self.single("Call-ID")
            if _CALL_ID.fullmatch(value) is None:
                raise SipSyntaxError("call-id", "malformed")
            self._call_id = value
        return self._call_id

    @property
    def cseq(self) -> CSeq:
        """CSeq. Raises SipSyntaxError("cseq")."""
        if self._cseq is None:
            match = _CSEQ.fullmatch(self.single("CSeq"))
            if match is None or int(match[1]) >= _MAX_CSEQ:
                raise SipSyntaxError("cseq", "malformed or out of range")
            self._cseq = CSeq(int(match[1]), match[2])
        return self._cseq

    @property
    def contacts(self) -> list[NameAddr]:
        """All Contact values; empty for `*`. Raises SipSyntaxError("contact")."""
        if self._contacts is None:
            values = [] if self.contact_is_star else self.values("Contact")
            self._contacts = [NameAddr.parse(value, "contact") for value in values]
        return self._contacts

    @property
    def contact_is_star(self) -> bool:
        return self.raw("Contact") == ["*"]

    @property
    def content_type(self) -> str:
        """Media type in lower case without parameters; "" where absent."""
        return (self.header("Content-Type") or "").partition(";")[0].strip(" \t").lower()

    @property
    def reason_header(self) -> str:
        """The Reason header (RFC 3326) as plain text, "" where absent."""
        return plain(self.header("Reason") or "")[:256]

    def _write(self, start: str) -> bytes:
        return write(start, self.headers, self.body)


class Request(Message):
    """A request. `method` is case-sensitive; the Request-URI is parsed when asked for."""

    __slots__ = ("_uri", "method", "uri_text", "version")

    def __init__(
        self, method: str, uri: str, headers: Sequence[Header], body: bytes = b"", *, version: str = "2.0"
    ) -> None:
        super().__init__(headers, body)
        self.method = method
        self.uri_text = uri
        self.version = version
        self._uri: Uri | None = None

    @property
    def uri(self) -> Uri:
        """The Request-URI. Raises SipSyntaxError("uri")."""
        if self._uri is None:
            self._uri = Uri.parse(self.uri_text)
        return self._uri

    @property
    def max_forwards(self) -> int:
        """Max-Forwards; 70 where a peer leaves it out. Raises SipSyntaxError("max-forwards")."""
        value = self.number("Max-Forwards")
        if value is not None and value > 255:
            raise SipSyntaxError("max-forwards", "out of range")
        return 70 if value is None else value

    def to_bytes(self) -> bytes:
        return self._write(f"{self.method} {self.uri_text} SIP/{self.version}")

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri_text!r}>"


class Response(Message):
    """A response."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str, headers: Sequence[Header], body: bytes = b"") -> None:
        super().__init__(headers, body)
        self.status = status
        self.reason = reason

    def to_bytes(self) -> bytes:
        return self._write(f"SIP/2.0 {self.status} {self.reason}")

    def __repr__(self) -> str:
        return f"<Response {self.status}>"


def _key(name: str) -> str:
    lower = name.lower()
    return _COMPACT.get(lower, lower)


def parse(data: bytes, *, stream: bool = False, max_headers: int = 128) -> Request | Response:
    """Parse one message: a datagram, or (`stream`) exactly the bytes that a StreamFramer cut out.

    A datagram may have octets after its Content-Length, which are dropped (RFC 3261 section 18.3).
    Raises ParseError.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        raise ParseError("framing", "no end of the header")
    text = data[: end + 2].decode("utf-8", "surrogateescape")
    lines = text.count("\r\n")
    if text.count("\n") != lines or text.count("\r") != lines:
        raise ParseError("framing", "a line end that is not CRLF")
    start = _START.match(text)
    if start is None:
        raise ParseError("start-line", "malformed")
    if lines > max_headers + 1:
        raise ParseError("framing", "too many header lines")
    headers = _LINE.findall(text, start.end())
    if len(headers) != lines - 1 or " \r\n" in text or "\t\r\n" in text:
        headers = _unusual_lines(text[start.end() :])
    method, uri, version, status, reason = start.groups()
    body = data[end + 4 :]
    message: Request | Response
    if status is None:
        message = Request(method, uri, headers, body, version=version)
    else:
        message = Response(int(status), reason, headers, body)
    length = _content_length(message)
    if length is None:
        if stream:
            raise ParseError("framing", "no Content-Length on a stream")
    elif length != len(body):
        if length > len(body):
            raise ParseError("framing", "Content-Length beyond the datagram")
        message.body = body[:length]
    return message


def _unusual_lines(text: str) -> list[Header]:
    """Header lines with folding, trailing blanks, or white space before the colon.

    White space before the colon is grammatical (HCOLON), but a favourite way to smuggle a header
    past a filter that compares names: it is taken for the headers of RFC 3261 and refused for others.
    """
    headers: list[Header] = []
    for line in _FOLD.sub(" ", text).split("\r\n")[:-1]:
        match = _LOOSE_LINE.fullmatch(line)
        if match is None or (match[2] and match[1].lower() not in _TOLERANT):
            raise ParseError("header-line", "malformed")
        headers.append((match[1], match[3].rstrip(" \t")))
    return headers


def _content_length(message: Message) -> int | None:
    values = message.raw("Content-Length")
    if not values:
        return None
    if len(values) > 1 or not values[0].isdecimal() or not values[0].isascii() or len(values[0]) > 10:
        raise ParseError("framing", "bad Content-Length")
    return int(values[0])


def write(start: str, headers: Iterable[Header], body: bytes = b"") -> bytes:
    """Bytes of a message. A line break in any argument becomes a space: nobody can add a header with it.

    Content-Length is written here and nowhere else; headers without a value are left out.
    """
    lines = [f"{name}: {value}" for name, value in headers if value and name not in _LENGTH]
    lines.insert(0, start)
    lines.append(f"Content-Length: {len(body)}\r\n\r\n")
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) + 1 or text.count("\r") != len(lines) + 1:
        return write(_UNPRINTED.sub(" ", start), _cleaned(headers), body)
    return text.encode("utf-8", "surrogateescape") + body


_LENGTH = frozenset({"Content-Length", "content-length", "l", "L"})


def _cleaned(headers: Iterable[Header]) -> list[Header]:
    return [(name, _UNPRINTED.sub(" ", value).strip()) for name, value in headers if _NAME.fullmatch(name)]
