"""Signs agents in and out, and takes their wishes to the store. The store holds the state."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Protocol

import structlog

from acd import tasks
from acd.agents.notebook import Notebook
from acd.agents.terms import profile_of, terms_of
from acd.clock import Clock
from acd.directory.model import Agent, Directory
from acd.errors import AcdError
from routing.model import AgentState, AgentStatus
from routing.ports import QueueStore, StoreUnavailable

log = structlog.get_logger(__name__)


class UnknownAgent(AcdError):
    """No such agent in the directory."""

    sip_status = 404
    cause = "unknown-agent"


class StateNotAllowed(AcdError):
    """That state cannot be set now, or not by this way; the message says what to do."""

    sip_status = 403
    cause = "state-not-allowed"


class Phones(Protocol):
    """Agents' phones at all nodes."""

    def registered(self, agent_id: str) -> bool:
        """Whether some phone of the agent can be rung, whichever node it is registered with."""

    def registered_here(self, agent_id: str) -> bool:
        """Whether some phone of the agent is registered with this node."""

    def is_up(self, node: str) -> bool:
        """Whether this is another node, and it lives: it looks after its agents itself."""

    async def written(self) -> None:
        """Return once the other nodes can know what phones have said to this one."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an agent asked for last at this node, and was given."""

    state: AgentState
    reason: str
    at_ms: int


