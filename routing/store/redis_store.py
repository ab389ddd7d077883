"""The queue in Redis: each operation one atomic script, called through one pipelined connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from routing.callbacks import CallbackStore
from routing.estimate import Agent
from routing.limits import FORGET_QUEUE_MS, REFUSAL_PAUSE_MS, RING_GRACE_MS
from routing.model import (
    AgentProfile,
    AgentState,
    AgentStatus,
    AgentTerms,
    Crowd,
    Departure,
    NodeMessage,
    Position,
    QueueStatus,
    Refusal,
    Requirement,
    Ticket,
)
from routing.outages import Trouble
from routing.ports import StaleToken, StoreUnavailable
from routing.requirement import check_name, check_ticket, class_name, in_force
from routing.store import replies
from routing.store.arguments import (
    check_agent,
    profiles_of,
    refusal_arguments,
    skill_arguments,
    step_words,
    ticket_arguments,
)
from routing.store.batch import Batcher
from routing.store.callbacks import RedisCallbackStore
from routing.store.generation import Acquaintance
from routing.store.link import Link
from routing.store.registry import Registry
from routing.store.scripts import (
    IN_DOUBT,
    LIBRARIES,
    STALE_TOKEN,
    UNKNOWN_CLASS,
    UNKNOWN_PROFILE,
    load_library,
)
from routing.store.survey import Line, Surveyor

_ATTEMPTS = 5
_MESSAGES_AT_ONCE = 100
_READ_MARGIN_SECONDS = 2.0

_SAME_TERMS = AgentTerms()


def connect(url: str) -> Redis:
    """A client with a small pool. It never says a command twice: the store does that where it is safe.

    `url` as redis-py takes it: redis://, rediss:// or unix://. Replies are bytes.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=8,
        timeout=5.0,
        socket_timeout=5.0,
        socket_connect_timeout=2.0,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis.from_pool(pool)


