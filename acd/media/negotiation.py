"""SDP offer and answer for one G.711 audio stream (RFC 8866, RFC 3264, RFC 4733), without I/O.

Our own descriptions are minimal: one audio line, the codecs in the order of the settings, 20 ms, and the
far end's further media lines refused with port 0 in their places.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from acd.errors import BadSessionDescription, NoCommonCodec
from acd.media.engine import Direction
from acd.media.g711 import Law

MAX_BYTES = 16_384
_MAX_LINES = 512
_MAX_MEDIA = 16
_MAX_FORMATS = 64
_PROFILES = frozenset({"RTP/AVP", "RTP/AVPF"})
_STATIC = {0: Law.PCMU, 8: Law.PCMA}
_STATIC_TYPE = {law: number for number, law in _STATIC.items()}
_EVENT_TYPE = 101
_LINE = re.compile(r"^([a-z])=(.*)$")
_TOKEN = re.compile(r"^[!-~]{1,64}$")
_RTPMAP = re.compile(r"^(\d{1,3}) +([A-Za-z0-9-]{1,32})/(\d{1,6})(?:/1)?$")
_DIRECTIONS: tuple[Direction, ...] = ("sendrecv", "sendonly", "recvonly", "inactive")
_MIRROR: Mapping[Direction, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}
_WITHOUT_HEARING: Mapping[Direction, Direction] = {
    "sendrecv": "sendonly",
    "sendonly": "sendonly",
    "recvonly": "inactive",
    "inactive": "inactive",
}

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Terms:
    """What both ends agreed on."""

    remote: Address
    control: Address
    """Where RTCP goes; the same as `remote` where it shares the port (RFC 5761)."""
    receive: Mapping[int, Law]
    """Payload types that the far end may send."""
    send_type: int
    send_law: Law
    event_receive: int | None
    event_send: int | None
    direction: Direction
    """As the far end sees itself."""
    shared_port: bool = False


@dataclass(frozen=True, slots=True)
class _Media:
    kind: str
    port: int
    profile: str
    formats: tuple[str, ...]
    address: str
    """Never empty on a usable line."""
    direction: Direction
    attributes: tuple[tuple[str, str], ...]

    def values(self, name: str) -> Iterator[str]:
        return (value for key, value in self.attributes if key == name)

    @property
    def usable(self) -> bool:
        return self.kind == "audio" and self.profile in _PROFILES and self.port > 0

    def refusal(self) -> str:
        return f"m={self.kind} 0 {self.profile} {' '.join(self.formats)}\r\n"


@dataclass(frozen=True, slots=True)
class _Codecs:
    """Payload types of one audio line, in its order."""

    laws: Mapping[int, Law]
    event: int | None


@dataclass(slots=True)
class Negotiation:
    """One leg's side of offer and answer. A description that is refused changes nothing."""

    session_id: int
    address: str
    port: int
    preference: Sequence[Law]
    terms: Terms | None = None
    _version: int = 0
    _body: str = ""
    _refused_before: tuple[str, ...] = ()
    _refused_after: tuple[str, ...] = ()
    _offered: _Codecs | None = field(default=None)

    def answer(self, offer: bytes) -> bytes:
        """Take the far end's offer and give our answer (RFC 3264 section 6).

        Raises BadSessionDescription, NoCommonCodec.
        """
        media = _parse(offer)
        place, line = _first_audio(media)
        theirs = _codecs_of(line)
        chosen = self._choose(theirs)
        shared = any(True for _ in line.values("rtcp-mux"))
        terms = _terms(line, {chosen: theirs.laws[chosen]}, chosen, theirs.event, theirs.event, shared)
        self.terms, self._offered = terms, None
        self._refused_before = tuple(other.refusal() for other in media[:place])
        self._refused_after = tuple(other.refusal() for other in media[place + 1 :])
        laws = {chosen: theirs.laws[chosen]}
        return self._describe(_Codecs(laws, theirs.event), _MIRROR[terms.direction], shared)

    def offer(self) -> bytes:
        """Our offer: every codec of the settings and events, both ways (RFC 3264 section 5)."""
        offered = _Codecs({_STATIC_TYPE[law]: law for law in self.preference}, _EVENT_TYPE)
        if self.terms is not None and self.terms.event_receive is not None:
            # A payload type keeps its meaning for the session (RFC 3264 section 8.3.2).
            offered = _Codecs(offered.laws, self.terms.event_receive)
        self._offered = offered
        return self._describe(offered, "sendrecv", False)

    def accept(self, answer: bytes) -> Terms:
        """Take the far end's answer to our offer (RFC 3264 section 7).

        Raises BadSessionDescription, NoCommonCodec.
        """
        if self._offered is None:
            raise BadSessionDescription("an answer came where nothing was offered")
        place = len(self._refused_before)
        media = _parse(answer)
        if len(media) <= place or media[place].kind != "audio":
            raise BadSessionDescription("the answer has no audio line in the place of ours")
        line = media[place]
        if not line.usable:
            raise NoCommonCodec("the far end refused our audio line")
        theirs = _codecs_of(line)
        offered = set(self._offered.laws.values())
        common = [number for number, law in theirs.laws.items() if law in offered]
        if not common:
            raise NoCommonCodec("the answer has none of the codecs that we offered")
        chosen = common[0]
        event = self._offered.event if theirs.event is not None else None
        receive = dict(self._offered.laws) | {number: theirs.laws[number] for number in common}
        self.terms = _terms(line, receive, chosen, event, theirs.event, False)
        self._offered = None
        return self.terms

    def _choose(self, theirs: _Codecs) -> int:
        for law in self.preference:
            for number, offered in theirs.laws.items():
                if offered is law:
                    return number
        raise NoCommonCodec("the offer has neither PCMU nor PCMA, or none that the settings allow")

    def _describe(self, codecs: _Codecs, direction: Direction, shared: bool) -> bytes:
        family = "IP6" if ":" in self.address else "IP4"
        formats = [*codecs.laws] if codecs.event is None else [*codecs.laws, codecs.event]
        lines = [
            "s=-",
            f"c=IN {family} {self.address}",
            "t=0 0",
            *(text.rstrip() for text in self._refused_before),
            f"m=audio {self.port} RTP/AVP {' '.join(map(str, formats))}",
            *(f"a=rtpmap:{number} {law.name}/8000" for number, law in codecs.laws.items()),
        ]
        if codecs.event is not None:
            lines += [f"a=rtpmap:{codecs.event} telephone-event/8000", f"a=fmtp:{codecs.event} 0-15"]
        lines += ["a=ptime:20", f"a={direction}", *(["a=rtcp-mux"] if shared else [])]
        lines += [text.rstrip() for text in self._refused_after]
        body = "".join(f"{line}\r\n" for line in lines)
        if body != self._body:  # the version says whether anything changed (RFC 3264 section 8)
            self._version, self._body = self._version + 1, body
        origin = f"v=0\r\no=- {self.session_id} {self._version} IN {family} {self.address}\r\n"
        return (origin + body).encode("ascii")


