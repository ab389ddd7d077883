"""Asks pages about callers. Whatever such a page does, a call goes on within the time of its list."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote

import aiohttp
import structlog
from yarl import URL

from acd.callers.answers import LARGEST_BODY, NotUnderstood, read_answer
from acd.calls.facts import CallerLookedUp
from acd.calls.model import Found
from acd.clock import Clock
from acd.config import LookupsSection
from acd.directory.model import CallerList, Directory, Lookup
from acd.reach import AddressRefused, guarded_sockets, trusted

MOST_AT_ONCE = 50
"""Questions under way to one page; who comes then is a stranger."""
FAILURES_IN_ROW = 5
PAUSE_SECONDS = 30.0
"""After FAILURES_IN_ROW a page is asked once in so long, until it answers."""
_CHUNK = 4096
_UNKNOWN = (204, 404)

Why = Literal["timeout", "unreachable", "address-refused", "status", "too-large", "not-understood"]
Result = Literal["found", "unknown", "failed", "skipped"]

log = structlog.get_logger(__name__)


class LookupFailed(Exception):
    def __init__(self, why: Why, detail: str = "") -> None:
        super().__init__(detail)
        self.why = why
        self.detail = detail


@dataclass
class Page:
    """What is kept of one list between calls."""

    lookup: Lookup
    session: aiohttp.ClientSession
    under_way: int = 0
    failures: int = 0
    asked_again_at: float = 0.0
    is_old: bool = False
    """The list asks another page now; what is under way may end."""

    async def close_when_old(self) -> None:
        if self.is_old and self.under_way == 0:
            await self.session.close()

    def may_be_asked(self, now: float) -> bool:
        if self.under_way >= MOST_AT_ONCE:
            return False
        if self.failures < FAILURES_IN_ROW:
            return True
        if now < self.asked_again_at:
            return False
        self.asked_again_at = now + PAUSE_SECONDS
        return True

    def failed(self, now: float) -> None:
        self.failures += 1
        self.asked_again_at = now + PAUSE_SECONDS


@dataclass
class Lookups:
    """The look-ups of all lists. `observe` must neither block nor raise."""

    settings: LookupsSection
    clock: Clock
    observe: Callable[[CallerLookedUp], None]
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    _pages: dict[str, Page] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ConfigError."""
        self._trust = trusted(self.settings.ca, "lookups.ca")

    async def close(self) -> None:
        pages, self._pages = self._pages, {}
        for page in pages.values():
            await page.session.close()

    async def ask(self, entry: CallerList, directory: Directory, number: str, called: str) -> Found | None:
        """None for a caller of whom nothing is known, or could be found out. Never raises an Exception."""
        if entry.lookup is None:
            return None
        page = await self._page(entry.name, entry.lookup)
        began = self.clock.monotonic()
        if not page.may_be_asked(began):
            self._tell(entry.name, "skipped", began)
            return None
        page.under_way += 1
        try:
            body = await self._fetch(page, number, called)
            found, left_out = read_answer(body, entry.name, directory) if body is not None else (None, ())
        except (LookupFailed, NotUnderstood) as error:
            why = error.why if isinstance(error, LookupFailed) else "not-understood"
            page.failed(self.clock.monotonic())
            log.warning("caller-lookup-failed", list=entry.name, why=why, in_row=page.failures)
            self._tell(entry.name, "failed", began)
            return None
        finally:
            page.under_way -= 1
            await page.close_when_old()
        page.failures = 0
        if left_out:
            log.warning("caller-lookup-left-out", list=entry.name, keys=left_out)
        self._tell(entry.name, "found" if found else "unknown", began)
        return found

    def _tell(self, name: str, result: Result, began: float) -> None:
        self.observe(CallerLookedUp(name, result, self.clock.monotonic() - began))

    async def _page(self, name: str, lookup: Lookup) -> Page:
        page = self._pages.get(name)
        if page is not None and page.lookup == lookup:
            return page
        self._pages[name] = fresh = Page(lookup, self._session())
        if page is not None:
            page.is_old = True
            await page.close_when_old()
        return fresh

    def _session(self) -> aiohttp.ClientSession:
        """Without cookies, proxies and compression: the page can send nothing but its answer."""
        connector = aiohttp.TCPConnector(
            ssl=self._trust, socket_factory=guarded_sockets(self.settings.networks), limit=MOST_AT_ONCE
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "acd"},
        )

    async def _fetch(self, page: Page, number: str, called: str) -> bytes | None:
        """The body of a 200; None where the page does not know the caller. Raises LookupFailed."""
        lookup = page.lookup
        try:
            async with asyncio.timeout(lookup.timeout_seconds):
                return await self._exchange(page.session, lookup, number, called)
        except TimeoutError as error:
            raise LookupFailed("timeout") from error
        except aiohttp.ClientConnectorError as error:
            denied = isinstance(error.os_error, AddressRefused)
            raise LookupFailed("address-refused" if denied else "unreachable") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise LookupFailed("unreachable") from error

    async def _exchange(
        self, session: aiohttp.ClientSession, lookup: Lookup, number: str, called: str
    ) -> bytes | None:
        url = _filled_in(lookup.url, number, called)
        authorization = self.environment.get(lookup.authorization_env, "") if lookup.authorization_env else ""
        async with session.request(
            lookup.method,
            url,
            json={"number": number, "called": called} if lookup.method == "POST" else None,
            headers={"Authorization": authorization} if authorization else {},
            allow_redirects=False,
        ) as response:
            if response.status in _UNKNOWN:
                return None
            if response.status != 200:
                raise LookupFailed("status", str(response.status))
            body = b""
            async for chunk in response.content.iter_chunked(_CHUNK):
                body += chunk
                if len(body) > LARGEST_BODY:
                    raise LookupFailed("too-large")
            return body


def _filled_in(template: str, number: str, called: str) -> URL:
    text = template.replace("{number}", quote(number, safe="")).replace("{called}", quote(called, safe=""))
    return URL(text, encoded=True)
