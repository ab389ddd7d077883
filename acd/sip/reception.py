"""Requests outside of calls: whether we are here, phones that register, phones that watch."""

from __future__ import annotations

from collections.abc import Callable

from acd.directory.model import Agent
from acd.sip.core.events import RequestReceived, SubscriptionAsked
from acd.sip.core.grammar import SipSyntaxError
from acd.sip.core.wire import ALLOW
from acd.sip.endpoint import SipEndpoint
from acd.sip.guard import RETRY_AFTER, Guard, Refused
from acd.sip.lamps import Lamps
from acd.sip.registrar import Registrar


class Reception:
    """Answers them, once it is known who asks."""

    def __init__(
        self,
        endpoint: SipEndpoint,
        guard: Guard,
        registrar: Registrar,
        lamps: Lamps,
        draining: Callable[[], bool],
    ) -> None:
        self._endpoint = endpoint
        self._guard = guard
        self._registrar = registrar
        self._lamps = lamps
        self._draining = draining

    def take(self, event: RequestReceived) -> None:
        method, flow = event.request.method, event.flow
        if method == "OPTIONS":
            self._answer_options(event)
            return
        # Also a trunk's address does not register anybody's phone without the password.
        identify = self._guard.authenticate if method == "REGISTER" else self._guard.identify_caller
        who = identify(event.request, flow)
        if isinstance(who, Refused):
            self._endpoint.respond(event.transaction, who.status, headers=who.headers)
        elif method == "REGISTER" and isinstance(who, Agent):
            self._register(event, who)
        elif method == "SUBSCRIBE" and isinstance(who, Agent):
            self._endpoint.trust(flow)
            self._lamps.subscribe(event, who)
        elif method in ("SUBSCRIBE", "REFER"):
            # A carrier watches nobody, and nobody transfers from outside of a call.
            self._endpoint.respond(event.transaction, 403)
        else:
            self._endpoint.respond(event.transaction, 405, headers=(("Allow", ALLOW),))

    def renew_watcher(self, event: SubscriptionAsked) -> None:
        """Known by the flow that it was made on, else by the password."""
        owner, is_same_flow = self._lamps.owner_of(event) or ("", True)
        if not is_same_flow:
            who = self._guard.authenticate(event.request, event.flow)
            if isinstance(who, Refused):
                self._endpoint.respond(event.transaction, who.status, headers=who.headers)
                return
            if who.id != owner:
                self._endpoint.respond(event.transaction, 403)
                return
        self._lamps.renew(event)

    def _answer_options(self, event: RequestReceived) -> None:
        """Say that we are here, and whether we take calls (RFC 3261 section 11.2)."""
        refused = self._guard.admits_unauthenticated(event.flow)
        if refused is None and self._draining():
            refused = Refused(503, "draining", RETRY_AFTER)
        if refused is not None:
            self._endpoint.respond(event.transaction, refused.status, headers=refused.headers)
            return
        if self._guard.trunk_of(event.flow):
            self._endpoint.trust(event.flow)
        headers = (("Allow", ALLOW), ("Accept", "application/sdp"))
        self._endpoint.respond(event.transaction, 200, headers=headers)

    def _register(self, event: RequestReceived, agent: Agent) -> None:
        try:
            answer = self._registrar.register(event.request, agent, event.flow)
        except SipSyntaxError as error:
            self._endpoint.respond(event.transaction, 400, reason=f"Bad {error.part}")
            return
        self._endpoint.trust(event.flow)
        self._endpoint.respond(event.transaction, answer.status, headers=answer.headers)
