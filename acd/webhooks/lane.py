"""The way to one webhook: its messages in order, each tried again until it is taken or given up."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random

import aiohttp
import structlog
from standardwebhooks import Webhook as Signer

from acd import __version__
from acd.clock import Clock
from acd.config import WebhooksSection
from acd.directory.model import Webhook
from acd.reach import AddressRefused
from acd.webhooks.message import Message

log = structlog.get_logger(__name__)

_GONE = "status-410"
"""The receiver wants no more of this."""


class Lane:
    """`hook` gives the webhook as it is configured at that moment."""

    def __init__(
        self,
        hook: Callable[[], Webhook | None],
        session: aiohttp.ClientSession,
        settings: WebhooksSection,
        clock: Clock,
        counts: Counter[str],
    ) -> None:
        self._hook = hook
        self._session = session
        self._settings = settings
        self._clock = clock
        self._counts = counts
        self._messages: asyncio.Queue[Message] = asyncio.Queue(settings.queue)
        self._dice = Random()
        self._is_full = False

    @property
    def waiting(self) -> int:
        """Messages that are not delivered yet, beside the one that is under way."""
        return self._messages.qsize()

    def put(self, message: Message) -> None:
        """Take a message; where too many wait for a receiver that does not answer, it is lost and counted."""
        try:
            self._messages.put_nowait(message)
        except asyncio.QueueFull:
            self._counts["dead"] += 1
            if not self._is_full:
                self._is_full = True
                log.error("webhook-queue-full", waiting=self.waiting)
        else:
            self._is_full = False

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            message = await self._messages.get()
            try:
                await self._deliver(message)
            finally:
                self._messages.task_done()

    async def emptied(self) -> None:
        """Until everything is delivered or given up."""
        await self._messages.join()

    async def _deliver(self, message: Message) -> None:
        why = ""
        for seconds in (0.0, *self._settings.retry_seconds):
            if seconds:
                # Not all at the same moment where a receiver comes back.
                await asyncio.sleep(seconds * self._dice.uniform(0.8, 1.2))
            hook = self._hook()
            if hook is None:
                why = "removed"
                break
            why = await self._attempt(hook, message)
            if not why:
                self._counts["delivered"] += 1
                return
            self._counts["failed"] += 1
            if why == _GONE:
                break
        self._counts["dead"] += 1
        log.error("webhook-dead", event_id=message.id, kind=message.kind, why=why)

    async def _attempt(self, hook: Webhook, message: Message) -> str:
        """Why it failed, in a fixed word; empty where it did not."""
        try:
            # A redirection is no delivery: it could lead anywhere.
            async with self._session.post(
                hook.url, data=message.body, headers=self._headers(hook, message), allow_redirects=False
            ) as response:
                status = response.status
                response.close()
        except aiohttp.ClientConnectorError as error:
            return "address-refused" if isinstance(error.os_error, AddressRefused) else "not-connected"
        except TimeoutError:
            return "timeout"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return type(error).__name__
        return "" if 200 <= status < 300 else f"status-{status}"

    def _headers(self, hook: Webhook, message: Message) -> dict[str, str]:
        at = datetime.fromtimestamp(self._clock.time(), UTC)
        return {
            "Content-Type": "application/json",
            "User-Agent": f"acd/{__version__}",
            "webhook-id": message.id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Signer(hook.secret).sign(message.id, at, message.body.decode()),
        }
