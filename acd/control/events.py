"""/v1/events: what happens to calls and agents, numbered, as server-sent events (text/event-stream).

Who was away says the last number that they heard and gets what came since, so that nobody drifts; who has
been away for too long is told so. Nothing is kept for a client here: one who reads slowly is read to slowly.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from acd.calls.model import call_of_entry
from acd.control.problems import Problem
from acd.control.route import Ask, Route
from acd.control.tokens import Role
from acd.control.words import time_of
from routing.ports import StoreUnavailable
from routing.store.event_log import Begins, LoggedEvent

MOST_LISTENERS = 50
"""Of one node; each has a connection to Redis."""
_LONGEST_SECONDS = 3600.0
"""Then the stream ends, and who goes on is asked for a token that is still in force."""
_WRITE_SECONDS = 30.0
_RETRY_MS = 2_000
_NUMBER = re.compile(r"[0-9]{1,15}")
_WORDS = {
    "c": "call",
    "a": "agent",
    "n": "node",
    "why": "reason",
    "st": "state",
    "from": "from_state",
    "b": "callback",
    "how": "how",
    "name": "name",
}
"""Fields that are told as they are; what is not named here is not told."""
_NUMBERS = {"ms": "ms", "w": "wrapup_ms", "wx": "wrapup_limit_ms", "rest": "rest_ms"}
_OF_KIND = {
    ("entered", "p"): "priority",
    ("entered", "at"): "since_ms",
    ("callback-attempts", "at"): "attempts",
}
_NOT_COUNTERS = frozenset({"name"})


class EventQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    after: int | None = Field(
        default=None,
        ge=0,
        lt=10**15,
        description="The last number that was heard; without it only what happens from now on. The header"
        " Last-Event-ID, which browsers send when they connect again, goes before it.",
    )


class Listeners:
    """How many there are."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> None:
        if self.count >= MOST_LISTENERS:
            raise Problem(503, "too-many-listeners", f"{MOST_LISTENERS} listen already; try another node.")
        self.count += 1

    def __exit__(self, *_: object) -> None:
        self.count -= 1


_LISTENERS: web.AppKey[Listeners] = web.AppKey("listeners", Listeners)


def prepare(app: web.Application) -> None:
    """What the listeners of one application share."""
    app[_LISTENERS] = Listeners()


async def stream_events(ask: Ask) -> web.StreamResponse:
    after = _after(ask)
    with ask.request.app[_LISTENERS]:
        heard = ask.context.events.follow(after)
        first = await anext(heard)
        ask.allow(2 * _LONGEST_SECONDS)
        response = web.StreamResponse()
        response.content_type, response.charset = "text/event-stream", "utf-8"
        response.headers["X-Accel-Buffering"] = "no"  # A proxy (nginx) is to pass each event on at once.
        await response.prepare(ask.request)
        await _write(response, f"retry: {_RETRY_MS}\n\n{_begins(first)}")
        until = ask.context.clock.monotonic() + _LONGEST_SECONDS
        try:
            async for what in heard:
                await _write(response, _begins(what) if isinstance(what, Begins) else _told(what))
                if ask.context.clock.monotonic() >= until:
                    break
            await response.write_eof()
        except (StoreUnavailable, ConnectionError, TimeoutError):
            # Whoever connects again goes on where this ended.
            if ask.request.transport is not None:
                ask.request.transport.close()
        finally:
            await heard.aclose()
        return response


async def _write(response: web.StreamResponse, text: str) -> None:
    """Raises TimeoutError where nobody reads."""
    async with asyncio.timeout(_WRITE_SECONDS):
        await response.write(text.encode())


def _after(ask: Ask) -> int | None:
    """Raises Problem 400."""
    query = ask.query(EventQuery)
    last = ask.request.headers.get("Last-Event-ID", "")
    if not last:
        return query.after
    if not _NUMBER.fullmatch(last):
        raise Problem(400, "invalid-event-id", "Last-Event-ID must be the number of an event.")
    return int(last)


def _begins(what: Begins | Any) -> str:
    if not isinstance(what, Begins):
        return _told(what)
    kind = "missed" if what.missed else "begins"
    return f"id: {what.number}\nevent: {kind}\ndata: {json.dumps({'number': what.number})}\n\n"


def _told(events: Any) -> str:
    """Nothing happened: a comment, which tells both ends that the other is there."""
    return "".join(map(_event, events)) or ": nothing\n\n"


def _event(event: LoggedEvent) -> str:
    data = json.dumps(described(event), ensure_ascii=False)
    return f"id: {event.number}\nevent: {event.kind}\ndata: {data}\n\n"


def described(event: LoggedEvent) -> Mapping[str, Any]:
    """An event in the words of the API."""
    found: dict[str, Any] = {
        "number": event.number,
        "at": time_of(event.at_ms / 1000).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "kind": event.kind,
        "queue": event.queue or None,
    }
    if event.kind == "counted":
        counters = {name: int(n) for name, n in event.fields.items() if name not in _NOT_COUNTERS}
        return {**found, "name": event.fields.get("name", ""), "counters": counters}
    for field, value in event.fields.items():
        if word := _OF_KIND.get((event.kind, field)) or _NUMBERS.get(field):
            found[word] = int(float(value or 0))
        elif word := _WORDS.get(field):
            found[word] = call_of_entry(value) if word == "call" else value
    return found


ROUTES = (
    Route(
        "GET",
        "/v1/events",
        stream_events,
        Role.VIEWER,
        "events",
        "What happens from now on, or after a number, as server-sent events",
        query=EventQuery,
        media_type="text/event-stream",
    ),
)
