"""Offer and answer for one G.711 audio stream (RFC 3264, RFC 4733, RFC 4568), without I/O.

Our own descriptions are minimal: one audio line, the codecs in the order of the settings, 20 ms, and the
far end's further media lines refused with port 0 in their places.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from acd.directory.model import Srtp
from acd.errors import BadSessionDescription, NoCommonCodec, NoCommonCrypto
from acd.media.crypto import CryptoLine, Keys, Suite, crypto_lines
from acd.media.engine import Direction
from acd.media.g711 import Law
from acd.media.sdp import Codecs, Media, codecs_of, parse

_STATIC_TYPE = {Law.PCMU: 0, Law.PCMA: 8}
_EVENT_TYPE = 101
_PLAIN_PROFILE, _SECURE_PROFILE = "RTP/AVP", "RTP/SAVP"
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
    keys: Keys | None = None
    """None: not encrypted."""


def no_key() -> bytes:
    """Of a session that is never encrypted."""
    raise NoCommonCrypto("this session makes no keys")


@dataclass(slots=True)
class Negotiation:
    """One leg's side of offer and answer. A description that is refused changes nothing.

    `srtp` says whether the leg is never, if possible, or always encrypted. With `offer` we offer a plain
    profile with keys, and a far end that ignores them is served unencrypted.
    """

    session_id: int
    address: str
    port: int
    preference: Sequence[Law]
    srtp: Srtp = "off"
    make_key: Callable[[], bytes] = no_key
    terms: Terms | None = None
    _version: int = 0
    _body: str = ""
    _refused_before: tuple[str, ...] = ()
    _refused_after: tuple[str, ...] = ()
    _offered: Codecs | None = field(default=None)
    _offered_crypto: tuple[CryptoLine, ...] = ()
    _profile: str = _PLAIN_PROFILE
    _own_keys: dict[Suite, bytes] = field(default_factory=dict)
    """One a suite for the session, so that a change of anything else goes on with the same stream."""

    def answer(self, offer: bytes) -> bytes:
        """Take the far end's offer and give our answer (RFC 3264 section 6).

        Raises BadSessionDescription, NoCommonCodec, NoCommonCrypto.
        """
        media = parse(offer)
        place = self._choose_line(media)
        line = media[place]
        theirs = codecs_of(line)
        chosen = self._choose_codec(theirs)
        crypto = self._choose_crypto(line)
        ours = None if crypto is None else CryptoLine(crypto.tag, crypto.suite, self._own_key(crypto.suite))
        keys = None if crypto is None or ours is None else Keys(crypto.suite, ours.key, crypto.key)
        shared = any(True for _ in line.values("rtcp-mux"))
        laws = {chosen: theirs.laws[chosen]}
        terms = _terms(line, laws, chosen, theirs.event, theirs.event, shared, keys)
        self.terms, self._offered = terms, None
        self._profile = _PLAIN_PROFILE if keys is None else line.profile
        self._refused_before = tuple(other.refusal() for other in media[:place])
        self._refused_after = tuple(other.refusal() for other in media[place + 1 :])
        return self._describe(
            Codecs(laws, theirs.event), _MIRROR[terms.direction], () if ours is None else (ours,), shared
        )

    def offer(self) -> bytes:
        """Our offer: every codec of the settings and events, both ways (RFC 3264 section 5)."""
        offered = Codecs({_STATIC_TYPE[law]: law for law in self.preference}, _EVENT_TYPE)
        suites: Sequence[Suite] = () if self.srtp == "off" else tuple(Suite)
        if self.terms is None:
            self._profile = _SECURE_PROFILE if self.srtp == "require" else _PLAIN_PROFILE
        else:
            if self.terms.event_receive is not None:
                # A payload type keeps its meaning for the session (RFC 3264 section 8.3.2).
                offered = Codecs(offered.laws, self.terms.event_receive)
            suites = () if self.terms.keys is None else (self.terms.keys.suite,)
        self._offered = offered
        self._offered_crypto = tuple(
            CryptoLine(tag, suite, self._own_key(suite)) for tag, suite in enumerate(suites, 1)
        )
        return self._describe(offered, "sendrecv", self._offered_crypto, False)

    def accept(self, answer: bytes, *, early: bool = False) -> Terms:
        """Take the far end's answer to our offer (RFC 3264 section 7).

        An `early` one is of a phone that has not answered: another may do so (RFC 3261 section 13.2.2.4).

        Raises BadSessionDescription, NoCommonCodec, NoCommonCrypto.
        """
        if self._offered is None:
            raise BadSessionDescription("an answer came where nothing was offered")
        place = len(self._refused_before)
        media = parse(answer)
        if len(media) <= place or not media[place].is_audio:
            raise BadSessionDescription("the answer has no audio line in the place of ours")
        line = media[place]
        if not (line.plain or line.secure):
            raise NoCommonCodec("the far end refused our audio line")
        keys = self._answered_keys(line)
        theirs = codecs_of(line)
        offered = set(self._offered.laws.values())
        common = [number for number, law in theirs.laws.items() if law in offered]
        if not common:
            raise NoCommonCodec("the answer has none of the codecs that we offered")
        chosen = common[0]
        event = self._offered.event if theirs.event is not None else None
        receive = dict(self._offered.laws) | {number: theirs.laws[number] for number in common}
        self.terms = _terms(line, receive, chosen, event, theirs.event, False, keys)
        if not early:
            self._offered = None
        return self.terms

    # Encryption.

    def _own_key(self, suite: Suite) -> bytes:
        if suite not in self._own_keys:
            self._own_keys[suite] = self.make_key()
        return self._own_keys[suite]

    def _choose_crypto(self, line: Media) -> CryptoLine | None:
        """The first of their keys that we can use (RFC 4568 section 5.1.2)."""
        return next(iter(crypto_lines(line.values("crypto"))), None) if self.srtp != "off" else None

    def _answered_keys(self, line: Media) -> Keys | None:
        """The keys that the answer settles; None for a plain stream. Raises NoCommonCrypto."""
        for theirs in crypto_lines(line.values("crypto")):
            for ours in self._offered_crypto:
                if (ours.tag, ours.suite) == (theirs.tag, theirs.suite):
                    return Keys(ours.suite, ours.key, theirs.key)
        if line.secure or self.srtp == "require" or self._profile != _PLAIN_PROFILE:
            raise NoCommonCrypto("the answer takes none of the keys that we offered")
        return None

    def _choose_line(self, media: Sequence[Media]) -> int:
        """The place of the audio line to take, encrypted before plain.

        Raises NoCommonCodec, NoCommonCrypto.
        """
        audio = [
            place for place, line in enumerate(media) if (line.plain or line.secure) and codecs_of(line).laws
        ]
        if not audio:
            raise NoCommonCodec("the offer has no RTP audio line with PCMU or PCMA")
        encrypted = [place for place in audio if self._choose_crypto(media[place])]
        plain = [place for place in audio if media[place].plain] if self.srtp != "require" else []
        if not encrypted and not plain:
            raise NoCommonCrypto(f"the offer has no audio line that srtp '{self.srtp}' allows")
        return (encrypted or plain)[0]

    # Codecs and words.

    def _choose_codec(self, theirs: Codecs) -> int:
        for law in self.preference:
            for number, offered in theirs.laws.items():
                if offered is law:
                    return number
        raise NoCommonCodec("the offer has neither PCMU nor PCMA, or none that the settings allow")

    def _describe(
        self, codecs: Codecs, direction: Direction, crypto: Sequence[CryptoLine], shared: bool
    ) -> bytes:
        family = "IP6" if ":" in self.address else "IP4"
        formats = [*codecs.laws] if codecs.event is None else [*codecs.laws, codecs.event]
        lines = [
            "s=-",
            f"c=IN {family} {self.address}",
            "t=0 0",
            *(text.rstrip() for text in self._refused_before),
            f"m=audio {self.port} {self._profile} {' '.join(map(str, formats))}",
            *(f"a=rtpmap:{number} {law.name}/8000" for number, law in codecs.laws.items()),
        ]
        if codecs.event is not None:
            lines += [f"a=rtpmap:{codecs.event} telephone-event/8000", f"a=fmtp:{codecs.event} 0-15"]
        lines += map(str, crypto)
        lines += ["a=ptime:20", f"a={direction}", *(["a=rtcp-mux"] if shared else [])]
        lines += [text.rstrip() for text in self._refused_after]
        body = "".join(f"{line}\r\n" for line in lines)
        if body != self._body:  # the version says whether anything changed (RFC 3264 section 8)
            self._version, self._body = self._version + 1, body
        origin = f"v=0\r\no=- {self.session_id} {self._version} IN {family} {self.address}\r\n"
        return (origin + body).encode("ascii")


def _terms(
    line: Media,
    receive: Mapping[int, Law],
    send_type: int,
    event_receive: int | None,
    event_send: int | None,
    shared: bool,
    keys: Keys | None,
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
        keys=keys,
    )


def _control_address(line: Media) -> Address:
    """a=rtcp (RFC 3605), else the port above."""
    for value in line.values("rtcp"):
        port = value.split(" ", 1)[0]
        if port.isascii() and port.isdigit() and 0 < int(port[:6]) <= 65535:
            return line.address, int(port)
    return line.address, min(line.port + 1, 65535)
