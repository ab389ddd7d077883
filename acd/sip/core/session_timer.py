"""Session timers (RFC 4028): a peer that is gone without a BYE is noticed, and its call ended."""

from __future__ import annotations

from typing import Protocol

from acd.sip.core.dialog import Dialog
from acd.sip.core.events import EndedBy
from acd.sip.core.message import Header, Request, Response
from acd.sip.core.requests import SUPPORTED, Hub, prove, send_within
from acd.sip.core.session_expires import LEAST_SECONDS, has_timer, least_of, session_expires
from acd.sip.core.timers import Timer
from acd.sip.core.transaction import ClientTransaction, Lost

_LONGEST_SECONDS = 86_400
_GONE = (408, 481)
_NO_UPDATE = (405, 501)
_RETRY_SECONDS = 5.0


class Refreshable(Protocol):
    """The leg, as its session timer sees it."""

    dialog: Dialog

    def renew_session(self, now: float) -> None:
        """Say the session again by a re-INVITE."""
        ...

    def break_off(self, by: EndedBy, status: int, reason: str, now: float) -> None: ...


class SessionTimer:
    """The interval of a leg and who refreshes it. Where the peer says nothing of timers, it does nothing."""

    def __init__(self, hub: Hub, leg: Refreshable) -> None:
        self._hub = hub
        self._leg = leg
        self._wanted = hub.wire.config.session_seconds
        self._seconds = 0
        self._least = LEAST_SECONDS
        self._is_ours = False
        self._is_updating = True
        self._timer: Timer | None = None

    # What our messages say.

    def request_headers(self) -> list[Header]:
        """For an INVITE, a re-INVITE or an UPDATE of ours."""
        seconds = max(self._seconds or self._wanted, self._least if self._wanted or self._seconds else 0)
        headers = [SUPPORTED]
        if seconds:
            role = ";refresher=" + ("uac" if self._is_ours else "uas") if self._seconds else ""
            headers.append(("Session-Expires", f"{seconds}{role}"))
        if self._least > LEAST_SECONDS:
            headers.append(("Min-SE", str(self._least)))
        return headers

    def accept(self, request: Request, now: float) -> list[Header]:
        """Settle what a request of the peer asks for; the headers of our 2xx (section 9)."""
        self._note_methods(request)
        asked = session_expires(request)
        knows = has_timer(request)
        if asked is None and not (knows and self._wanted):
            self.stop()
            return []
        least = max(least_of(request), self._least)
        longest = self._wanted or _LONGEST_SECONDS
        seconds = max(min(asked.seconds if asked else longest, longest), least)
        theirs = knows and asked is not None and asked.refresher == "uac"
        self._start(seconds, not theirs, now)
        headers: list[Header] = [("Session-Expires", f"{seconds};refresher={'uac' if theirs else 'uas'}")]
        return [("Require", "timer"), *headers] if theirs else headers

    def confirm(self, response: Response, now: float) -> None:
        """Take what the 2xx to a request of ours settles (section 7.2)."""
        self._note_methods(response)
        told = session_expires(response)
        if told is None:
            self.stop()
        else:
            self._start(max(told.seconds, LEAST_SECONDS), told.refresher != "uas", now)

    def is_too_small(self, response: Response) -> bool:
        """Whether a 422 asks for a longer interval, which the next request then carries."""
        asked = least_of(response)
        if response.status != 422 or asked <= self._least:
            return False
        self._least = asked
        return True

    def _note_methods(self, message: Request | Response) -> None:
        allowed = message.values("Allow")
        if allowed:
            self._is_updating = any(method.upper() == "UPDATE" for method in allowed)

    # The clock.

    def _start(self, seconds: int, is_ours: bool, now: float) -> None:
        self.stop()
        self._seconds, self._is_ours = seconds, is_ours
        # Who does not refresh says BYE a little before the end (section 10).
        due = seconds / 2 if is_ours else seconds - min(32, seconds / 3)
        if is_ours and (at_most := self._hub.wire.config.session_refresh_seconds):
            due = min(due, at_most)
        self._timer = self._hub.wire.timers.set(now + due, self._refresh if is_ours else self._expire)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._seconds = 0

    def _expire(self, now: float) -> None:
        self._timer = None
        self._leg.break_off("timeout", 0, "Session expired", now)

    def _refresh(self, now: float) -> None:
        self._timer = None
        if not self._is_updating:
            self._leg.renew_session(now)
            return
        headers = [("Contact", self._leg.dialog.contact), *self.request_headers()]
        send_within(self._hub, self._leg.dialog, "UPDATE", self, now, headers=headers)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """What the peer says to an UPDATE of ours."""
        if response.status < 200 or not self._seconds:
            return
        if response.status < 300:
            self._leg.dialog.refresh_target(response)
            self.confirm(response, now)
        elif response.status in _GONE:
            self._leg.break_off("remote", response.status, response.reason, now)
        elif response.status in _NO_UPDATE:
            self._is_updating = False
            self._refresh(now)
        elif self.is_too_small(response):
            self._refresh(now)
        elif prove(self._hub, self._leg.dialog, self, transaction, response, now) is None:
            self._timer = self._hub.wire.timers.set(now + _RETRY_SECONDS, self._refresh)

    def on_no_response(self, transaction: ClientTransaction, why: Lost, now: float) -> None:
        if self._seconds:
            self._leg.break_off(why, 408 if why == "timeout" else 503, "", now)
