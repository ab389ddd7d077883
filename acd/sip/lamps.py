"""Who watches whom: subscriptions of phones to agents' calls and to their own messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from acd.directory.model import Agent, Directory
from acd.sip.core.events import Flow, RequestReceived, SubscriptionAsked, SubscriptionOver
from acd.sip.core.grammar import SipSyntaxError
from acd.sip.watching import (
    CONTENT_TYPES,
    ExpiryBounds,
    MessageCount,
    Package,
    PhoneState,
    Unwanted,
    dialog_info,
    message_summary,
    seconds_of,
    wanted_of,
)

log = structlog.get_logger(__name__)

Messages = Callable[[str], MessageCount]
"""Box -> voice messages."""


def no_messages(box: str) -> MessageCount:
    """Of a service that keeps none."""
    return MessageCount()


class Notifying(Protocol):
    """The endpoint, as watchers need it."""

    def respond(
        self, transaction: str, status: int, *, reason: str = "", headers: Sequence[tuple[str, str]] = ()
    ) -> None: ...

    def accept_subscription(self, transaction: str, seconds: int) -> str | None: ...

    def renew_subscription(self, name: str, transaction: str, seconds: int) -> None: ...

    def notify(self, name: str, content_type: str, body: bytes) -> None: ...

    def end_subscription(self, name: str, reason: str, content_type: str, body: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class LampLimits:
    """Subscriptions that may be held: in all, and by one source address."""

    most: int = 20_000
    by_source: int = 2_000


@dataclass(slots=True)
class _Watcher:
    package: Package
    watched: str
    """An agent, or for messages a box."""
    owner: str
    entity: str
    flow: Flow
    version: int = 0


class Lamps:
    """Answers SUBSCRIBE, and tells every watcher of each change. Its callers have authenticated the phone."""

    def __init__(
        self,
        endpoint: Notifying,
        directory: Callable[[], Directory],
        bounds: ExpiryBounds,
        *,
        messages: Messages = no_messages,
        limits: LampLimits | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._directory = directory
        self._bounds = bounds
        self._messages = messages
        self._limits = limits or LampLimits()
        self._watchers: dict[str, _Watcher] = {}
        self._watched_by: dict[str, set[str]] = {}
        self._sources: Counter[str] = Counter()
        self._phones: dict[str, dict[str, PhoneState]] = {}
        """Agent -> call -> what their phone does in it."""
        self._agents_of: dict[str, tuple[PhoneState, ...]] = {}

    def __len__(self) -> int:
        return len(self._watchers)

    def subscribe(self, event: RequestReceived, owner: Agent) -> None:
        """A SUBSCRIBE outside of dialogs."""
        wanted = wanted_of(event.request, owner, self._directory(), self._bounds)
        if not isinstance(wanted, Unwanted) and self._is_full(event.flow):
            wanted = Unwanted(503, (("Retry-After", "60"),))
        if isinstance(wanted, Unwanted):
            self._endpoint.respond(event.transaction, wanted.status, headers=wanted.headers)
            return
        try:
            name = self._endpoint.accept_subscription(event.transaction, wanted.seconds)
        except SipSyntaxError as error:
            self._endpoint.respond(event.transaction, 400, reason=f"Bad {error.part}")
            return
        if name is None:
            return
        watcher = _Watcher(wanted.package, wanted.watched, owner.id, wanted.entity, event.flow)
        self._watchers[name] = watcher
        self._watched_by.setdefault(watcher.watched, set()).add(name)
        self._sources[event.flow.remote[0]] += 1
        if wanted.seconds:
            self._tell(name, watcher)
        else:
            self._end(name, "timeout")  # A look without a subscription (RFC 6665 section 4.4.3).

    def _is_full(self, flow: Flow) -> bool:
        by_source = self._sources[flow.remote[0]]
        return len(self._watchers) >= self._limits.most or by_source >= self._limits.by_source

    def owner_of(self, event: SubscriptionAsked) -> tuple[str, bool] | None:
        """Whose subscription this is, and whether the request came the way that was authenticated."""
        watcher = self._watchers.get(event.subscription)
        return (watcher.owner, watcher.flow == event.flow) if watcher else None

    def renew(self, event: SubscriptionAsked) -> None:
        """A SUBSCRIBE of a watcher: a longer life, or its end."""
        watcher = self._watchers.get(event.subscription)
        if watcher is None:
            self._endpoint.respond(event.transaction, 481)
            return
        seconds = seconds_of(event.request, self._bounds)
        if isinstance(seconds, Unwanted):
            self._endpoint.respond(event.transaction, seconds.status, headers=seconds.headers)
            return
        try:
            self._endpoint.renew_subscription(event.subscription, event.transaction, seconds)
        except SipSyntaxError as error:
            self._endpoint.respond(event.transaction, 400, reason=f"Bad {error.part}")
            return
        if not seconds:
            self._end(event.subscription, "timeout")
        elif watcher.owner not in self._directory().agents:
            self._end(event.subscription, "rejected")
        else:
            self._tell(event.subscription, watcher)

    def over(self, event: SubscriptionOver) -> None:
        """Its time is over, or the phone takes no more."""
        if event.why == "timeout":
            self._end(event.subscription, "timeout")
        else:
            self._forget(event.subscription)

    def end_all(self, reason: str) -> None:
        """The service stops: phones may subscribe anew elsewhere."""
        for name in list(self._watchers):
            self._end(name, reason)

    def phones_changed(self, call_id: str, phones: tuple[PhoneState, ...]) -> None:
        """What agents' phones do in one call; none of them where it is over."""
        before = self._agents_of.pop(call_id, ())
        if phones:
            self._agents_of[call_id] = phones
        for phone in before:
            calls = self._phones.get(phone.agent, {})
            calls.pop(call_id, None)  # An agent may be both who dialled and who is rung.
            if not calls:
                self._phones.pop(phone.agent, None)
        for phone in phones:
            self._phones.setdefault(phone.agent, {})[call_id] = phone
        staying = {phone.agent for phone in phones}
        gone = {
            phone.agent: PhoneState(phone.agent, "terminated", phone.is_caller)
            for phone in before
            if phone.agent not in staying
        }
        for agent in staying | gone.keys():
            ended = {call_id: gone[agent]} if agent in gone else {}
            self._tell_watchers(agent, "dialog", ended)

    def messages_changed(self, box: str) -> None:
        """A box has other messages than before."""
        self._tell_watchers(box, "message-summary", {})

    def _tell_watchers(self, watched: str, package: Package, ended: Mapping[str, PhoneState]) -> None:
        for name in tuple(self._watched_by.get(watched, ())):
            watcher = self._watchers[name]
            if watcher.package == package:
                self._tell(name, watcher, ended.items())

    def _tell(self, name: str, watcher: _Watcher, ended: Iterable[tuple[str, PhoneState]] = ()) -> None:
        self._endpoint.notify(name, CONTENT_TYPES[watcher.package], self._body(watcher, ended))

    def _body(self, watcher: _Watcher, ended: Iterable[tuple[str, PhoneState]] = ()) -> bytes:
        if watcher.package == "message-summary":
            return message_summary(watcher.entity, self._messages(watcher.watched))
        version, watcher.version = watcher.version, watcher.version + 1
        phones = self._phones.get(watcher.watched, {})
        return dialog_info(watcher.entity, version, [*phones.items(), *ended])

    def _end(self, name: str, reason: str) -> None:
        watcher = self._watchers.get(name)
        if watcher is not None:
            body = self._body(watcher)
            self._endpoint.end_subscription(name, reason, CONTENT_TYPES[watcher.package], body)
            self._forget(name)

    def _forget(self, name: str) -> None:
        watcher = self._watchers.pop(name, None)
        if watcher is None:
            return
        named = self._watched_by[watcher.watched]
        named.discard(name)
        if not named:
            del self._watched_by[watcher.watched]
        source = watcher.flow.remote[0]
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]
