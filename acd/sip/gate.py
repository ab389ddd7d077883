"""The door of the node: requests that are refused before anything is kept for them.

What is answered here has no transaction, dialog or call behind it (RFC 3261 section 8.2.7): a flood of
strangers costs a look at the message and one answer each, and no memory.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from acd.clock import Clock
from acd.sip.core.checks import Fault
from acd.sip.core.events import Flow
from acd.sip.core.message import Request
from acd.sip.guard import Guard, Refused
from acd.sip.overload import Changed, Overload, OverloadLimits, retry_after

log = structlog.get_logger(__name__)

_LATER = {"INVITE": (2, 4), "REGISTER": (5, 25)}
"""Least seconds, and how many more, after which a refused peer may try again."""


class Gate:
    """Screens each new request outside of dialogs."""

    def __init__(
        self, guard: Guard, limits: OverloadLimits, live_calls: Callable[[], int], clock: Clock
    ) -> None:
        self._guard = guard
        self._overload = Overload(limits, _log_change)
        self._live_calls = live_calls
        self._clock = clock

    @property
    def overloaded(self) -> bool:
        """Whether new calls are being refused."""
        return self._overload.active

    def lagged(self, seconds: float) -> None:
        """Hear how late the event loop runs."""
        self._overload.lagged(seconds, self._clock.monotonic())

    def took_call(self) -> None:
        """Count a call that was let in."""
        self._overload.took_call(self._clock.monotonic())

    def screen(self, request: Request, flow: Flow, now: float) -> Fault | None:
        """What to answer at once, or None where the request is to be served."""
        if request.method == "REGISTER":
            refused = self._overloaded(request, flow, now) or self._unproven(request, flow)
        else:  # who proves nothing must not use up what callers may have
            refused = self._unproven(request, flow) or self._overloaded(request, flow, now)
        return None if refused is None else Fault(refused.status, headers=refused.headers)

    def _unproven(self, request: Request, flow: Flow) -> Refused | None:
        """Challenge who brings no credentials and needs some."""
        if request.method == "OPTIONS" or request.raw("Authorization"):
            return None
        if request.method != "REGISTER" and self._guard.trunk_of(flow) is not None:
            return None
        answer = self._guard.authenticate(request, flow)
        return answer if isinstance(answer, Refused) else None

    def _overloaded(self, request: Request, flow: Flow, now: float) -> Refused | None:
        cause: str | None = None
        if request.method == "INVITE":
            cause = self._overload.refuses_call(self._live_calls(), _name_of(request), now)
        elif request.method == "REGISTER":
            cause = self._overload.refuses_register(now, known=self._guard.is_known(flow))
        if cause is None:
            return None
        after = retry_after(request.call_id, *_LATER[request.method])
        return self._guard.refuse(Refused(503, cause, (("Retry-After", after),)))


def _name_of(request: Request) -> int:
    """The same for a repetition of a request, and for no other."""
    return hash((request.via_key, request.call_id, request.cseq.number))


def _log_change(change: Changed) -> None:
    if change.entered:
        log.warning("overload.entered", what=change.what, cause=change.cause)
    else:
        log.warning(
            "overload.left",
            what=change.what,
            cause=change.cause,
            seconds=round(change.seconds, 1),
            refused=change.refused,
        )
