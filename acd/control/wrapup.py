"""/v1/agents/{id}/wrap-up: how long an agent works on after a call, and what is noted about it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from acd.agents.notes import Note, NoteRefused, check_note
from acd.agents.staffing import offline
from acd.calls.model import call_of_entry
from acd.control import records
from acd.control.agents import Wrapup, configured, wrapup_of
from acd.control.calls import at_any_node
from acd.control.problems import FieldError, Problem, field_errors
from acd.control.route import Ask, Route
from acd.control.tokens import Role
from acd.directory.model import Queue
from routing.model import AgentState, AgentStatus


class FormField(BaseModel):
    name: str
    kind: Literal["text", "number", "choice"]
    label: str | None
    required: bool
    choices: list[str]


class WrapupView(BaseModel):
    """The conversation that the agent is in or wraps up, and what may be noted about it."""

    state: AgentState
    wrapup: Wrapup | None
    call_id: str | None
    queue: str | None
    codes: list[str]
    code_required: bool
    form: list[FormField]
    note: records.Note | None = Field(description="What this agent has noted about that call.")


class WrapupOrder(BaseModel):
    """Notes first, then more time, then the end; a note that is refused leaves all as it is."""

    model_config = ConfigDict(extra="forbid")

    code: str | None = Field(default=None, max_length=128)
    fields: dict[str, str | float | bool | None] | None = Field(
        default=None, max_length=30, description="By the names of the queue's form."
    )
    call_id: str | None = Field(
        default=None, max_length=64, description="An earlier call of the agent; else the one at hand."
    )
    extend_seconds: float | None = Field(default=None, gt=0, le=86_400, allow_inf_nan=False)
    end: bool = False


async def show_wrapup(ask: Ask) -> WrapupView:
    directory, agent = configured(ask)
    status = await _status(ask, agent.id)
    call_id, queue = await _at_hand(ask, status)
    rules = directory.queues.get(queue or "", Queue(queue or ""))
    given = await ask.context.notes.of(call_id) if call_id else ()
    return WrapupView(
        state=status.state,
        wrapup=wrapup_of(status),
        call_id=call_id,
        queue=queue,
        codes=list(rules.wrapup_codes),
        code_required=rules.wrapup_code_required,
        form=[
            FormField(
                name=field.name,
                kind=field.kind,
                label=field.label or None,
                required=field.required,
                choices=list(field.choices),
            )
            for field in rules.wrapup_form
        ],
        note=next((records.note_of(note) for note in given if note.agent == agent.id), None),
    )


async def order_wrapup(ask: Ask) -> WrapupView:
    _, agent = configured(ask)
    order = await ask.body(WrapupOrder)
    if order.code is not None or order.fields is not None:
        await _note(ask, agent.id, order)
    elif order.extend_seconds is None and not order.end:
        raise Problem(422, "invalid-body", "Give a code, fields, extend_seconds or end.")
    if order.extend_seconds is not None:
        await ask.context.agents.extend_wrapup(agent.id, order.extend_seconds)
    if order.end:
        await ask.context.agents.end_wrapup(agent.id)
    return await show_wrapup(ask)


async def _note(ask: Ask, agent: str, order: WrapupOrder) -> None:
    context = ask.context
    if order.call_id is None:
        call_id, queue = await _at_hand(ask, await _status(ask, agent))
    else:
        call_id, queue = order.call_id, await _queue_of_earlier(ask, agent, order.call_id)
    if call_id is None or queue is None:
        raise Problem(409, "state-not-allowed", "The agent has no call at hand; name one as call_id.")
    rules = context.directory().queues.get(queue, Queue(queue))
    try:
        fields = check_note(rules, order.code, order.fields or {})
    except NoteRefused as error:
        detail = f"The note does not fit queue {queue!r}."
        raise Problem(422, error.cause, detail, errors=field_errors(error.problems)) from error
    await context.notes.put(Note(call_id, agent, queue, order.code, fields, context.clock.time()))


async def _status(ask: Ask, agent: str) -> AgentStatus:
    return (await ask.context.store.agents([agent])).get(agent) or offline(agent)


async def _at_hand(ask: Ask, status: AgentStatus) -> tuple[str | None, str | None]:
    """The call that the agent wraps up or is in, and its queue where it is known here."""
    if status.wrapup is not None:
        return call_of_entry(status.wrapup.call_id), status.wrapup.queue
    if status.state is not AgentState.TALKING or status.call_id is None:
        return None, None
    call_id = call_of_entry(status.call_id)
    view = await at_any_node(ask, call_id)
    return (call_id, view.queue) if view else (None, None)


async def _queue_of_earlier(ask: Ask, agent: str, call_id: str) -> str | None:
    """The queue in which the agent had that call."""
    call_at_hand, queue = await _at_hand(ask, await _status(ask, agent))
    if call_id == call_at_hand:
        return queue
    record = await ask.context.records.record(call_id)
    mine = [segment for segment in record.segments if segment.agent == agent] if record else []
    if not mine:
        field = FieldError(pointer="/call_id", detail="is none of this agent's calls that ended")
        raise Problem(422, "invalid-note", "There is no such call of this agent.", errors=[field])
    return mine[-1].queue


_PATH = "/v1/agents/{id}/wrap-up"

ROUTES = (
    Route(
        "GET",
        _PATH,
        show_wrapup,
        Role.VIEWER,
        "agents",
        "What an agent still does after a call, and what may be noted about it",
        answer=WrapupView,
        errors=(404,),
        own="path",
    ),
    Route(
        "POST",
        _PATH,
        order_wrapup,
        Role.SUPERVISOR,
        "agents",
        "Note what a call came to; extend or end the wrap-up",
        answer=WrapupView,
        body=WrapupOrder,
        errors=(404, 409),
        own="path",
    ),
)
