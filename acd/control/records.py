"""/v1/records: what became of every call, newest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field

from acd.agents.notes import Note as KeptNote
from acd.agents.notes import RefusedCall
from acd.calls.record import NOT_TAKEN, Attempt, CallRecord, Direction, Outcome
from acd.calls.record import Segment as RecordedSegment
from acd.control.export import send_file
from acd.control.ports import RecordFilter
from acd.control.problems import Problem
from acd.control.route import Ask, Route
from acd.control.tokens import Role
from acd.control.words import Masked, PageQuery, Seconds, Time, caller_for, time_of
from acd.history.duties import TELLABLE
from acd.history.reader import RecordPage
from routing.overflow import Why

_NAME = Annotated[str, Field(min_length=1, max_length=64)]


def _written_out(value: object) -> object:
    if isinstance(value, str) and not value[:5].endswith("-"):
        raise ValueError("write it as 2026-01-31T12:00:00Z")
    return value


_MOMENT = Annotated[
    AwareDatetime,
    # Without this a bare number would be taken for seconds since the epoch, which nothing promises.
    BeforeValidator(_written_out),
    Field(description="By the start of the call; RFC 3339 with a zone."),
]


class RecordQuery(PageQuery):
    queue: _NAME | None = None
    agent: _NAME | None = None
    outcome: Outcome | None = None
    note_missing: bool | None = Field(
        default=None, description="True: those that lack a note which the queue requires."
    )
    since: _MOMENT | None = Field(default=None, alias="from")
    until: _MOMENT | None = Field(default=None, alias="to")
    format: Literal["json", "csv"] | None = Field(
        default=None,
        description="`csv`, or `Accept: text/csv`: all that match as one file, without `cursor` and `limit`.",
    )


class Segment(BaseModel):
    """One state of the call, until the next segment."""

    state: str = Field(
        description="Of the call, or a mark that it was sent elsewhere: `transfer` by somebody, `overflow` by"
        " a rule of the queue."
    )
    at: Time
    queue: str | None
    agent: str | None
    to: str | None = Field(description="Of a `transfer` or `overflow`: where to. `agent` is who transferred.")
    why: Why | None = Field(description="Of an `overflow`: what the rule went by.")


class Refusal(BaseModel):
    """An agent was rung and did not take the call, or the offer was taken back."""

    agent: str
    queue: str
    reason: str = Field(description="`no-answer`, `busy`, `rejected`, `unreachable` or `withdrawn`.")
    at: Time
    ring_seconds: Seconds
    why: str | None = Field(description="What the agent said of it; of several of one agent, of the last.")
    why_missing: bool = Field(description="The queue wants to know, and the agent has not said.")


class Note(BaseModel):
    """What an agent noted about the call."""

    agent: str
    queue: str | None
    code: str | None
    fields: dict[str, str | float]
    given_at: Time


class Record(BaseModel):
    id: str
    node: str
    trunk: str | None
    caller: Masked
    called: str
    language: str | None
    queue: str | None
    agent: str | None
    outcome: Outcome
    started_at: Time
    answered_at: Time | None = Field(description="When an agent answered.")
    ended_at: Time
    wait_seconds: Seconds
    talk_seconds: Seconds
    hold_seconds: Seconds
    hangup_side: Literal["caller", "agent", "system"]
    cause: str
    offers: int = Field(description="Times that an agent was rung for it.")
    packets_lost: int
    jitter_seconds: float
    diverted_from: str | None = Field(description="The number dialled first, where the call was diverted.")
    verstat: str | None = Field(description="What the network found of the caller's number.")
    attributes: dict[str, str] = Field(
        description="From headers of the trunk, as the directory names them; `preferred_agent` or "
        "`last_agent`, where the call was for one agent first."
    )
    direction: Direction = Field(description="`outbound`: an agent, or we for one, called a number outside.")
    shown: str | None = Field(description="The number that was shown outside.")
    outside: str | None = Field(
        description="The number outside that was called last, by an agent or for the caller."
    )
    trunk_out: str | None = Field(description="Over which trunk.")
    callback: str | None = Field(
        description="The callback that the caller was given, or that the call was made for."
    )
    segments: list[Segment]
    refusals: list[Refusal] = Field(description="Offers that were not taken; of the newest two hundred.")
    notes: list[Note] = Field(description="One an agent, the earliest first.")
    note_missing: bool = Field(
        description="An agent's wrap-up ended without the note that the queue requires."
    )


class Records(BaseModel):
    items: list[Record]
    next_cursor: str | None = Field(description="Null on the last page.")


def records_of(page: RecordPage, role: Role | None) -> list[Record]:
    """The records of a page as this role may see them."""
    return [
        record_of(
            record,
            page.notes.get(record.id, ()),
            role,
            without_note=record.id in page.without_note,
            words=page.refusals.get(record.id, {}),
        )
        for record in page.records
    ]


def record_of(
    record: CallRecord,
    notes: Sequence[KeptNote],
    role: Role | None,
    *,
    without_note: bool = False,
    words: Mapping[str, RefusedCall] = MappingProxyType({}),
) -> Record:
    return Record(
        id=record.id,
        node=record.node,
        trunk=record.trunk or None,
        caller=caller_for(role, record.caller),
        called=caller_for(role, record.called) if record.called == record.outside else record.called,
        language=record.language or None,
        queue=record.queue or None,
        agent=record.agent or None,
        outcome=record.outcome,
        started_at=time_of(record.started_at),
        answered_at=None if record.answered_at is None else time_of(record.answered_at),
        ended_at=time_of(record.ended_at),
        wait_seconds=max(record.wait_seconds, 0.0),
        talk_seconds=max(record.talk_seconds, 0.0),
        hold_seconds=max(record.hold_seconds, 0.0),
        hangup_side=record.hangup_side,
        cause=record.cause,
        offers=record.offers,
        packets_lost=record.packets_lost,
        diverted_from=record.diverted_from or None,
        verstat=record.verstat or None,
        attributes=record.attributes,
        jitter_seconds=record.jitter_seconds,
        direction=record.direction,
        shown=record.shown or None,
        outside=caller_for(role, record.outside) if record.outside else None,
        trunk_out=record.trunk_out or None,
        callback=record.callback or None,
        segments=[_segment_of(segment, role) for segment in record.segments],
        refusals=_refusals_of(record.attempts, words),
        notes=[note_of(note) for note in notes],
        note_missing=without_note,
    )


def _refusals_of(attempts: Sequence[Attempt], words: Mapping[str, RefusedCall]) -> list[Refusal]:
    said = words_by_attempt(attempts, words)
    return [
        _refusal_of(attempt, said.get(number))
        for number, attempt in enumerate(attempts)
        if attempt.result in NOT_TAKEN
    ]


def words_by_attempt(
    attempts: Sequence[Attempt], words: Mapping[str, RefusedCall]
) -> Mapping[int, RefusedCall]:
    """What agents said of attempts, by number: each of the last one that they could say something of."""
    last = {attempt.agent: n for n, attempt in enumerate(attempts) if attempt.result in TELLABLE}
    return {last[agent]: word for agent, word in words.items() if agent in last}


def _refusal_of(attempt: Attempt, word: RefusedCall | None) -> Refusal:
    return Refusal(
        why=word.reason if word else None,
        why_missing=word is not None and word.required and word.reason is None,
        agent=attempt.agent,
        queue=attempt.queue,
        reason=attempt.result,
        at=time_of(attempt.at + attempt.ring_seconds),
        ring_seconds=max(attempt.ring_seconds, 0.0),
    )


def note_of(note: KeptNote) -> Note:
    return Note(
        agent=note.agent,
        queue=note.queue or None,
        code=note.code,
        fields=dict(note.fields),
        given_at=time_of(note.given_at),
    )


def _segment_of(segment: RecordedSegment, role: Role | None) -> Segment:
    return Segment(
        state=segment.state,
        at=time_of(segment.at),
        queue=segment.queue or None,
        agent=segment.agent or None,
        to=caller_for(role, segment.to) if segment.to else None,
        why=segment.why or None,
    )


async def list_records(ask: Ask) -> Records | web.StreamResponse:
    query = ask.query(RecordQuery)
    filters = RecordFilter(
        queue=query.queue,
        agent=query.agent,
        outcome=query.outcome,
        note_missing=query.note_missing,
        since=query.since.timestamp() if query.since else None,
        until=query.until.timestamp() if query.until else None,
    )
    if _is_file_wanted(ask, query):
        return await _send_file(ask, query, filters)
    try:
        page = await ask.context.records.records(filters, query.cursor, query.limit)
    except ValueError as error:
        raise Problem(400, "bad-cursor", "The cursor is none that this service gave out.") from error
    return Records(items=records_of(page, ask.role), next_cursor=page.next_cursor)


def _is_file_wanted(ask: Ask, query: RecordQuery) -> bool:
    if query.format is not None:
        return query.format == "csv"
    accepted = {
        word.partition(";")[0].strip().lower() for word in ask.request.headers.get("Accept", "").split(",")
    }
    return "text/csv" in accepted and "application/json" not in accepted


async def _send_file(ask: Ask, query: RecordQuery, filters: RecordFilter) -> web.StreamResponse:
    if query.model_fields_set & {"cursor", "limit"}:
        raise Problem(400, "invalid-query", "A CSV file holds all that match: leave cursor and limit out.")

    def rows(page: RecordPage) -> Iterable[dict[str, Any]]:
        return (record.model_dump(mode="json") for record in records_of(page, ask.role))

    return await send_file(ask, filters, rows)


ROUTES = (
    Route(
        "GET",
        "/v1/records",
        list_records,
        Role.VIEWER,
        "records",
        "Call records, newest first",
        answer=Records,
        query=RecordQuery,
        other_types=("text/csv",),
    ),
)
