"""Digest authentication as a server (RFC 7616, RFC 8760; MD5 beside SHA-256 for older phones).

Nonces carry their time and a MAC, so that nothing is kept for a challenge; what is kept, and bounded,
is which counts of a nonce were used (RFC 7616 section 3.4: a count is good once), and which responses of
phones that do not count.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from acd.sip.core.grammar import SipSyntaxError, unquote
from acd.sip.core.message import Request
from acd.sip.core.uri import Uri

_FIELD = re.compile(r'[ \t,]*+([A-Za-z0-9_\-]++)[ \t]*+=[ \t]*+("(?:[^"\\]|\\.)*+"|[^\s,"]++)[ \t]*+')
HASHES = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}
"""The algorithms that we speak, the stronger first."""
_MD5_ONLY = ("baresip", "sipp")
"""User agents that refuse all challenges where one of them is not MD5 (libre before 2.1, SIPp 3.6)."""
_NO_SUCH_HA1 = "0" * 64
_WINDOW = 64
_MAX_FIELDS = 32

Ha1Of = Callable[[str, str], str | None]
"""(user name, algorithm) -> H(user:realm:password) in hex, None or "" for an unknown user."""


class Verdict(Enum):
    VALID = "valid"
    MISSING = "missing"
    """No credentials for our realm: challenge, no failure."""
    STALE = "stale"
    """The password is right, the nonce is not (too old, of another start, or its count was used)."""
    ELSEWHERE = "elsewhere"
    """The password is right, the credentials were made for another Request-URI."""
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Checked:
    verdict: Verdict
    username: str = ""


class DigestServer:
    """Challenges and checks for one realm. `secret` must be unguessable and may change at each start."""

    def __init__(
        self,
        realm: str,
        secret: bytes,
        *,
        accept_without_qop: bool = False,
        nonce_seconds: float = 300.0,
        max_nonces: int = 50_000,
    ) -> None:
        self._realm = realm
        self._secret = secret
        self._accept_without_qop = accept_without_qop
        self._nonce_seconds = nonce_seconds
        self._max_nonces = max_nonces
        self._serial = 0
        self._used: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """Nonce (and response, without qop) -> highest count, and a bit mask of the counts just below it."""

    def challenges(
        self, now: float, *, stale: bool = False, user_agent: str = "", md5_only: bool = False
    ) -> tuple[tuple[str, str], ...]:
        """WWW-Authenticate headers, the stronger algorithm first (RFC 8760 section 2.3).

        MD5 is accepted in any case, so leaving SHA-256 out for a phone that gives up over it costs nothing.
        """
        nonce = self._nonce(now)
        tail = f'nonce="{nonce}", qop="auth"' + (", stale=true" if stale else "")
        names = ("MD5",) if md5_only or user_agent.lower().startswith(_MD5_ONLY) else tuple(HASHES)
        return tuple(
            ("WWW-Authenticate", f'Digest realm="{self._realm}", algorithm={name}, {tail}') for name in names
        )

    def check(self, request: Request, ha1_of: Ha1Of, now: float) -> Checked:
        """Judge a request's credentials. Takes as long for an unknown user as for a wrong password."""
        fields = self._credentials(request)
        if fields is None:
            return Checked(Verdict.MISSING)
        username = fields.get("username", "")
        algorithm = fields.get("algorithm", "MD5").upper()
        if algorithm not in HASHES or not self._is_complete(fields):
            return Checked(Verdict.WRONG, username)
        expected = digest_response(
            algorithm, ha1_of(username, algorithm) or _NO_SUCH_HA1, request.method, fields
        )
        if not hmac.compare_digest(expected, fields["response"].lower().encode("ascii", "replace").decode()):
            return Checked(Verdict.WRONG, username)
        if not _is_for(request, fields["uri"]):
            return Checked(Verdict.ELSEWHERE, username)
        if not self._is_fresh(fields, now):
            return Checked(Verdict.STALE, username)
        return Checked(Verdict.VALID, username)

    def _credentials(self, request: Request) -> Mapping[str, str] | None:
        for value in request.raw("Authorization"):
            scheme, _, rest = value.partition(" ")
            if scheme.lower() == "digest":
                fields = parse_fields(rest)
                if fields.get("realm") == self._realm:
                    return fields
        return None

    def _is_complete(self, fields: Mapping[str, str]) -> bool:
        if not all(fields.get(name) for name in ("username", "nonce", "uri", "response")):
            return False
        if "qop" not in fields:
            return self._accept_without_qop
        return fields["qop"].lower() == "auth" and bool(fields.get("cnonce")) and _count(fields) > 0

    def _nonce(self, now: float) -> str:
        self._serial += 1
        stamp = f"{int(now * 1000):x}-{self._serial:x}"
        return f"{stamp}-{self._mac(stamp)}"

    def _mac(self, stamp: str) -> str:
        return hmac.new(self._secret, f"{stamp}:{self._realm}".encode(), hashlib.sha256).hexdigest()[:32]

    def _is_fresh(self, fields: Mapping[str, str], now: float) -> bool:
        nonce = fields["nonce"]
        stamp, _, mac = nonce.rpartition("-")
        if not hmac.compare_digest(self._mac(stamp).encode(), mac.encode("utf-8", "replace")):
            return False
        age = now - int(stamp.partition("-")[0], 16) / 1000
        if not 0 <= age <= self._nonce_seconds:
            return False
        if "qop" in fields:
            return self._use(nonce, _count(fields))
        # Nothing is counted: what was proven once is not proven again by the same words.
        return self._use(f"{nonce} {fields['response'].lower()}", 1)

    def _use(self, nonce: str, count: int) -> bool:
        """Note that a count was used; False where it was before. Packets may overtake each other a little."""
        highest, mask = self._used.get(nonce, (0, 0))
        if count > highest:
            mask = (
                ((mask << (count - highest)) | 1) & ((1 << _WINDOW) - 1) if count - highest < _WINDOW else 1
            )
            highest = count
        else:
            bit = 1 << (highest - count)
            if highest - count >= _WINDOW or mask & bit:
                return False
            mask |= bit
        self._used[nonce] = (highest, mask)
        self._used.move_to_end(nonce)
        if len(self._used) > self._max_nonces:
            self._used.popitem(last=False)
        return True


