"""Digest authentication as a client (RFC 7616, RFC 8760): what a provider asks of us, and what it is told.

An answer to a challenge lets whoever gets it guess at the password, so that credentials are for one realm:
their hashes hold it, and a challenge that names another one is never answered (RFC 3261 section 22.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from acd.sip.core.auth import HASHES, digest_response, parse_fields
from acd.sip.core.grammar import quote
from acd.sip.core.message import Header, Response

_ASKED_BY = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}
_STRONGEST_FIRST = tuple(HASHES)
_MAX_TEXT = 512
_MAX_CHALLENGES = 8
_MOST_STALE = 3
"""Nonces in a row that a peer may call too old before we take it for broken."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """One user in one realm; the hashes are H(user:realm:password) in hex."""

    username: str
    realm: str
    ha1_md5: str
    ha1_sha256: str

    def ha1(self, algorithm: str) -> str:
        return self.ha1_sha256 if algorithm == "SHA-256" else self.ha1_md5


@dataclass(slots=True)
class _Challenge:
    nonce: str
    algorithm: str
    names_algorithm: bool
    with_qop: bool
    opaque: str | None
    count: int = 0


class DigestClient:
    """Answers one peer's challenges. Proxies and the far end each have a challenge of their own."""

    def __init__(self, credentials: Credentials, token: Callable[[], str]) -> None:
        self._credentials = credentials
        self._token = token
        self._challenges: dict[str, _Challenge] = {}
        self._stale = 0
        self._last: list[Header] = []
        self.strange_realm = ""
        """The realm of the last challenge that was not ours to answer."""

    def accept(self, response: Response) -> bool:
        """Take up the challenge of a 401 or 407. False where it is not ours, or the password is wrong."""
        if response.status not in _ASKED_BY:
            return False
        asked, answered = _ASKED_BY[response.status]
        fields = self._chosen(response.raw(asked))
        if fields is None:
            return False
        before = self._challenges.get(answered)
        is_stale = fields.get("stale", "").lower() == "true"
        if before is not None and before.count == 1 and not is_stale:
            return False  # a nonce that was made for this very request: it is the password that is wrong
        self._stale = self._stale + 1 if before is not None and before.count == 1 else 0
        if self._stale > _MOST_STALE:
            return False
        self._challenges[answered] = _challenge(fields)
        return True

    def _chosen(self, values: Iterable[str]) -> Mapping[str, str] | None:
        """The strongest challenge that is for our realm (RFC 8760 section 2.4)."""
        found: dict[str, Mapping[str, str]] = {}
        for value in list(values)[:_MAX_CHALLENGES]:
            scheme, _, rest = value.strip().partition(" ")
            if scheme.lower() != "digest":
                continue
            fields = parse_fields(rest)
            if fields.get("realm", "") != self._credentials.realm:
                self.strange_realm = fields.get("realm", "")
            elif _is_usable(fields):
                found.setdefault(fields.get("algorithm", "MD5").upper(), fields)
        return next((found[name] for name in _STRONGEST_FIRST if name in found), None)

    def headers(self, method: str, uri: str) -> list[Header]:
        """What proves who sends this request; empty before the first challenge."""
        self._last = [
            (name, self._proof(challenge, method, uri)) for name, challenge in self._challenges.items()
        ]
        return self._last

    @property
    def last(self) -> list[Header]:
        """The proof of the request before: the ACK to its 2xx says it again (RFC 3261 section 13.2.2.4)."""
        return self._last

    def _proof(self, challenge: _Challenge, method: str, uri: str) -> str:
        challenge.count += 1
        fields = {"nonce": challenge.nonce, "uri": uri}
        if challenge.with_qop:
            fields |= {"qop": "auth", "nc": f"{challenge.count:08x}", "cnonce": self._token()}
        first = self._credentials.ha1(challenge.algorithm)
        response = digest_response(challenge.algorithm, first, method, fields)
        parts = [
            f"username={quote(self._credentials.username)}",
            f"realm={quote(self._credentials.realm)}",
            f"nonce={quote(challenge.nonce)}",
            f"uri={quote(uri)}",
            f'response="{response}"',
        ]
        if challenge.names_algorithm:
            parts.append(f"algorithm={challenge.algorithm}")
        if challenge.with_qop:
            parts.append(f'cnonce="{fields["cnonce"]}", qop=auth, nc={fields["nc"]}')
        if challenge.opaque is not None:
            parts.append(f"opaque={quote(challenge.opaque)}")
        return f"Digest {', '.join(parts)}"


def _is_usable(fields: Mapping[str, str]) -> bool:
    nonce, opaque = fields.get("nonce", ""), fields.get("opaque", "")
    if not nonce or len(nonce) > _MAX_TEXT or len(opaque) > _MAX_TEXT or not (nonce + opaque).isprintable():
        return False
    qops = [word.strip().lower() for word in fields.get("qop", "auth").split(",")]
    return fields.get("algorithm", "MD5").upper() in HASHES and "auth" in qops


def _challenge(fields: Mapping[str, str]) -> _Challenge:
    return _Challenge(
        nonce=fields["nonce"],
        algorithm=fields.get("algorithm", "MD5").upper(),
        names_algorithm="algorithm" in fields,
        with_qop="qop" in fields,
        opaque=fields.get("opaque"),
    )
