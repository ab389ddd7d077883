"""Session descriptions of the far end, taken apart (RFC 8866), without I/O and within bounds."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from acd.errors import BadSessionDescription
from acd.media.engine import Direction
from acd.media.g711 import Law

MAX_BYTES = 16_384
_MAX_LINES = 512
_MAX_MEDIA = 16
_MAX_FORMATS = 64
_PLAIN = frozenset({"RTP/AVP", "RTP/AVPF"})
_SECURE = frozenset({"RTP/SAVP", "RTP/SAVPF"})
_STATIC = {0: Law.PCMU, 8: Law.PCMA}
_LINE = re.compile(r"^([a-z])=(.*)$")
_TOKEN = re.compile(r"^[!-~]{1,64}$")
_RTPMAP = re.compile(r"^(\d{1,3}) +([A-Za-z0-9-]{1,32})/(\d{1,6})(?:/1)?$")
_DIRECTIONS: tuple[Direction, ...] = ("sendrecv", "sendonly", "recvonly", "inactive")


@dataclass(frozen=True, slots=True)
class Media:
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
    def plain(self) -> bool:
        """Whether it may go unencrypted."""
        return self.is_audio and self.profile in _PLAIN and self.port > 0

    @property
    def secure(self) -> bool:
        """Whether it is to be encrypted, and nothing else."""
        return self.is_audio and self.profile in _SECURE and self.port > 0

    @property
    def is_audio(self) -> bool:
        return self.kind == "audio"

    def refusal(self) -> str:
        return f"m={self.kind} 0 {self.profile} {' '.join(self.formats)}\r\n"


@dataclass(frozen=True, slots=True)
class Codecs:
    """Payload types of one audio line, in its order."""

    laws: Mapping[int, Law]
    event: int | None


def codecs_of(line: Media) -> Codecs:
    """What it names of what we can do."""
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
    return Codecs(laws, event)


def parse(body: bytes) -> tuple[Media, ...]:
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


def _media(section: _Lines, address: str, direction: Direction) -> Media:
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
    media = Media(
        kind=parts[0],
        port=int(port),
        profile=parts[2],
        formats=tuple(parts[3:]),
        address=_address(section) or address,
        direction=_direction(section, direction),
        attributes=tuple(attributes),
    )
    if (media.plain or media.secure) and not media.address:
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