def _terms(
    line: _Media,
    receive: Mapping[int, Law],
    send_type: int,
    event_receive: int | None,
    event_send: int | None,
    shared: bool,
) -> Terms:
    held = ipaddress.ip_address(line.address).is_unspecified
    remote = (line.address, line.port)
    return Terms(
        remote=remote,
        control=remote if shared else _control_address(line),
        receive=receive,
        send_type=send_type,
        send_law=receive[send_type],
        event_receive=event_receive,
        event_send=event_send,
        # The old way to hold: an address of zeros hears nothing (RFC 3264 section 8.4).
        direction=_WITHOUT_HEARING[line.direction] if held else line.direction,
        shared_port=shared,
    )


def _control_address(line: _Media) -> Address:
    """a=rtcp (RFC 3605), else the port above."""
    for value in line.values("rtcp"):
        port = value.split(" ", 1)[0]
        if port.isascii() and port.isdigit() and 0 < int(port[:6]) <= 65535:
            return line.address, int(port)
    return line.address, min(line.port + 1, 65535)


def _first_audio(media: Sequence[_Media]) -> tuple[int, _Media]:
    for place, line in enumerate(media):
        if line.usable and _codecs_of(line).laws:
            return place, line
    raise NoCommonCodec("the offer has no plain RTP audio line with PCMU or PCMA")


