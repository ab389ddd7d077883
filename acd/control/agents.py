"""/v1/agents: who is there and what they do; a supervisor may change their state."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from acd.agents.staffing import offline, read_live
from acd.calls.model import call_of_entry
from acd.control.ports import ControlContext
from acd.control.problems import not_found
from acd.control.route import Ask, Route
from acd.control.tokens import Role
from acd.control.words import Time, time_of
from acd.directory.model import Agent as Configured
from acd.directory.model import Directory
from routing.model import AgentState, AgentStatus


class Wrapup(BaseModel):
    """What is left to do after a conversation; `until` is when it ends by itself."""

    call_id: str
    queue: str
    until: Time
    limit: Time = Field(description="How far it can be extended.")


class Agent(BaseModel):
    id: str
    name: str
    extension: str
    team: str | None
    state: AgentState
    reason: str | None = Field(description="Why paused or offline, where one was given.")
    since: Time | None = Field(description="When the state began; null for one who never signed in.")
    call_id: str | None = Field(description="The call that rings, else the newest that is talked to.")
    talks: int = Field(description="Conversations now.")
    capacity: int = Field(description="Conversations that the agent may have at a time.")
    wrapup: Wrapup | None
    skills: dict[str, int]
    queues: list[str] = Field(description="Queues that these skills serve.")


class Agents(BaseModel):
    items: list[Agent]


class AgentStateChange(BaseModel):
    """While the agent talks the change is kept, and made when the call and its wrap-up end."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["available", "paused", "offline"]
    reason: str = Field(default="", max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")


def agent_of(agent: Configured, status: AgentStatus, directory: Directory, context: ControlContext) -> Agent:
    """One agent at this moment."""
    staffed = context.staffing.agents_of(directory)
    return Agent(
        id=agent.id,
        name=agent.name,
        extension=agent.extension,
        team=agent.team or None,
        state=status.state,
        reason=status.reason or None,
        since=time_of(status.since_ms / 1000) if status.since_ms else None,
        call_id=status.call_id and call_of_entry(status.call_id),
        talks=status.talks,
        capacity=agent.capacity,
        wrapup=wrapup_of(status),
        skills=dict(agent.skills),
        queues=[name for name, agents in staffed.items() if agent.id in agents],
    )


def wrapup_of(status: AgentStatus) -> Wrapup | None:
    if status.wrapup is None:
        return None
    return Wrapup(
        call_id=call_of_entry(status.wrapup.call_id),
        queue=status.wrapup.queue,
        until=time_of(status.wrapup.until_ms / 1000),
        limit=time_of(status.wrapup.limit_ms / 1000),
    )


async def list_agents(ask: Ask) -> Agents:
    directory = ask.context.directory()
    live = await read_live(directory, ask.context.store)
    return Agents(
        items=[
            agent_of(agent, live.agents[agent.id], directory, ask.context)
            for agent in directory.agents.values()
        ]
    )


async def show_agent(ask: Ask) -> Agent:
    directory, agent = configured(ask)
    known = await ask.context.store.agents([agent.id])
    return agent_of(agent, known.get(agent.id) or offline(agent.id), directory, ask.context)


async def set_state(ask: Ask) -> Agent:
    directory, agent = configured(ask)
    change = await ask.body(AgentStateChange)
    # A supervisor may have to sign out somebody who left a note unwritten.
    status = await ask.context.agents.set_state(
        agent.id, AgentState(change.state), change.reason, force=not ask.agent
    )
    return agent_of(agent, status, directory, ask.context)


class CallOrder(BaseModel):
    """A number outside that the agent may call."""

    model_config = ConfigDict(extra="forbid")

    to: str = Field(
        min_length=2,
        max_length=32,
        pattern=r"^\+?[0-9*#]+$",
        description="As E.164, or as the agent would dial it.",
    )


class CallMade(BaseModel):
    call_id: str


async def call_number(ask: Ask) -> CallMade:
    _, agent = configured(ask)
    order = await ask.body(CallOrder)
    return CallMade(call_id=ask.context.calls.dial(agent.id, order.to))


def configured(ask: Ask) -> tuple[Directory, Configured]:
    directory = ask.context.directory()
    agent = directory.agents.get(ask.name("id"))
    if agent is None:
        raise not_found("agent")
    return directory, agent


ROUTES = (
    Route("GET", "/v1/agents", list_agents, Role.VIEWER, "agents", "All agents", answer=Agents),
    Route(
        "GET",
        "/v1/agents/{id}",
        show_agent,
        Role.VIEWER,
        "agents",
        "One agent",
        answer=Agent,
        errors=(404,),
        own="path",
    ),
    Route(
        "POST",
        "/v1/agents/{id}/state",
        set_state,
        Role.SUPERVISOR,
        "agents",
        "Sign in, pause, resume or sign out an agent",
        answer=Agent,
        body=AgentStateChange,
        errors=(404, 409),
        own="path",
    ),
    Route(
        "POST",
        "/v1/agents/{id}/calls",
        call_number,
        Role.SUPERVISOR,
        "agents",
        "Ring an agent, then call a number outside",
        answer=CallMade,
        body=CallOrder,
        errors=(403, 404, 409),
        own="path",
        once=True,
    ),
)