class AgentDesk:
    """What agents, their phones and their supervisors ask for, told to the store."""

    def __init__(
        self,
        node: str,
        store: QueueStore,
        clock: Clock,
        directory: Callable[[], Directory],
        phones: Phones,
        notebook: Notebook,
    ) -> None:
        self._node = node
        self._store = store
        self._clock = clock
        self._directory = directory
        self._phones = phones
        self._notebook = notebook
        self._duties: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None
        self._asked: dict[str, _Asked] = {}

    def start(self) -> None:
        """Begin to carry out what phones and the directory bring, one after the other."""
        self._worker = asyncio.create_task(self._work(), name="agent-desk")

    async def stop(self) -> None:
        await tasks.end(self._worker)
        self._worker = None

    async def _work(self) -> None:
        while True:
            duty = await self._duties.get()
            try:
                await duty()
            except StoreUnavailable as error:
                # What could not be said is put right by `settle` once the store is back.
                log.warning("agent-desk-store-away", error=str(error))
            except Exception:
                log.exception("agent-desk-failed")

    def phone_changed(self, agent_id: str, registered: bool) -> None:
        """A phone came or went. Coming signs in those who sign in that way; going signs out everyone."""
        self._duties.put_nowait(lambda: self._follow_phone(agent_id, registered))

    async def _follow_phone(self, agent_id: str, registered: bool) -> None:
        agent = self._directory().agents.get(agent_id)
        if agent is None:
            return
        await self._phones.written()  # or another node would be offered an agent whom it cannot ring
        status = await self.status(agent_id)
        if not registered and status.state is not AgentState.OFFLINE:
            if self._phones.registered(agent_id):
                return  # and is back meanwhile, here or at another node
            await self._store.agent_away(agent_id, AgentState.OFFLINE, "phone-gone", self._now_ms())
            log.info("agent-signed-out", agent=agent_id, why="phone-gone")
        elif registered and agent.sign_in == "on-register" and status.state is AgentState.OFFLINE:
            await self._sign_in(agent)

    def nodes_gone(self, nodes: Collection[str]) -> None:
        """Nodes died: whoever looked after agents there, all that are left do now."""
        log.warning("nodes-gone", nodes=sorted(nodes))
        self._duties.put_nowait(self.settle)

    def directory_changed(self) -> None:
        """Agents may be new, gone, or skilled otherwise."""
        self._duties.put_nowait(self.sign_out_removed)
        self._duties.put_nowait(self.settle)

    async def set_state(
        self, agent_id: str, state: AgentState, reason: str = "", *, force: bool = False
    ) -> AgentStatus:
        """What the API and feature codes ask for: available, paused or offline. Each ends a wrap-up, as long
        as its note is not missing, or with `force`.

        Raises UnknownAgent, StateNotAllowed, acd.agents.notes.NoteMissing.
        """
        agent = self._directory().agents.get(agent_id)
        if agent is None:
            raise UnknownAgent(f"no agent {agent_id!r} in the directory")
        if not force:
            await self._notebook.check(await self.status(agent_id))
        if state is AgentState.AVAILABLE:
            if not self._phones.registered(agent_id):
                raise StateNotAllowed(f"agent {agent_id!r} has no registered phone; register it first")
            await self._sign_in(agent)
        elif state in (AgentState.PAUSED, AgentState.OFFLINE):
            now_ms = self._now_ms()
            await self._store.agent_away(agent_id, state, reason, now_ms)
            self._asked[agent_id] = _Asked(state, reason, now_ms)
        else:
            raise StateNotAllowed(f"state {state.value!r} comes from calls; set available, paused or offline")
        log.info("agent-state-set", agent=agent_id, state=state.value, reason=reason)
        return await self.status(agent_id)

    async def end_wrapup(self, agent_id: str) -> AgentStatus:
        """The agent is done before the time. Raises UnknownAgent, StateNotAllowed, NoteMissing."""
        await self._notebook.check(await self._in_wrapup(agent_id))
        state = await self._store.end_wrapup(agent_id, self._now_ms())
        log.info("agent-wrapup-ended", agent=agent_id, state=state.value)
        return await self.status(agent_id)

    async def extend_wrapup(self, agent_id: str, seconds: float) -> AgentStatus:
        """So many seconds more from now, as far as the queue lets. Raises UnknownAgent, StateNotAllowed."""
        await self._in_wrapup(agent_id)
        now_ms = self._now_ms()
        ends = await self._store.extend_wrapup(agent_id, now_ms + round(seconds * 1000), now_ms)
        if ends is None or ends[0] == ends[1]:
            raise StateNotAllowed(
                f"the wrap-up of agent {agent_id!r} lasts as long already, or as its queue lets it "
                "(wrapup_mode, wrapup_limit_seconds)"
            )
        log.info("agent-wrapup-extended", agent=agent_id, seconds=(ends[1] - ends[0]) / 1000)
        return await self.status(agent_id)

    async def give_code(self, agent_id: str, number: str) -> None:
        """The wrap-up code of that number. Raises as Notebook.give_code does."""
        await self._notebook.give_code(await self.status(agent_id), number)
        log.info("agent-noted-code", agent=agent_id)

    async def give_reason(self, agent_id: str, number: str) -> None:
        """Why the agent did not take the last call. Raises as Notebook.give_reason does."""
        await self._notebook.give_reason(agent_id, number)
        log.info("agent-gave-reason", agent=agent_id)

    async def _in_wrapup(self, agent_id: str) -> AgentStatus:
        if agent_id not in self._directory().agents:
            raise UnknownAgent(f"no agent {agent_id!r} in the directory")
        status = await self.status(agent_id)
        if status.state is not AgentState.WRAPUP:
            raise StateNotAllowed(
                f"agent {agent_id!r} is {status.state.value}; only a wrap-up can be ended or extended"
            )
        return status

    async def status(self, agent_id: str) -> AgentStatus:
        """What the store knows; an agent it has never heard of is offline."""
        known = await self._store.agents([agent_id])
        return known.get(agent_id) or AgentStatus(agent_id, AgentState.OFFLINE, 0)

    async def settle(self) -> None:
        """Make the store agree with phones and directory: after a start or a change."""
        await self.say_again()

    async def say_again(self, *, lost: bool = False) -> int:
        """The same after the store's return; how many agents it was told of. `lost`: it may not know what it
        acknowledged last, so what agents asked for here is said again, unless it knows of something later.

        Whoever is signed in without a phone is signed out; whoever signs in by registering and has a
        phone is signed in; changed skills are made known, whatever the agent does. A pause is left as it is.
        Agents whom another living node signed in are its own business.
        """
        directory = self._directory()
        known = await self._store.agents(list(directory.agents))
        told = 0
        for agent in directory.agents.values():
            status = known.get(agent.id) or AgentStatus(agent.id, AgentState.OFFLINE, 0)
            if lost and await self._ask_again(agent, status):
                told += 1
            elif status.state is AgentState.OFFLINE or not self._phones.is_up(status.node):
                told += await self._settle(agent, status.state)
        return told

    async def _ask_again(self, agent: Agent, status: AgentStatus) -> bool:
        """Said with the time at which it was asked for, so that of two nodes the later word holds."""
        asked = self._asked.get(agent.id)
        if asked is None or asked.at_ms <= status.since_ms or not self._phones.registered(agent.id):
            return False
        if asked.state is AgentState.AVAILABLE:
            await self._store.agent_available(
                agent.id, self._node, profile_of(agent), asked.at_ms, terms_of(agent)
            )
        else:
            await self._store.agent_away(agent.id, asked.state, asked.reason, asked.at_ms)
        return True

    async def _settle(self, agent: Agent, state: AgentState) -> bool:
        """Whether there was something to say."""
        if not self._phones.registered(agent.id):
            if state is AgentState.OFFLINE:
                return False
            await self._store.agent_away(agent.id, AgentState.OFFLINE, "phone-gone", self._now_ms())
        elif state is not AgentState.OFFLINE:
            await self._store.agent_skills(agent.id, profile_of(agent), self._now_ms(), terms_of(agent))
        elif agent.sign_in == "on-register" and self._phones.registered_here(agent.id):
            await self._sign_in(agent)
        else:
            return False
        return True

    async def sign_out_removed(self) -> None:
        """Agents whom the store remembers and the directory, which was just read, has no longer."""
        removed = set(await self._store.known_agents()) - set(self._directory().agents)
        for agent_id in sorted(removed):
            await self._store.agent_away(agent_id, AgentState.OFFLINE, "removed", self._now_ms())

    async def _sign_in(self, agent: Agent) -> None:
        now_ms = self._now_ms()
        state = await self._store.agent_available(
            agent.id, self._node, profile_of(agent), now_ms, terms_of(agent)
        )
        self._asked[agent.id] = _Asked(AgentState.AVAILABLE, "", now_ms)
        log.info("agent-signed-in", agent=agent.id, state=state.value)

    def _now_ms(self) -> int:
        return round(self._clock.time() * 1000)
