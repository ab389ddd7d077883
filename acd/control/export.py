"""Call records as one CSV file: written page by page, so that neither memory nor calls notice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import msgspec
from aiohttp import web

from acd.control.ports import RecordFilter
from acd.control.route import Ask
from acd.control.sheet import Cell, lines
from acd.history.reader import RecordPage

_PAGE = 100
"""Records that are read at once: some milliseconds of the event loop."""
_SECONDS = 120.0
"""How long one file may take; a longer one breaks off, so that who reads it sees that it is not whole."""
_COLUMNS = (
    *("id", "node", "trunk", "caller", "called", "language", "queue", "agent", "outcome"),
    *("started_at", "answered_at", "ended_at", "wait_seconds", "talk_seconds", "hold_seconds"),
    *("hangup_side", "cause", "offers", "packets_lost", "jitter_seconds"),
    *("diverted_from", "verstat", "callback", "attributes", "notes", "note_missing"),
)
_OBJECTS = ("attributes", "notes")
"""Written as JSON in one cell; empty where there is nothing."""


class Rows(Protocol):
    def __call__(self, page: RecordPage) -> Iterable[dict[str, Any]]: ...


async def send_file(ask: Ask, filters: RecordFilter, rows: Rows) -> web.StreamResponse:
    """All records that match, newest first. `rows` makes the dicts of the API out of a page."""
    ask.allow(_SECONDS)
    response = web.StreamResponse(headers={"Content-Disposition": 'attachment; filename="records.csv"'})
    response.content_type, response.charset = "text/csv", "utf-8"
    await response.prepare(ask.request)
    await response.write(lines([_COLUMNS]))
    cursor: str | None = None
    while True:
        page = await ask.context.records.records(filters, cursor, _PAGE)
        await response.write(lines(_row(record) for record in rows(page)))
        cursor = page.next_cursor
        if cursor is None:
            await response.write_eof()
            return response


def _row(record: dict[str, Any]) -> Sequence[Cell]:
    return [_cell(name, record[name]) for name in _COLUMNS]


def _cell(name: str, value: Any) -> Cell:
    if name in _OBJECTS:
        return msgspec.json.encode(value).decode() if value else None
    return value if value is None or isinstance(value, int | float) else str(value)
