"""What a call to a trunk says of the caller and of our call, by the rules of the trunk. Pure.

Values come from callers and from the headers of other trunks: each is bounded and plain, so that none of them
can end a header and begin another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from acd.directory.model import Trunk
from acd.sip.core.grammar import Params, plain
from acd.sip.core.message import Header
from acd.sip.core.uri import NameAddr, Uri
from acd.sip.identity import ANONYMOUS, Diverted, cause_of

_MAX_VALUE = 256
_ANONYMOUS = NameAddr(Uri(host="anonymous.invalid", user="anonymous"), "Anonymous")
"""RFC 3323 section 4.1.1.3."""


@dataclass(frozen=True, slots=True)
class Presented:
    """Whom the called are to see."""

    number: str = ""
    """Empty: no number is known."""
    name: str = ""
    withheld: bool = False
    """The called are not to see the number; a trusted trunk is told it all the same, with `Privacy: id`."""
    diversions: tuple[Diverted, ...] = ()
    """The numbers that the call was diverted from, the oldest first and ours last, where it goes on to the
    outside for its caller."""


def presented(caller: Presented, trunk: Trunk, host: str, target: Uri) -> tuple[NameAddr, Sequence[Header]]:
    """From, and the headers of RFC 3323, RFC 3325, RFC 5806 or RFC 7044. `host` is what we call ourselves."""
    number = "" if caller.number == ANONYMOUS.number else caller.number
    withheld = caller.withheld or caller.number == ANONYMOUS.number
    shown = NameAddr(Uri(host=host, user=number or ANONYMOUS.number), plain(caller.name)[:_MAX_VALUE])
    headers: list[Header] = []
    if trunk.trusted and number:
        headers.append(("P-Asserted-Identity", str(shown)))
    elif trunk.from_user == "account" and number and not withheld:
        # Which of our numbers to show, to a network that checks it (RFC 3325 section 9.2).
        headers.append(("P-Preferred-Identity", str(shown)))
    if withheld:
        headers.append(("Privacy", "id"))
    if caller.diversions:
        # Whose calls others have diverted is for a network that keeps it to itself.
        known = caller.diversions if trunk.trusted else caller.diversions[-1:]
        headers += _diversion(known, trunk, host, target)
    if trunk.from_user == "account":
        name = _ANONYMOUS.display if withheld else shown.display
        return NameAddr(Uri(host=host, user=trunk.username), name), headers
    return (_ANONYMOUS if withheld else shown), headers


def _diversion(known: Sequence[Diverted], trunk: Trunk, host: str, target: Uri) -> Sequence[Header]:
    match trunk.diversion:
        case "diversion":
            # The newest comes first (RFC 5806 section 4).
            return [("Diversion", ", ".join(_entry(one, host) for one in reversed(known)))]
        case "history-info":
            return [("History-Info", _history(known, host, target))]
        case _:
            return []


def _entry(one: Diverted, host: str) -> str:
    private = ";privacy=full" if one.private else ""
    return f"<{Uri(host=host, user=one.number)}>;reason={one.reason};counter={one.counter}{private}"


def _history(known: Sequence[Diverted], host: str, target: Uri) -> str:
    """The whole way, and where it leads now. The cause of a diversion is a parameter of the URI that it led
    to (RFC 4458 section 2), `mp` the index of the one that it led from (RFC 7044 section 5)."""
    entries, index, cause = [], "1", ""
    for one in known:
        private = "Privacy=history" if one.private else ""
        uri = Uri(host=host, user=one.number, params=_cause(cause), headers=private)
        entries.append(f"<{uri}>;index={index}{_mapped_from(index)}")
        index, cause = f"{index}.1", cause_of(one.reason)
    led_to = Uri(host=target.host, user=target.user, port=target.port, params=_cause(cause))
    return ", ".join([*entries, f"<{led_to}>;index={index}{_mapped_from(index)}"])


def _cause(cause: str) -> Params:
    return (("cause", cause),) if cause else ()


def _mapped_from(index: str) -> str:
    before = index.rpartition(".")[0]
    return f";mp={before}" if before else ""


def own_headers(trunk: Trunk, about: Mapping[str, str]) -> Sequence[Header]:
    """The headers of the directory with what is known of the call; what is not known is left out."""
    found = ((header, plain(about.get(word, ""))[:_MAX_VALUE]) for header, word in trunk.send_headers.items())
    return [(header, value) for header, value in found if value]
