"""An observer of call facts that tells them to the webhooks of the directory; none waits for another."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping

import aiohttp
import structlog

from acd import tasks
from acd.calls.facts import CallFact
from acd.calls.view import CallView
from acd.clock import Clock
from acd.config import WebhooksSection
from acd.directory.model import Directory
from acd.reach import guarded_sockets, trusted
from acd.webhooks.lane import Lane
from acd.webhooks.message import KINDS, message_of

log = structlog.get_logger(__name__)

_FAREWELL_SECONDS = 3.0
"""How long a stop waits for what is still to be delivered."""
_CONNECTIONS = 32


class Courier:
    """`find` gives a live call by its id."""

    def __init__(
        self,
        settings: WebhooksSection,
        clock: Clock,
        directory: Callable[[], Directory],
        find: Callable[[str], CallView | None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._directory = directory
        self._find = find
        self._session: aiohttp.ClientSession | None = None
        self._lanes: dict[str, tuple[Lane, asyncio.Task[None]]] = {}
        self._counts: dict[str, Counter[str]] = {}

    def start(self) -> None:
        """Deliver from now on. Raises ConfigError for a file of CAs that cannot be read."""
        connector = aiohttp.TCPConnector(
            ssl=trusted(self._settings.ca, "webhooks.ca"),
            socket_factory=guarded_sockets(self._settings.networks),
            limit=_CONNECTIONS,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout_seconds),
            # No proxy of the environment: it would connect in our place, to whatever address.
            trust_env=False,
        )

    async def stop(self) -> None:
        """Wait a little for what is on its way, then drop the rest and say how much that was."""
        if self._session is None:
            return
        lanes = [lane for lane, _ in self._lanes.values()]
        if lanes:
            emptying = [asyncio.ensure_future(lane.emptied()) for lane in lanes]
            _, late = await asyncio.wait(emptying, timeout=_FAREWELL_SECONDS)
            await tasks.end(*late)
        if left := sum(lane.waiting for lane in lanes):
            log.error("webhooks-undelivered", messages=left)
        await tasks.end(*(task for _, task in self._lanes.values()))
        await self._session.close()
        self._session = None

    def __call__(self, fact: CallFact) -> None:
        """Take a fact: some microseconds where no webhook wants it."""
        hooks = self._directory().webhooks
        kind = KINDS.get(type(fact))
        if not hooks or kind is None or self._session is None:
            return
        wanted = [name for name, hook in hooks.items() if kind in hook.events]
        if not wanted:
            return
        message = message_of(fact, self._find(getattr(fact, "call_id", "")), self._clock.time())
        if message is not None:
            for name in wanted:
                self._lane(name, self._session).put(message)

    def _lane(self, name: str, session: aiohttp.ClientSession) -> Lane:
        if name not in self._lanes:
            counts = self._counts.setdefault(name, Counter())
            lane = Lane(
                lambda: self._directory().webhooks.get(name), session, self._settings, self._clock, counts
            )
            with structlog.contextvars.bound_contextvars(webhook=name):
                self._lanes[name] = lane, asyncio.create_task(lane.run())
        return self._lanes[name][0]

    def directory_changed(self) -> None:
        """End what led to webhooks that are no more; what they were to be told is dropped."""
        for name in self._lanes.keys() - self._directory().webhooks.keys():
            lane, task = self._lanes.pop(name)
            task.cancel()
            if lane.waiting:
                log.warning("webhook-removed", webhook=name, dropped=lane.waiting)

    @property
    def outcomes(self) -> Mapping[tuple[str, str], int]:
        """(webhook, outcome) -> how often: `delivered`, `failed` attempts, `dead` messages."""
        return {(name, how): n for name, counts in self._counts.items() for how, n in counts.items()}

    @property
    def waiting(self) -> Mapping[str, int]:
        """Webhook -> messages that are not delivered yet."""
        return {name: lane.waiting for name, (lane, _) in self._lanes.items()}
