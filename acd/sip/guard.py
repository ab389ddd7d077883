"""Who sends a request, and whether it may: trunks by source, agents by digest, nobody else."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from acd.clock import Clock
from acd.config import SecuritySection
from acd.directory.model import Agent, Directory, Trunk
from acd.sip.buckets import TokenBuckets
from acd.sip.core.auth import DigestServer, Verdict
from acd.sip.core.events import Flow
from acd.sip.core.message import Request
from acd.sip.lines import meant
from acd.sip.trunks import TrunkTable

_security = logging.getLogger("acd.security")

_MAX_NAME = 64
_NAMED_METHODS = frozenset(
    ("INVITE", "REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE", "REFER", "PUBLISH", "NOTIFY", "INFO", "UPDATE")
)

_OF_BROWSERS = ("ws", "wss")
"""JsSIP and SIP.js know MD5 only, and each looks at one challenge of several: the last, the first."""

Headers = tuple[tuple[str, str], ...]

RETRY_AFTER: Headers = (("Retry-After", "5"),)
"""Of a 503 that may be over at any moment."""


@dataclass(frozen=True, slots=True)
class Refused:
    """What the request is answered with, and a fixed word why."""

    status: int
    cause: str
    headers: Headers = ()


def _nameless(flow: Flow) -> frozenset[str]:
    """Certificates, where nobody reads them."""
    return frozenset()


def _nowhere(address: str) -> tuple[str, ...]:
    """Trunks by the address of a host, where there are none."""
    return ()


class Guard:
    """Identifies, limits and reports. Its answers never depend on whether a user exists."""

    def __init__(
        self,
        digest: DigestServer,
        directory: Callable[[], Directory],
        is_phone_host: Callable[[str], bool],
        clock: Clock,
        limits: SecuritySection,
        certified: Callable[[Flow], frozenset[str]] = _nameless,
        trunks_at: Callable[[str], tuple[str, ...]] = _nowhere,
    ) -> None:
        self._trunks_at = trunks_at
        self._certified = certified
        self._digest = digest
        self._directory = directory
        self._is_phone_host = is_phone_host
        self._clock = clock
        self._trunks = TrunkTable({})
        self._requests = TokenBuckets(rate=limits.requests_per_second, burst=limits.requests_burst)
        self._failures = TokenBuckets(rate=limits.failures_per_second, burst=limits.failures_burst)
        self._guesses = TokenBuckets(rate=limits.user_failures_per_second, burst=limits.user_failures_burst)
        """By user name, whether there is such a user or not."""
        self._packets = TokenBuckets(rate=limits.packets_per_second, burst=limits.packets_burst)
        self.rejected: Counter[str] = Counter()
        """Requests turned away, by cause."""

    def trunk_of(self, flow: Flow, request: Request | None = None) -> Trunk | None:
        """The trunk that this peer belongs to, by the directory of this moment.

        What its certificate says counts before its address. Hosts that we call may call us too; of several
        trunks at one address the request is for the one to whose Contact it was sent, else for the first.
        """
        trunks = self._directory().trunks
        if not self._trunks.is_of(trunks):
            self._trunks = TrunkTable(trunks)
        if flow.transport == "tls" and (named := self._trunks.named(self._certified(flow))):
            return named
        host = flow.remote[0]
        matched = self._trunks.find(host)
        at = [trunks[name] for name in self._trunks_at(host) if name in trunks]
        found = at if matched is None else [matched, *(trunk for trunk in at if trunk is not matched)]
        if len(found) > 1 and request is not None and (trunk := meant(found, request.uri)):
            return trunk
        return found[0] if found else None

    def is_known(self, flow: Flow) -> bool:
        """Whether the peer is a trunk, or at the address of a registered phone."""
        return self.trunk_of(flow) is not None or self._is_phone_host(flow.remote[0])

    def admits(self, flow: Flow) -> bool:
        """Whether bytes of this peer are worth reading; strangers have a limit."""
        return self.is_known(flow) or self._packets.take(flow.remote[0], self._clock.monotonic())

    def admits_unauthenticated(self, flow: Flow) -> Refused | None:
        """Charge a request that needs no credentials (OPTIONS); None where it may be answered."""
        if self.is_known(flow) or self._requests.take(flow.remote[0], self._clock.monotonic()):
            return None
        return self._limited(flow.remote[0], self._requests)

    def identify_caller(self, request: Request, flow: Flow) -> Trunk | Agent | Refused:
        """Who sends an INVITE outside of a dialog."""
        trunk = self.trunk_of(flow, request)
        return trunk if trunk is not None else self.authenticate(request, flow)

    def authenticate(self, request: Request, flow: Flow) -> Agent | Refused:
        """The agent whose credentials the request carries. Unknown users and wrong passwords look alike."""
        source, now = flow.remote[0], self._clock.monotonic()
        if self._failures.is_empty(source, now):
            return self._limited(source, self._failures)
        if not self._requests.take(source, now):
            return self._limited(source, self._requests)
        agents = self._directory().agent_by_extension
        checked = self._digest.check(request, lambda user, algorithm: _ha1(agents.get(user), algorithm), now)
        agent = agents.get(checked.username)
        if self._is_guessed(checked.username[:_MAX_NAME], source, now):
            if checked.verdict is Verdict.WRONG:
                self._fail(checked.username, request.method, flow, now)
            return self._limited(checked.username[:_MAX_NAME], self._guesses)
        if checked.verdict is Verdict.VALID and agent is not None:
            self._requests.give_back(source, now, 2)  # this request, and the one that was challenged
            return agent
        if checked.verdict is Verdict.ELSEWHERE:
            return self.refuse(Refused(400, "other-uri"))  # RFC 7616 section 3.4.6
        if checked.verdict is Verdict.WRONG:
            self._fail(checked.username, request.method, flow, now)
        cause = {Verdict.WRONG: "auth-failure", Verdict.STALE: "stale-nonce"}.get(
            checked.verdict, "challenged"
        )
        return self.refuse(
            Refused(
                401,
                cause,
                self._digest.challenges(
                    now,
                    stale=checked.verdict is Verdict.STALE,
                    user_agent=request.header("User-Agent") or "",
                    md5_only=flow.transport in _OF_BROWSERS,
                ),
            )
        )

    def _is_guessed(self, user: str, source: str, now: float) -> bool:
        """Whether many addresses together try passwords of this user; where its phone is, it may go on."""
        return bool(user) and self._guesses.is_empty(user, now) and not self._is_phone_host(source)

    def _fail(self, user: str, method: str, flow: Flow, now: float) -> None:
        """Charge a wrong password to its source and to the user it was tried for."""
        self._failures.take(flow.remote[0], now)
        self._guesses.take(user[:_MAX_NAME], now)
        self.report("auth-failure", method, flow)

    def refuse(self, refused: Refused) -> Refused:
        """Count a refusal."""
        self.rejected[refused.cause] += 1
        return refused

    def report(self, event: str, method: str, flow: Flow) -> None:
        """Write the one line that a ban tool reads: the socket's peer and fixed words only."""
        named = method if method in _NAMED_METHODS else "OTHER"
        _security.warning(
            "acd-security event=%s method=%s source=%s transport=%s",
            event,
            named,
            flow.remote[0],
            flow.transport,
        )

    def _limited(self, key: str, buckets: TokenBuckets) -> Refused:
        seconds = math.ceil(buckets.seconds_to_token(key, self._clock.monotonic()))
        return self.refuse(Refused(503, "rate-limited", (("Retry-After", str(max(1, seconds))),)))


def _ha1(agent: Agent | None, algorithm: str) -> str | None:
    if agent is None:
        return None
    return agent.ha1_sha256 if algorithm == "SHA-256" else agent.ha1_md5
