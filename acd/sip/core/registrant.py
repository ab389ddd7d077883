"""A registration of ours with a provider (RFC 3261 section 10.2): proven, renewed in time, tried again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from acd.sip.core.credentials import Credentials, DigestClient
from acd.sip.core.dialog import MOST_HOPS
from acd.sip.core.events import Flow, RegistrationDue, RegistrationFailed, RegistrationMade
from acd.sip.core.grammar import SipSyntaxError
from acd.sip.core.message import Header, Response
from acd.sip.core.requests import Hub
from acd.sip.core.timers import Timer
from acd.sip.core.transaction import ClientTransaction, Lost
from acd.sip.core.uri import NameAddr, Uri
from acd.sip.core.verdict import retry_after

_LEAST_SECONDS = 10
_LONGEST_SECONDS = 86_400
_PATIENCE_SECONDS = 8.0
"""For an answer: sooner than 64*T1, since another host may bind us."""
_FIRST_PAUSE = 5.0
_LONGEST_PAUSE = 600.0
_REFUSED_PAUSE = 300.0
"""After a refusal that more of the same does not mend; providers ban who tries wrong passwords."""
_MAX_DOUBLINGS = 10
_LASTING = frozenset((403, 404, 405, 410, 416, 501, 604, 606))

Why = Literal["refused", "credentials", "timeout", "transport"]


@dataclass(frozen=True, slots=True)
class Account:
    """Whom we register as, and where. `seconds` is how long we ask to be bound."""

    aor: Uri
    contact_user: str
    seconds: int
    credentials: Credentials | None = None
    line: str = ""
    """Of this account alone: a parameter of our Contact, by which a call says whose it is."""


class Registrant:
    """One account. Its owner says over which flow to register; between that it keeps the time itself."""

    def __init__(self, hub: Hub, name: str, account: Account) -> None:
        self._hub = hub
        self._name = name
        self._account = account
        self._seconds = account.seconds
        self._call_id = hub.wire.token()
        self._tag = hub.wire.token()
        self._number = 0
        self._failures = 0
        self._proof: DigestClient | None = None
        self._flow: Flow | None = None
        self._asking: ClientTransaction | None = None
        self._due: Timer | None = None
        self._is_bound = False
        self._is_over = False

    @property
    def flow(self) -> Flow | None:
        """Where we registered over last."""
        return self._flow

    def register(self, flow: Flow, now: float) -> None:
        """Ask to be bound, or to stay so. An attempt under way over the same way is left to its end."""
        if self._is_over or (self._asking is not None and flow.remote == self._asking.flow.remote):
            return
        self._asking = None
        self._stop_clock()
        if self._proof is None or self._flow is None or flow.remote != self._flow.remote:
            credentials = self._account.credentials
            # What one host was told is not for another one (a nonce is good where it was made).
            self._proof = DigestClient(credentials, self._hub.wire.token) if credentials else None
        self._flow = flow
        self._send(flow, now)

    def lost(self, now: float) -> None:
        """The flow that calls would come over is gone: say so that we are here, at once."""
        if self._is_bound and self._asking is None and not self._is_over:
            self._stop_clock()
            self._fall_due(now, 0.0)

    def end(self, now: float) -> None:
        """Be bound no longer, as far as the provider still hears of it."""
        self._is_over = True
        self._stop_clock()
        if self._is_bound and self._flow is not None:
            self._is_bound = False
            self._seconds = 0
            self._send(self._flow, now)

    @property
    def _registrar(self) -> str:
        return str(Uri(host=self._account.aor.host, port=self._account.aor.port))

    def _send(self, flow: Flow, now: float) -> None:
        self._number += 1
        headers = self._headers(flow, self._seconds)
        self._asking = self._hub.request(
            "REGISTER", self._registrar, self._number, headers, b"", flow, self, now
        )
        self._asking.give_up_at(now + _PATIENCE_SECONDS)

    def _headers(self, flow: Flow, seconds: int) -> Sequence[Header]:
        wire, aor = self._hub.wire, self._account.aor
        proof = self._proof.headers("REGISTER", self._registrar) if self._proof else []
        return [
            ("Max-Forwards", str(MOST_HOPS)),
            ("From", str(NameAddr(aor).with_tag(self._tag))),
            ("To", str(NameAddr(aor))),
            ("Call-ID", self._call_id),
            ("Contact", wire.contact(flow, self._account.contact_user, line=self._account.line)),
            ("Expires", str(seconds)),
            ("User-Agent", wire.config.user_agent),
            *proof,
        ]

    # What comes of it.

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        if response.status < 200 or transaction is not self._asking:
            return
        self._flow, self._asking = transaction.flow, None
        if self._is_over:
            self._on_leaving(response, transaction.flow, now)
        elif response.status < 300:
            self._on_bound(response, now)
        elif response.status == 423 and (least := _min_expires(response)) > self._seconds:
            self._seconds = least
            self._send(transaction.flow, now)
        elif self._proof is not None and self._proof.accept(response):
            self._send(transaction.flow, now)
        elif response.status in (401, 407):
            realm = self._proof.strange_realm if self._proof else ""
            self._fail(response.status, "credentials", now, pause=_REFUSED_PAUSE, realm=realm)
        else:
            pause = _REFUSED_PAUSE if response.status in _LASTING else 0.0
            self._fail(response.status, "refused", now, pause=pause, retry_after=retry_after(response))

    def _on_leaving(self, response: Response, flow: Flow, now: float) -> None:
        """Say it again where the proof was too old, or where we were bound after all meanwhile."""
        is_bound = response.status < 300 and self._seconds > 0
        if is_bound:
            self._seconds = 0
        if is_bound or (self._seconds == 0 and self._proof is not None and self._proof.accept(response)):
            self._send(flow, now)

    def on_no_response(self, transaction: ClientTransaction, why: Lost, now: float) -> None:
        if transaction is self._asking and not self._is_over:
            self._asking = None
            self._fail(408 if why == "timeout" else 503, why, now)

    def _on_bound(self, response: Response, now: float) -> None:
        """Say it again after eight to nine tenths of the time, so that many accounts do not come together."""
        self._is_bound = True
        self._failures = 0
        seconds = self._granted(response)
        dice = self._hub.wire.dice() % 1000 / 1000
        self._fall_due(now, seconds * (0.8 + 0.1 * dice))
        self._hub.emit(RegistrationMade(self._name, seconds))

    def _granted(self, response: Response) -> int:
        """How long the provider keeps us: by our contact, else by Expires, else as asked (section 10.2.4)."""
        told: str | None = None
        try:
            ours = [one for one in response.contacts if one.uri.user == self._account.contact_user]
            told = next((one.param("expires") for one in ours if one.param("expires")), None)
        except SipSyntaxError:
            told = None
        told = told or response.header("Expires")
        if told is None or not (told.isascii() and told.isdigit() and len(told) <= 10):
            return self._seconds
        return min(max(int(told), _LEAST_SECONDS), _LONGEST_SECONDS)

    def _fail(
        self,
        status: int,
        why: Why,
        now: float,
        *,
        pause: float = 0.0,
        retry_after: float = 0.0,
        realm: str = "",
    ) -> None:
        """Try again later: after twice as long each time, and at a moment of our own choice."""
        self._is_bound = False
        longest = min(_FIRST_PAUSE * 2 ** min(self._failures, _MAX_DOUBLINGS), _LONGEST_PAUSE)
        dice = self._hub.wire.dice() % 1000 / 1000
        seconds = max(longest * (0.5 + 0.5 * dice), pause, retry_after)
        self._failures += 1
        self._proof = None
        self._fall_due(now, seconds)
        self._hub.emit(RegistrationFailed(self._name, status, why, seconds, realm, retry_after))

    # The clock.

    def _fall_due(self, now: float, seconds: float) -> None:
        self._due = self._hub.wire.timers.set(now + seconds, self._on_due)

    def _on_due(self, now: float) -> None:
        self._due = None
        self._hub.emit(RegistrationDue(self._name))

    def _stop_clock(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


def _min_expires(response: Response) -> int:
    """What a 423 asks for at least; 0 where it says nothing that makes sense."""
    text = response.header("Min-Expires") or ""
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else 0
    return seconds if seconds <= _LONGEST_SECONDS else 0