def parse_fields(text: str) -> dict[str, str]:
    """`a=1, b="2"` with names in lower case; what follows something malformed is left out."""
    fields: dict[str, str] = {}
    position = 0
    while len(fields) < _MAX_FIELDS and (match := _FIELD.match(text, position)):
        name, value = match.groups()
        fields.setdefault(name.lower(), unquote(value) if value[0] == '"' else value)
        position = match.end()
    return fields


def digest_response(algorithm: str, first: str, method: str, fields: Mapping[str, str]) -> str:
    """The response that the right password gives (RFC 7616 section 3.4.1)."""

    def digest(text: str) -> str:
        return HASHES[algorithm](text.encode("utf-8", "surrogateescape")).hexdigest()

    second = digest(f"{method}:{fields['uri']}")
    if "qop" not in fields:
        return digest(f"{first}:{fields['nonce']}:{second}")
    return digest(f"{first}:{fields['nonce']}:{fields['nc']}:{fields['cnonce']}:{fields['qop']}:{second}")


def _is_for(request: Request, uri: str) -> bool:
    """Whether credentials are for this Request-URI (RFC 7616 section 3.4.6), by whom it names.

    Only two users that differ tell of another target: proxies put another host or other parameters into the
    Request-URI, and some phones write a URI without a user, or none, into all credentials.
    Raises SipSyntaxError.
    """
    if uri == request.uri_text:
        return True
    try:
        meant = Uri.parse(uri).user
    except SipSyntaxError:
        return True
    return not meant or meant == request.uri.user


def _count(fields: Mapping[str, str]) -> int:
    text = fields.get("nc", "")
    try:
        return int(text, 16) if len(text) == 8 else 0
    except ValueError:
        return 0
