"""/v1/callbacks: who is to be called, by the caller's wish or an agent's promise."""

from __future__ import annotations

import re
import secrets
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from acd.calls.callbacks import CallbackOrder, entry_of, read_order
from acd.calls.steps.context import EXTENSION_QUEUE
from acd.control.problems import FieldError, Problem, not_found
from acd.control.route import Ask, Route
from acd.control.tokens import Role
from acd.control.words import Masked, Time, caller_for, time_of
from routing.callbacks import CallbackState, CallbackStatus

_NUMBER = re.compile(r"\+?[0-9]{2,15}", re.ASCII)
_LATEST_SECONDS = 366 * 86_400.0


def _number(value: str) -> str:
    if not _NUMBER.fullmatch(value):
        raise ValueError("write it like +3725550001, or as it is dialled")
    return value


class Callback(BaseModel):
    id: str = Field(description="Of a caller's wish: the id of that call.")
    kind: Literal["callback", "follow-up"]
    queue: str | None
    agent: str | None = Field(description="The one agent whom it is for.")
    number: Masked
    state: CallbackState
    attempts: int = Field(description="Made so far.")
    most_attempts: int
    created_at: Time
    enqueued_at: Time = Field(description="The age that counts in the queue.")
    due_at: Time | None = Field(description="Until when it rests: before it is due, or between two attempts.")
    expires_at: Time | None
    note: str | None


class Callbacks(BaseModel):
    items: list[Callback]


class CallbackQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    queue: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    limit: int = Field(default=200, ge=1, le=1000, description="Of each queue, the oldest first.")


class FollowUp(BaseModel):
    """Call a number at a time: for one agent, or for whoever of a queue has the skills."""

    model_config = ConfigDict(extra="forbid")

    number: Annotated[str, AfterValidator(_number)]
    at: AwareDatetime = Field(description="RFC 3339 with a zone.")
    agent: str | None = Field(default=None, max_length=64)
    queue: str | None = Field(default=None, max_length=64)
    skills: dict[str, Annotated[int, Field(ge=1, le=10)]] = Field(default={}, max_length=20)
    first: Literal["agent", "customer"] = "agent"
    attempts: int = Field(default=1, ge=1, le=100)
    interval_seconds: float = Field(default=300.0, ge=1, le=86_400, allow_inf_nan=False)
    ring_seconds: float = Field(default=30.0, ge=1, le=120, allow_inf_nan=False)
    expire_seconds: float = Field(
        default=86_400.0, ge=1, le=_LATEST_SECONDS, allow_inf_nan=False, description="After `at`."
    )
    note: str = Field(default="", max_length=2000)

    @model_validator(mode="after")
    def _is_for_somebody(self) -> FollowUp:
        if (self.agent is None) == (self.queue is None):
            raise ValueError("give either the agent or the queue that it is for")
        if self.agent is not None and self.skills:
            raise ValueError("skills are asked of the agents of a queue; leave them out")
        return self


def callback_of(status: CallbackStatus, role: Role | None) -> Callback:
    order = read_order(status.document)
    return Callback(
        id=status.id,
        kind=order.kind,
        queue=None if order.queue == EXTENSION_QUEUE else order.queue,
        agent=order.agent,
        number=caller_for(role, order.number),
        state=status.state,
        attempts=status.attempts,
        most_attempts=order.attempts,
        created_at=time_of(order.created_at),
        enqueued_at=time_of(order.enqueued_at),
        due_at=None if status.due_ms is None else time_of(status.due_ms / 1000),
        expires_at=time_of(order.expires_at) if order.expires_at else None,
        note=order.note or None,
    )


async def list_callbacks(ask: Ask) -> Callbacks:
    query = ask.query(CallbackQuery)
    known = [*ask.context.directory().queues, EXTENSION_QUEUE]
    queues = known if query.queue is None else [query.queue]
    return Callbacks(
        items=[
            callback_of(status, ask.role)
            for queue in queues
            for status in await ask.context.callbacks.of(queue, query.limit)
        ]
    )


async def add_follow_up(ask: Ask) -> Callback:
    wanted = await ask.body(FollowUp)
    directory, now, due = ask.context.directory(), ask.context.clock.time(), wanted.at.timestamp()
    _check(wanted.agent is None or wanted.agent in directory.agents, "/agent", "there is no such agent")
    _check(wanted.queue is None or wanted.queue in directory.queues, "/queue", "there is no such queue")
    for skill in wanted.skills:
        _check(skill in directory.skills, f"/skills/{skill[:64]}", "there is no such skill")
    _check(now - 60 <= due <= now + _LATEST_SECONDS, "/at", "must be from now to a year from now")
    order = CallbackOrder(
        id=f"{round(now * 1000):x}-{secrets.token_hex(6)}",
        kind="follow-up",
        queue=wanted.queue or EXTENSION_QUEUE,
        agent=wanted.agent,
        number=wanted.number,
        skills=wanted.skills,
        created_at=now,
        enqueued_at=max(due, now),
        due_at=due if due > now else 0.0,
        expires_at=max(due, now) + wanted.expire_seconds,
        first=wanted.first,
        attempts=wanted.attempts,
        interval_seconds=wanted.interval_seconds,
        ring_seconds=wanted.ring_seconds,
        note=wanted.note,
    )
    entry = entry_of(order)
    await ask.context.callbacks.add(entry, "", round(now * 1000))
    state = CallbackState.RESTING if order.due_at else CallbackState.WAITING
    return callback_of(CallbackStatus(order.id, state, 0, entry.due_ms or None, entry.document), ask.role)


def _check(right: bool, pointer: str, detail: str) -> None:
    if not right:
        errors = [FieldError(pointer=pointer, detail=detail)]
        raise Problem(422, "invalid-body", "The body does not fit the directory.", errors=errors)


async def cancel_callback(ask: Ask) -> None:
    now_ms = round(ask.context.clock.time() * 1000)
    done = await ask.context.callbacks.cancel(ask.name("id"), "", now_ms)
    if done is None:
        raise Problem(409, "state-not-allowed", "It is being made now; end its call instead.")
    if not done:
        raise not_found("callback")


_TAG = "callbacks"

ROUTES = (
    Route(
        "GET",
        "/v1/callbacks",
        list_callbacks,
        Role.VIEWER,
        _TAG,
        "Who is to be called",
        answer=Callbacks,
        query=CallbackQuery,
    ),
    Route(
        "POST",
        "/v1/callbacks",
        add_follow_up,
        Role.SUPERVISOR,
        _TAG,
        "Schedule a follow-up for an agent or a queue",
        answer=Callback,
        body=FollowUp,
    ),
    Route(
        "DELETE",
        "/v1/callbacks/{id}",
        cancel_callback,
        Role.SUPERVISOR,
        _TAG,
        "Cancel a callback that is not being made",
        errors=(404, 409),
    ),
)
