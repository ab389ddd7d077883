"""/v1/calls: the live calls of all nodes; a supervisor may end one, or send its caller elsewhere.

An agent sees the calls that ring or talk to them, and may send on whom they talk to.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from acd.calls.model import State
from acd.calls.record import Direction
from acd.calls.view import CallView
from acd.control.orders import HangUp, Transfer
from acd.control.problems import Problem, not_found
from acd.control.route import Ask, Route
from acd.control.tokens import Role
from acd.control.words import Masked, Seconds, Time, caller_for, time_of
from acd.history.elsewhere import CallsUnseen


class Call(BaseModel):
    id: str
    state: State
    queue: str | None
    agent: str | None = Field(description="Who is rung or talks.")
    direction: Direction
    caller: Masked
    called: str = Field(description="A number outside is masked for a viewer, as callers are.")
    started_at: Time
    waiting_seconds: Seconds
    expected_wait_seconds: Seconds | None = Field(
        description="From now until an agent answers; null where it does not wait or nobody is there."
    )
    language: str | None
    node: str


class Calls(BaseModel):
    items: list[Call] = Field(description="The oldest first.")
    complete: bool = Field(description="False while the calls of other nodes cannot be seen.")


class TransferOrder(BaseModel):
    """An agent on the line stays until a colleague has the call, and gets it back where they do not."""

    model_config = ConfigDict(extra="forbid")

    to: str = Field(
        min_length=1,
        max_length=64,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="An extension, a number of the directory or outside, or the name of a queue.",
    )
    preferred_agent: str = Field(
        default="", max_length=64, description="Who should take the call there before others do, by id."
    )


def call_of(view: CallView, ask: Ask) -> Call:
    return Call(
        id=view.id,
        state=State(view.state),
        queue=view.queue or None,
        agent=view.agent or None,
        caller=caller_for(ask.role, view.caller),
        direction=view.direction,
        called=caller_for(ask.role, view.called) if view.direction == "outbound" else view.called,
        started_at=time_of(view.started_at),
        waiting_seconds=max(view.waiting_seconds, 0.0),
        expected_wait_seconds=ask.context.forecast.of_call(view.entry),
        language=view.language or None,
        node=view.node,
    )


async def list_calls(ask: Ask) -> Calls:
    elsewhere: Sequence[CallView] = ()
    complete = True
    try:
        elsewhere = await ask.context.calls_elsewhere.live()
    except CallsUnseen:
        complete = False
    own = {view.id: view for view in ask.context.calls.live()}
    live = sorted([*own.values(), *(view for view in elsewhere if view.id not in own)], key=_began)
    items = [call_of(view, ask) for view in live if ask.agent in ("", view.agent)]
    return Calls(items=items, complete=complete)


def _began(view: CallView) -> float:
    return view.started_at


async def show_call(ask: Ask) -> Call:
    return call_of(await find_call(ask), ask)


def unseen() -> Problem:
    """It may be a call of another node."""
    return Problem(503, "store-unavailable", "The calls of other nodes cannot be seen; try again.")


async def at_any_node(ask: Ask, call_id: str) -> CallView | None:
    """A live call, wherever it is. Raises Problem 503 where the other nodes cannot be seen."""
    try:
        return ask.context.calls.find(call_id) or await ask.context.calls_elsewhere.find(call_id)
    except CallsUnseen:
        raise unseen() from None


async def find_call(ask: Ask) -> CallView:
    """The call of the path. Raises Problem 403, 404, 503."""
    view = await at_any_node(ask, ask.name("id"))
    if view is None:
        raise not_found("live call")
    ask.check_own(view.agent == ask.agent, "call")
    return view


async def end_call(ask: Ask) -> None:
    view = await find_call(ask)
    await ask.context.orders.give(view.node, HangUp(view.id))


async def transfer_call(ask: Ask) -> None:
    order, view = await ask.body(TransferOrder), await find_call(ask)
    transfer = Transfer(view.id, order.to, order.preferred_agent, ask.agent)
    await ask.context.orders.give(view.node, transfer)


ROUTES = (
    Route(
        "GET",
        "/v1/calls",
        list_calls,
        Role.VIEWER,
        "calls",
        "Live calls of all nodes",
        answer=Calls,
        own="handler",
    ),
    Route(
        "GET",
        "/v1/calls/{id}",
        show_call,
        Role.VIEWER,
        "calls",
        "One live call",
        answer=Call,
        errors=(404,),
        own="handler",
    ),
    Route(
        "POST",
        "/v1/calls/{id}/transfer",
        transfer_call,
        Role.SUPERVISOR,
        "calls",
        "Send the caller elsewhere",
        body=TransferOrder,
        errors=(404, 409, 504),
        own="handler",
        once=True,
    ),
    Route(
        "DELETE", "/v1/calls/{id}", end_call, Role.SUPERVISOR, "calls", "Hang up a call", errors=(404, 504)
    ),
)
