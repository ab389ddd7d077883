"""The numbered event stream of a site (docs/events.md), for whoever wants all of it from a number on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from routing.store.link import Link
from routing.store.replies import pairs

_AT_ONCE = 200
_ANSWER_SECONDS = 5.0
_BEGINNING = "0-0"
STORE_BEGAN = "store-began"


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One entry. `fields` are those that its kind has beside number, time and queue."""

    number: int
    at_ms: int
    kind: str
    queue: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Begins:
    """What follows is everything after `number`. `missed`: not all that was asked for is still there, so that
    what was known before is to be read anew."""

    number: int
    missed: bool = False


class EventLog:
    """Reads the stream; each follower has a connection of its own."""

    def __init__(self, redis: Redis, site: str) -> None:
        self._redis = redis
        self._key = f"acd:{{{site}}}:ev"

    async def follow(
        self, after: int | None, beat_seconds: float = 15.0
    ) -> AsyncGenerator[Begins | Sequence[LoggedEvent], None]:
        """All events after this number, None for those to come; for ever. First it says where it begins.

        Nothing (an empty sequence) comes where nothing has happened for `beat_seconds`. Raises
        StoreUnavailable.
        """
        link = Link(self._redis)
        try:
            begins, position = await self._begin(link, after)
            yield begins
            last = begins.number
            while True:
                block = round(beat_seconds * 1000)
                read = ("XREAD", "COUNT", _AT_ONCE, "BLOCK", block, "STREAMS", self._key, position)
                reply = await link.ask(read, beat_seconds + _ANSWER_SECONDS)
                entries = reply[0][1] if reply else []
                events = [_event(fields) for _, fields in entries]
                if events and events[0].number != last + 1 and events[0].kind != STORE_BEGAN:
                    # Who reads slower than things happen: what came between is no longer kept.
                    yield Begins(events[0].number - 1, missed=True)
                yield events
                if entries:
                    position, last = entries[-1][0], events[-1].number
        finally:
            await link.close()

    async def _begin(self, link: Link, after: int | None) -> tuple[Begins, str]:
        newest = _first(await link.ask(("XREVRANGE", self._key, "+", "-", "COUNT", 1), _ANSWER_SECONDS))
        if newest is None:
            return Begins(0, missed=bool(after)), _BEGINNING
        position, last = newest
        if after is None or after == last:
            return Begins(last), position
        oldest = _first(await link.ask(("XRANGE", self._key, "-", "+", "COUNT", 1), _ANSWER_SECONDS))
        if oldest is None or after > last or after < oldest[1] - 1:
            return Begins(last, missed=True), position
        if after == oldest[1] - 1:
            return Begins(after), _BEGINNING
        return Begins(after), await self._find(link, after, _time(oldest[0]), _time(position))

    async def _find(self, link: Link, number: int, low: int, high: int) -> str:
        """The entry of this number, which is between these times: numbers rise as times do."""
        while low < high:
            middle = (low + high + 1) // 2
            found = _first(await link.ask(("XRANGE", self._key, middle, "+", "COUNT", 1), _ANSWER_SECONDS))
            if found is not None and found[1] <= number:
                low = middle
            else:
                high = middle - 1
        start: str = str(low)
        while True:
            page = await link.ask(("XRANGE", self._key, start, "+", "COUNT", _AT_ONCE), _ANSWER_SECONDS)
            for entry, fields in page:
                if int(pairs(fields)["s"]) >= number:
                    return str(entry)
            start = f"({page[-1][0]}"


def _first(entries: Sequence[Any]) -> tuple[str, int] | None:
    """The id and the number of the first of some entries."""
    return (entries[0][0], int(pairs(entries[0][1])["s"])) if entries else None


def _time(entry: str) -> int:
    return int(entry.partition("-")[0])


def _event(flat: Sequence[str]) -> LoggedEvent:
    fields = pairs(flat)
    envelope = int(fields.pop("s")), int(fields.pop("t")), fields.pop("k"), fields.pop("q")
    return LoggedEvent(*envelope, fields)
