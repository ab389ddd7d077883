"""Who calls whom: what a request says of it, what of that is believed, and how it is written down.

Headers that only a network may set (RFC 3325, RFC 5806, RFC 7044, Remote-Party-ID) are read from trusted
trunks alone. Every text is bounded and plain, whatever the peer wrote.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import phonenumbers

from acd.directory.model import Trunk
from acd.sip.core.grammar import SipSyntaxError, plain, split_list
from acd.sip.core.message import Request
from acd.sip.core.uri import NameAddr

_MAX_NUMBER = 64
_MAX_TEXT = 80
_MAX_VALUE = 256
_MAX_DIVERSIONS = 8
_MAX_COUNTER = 99
_VISUAL_SEPARATORS = re.compile(r"[-.() ]")
_DIALLABLE = re.compile(r"\+?[0-9*#.\-() ]+")
_COUNTER = re.compile(r"[0-9]{1,4}")
_NUMBER_ALONE = re.compile(r"\+?[0-9]{3,20}")
_VERSTAT = re.compile(r"[A-Za-z0-9-]{1,40}")
_VERSTAT_OF_USER = re.compile(r";verstat=([^;]*)", re.IGNORECASE)
_PRIVATE = {"id", "user", "header"}


@dataclass(frozen=True, slots=True)
class Party:
    """A caller as we show it: number ("anonymous" where withheld) and name."""

    number: str
    name: str = ""


ANONYMOUS = Party("anonymous")


@dataclass(frozen=True, slots=True)
class Diverted:
    """A number that was dialled, or led to, and whose calls went on to another one (RFC 5806, RFC 7044)."""

    number: str
    reason: str = "unconditional"
    """One of DIVERSION_REASONS."""
    counter: int = 1
    """How many diversions this stands for."""
    private: bool = False
    """The called are not to see the number."""


_CAUSES = {
    "unknown": "404",
    "unconditional": "302",
    "user-busy": "486",
    "no-answer": "408",
    "deflection": "480",
    "unavailable": "503",
}
"""Reasons of RFC 5806, each with the cause that says so in a History-Info (RFC 4458, RFC 7544 section 7)."""
_REASONS = {cause: reason for reason, cause in _CAUSES.items()} | {"487": "deflection"}
DIVERSION_REASONS = frozenset(
    {*_CAUSES, "time-of-day", "do-not-disturb", "follow-me", "out-of-service", "away"}
)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls, and what the trunk tells besides."""

    caller: Party
    called: str
    diversions: tuple[Diverted, ...] = ()
    """The numbers from which the call was diverted to us, the oldest first."""
    verstat: str = ""
    """What the network found of the caller's number (ATIS-1000074), e.g. TN-Validation-Passed."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """From the trunk's own headers, by the names that the directory gives them."""
    withheld: bool = False
    """The caller wants nobody to see the number."""

    @property
    def diverted_from(self) -> str:
        """The number that was dialled first, where the call was diverted to us."""
        return self.diversions[0].number if self.diversions else ""


def identity_of(request: Request, trunk: Trunk) -> Identity:
    """What a request of this trunk says. Raises SipSyntaxError where From or the Request-URI is malformed."""
    caller = caller_of(request, trusted=trunk.trusted)
    number = normalised(caller.number, trunk.country)
    called = normalised(called_number(request, trunk.called_from), trunk.country)
    if not trunk.trusted:
        return Identity(Party(number, caller.name), called)
    return Identity(
        Party(number, caller.name),
        called,
        diversions=_diversions(request, trunk.country),
        verstat=_verstat(request),
        attributes=_attributes(request, trunk.headers),
    )


def called_number(request: Request, called_from: str = "request-uri") -> str:
    """What was dialled: the user part of the Request-URI, or of To where the trunk puts it there."""
    return clean_number(request.to.uri.user if called_from == "to" else request.uri.user)


def caller_of(request: Request, *, trusted: bool) -> Party:
    """Who calls. From a trusted peer P-Asserted-Identity wins over From (RFC 3325 section 9.1).

    A peer that asks for privacy is shown as anonymous, whatever else it says (RFC 3323 section 4.2).
    """
    if _wants_privacy(request):
        return ANONYMOUS
    address = (_asserted(request) if trusted else None) or request.from_
    number = clean_number(address.uri.user)
    if not number or number.lower() == ANONYMOUS.number:
        return ANONYMOUS
    return Party(number, plain(address.display)[:_MAX_TEXT])


