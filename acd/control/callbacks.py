"""/v1/callbacks: who is to be called, by the caller's wish or an agent's promise."""

from __future__ import annotations

import re
import secrets
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from acd.agents.terms import SKILL_QUEUE
from acd.calls.callbacks import CallbackOrder, entry_of, read_order
from acd.calls.outward import outside_for_agent
from acd.calls.steps.context import EXTENSION_QUEUE, NO_QUEUES
from acd.control.auth import forbidden
from acd.control.problems import FieldError, Problem, not_found
from acd.control.route import Ask, Route
from acd.control.tokens import Role
from acd.control.words import Masked, Time, caller_for, time_of
from routing.callbacks import CallbackState, CallbackStatus

_NUMBER = re.compile(r"\+?[0-9]{2,15}", re.ASCII)
_MOST_LOOKED_AT = 1000
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
    skills: dict[str, int] = Field(description="Asked of whoever calls, beside what the queue asks.")
    promised_by: str | None = Field(description="The agent who scheduled it.")
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
    """Call a number at a time: for one agent, or for whoever has the skills, of a queue or of all agents.

    An agent's own token is for self, where nothing else is said, or for a skill of any queue.
    """

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
    def _is_for_one_or_for_many(self) -> FollowUp:
        if self.agent is not None and (self.queue is not None or self.skills):
            raise ValueError("give the agent alone, or the queue or skills of those whom it is for")
        return self

    def is_for(self, asking: str) -> tuple[str, str | None]:
        """The queue, and the one agent; `asking` is the agent who asks, if it is one. Raises Problem."""
        for_many = self.queue is not None or bool(self.skills)
        if asking and (self.queue is not None or self.agent not in (None, asking)):
            raise forbidden("An agent schedules follow-ups for self, or for a skill.")
        if for_many:
            return self.queue or SKILL_QUEUE, None
        agent = self.agent or asking
        _check(bool(agent), "", "give the agent, the queue or the skills that it is for")
        return EXTENSION_QUEUE, agent


def callback_of(status: CallbackStatus, role: Role | None) -> Callback:
    order = read_order(status.document)
    return Callback(
        id=status.id,
        kind=order.kind,
        queue=None if order.queue in NO_QUEUES else order.queue,
        agent=order.agent,
        skills=dict(order.skills),
        promised_by=order.by or None,
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
    if ask.agent:
        return await _own_follow_ups(ask, query)
    known = [*ask.context.directory().queues, EXTENSION_QUEUE, SKILL_QUEUE]
    queues = known if query.queue is None else [query.queue]
    return Callbacks(
        items=[
            callback_of(status, ask.role)
            for queue in queues
            for status in await ask.context.callbacks.of(queue, query.limit)
        ]
    )


async def _own_follow_ups(ask: Ask, query: CallbackQuery) -> Callbacks:
    """Those that are for the agent, and those that the agent promised."""
    if query.queue is not None:
        raise forbidden("An agent sees no queues' callbacks; leave queue out.")
    own = [
        status
        for queue in (EXTENSION_QUEUE, SKILL_QUEUE)
        for status in await ask.context.callbacks.of(queue, _MOST_LOOKED_AT)
        if _is_own(ask, status)
    ]
    return Callbacks(items=[callback_of(status, ask.role) for status in own[: query.limit]])


def _is_own(ask: Ask, status: CallbackStatus) -> bool:
    order = read_order(status.document)
    return ask.agent in (order.agent, order.by)


async def add_follow_up(ask: Ask) -> Callback:
    wanted = await ask.body(FollowUp)
    directory, now, due = ask.context.directory(), ask.context.clock.time(), wanted.at.timestamp()
    queue, agent = wanted.is_for(ask.agent)
    _check(wanted.agent is None or wanted.agent in directory.agents, "/agent", "there is no such agent")
    _check(wanted.queue is None or wanted.queue in directory.queues, "/queue", "there is no such queue")
    for skill in wanted.skills:
        _check(skill in directory.skills, f"/skills/{skill[:64]}", "there is no such skill")
    _check(now - 60 <= due <= now + _LATEST_SECONDS, "/at", "must be from now to a year from now")
    if ask.agent:
        outside_for_agent(directory, ask.agent, wanted.number)
    order = CallbackOrder(
        id=f"{round(now * 1000):x}-{secrets.token_hex(6)}",
        kind="follow-up",
        queue=queue,
        agent=agent,
        by=ask.agent,
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
    if ask.agent:
        found = await ask.context.callbacks.find(ask.name("id"))
        ask.check_own(found is None or _is_own(ask, found), "callback")
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
        own="handler",
    ),
    Route(
        "POST",
        "/v1/callbacks",
        add_follow_up,
        Role.SUPERVISOR,
        _TAG,
        "Schedule a follow-up for an agent, a queue or a skill",
        answer=Callback,
        body=FollowUp,
        own="handler",
        once=True,
    ),
    Route(
        "DELETE",
        "/v1/callbacks/{id}",
        cancel_callback,
        Role.SUPERVISOR,
        _TAG,
        "Cancel a callback that is not being made",
        errors=(404, 409),
        own="handler",
    ),
)
