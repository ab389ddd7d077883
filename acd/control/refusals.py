"""/v1/agents/{id}/refusal: why an agent does not take the call that rings, or did not take the last one."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from acd.agents.notebook import REASON_SECONDS
from acd.agents.notes import RefusedCall
from acd.agents.staffing import offline
from acd.calls.model import call_of_entry
from acd.control.agents import configured
from acd.control.calls import at_any_node
from acd.control.problems import FieldError, Problem
from acd.control.route import Ask, Route
from acd.control.tokens import Role
from acd.directory.model import Queue
from routing.model import AgentState


class RefusalView(BaseModel):
    call_id: str | None = Field(description="The call that rings, or that the agent did not take last.")
    queue: str | None
    reasons: list[str] = Field(description="What may be said of it.")
    required: bool
    reason: str | None = Field(description="What has been said.")


class RefusalReason(BaseModel):
    """While the call rings, or within five minutes after."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=128)


async def show_refusal(ask: Ask) -> RefusalView:
    call = await _at_hand(ask)
    if call is None:
        return RefusalView(call_id=None, queue=None, reasons=[], required=False, reason=None)
    known = (await ask.context.refusals.of(call.call_id)).get(call.agent)
    return _view(ask, call, known.reason if known else None)


async def give_reason(ask: Ask) -> RefusalView:
    given = await ask.body(RefusalReason)
    call = await _at_hand(ask)
    if call is None:
        raise Problem(409, "state-not-allowed", "No call rings, and none was left in the last five minutes.")
    reasons = _rules(ask, call).refusal_reasons
    if given.reason not in reasons:
        detail = f"is not among the reasons of queue {call.queue!r}: {', '.join(reasons) or 'none'}"
        errors = [FieldError(pointer="/reason", detail=detail)]
        raise Problem(422, "invalid-reason", "The reason does not fit the queue.", errors=errors)
    await ask.context.refusals.give(call, given.reason)
    return _view(ask, call, given.reason)


def _view(ask: Ask, call: RefusedCall, reason: str | None) -> RefusalView:
    return RefusalView(
        call_id=call.call_id,
        queue=call.queue,
        reasons=list(_rules(ask, call).refusal_reasons),
        required=_rules(ask, call).refusal_reason_required,
        reason=reason,
    )


def _rules(ask: Ask, call: RefusedCall) -> Queue:
    return ask.context.directory().queues.get(call.queue, Queue(call.queue))


async def _at_hand(ask: Ask) -> RefusedCall | None:
    """The call that rings, of whichever node; else the last one that was not taken."""
    _, agent = configured(ask)
    now = ask.context.clock.time()
    status = (await ask.context.store.agents([agent.id])).get(agent.id) or offline(agent.id)
    if status.state is AgentState.OFFERED and status.call_id:
        view = await at_any_node(ask, call_of_entry(status.call_id))
        if view is not None and view.queue:
            return RefusedCall(view.id, agent.id, view.queue, now, required=False)
    return await ask.context.refusals.last(agent.id, now - REASON_SECONDS)


_PATH = "/v1/agents/{id}/refusal"

ROUTES = (
    Route(
        "GET",
        _PATH,
        show_refusal,
        Role.VIEWER,
        "agents",
        "The call that an agent does not take, and what may be said of it",
        answer=RefusalView,
        errors=(404,),
        own="path",
    ),
    Route(
        "POST",
        _PATH,
        give_reason,
        Role.SUPERVISOR,
        "agents",
        "Say why the agent does not take the call",
        answer=RefusalView,
        body=RefusalReason,
        errors=(404, 409),
        own="path",
    ),
)
