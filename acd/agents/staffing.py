"""Which agents serve which queue, and what they are all doing now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from acd.directory.model import Agent, Directory, Queue
from routing.model import AgentState, AgentStatus, QueueStatus


class LiveStore(Protocol):
    """The part of routing.ports.QueueStore that only looks."""

    async def queues(self, names: Sequence[str]) -> Sequence[QueueStatus]: ...

    async def agents(self, agent_ids: Sequence[str]) -> Mapping[str, AgentStatus]: ...


@dataclass(frozen=True, slots=True)
class Live:
    """Every queue and every agent of one directory snapshot, as the store has them."""

    directory: Directory
    queues: Mapping[str, QueueStatus]
    agents: Mapping[str, AgentStatus]


async def read_live(directory: Directory, store: LiveStore) -> Live:
    """Two reads, whatever the size of the centre. What the store does not know is empty or offline."""
    statuses = {status.queue: status for status in await store.queues(list(directory.queues))}
    agents = await store.agents(list(directory.agents))
    return Live(
        directory,
        {name: statuses.get(name) or QueueStatus(name) for name in directory.queues},
        {agent: agents.get(agent) or offline(agent) for agent in directory.agents},
    )


def offline(agent_id: str) -> AgentStatus:
    """An agent who has never signed in; `since_ms` is 0."""
    return AgentStatus(agent_id, AgentState.OFFLINE, 0)


def serves(agent: Agent, queue: Queue) -> bool:
    """Whether the agent may be given calls of the queue that have not waited: by queues, team and skills."""
    if agent.queues and queue.name not in agent.queues:
        return False
    if queue.teams and agent.team not in queue.teams:
        return False
    return _has_all(agent, queue.requires) and all(
        any(_has_all(agent, {skill: level}) for skill, level in group.items()) for group in queue.any_of
    )


def _has_all(agent: Agent, levels: Mapping[str, int]) -> bool:
    return all(agent.skills.get(skill, 0) >= level for skill, level in levels.items())


class Staffing:
    """The agents of each queue, worked out once a directory snapshot."""

    def __init__(self) -> None:
        self._directory: Directory | None = None
        self._agents: dict[str, tuple[str, ...]] = {}

    def agents_of(self, directory: Directory) -> Mapping[str, Sequence[str]]:
        if directory is not self._directory:
            self._agents = {
                name: tuple(agent.id for agent in directory.agents.values() if serves(agent, queue))
                for name, queue in directory.queues.items()
            }
            self._directory = directory
        return self._agents

    def count(self, live: Live) -> Mapping[str, Mapping[AgentState, int]]:
        """Queue -> state -> agents in it. An agent is counted in every queue that they serve."""
        return {
            name: count_states(live.agents[agent].state for agent in agents)
            for name, agents in self.agents_of(live.directory).items()
        }


def count_states(states: Iterable[AgentState]) -> dict[AgentState, int]:
    counts = dict.fromkeys(AgentState, 0)
    for state in states:
        counts[state] += 1
    return counts
