"""Small pieces of the SIP grammar (RFC 3261 section 25.1) that several header fields share.

Every pattern here is linear in its input: repetitions are possessive (`*+`), so that a hostile
header cannot make the matcher go back over what it has read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from acd.errors import AcdError

Params = tuple[tuple[str, str | None], ...]
"""Parameters in order; names in lower case, values unquoted, None where there is no `=`."""


class SipSyntaxError(AcdError):
    """The peer broke the grammar. `part` is a fixed word: what of the message is wrong."""

    sip_status = 400
    cause = "sip-syntax"

    def __init__(self, part: str, detail: str = "") -> None:
        super().__init__(f"{part}: {detail}" if detail else part)
        self.part = part


_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_PARAM = re.compile(
    r"[ \t]*+;[ \t]*+([A-Za-z0-9\-.!%*_+`'~]++)"
    rf"(?:[ \t]*+=[ \t]*+({_QUOTED}|[^\s;,\"=<>]++))?+[ \t]*+",
    re.DOTALL,
)
_LIST_ITEM = re.compile(rf'(?:{_QUOTED}|<[^<>]*+>|[^",<>])*+', re.DOTALL)
_GAPS = re.compile("\0+")
_SLASHED = re.compile(r"\\(.)", re.DOTALL)
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9\-.!%*_+`'~:\[\]/?@&$]+")
_MAX_LIST_ITEMS = 256


def param_of(params: Params, name: str) -> str | None:
    """Value of a parameter by its lower-case name; "" where it has none; None where it is absent."""
    for key, value in params:
        if key == name:
            return value or ""
    return None


def parse_params(text: str, part: str) -> Params:
    """Parse `;a=1;b="x";c` as a whole. Raises SipSyntaxError naming `part`."""
    if not text:
        return ()
    found: list[tuple[str, str | None]] = []
    position, end = 0, len(text)
    while position < end:
        match = _PARAM.match(text, position)
        if match is None:
            raise SipSyntaxError(part, "malformed parameter")
        name, value = match.groups()
        if value is not None and value[0] == '"':
            value = unquote(value)
        found.append((name.lower(), value))
        position = match.end()
    return tuple(found)


def format_params(params: Iterable[tuple[str, str | None]]) -> str:
    """Write parameters; a value that is not plain text is quoted."""
    return "".join(
        f";{name}" if value is None else f";{name}={value if _PLAIN_VALUE.fullmatch(value) else quote(value)}"
        for name, value in params
    )


def split_list(value: str, part: str) -> list[str]:
    """Split a header value at its commas, not within quotes or brackets (RFC 3261 section 7.3.1)."""
    if "," not in value:
        return [value]
    items: list[str] = []
    position, end = 0, len(value)
    while True:
        match = _LIST_ITEM.match(value, position)
        if match is None or len(items) >= _MAX_LIST_ITEMS:
            raise SipSyntaxError(part, "malformed list")
        item = match[0].strip(" \t")
        if item:
            items.append(item)
        position = match.end()
        if position == end:
            return items
        if value[position] != ",":
            raise SipSyntaxError(part, "unbalanced quotes or brackets")
        position += 1


def quote(text: str) -> str:
    """Write text as a quoted-string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    """Take the quotes and quoted-pairs off a quoted-string."""
    inner = text[1:-1]
    return _SLASHED.sub(r"\1", inner) if "\\" in inner else inner


def plain(text: str) -> str:
    """Text that is safe to log, store and send on: no control characters, no broken UTF-8."""
    if text.isprintable():
        return text
    marked = "".join(character if character.isprintable() else "\0" for character in text)
    return _GAPS.sub(" ", marked).strip()