def _codecs_of(line: _Media) -> _Codecs:
    named: dict[int, tuple[str, int]] = {}
    for value in line.values("rtpmap"):
        if found := _RTPMAP.match(value):
            named[int(found[1])] = (found[2].upper(), int(found[3]))
    laws: dict[int, Law] = {}
    event = None
    for text in line.formats:
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else 128
        if number > 127:
            continue
        name, rate = named.get(number, (_STATIC[number].name if number in _STATIC else "", 8000))
        if rate == 8000 and name in Law.__members__:
            laws[number] = Law[name]
        elif rate == 8000 and name == "TELEPHONE-EVENT" and event is None:
            event = number
    return _Codecs(laws, event)


def _parse(body: bytes) -> tuple[_Media, ...]:
    """The media lines with what holds for each; lines that we do not know are passed over."""
    session, sections = _sections(body)
    if len(sections) > _MAX_MEDIA:
        raise BadSessionDescription(f"more than {_MAX_MEDIA} media lines")
    address = _address(session)
    direction = _direction(session, "sendrecv")
    return tuple(_media(section, address, direction) for section in sections)


_Lines = list[tuple[str, str]]


def _sections(body: bytes) -> tuple[_Lines, list[_Lines]]:
    if len(body) > MAX_BYTES:
        raise BadSessionDescription(f"longer than {MAX_BYTES} bytes")
    texts = body.decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n").split("\n")
    if len(texts) > _MAX_LINES:
        raise BadSessionDescription(f"more than {_MAX_LINES} lines")
    if texts[0] != "v=0":
        raise BadSessionDescription("does not start with v=0")
    session: _Lines = []
    sections: list[_Lines] = []
    for text in texts[1:]:
        found = _LINE.match(text)
        if found is None:
            raise BadSessionDescription(f"not a line of SDP: {text[:40]!r}")
        if found[1] == "m":
            sections.append([])
        (sections[-1] if sections else session).append((found[1], found[2].strip()))
    return session, sections


def _media(section: _Lines, address: str, direction: Direction) -> _Media:
    parts = section[0][1].split()
    if not 4 <= len(parts) <= 3 + _MAX_FORMATS or not all(map(_TOKEN.match, parts)):
        raise BadSessionDescription(f"not a media line: {section[0][1][:40]!r}")
    port = parts[1].split("/", 1)[0]
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise BadSessionDescription(f"not a port: {parts[1][:20]!r}")
    attributes = []
    for key, value in section:
        if key == "a":
            name, _, rest = value.partition(":")
            attributes.append((name, rest))
    media = _Media(
        kind=parts[0],
        port=int(port),
        profile=parts[2],
        formats=tuple(parts[3:]),
        address=_address(section) or address,
        direction=_direction(section, direction),
        attributes=tuple(attributes),
    )
    if media.usable and not media.address:
        raise BadSessionDescription("no usable connection address for the audio line")
    return media


def _address(lines: _Lines) -> str:
    """Of the connection line; empty where there is none."""
    for key, value in lines:
        if key == "c":
            parts = value.split()
            try:
                address = ipaddress.ip_address(parts[2] if len(parts) == 3 else "")
            except ValueError as error:
                raise BadSessionDescription(f"not a numeric address: {value[:60]!r}") from error
            if address.is_multicast or str(address) == "255.255.255.255":
                raise BadSessionDescription(f"not an address of one host: {value[:60]!r}")
            return str(address)
    return ""


def _direction(lines: _Lines, default: Direction) -> Direction:
    for key, value in lines:
        if key == "a":
            for direction in _DIRECTIONS:
                if value == direction:
                    return direction
    return default