class RedisQueueStore:
    """The QueueStore of one site. Safe for any number of tasks; belongs to one event loop.

    `redis` is used for its way of connecting only: the store has two connections of its own.
    """

    def __init__(self, redis: Redis, site: str) -> None:
        self._prefix = f"acd:{{{site}}}:"
        self._library = load_library()
        self._acquaintance = Acquaintance(self._library, self._prefix)
        self._batcher = Batcher(redis, self._library.loading, self._acquaintance)
        self._reader = Link(redis)
        self._reading = asyncio.Lock()
        self._registry = Registry(self._run)
        self._surveyor = Surveyor(self._ask, self._prefix)
        self._watchers: list[Callable[[int], None]] = []
        self.callbacks: CallbackStore = RedisCallbackStore(self._run, self._tell)

    @property
    def scripts_reloaded(self) -> int:
        """How often the server had lost its scripts and got them again."""
        return self._batcher.scripts_reloaded

    async def close(self, within_seconds: float = 2.0) -> None:
        """Say what is still to be said, as far as it is heard within the time, and close the connections."""
        await self._batcher.close(within_seconds)
        await self._reader.close()

    # Calls.

    async def enqueue(self, ticket: Ticket, now_ms: int) -> None:
        """Put the call in its place and reserve an agent at once where one is free."""
        await self._defining("enqueue", now_ms, ticket, (), *ticket_arguments(ticket), ticket.passes_over)
        if ticket.passes_over:
            self._tell(now_ms + REFUSAL_PAUSE_MS)
        if ticket.steps:
            self._tell(ticket.enqueued_ms + min(step.after_ms for step in ticket.steps))
        if ticket.target_ms:
            self._tell(ticket.enqueued_ms + ticket.target_ms)

    async def change_needs(self, ticket: Ticket, now_ms: int) -> bool:
        """The call asks from now on what the ticket says. False where it neither waits nor is offered."""
        check_ticket(ticket)
        later = [step for step in ticket.steps if ticket.enqueued_ms + step.after_ms > now_ms]
        asked = in_force(ticket, now_ms)
        ticket = replace(ticket, requirement=asked, steps=tuple(later))
        name, steps = class_name(asked), step_words(ticket)
        found = await self._defining("change_needs", now_ms, ticket, (), ticket.call_id, name, steps)
        if later:
            self._tell(ticket.enqueued_ms + later[0].after_ms)
        return bool(found)

    async def accept(self, call_id: str, agent_id: str, token: int, now_ms: int) -> None:
        """The agent answered. Raises StaleToken."""
        _not_stale(await self._run("accept", now_ms, call_id, agent_id, token))

    async def reject(
        self,
        call_id: str,
        agent_id: str,
        token: int,
        refusal: Refusal,
        now_ms: int,
    ) -> None:
        """The agent did not take it. Raises StaleToken."""
        arguments = (call_id, agent_id, token, *refusal_arguments(refusal))
        _not_stale(await self._run("reject", now_ms, *arguments))
        for wait in {refusal.rest_ms, refusal.retry_ms} - {0}:
            self._tell(now_ms + wait)
        if refusal.then is not AgentState.AVAILABLE:
            self._tell(now_ms)

    async def cancel(self, call_id: str, now_ms: int, how: Departure = "abandoned") -> bool:
        """The wait is over without an agent. False if unknown."""
        return bool(await self._run("cancel", now_ms, call_id, how))

    async def done(
        self, call_id: str, agent_id: str, token: int, now_ms: int, *, wrapup: bool = True
    ) -> int | None:
        """The conversation is over. Returns the deadline of the wrap-up. Raises StaleToken."""
        deadline = _not_stale(await self._run("done", now_ms, call_id, agent_id, token, int(wrapup)))
        if not deadline:
            return None
        self._tell(deadline)
        return deadline

    async def restore_talk(
        self,
        ticket: Ticket,
        agent_id: str,
        node: str,
        profile: AgentProfile,
        token: int,
        now_ms: int,
        terms: AgentTerms = _SAME_TERMS,
    ) -> None:
        """Put back a conversation that the store has lost. Raises StaleToken."""
        await self._restore(ticket, agent_id, node, profile, token, "", now_ms, terms)

    async def restore_offer(
        self,
        ticket: Ticket,
        agent_id: str,
        node: str,
        profile: AgentProfile,
        token: int,
        deadline_ms: int,
        now_ms: int,
        terms: AgentTerms = _SAME_TERMS,
    ) -> None:
        """Put back a reservation that is being rung for and that the store has lost. Raises StaleToken."""
        await self._restore(ticket, agent_id, node, profile, token, deadline_ms, now_ms, terms)
        self._tell(deadline_ms + RING_GRACE_MS)

    async def _restore(
        self,
        ticket: Ticket,
        agent_id: str,
        node: str,
        profile: AgentProfile,
        token: int,
        rung_until: int | str,
        now_ms: int,
        terms: AgentTerms,
    ) -> None:
        skills = skill_arguments(profile, terms)
        arguments = (*ticket_arguments(ticket), agent_id, node, token, *skills, rung_until)
        profiles = profiles_of(profile, terms)
        _not_stale(await self._defining("restore", now_ms, ticket, profiles, *arguments))

    async def restore_place(self, ticket: Ticket, now_ms: int) -> None:
        """Put a call back that waits, says its node, and take back what the store has reserved for it."""
        await self._defining("restore_place", now_ms, ticket, (), *ticket_arguments(ticket))

    async def position(self, call_id: str) -> Position | None:
        """The caller's place; None where the call neither waits nor is offered."""
        found = await self._run("position", call_id)
        return Position(found[0], found[1]) if found else None

    async def crowd(
        self, call_id: str, requirements: Sequence[Requirement], absent: Collection[AgentState]
    ) -> Crowd | None:
        """Who else is there. None where the call does not wait, or a requirement is not known."""
        classes = map(class_name, requirements)
        found = await self._run("crowd", call_id, " ".join(sorted(absent)), *classes)
        return Crowd(found[0], bool(found[1])) if found else None

    # Agents.

    async def agent_available(
        self,
        agent_id: str,
        node: str,
        profile: AgentProfile,
        now_ms: int,
        terms: AgentTerms = _SAME_TERMS,
    ) -> AgentState:
        """Sign in, resume, or leave wrap-up early. Returns the state that the agent is now in."""
        check_agent(agent_id, terms)
        arguments = (agent_id, node, *skill_arguments(profile, terms))
        profiles = profiles_of(profile, terms)
        return AgentState(await self._defining("agent_available", now_ms, None, profiles, *arguments))

    async def agent_away(self, agent_id: str, state: AgentState, reason: str, now_ms: int) -> AgentState:
        """Pause, sign out or set not-answering. Returns the state that the agent is now in."""
        if state not in (AgentState.PAUSED, AgentState.OFFLINE, AgentState.NOT_ANSWERING):
            raise ValueError(f"{state.value!r} is not a way to be away")
        check_name(agent_id)
        found = AgentState(await self._run("agent_away", now_ms, agent_id, state.value, reason))
        self._tell(now_ms)
        return found

    async def end_wrapup(self, agent_id: str, now_ms: int) -> AgentState:
        """The agent is done before the time. Returns the state that the agent is now in."""
        check_name(agent_id)
        return AgentState(await self._run("end_wrapup", now_ms, agent_id))

    async def extend_wrapup(self, agent_id: str, until_ms: int, now_ms: int) -> tuple[int, int] | None:
        """Let a wrap-up go on. Returns its end before and now; None where there is none."""
        check_name(agent_id)
        found = await self._run("extend_wrapup", now_ms, agent_id, until_ms)
        if not found:
            return None
        before, after = found
        self._tell(after)
        return before, after

    async def agent_skills(
        self, agent_id: str, profile: AgentProfile, now_ms: int, terms: AgentTerms = _SAME_TERMS
    ) -> AgentState:
        """The agent's skills are other ones now. Returns the state that the agent is now in."""
        check_agent(agent_id, terms)
        arguments = (agent_id, *skill_arguments(profile, terms))
        profiles = profiles_of(profile, terms)
        return AgentState(await self._defining("agent_skills", now_ms, None, profiles, *arguments))

    # Nodes and time.

    async def tick(self, now_ms: int) -> int | None:
        """Carry out everything due. Returns when the next thing falls due."""
        while True:
            due: int = await self._run("tick", now_ms)
            if due < 0:
                return None
            if due > now_ms:
                return due

    async def heartbeat(self, node: str, lease_ms: int, now_ms: int) -> bool:
        """This node lives until now + lease. True if it held no lease."""
        lapsed, event = await self._run("heartbeat", now_ms, node, lease_ms)
        self._acquaintance.note(event=event)
        return bool(lapsed)

    async def meet(
        self, node: str, now_ms: Callable[[], int], others: Callable[[], Collection[str]] = tuple
    ) -> None:
        """From now on be told what becomes of the store."""
        self._acquaintance.meet(node, now_ms, others)
        await self.look_for_loss()

    async def look_for_loss(self) -> Trouble | None:
        """Ask the store whether it is the one that this node knows, with its data."""
        await self._ask("PING")  # a connection that is opened now is greeted by itself
        if word := self._acquaintance.word():
            self._acquaintance.heard(await self._ask(*word))
        return self.take_trouble()

    def take_trouble(self) -> Trouble | None:
        """What the store turned out to have lost since this was asked last."""
        return self._acquaintance.take_trouble()

    async def settled(self, node: str, now_ms: int) -> None:
        """This node has said everything again that the store may have lost."""
        await self._run("settled", now_ms, node, self._acquaintance.told)

    async def reset_node(self, node: str, now_ms: int) -> Sequence[str]:
        """This node begins anew. Returns the ids of the calls given up."""
        given_up: list[str] = []
        await self._forget_other_releases()
        while True:
            all_done, dropped = await self._run("reset_node", now_ms, node)
            given_up += dropped
            if all_done:
                return given_up

    async def _forget_other_releases(self) -> None:
        """Their scripts go. A node of such a release that still lives loads its own again."""
        for library in await self._ask("FUNCTION", "LIST", "LIBRARYNAME", LIBRARIES):
            name = replies.pairs(library)["library_name"]
            if name != self._library.name:
                await self._ask("FUNCTION", "DELETE", name)

    async def calls_of(self, node: str) -> Sequence[str]:
        """The ids of this node's calls in the store."""
        found: list[str] = await self._ask("SMEMBERS", f"{self._prefix}nc:{node}")
        return sorted(found)

    async def known_agents(self) -> Sequence[str]:
        """The ids of all agents who are remembered, whatever their state."""
        found: list[str] = await self._ask("SMEMBERS", f"{self._prefix}ag")
        return sorted(found)

    async def forget_queues(self, in_use: Collection[str], now_ms: int) -> Sequence[str]:
        """Forget queues that are not in use any more. Returns their names."""
        before = now_ms - FORGET_QUEUE_MS
        found: list[str] = await self._ask("ZRANGE", f"{self._prefix}qk", "-inf", before, "BYSCORE")
        forgotten = []
        for queue in found:
            if queue not in in_use and await self._run("forget_queue", now_ms, queue):
                forgotten.append(queue)
        return forgotten

    def watch_deadlines(self, tell: Callable[[int], None]) -> None:
        """Call `tell` with each deadline (ms) that an operation on this object makes."""
        self._watchers.append(tell)

    async def messages(self, node: str, after: str, block_ms: int) -> Sequence[tuple[str, NodeMessage]]:
        """What this node's stream holds after an id, waiting up to `block_ms` for the first."""
        read: tuple[str | int, ...] = ("XREAD", "COUNT", _MESSAGES_AT_ONCE)
        if block_ms > 0:
            read += ("BLOCK", block_ms)
        command = (*read, "STREAMS", f"{self._prefix}off:{node}", after)
        async with self._reading:
            reply = await self._reader.ask(command, block_ms / 1000 + _READ_MARGIN_SECONDS)
        if not reply:
            return []
        found = [(entry, replies.node_message(fields)) for entry, fields in reply[0][1]]
        self._acquaintance.note(token=max(getattr(message, "token", 0) for _, message in found))
        return found

    # What is shown.

    async def queues(self, names: Sequence[str]) -> Sequence[QueueStatus]:
        """The state of each queue, in the order asked for, in one round trip."""
        found = await asyncio.gather(*(self._run("queue_status", name) for name in names))
        return [replies.queue_status(name, *reply) for name, reply in zip(names, found, strict=True)]

    async def agents(self, agent_ids: Sequence[str]) -> Mapping[str, AgentStatus]:
        """The state of each agent, in one round trip; one that is not known is offline."""
        keys = [f"{self._prefix}a:{agent_id}" for agent_id in agent_ids]
        found = await asyncio.gather(
            *(self._batcher.submit(("HMGET", key, *replies.AGENT_FIELDS)) for key in keys)
        )
        return {
            agent_id: replies.agent_status(agent_id, values)
            for agent_id, values in zip(agent_ids, found, strict=True)
        }

    # What the expected wait is made from.

    async def line(self) -> Line:
        """Who waits, first in line first, up to a bound."""
        return await self._surveyor.line()

    async def agents_at_work(self, now_ms: int) -> Sequence[Agent]:
        """Who is signed in and not away."""
        return await self._surveyor.agents(now_ms)

    async def learn(self, queue: str, more: Mapping[str, int]) -> Mapping[str, int]:
        """Add to what is known of a queue; returns all of it (routing.store.survey.durations_of)."""
        added = [word for pair in more.items() for word in pair]
        found = await self._run("learn", queue, *added)
        return {name: int(count) for name, count in replies.pairs(found).items()}

    # How scripts are called.

    async def _ask(self, *command: str | int) -> Any:
        return await self._batcher.submit(command)

    async def _run(self, name: str, *arguments: str | int) -> Any:
        return await self._batcher.submit(self._library.call(name, self._prefix, *arguments))

    async def _defining(
        self,
        name: str,
        now_ms: int,
        ticket: Ticket | None,
        profiles: Sequence[AgentProfile],
        *arguments: str | int,
    ) -> Any:
        """Run a script that needs classes or profiles known; make them known where they are not."""
        for _ in range(_ATTEMPTS):
            reply = await self._run(name, now_ms, *arguments)
            if reply == UNKNOWN_CLASS and ticket is not None:
                for requirement in (ticket.requirement, *(step.requirement for step in ticket.steps)):
                    await self._registry.define_class(requirement, now_ms)
            elif reply == UNKNOWN_PROFILE and profiles:
                for profile in profiles:
                    await self._registry.define_profile(profile, now_ms)
            else:
                return reply
        raise StoreUnavailable(f"{name}: the store keeps forgetting what it was told")

    def _tell(self, deadline_ms: int) -> None:
        for tell in self._watchers:
            tell(deadline_ms)


def _not_stale(reply: int) -> int:
    if reply == STALE_TOKEN:
        raise StaleToken
    if reply == IN_DOUBT:
        raise StoreUnavailable("the store began anew, and is still being told what it lacks")
    return reply