def clean_number(user: str) -> str:
    """A number without parameters, visual separators (RFC 3966 section 5.1.1) and control characters."""
    text = plain(user.partition(";")[0]).strip()[:_MAX_NUMBER]
    return _VISUAL_SEPARATORS.sub("", text) if _DIALLABLE.fullmatch(text) else text


def normalised(number: str, country: str) -> str:
    """E.164 with its plus, for a number as it is written in `country` (ISO 3166, upper case).

    What is no possible number there stays as it is, as does everything where no country is given.
    """
    if not country or not _NUMBER_ALONE.fullmatch(number):
        return number
    try:
        parsed = phonenumbers.parse(number, country)
    except phonenumbers.NumberParseException:
        return number
    if not phonenumbers.is_possible_number(parsed):
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def wants_privacy(request: Request) -> bool:
    """Whether the caller's number is not to be seen: by Privacy, or by a From that shows none (RFC 3323)."""
    return _wants_privacy(request) or request.from_.uri.host == "anonymous.invalid"


def _wants_privacy(request: Request) -> bool:
    words = {word.strip().lower() for value in request.raw("Privacy") for word in value.split(";")}
    asks = any("privacy=full" in value.lower() for value in request.raw("Remote-Party-ID"))
    return bool(words & _PRIVATE) or asks


def _asserted(request: Request) -> NameAddr | None:
    """The first SIP or tel identity asserted; None where there is none that can be read."""
    for name in ("P-Asserted-Identity", "Remote-Party-ID"):
        for address in _addresses(request, name):
            if address.uri.scheme in ("sip", "sips", "tel") and address.uri.user:
                return address
    return None


def _addresses(request: Request, name: str) -> list[NameAddr]:
    """The addresses of a header that can be read; the others are passed over."""
    found: list[NameAddr] = []
    for value in request.raw(name):
        try:
            found += [NameAddr.parse(item, name) for item in split_list(value, name)[:_MAX_DIVERSIONS]]
        except SipSyntaxError:
            continue
    return found


def _diversions(request: Request, country: str) -> tuple[Diverted, ...]:
    """From Diversion, the newest of which comes first (RFC 5806 section 4), else from History-Info."""
    told = [_diversion(entry) for entry in reversed(_addresses(request, "Diversion"))]
    known = [
        replace(one, number=normalised(one.number, country))
        for one in told or _history(request)
        if one.number and one.number.lower() != ANONYMOUS.number
    ]
    if len(known) > _MAX_DIVERSIONS:
        # The first is what was dialled; what is left out still counts.
        left_out = known[1 : 1 - _MAX_DIVERSIONS]
        counter = min(known[0].counter + sum(one.counter for one in left_out), _MAX_COUNTER)
        known = [replace(known[0], counter=counter), *known[1 - _MAX_DIVERSIONS :]]
    return tuple(known)


def _diversion(entry: NameAddr) -> Diverted:
    reason, counter = (entry.param("reason") or "").lower(), entry.param("counter") or "1"
    return Diverted(
        clean_number(entry.uri.user),
        reason if reason in DIVERSION_REASONS else "unknown",
        min(max(int(counter), 1), _MAX_COUNTER) if _COUNTER.fullmatch(counter) else 1,
        (entry.param("privacy") or "").lower() in ("full", "uri"),
    )


def _history(request: Request) -> list[Diverted]:
    """Each entry but the last was left for the next one, whose URI says why (RFC 4458 section 2)."""
    entries = _addresses(request, "History-Info")
    all_private = any(
        word.strip().lower() == "history" for v in request.raw("Privacy") for word in v.split(";")
    )
    return [
        Diverted(
            clean_number(entry.uri.user),
            _REASONS.get(led_to.uri.param("cause") or "", "unknown"),
            private=all_private or "privacy=history" in entry.uri.headers.lower(),
        )
        for entry, led_to in pairwise(entries)
    ]


def cause_of(reason: str) -> str:
    """The cause of a diversion for this reason, as in a History-Info (RFC 4458 section 2)."""
    return _CAUSES.get(reason, "404")


def _verstat(request: Request) -> str:
    for address in (*_addresses(request, "P-Asserted-Identity"), request.from_):
        found = address.uri.param("verstat") or ""
        if not found and (of_user := _VERSTAT_OF_USER.search(address.uri.user)):
            found = of_user[1]
        if _VERSTAT.fullmatch(found):
            return found
    return ""


def _attributes(request: Request, headers: Mapping[str, str]) -> dict[str, str]:
    values = {name: request.header(header) for header, name in headers.items()}
    return {name: plain(value)[:_MAX_VALUE] for name, value in values.items() if value}
