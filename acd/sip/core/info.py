"""Keys that phones send as INFO."""

from __future__ import annotations

_TYPES = ("application/dtmf-relay", "application/dtmf")
_KEYS = frozenset("0123456789*#ABCD")


def digit_of(content_type: str, body: bytes) -> str:
    """The key of a DTMF INFO (`Signal=5` or the bare key), or nothing."""
    if content_type.partition(";")[0].strip().lower() not in _TYPES:
        return ""
    keys = (_key_in(line) for line in body.decode("ascii", "replace").splitlines())
    return next((key for key in keys if key in _KEYS), "")


def _key_in(line: str) -> str:
    name, equals, value = line.partition("=")
    if equals:
        return value.strip().upper() if name.strip().lower() == "signal" else ""
    return name.strip().upper()
