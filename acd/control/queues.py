"""/v1/queues: how many wait, how long, and who is there to answer."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from acd.agents.staffing import Live, read_live
from acd.control.ports import ControlContext
from acd.control.problems import not_found
from acd.control.route import Ask, Route
from acd.control.tokens import Role
from acd.control.words import Seconds
from routing.model import AgentState


class AgentCounts(BaseModel):
    """Agents with the skills of the queue, by state. One agent may serve several queues."""

    model_config = ConfigDict(populate_by_name=True)

    available: int
    offered: int
    talking: int
    wrapup: int
    paused: int
    offline: int
    not_answering: int = Field(alias="not-answering")


class Queue(BaseModel):
    name: str
    waiting: int
    ringing: int = Field(description="Callers for whom an agent is rung.")
    callbacks: int = Field(description="Callers who hung up and are to be called; one that is due waits too.")
    longest_wait_seconds: Seconds
    expected_wait_seconds: Seconds | None = Field(
        description="Until an agent would answer somebody who came now; null where nobody is there to."
    )
    agents: AgentCounts
    strategy: str
    service_level_seconds: Seconds
    counters: dict[str, int] = Field(description="Totals since the store began, over all nodes.")


class Queues(BaseModel):
    items: list[Queue]


def queue_of(name: str, live: Live, context: ControlContext) -> Queue:
    """One queue at this moment."""
    configured, status = live.directory.queues[name], live.queues[name]
    oldest = status.oldest_ms
    counts = context.staffing.count(live)[name]
    return Queue(
        name=name,
        waiting=status.waiting,
        ringing=status.offered,
        callbacks=status.callbacks,
        longest_wait_seconds=0.0 if oldest is None else max(context.clock.time() - oldest / 1000, 0.0),
        expected_wait_seconds=context.forecast.of_queue(name),
        agents=AgentCounts(**{_field(state): count for state, count in counts.items()}),
        strategy=configured.strategy,
        service_level_seconds=configured.service_level_seconds,
        counters=dict(status.counters),
    )


def _field(state: AgentState) -> str:
    return state.value.replace("-", "_")


async def list_queues(ask: Ask) -> Queues:
    live = await read_live(ask.context.directory(), ask.context.store)
    return Queues(items=[queue_of(name, live, ask.context) for name in live.queues])


async def show_queue(ask: Ask) -> Queue:
    directory, name = ask.context.directory(), ask.name("name")
    if name not in directory.queues:
        raise not_found("queue")
    return queue_of(name, await read_live(directory, ask.context.store), ask.context)


ROUTES = (
    Route("GET", "/v1/queues", list_queues, Role.VIEWER, "queues", "All queues", answer=Queues),
    Route(
        "GET",
        "/v1/queues/{name}",
        show_queue,
        Role.VIEWER,
        "queues",
        "One queue",
        answer=Queue,
        errors=(404,),
    ),
)
