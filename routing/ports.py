"""What routing needs of its store. The Redis store implements it; tests may fake it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from routing.callbacks import CallbackStore
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


class StaleToken(Exception):
    """The reservation that this word is about is no longer in force; nothing was changed."""


class StoreUnavailable(Exception):
    """The store did not answer. Whether it heard is unknown; saying it again is safe."""


class QueueStore(Protocol):
    """Every operation is one atomic script, is safe to repeat, and takes the time as `now_ms`.

    Every operation raises StoreUnavailable where the store does not answer, and ValueError for facts
    that cannot be kept (a priority outside 0-99, an unknown strategy, a name of unreasonable length).
    """

    @property
    def callbacks(self) -> CallbackStore:
        """Callers who are to be called back."""

    async def enqueue(self, ticket: Ticket, now_ms: int) -> None:
        """Put the call in its place and reserve an agent at once where one is free.

        Repeating changes nothing."""

    async def change_needs(self, ticket: Ticket, now_ms: int) -> bool:
        """The call asks of its agent what this ticket says from now on, and keeps its place; one who is free
        is reserved at once. Of the ticket only requirement and steps count. False where the call neither
        waits nor is offered."""

    async def agent_available(
        self,
        agent_id: str,
        node: str,
        profile: AgentProfile,
        now_ms: int,
        terms: AgentTerms = ...,
    ) -> AgentState:
        """Sign in, resume, or leave wrap-up early. An agent in a call stays there and is available after.

        Returns the state that the agent is now in (OFFERED where a call was waiting)."""

    async def agent_away(self, agent_id: str, state: AgentState, reason: str, now_ms: int) -> AgentState:
        """Pause (PAUSED), sign out (OFFLINE) or set NOT_ANSWERING. While talking, it is taken up when
        the call and its wrap-up end. An open offer is withdrawn and its call goes back to its place."""

    async def agent_skills(
        self, agent_id: str, profile: AgentProfile, now_ms: int, terms: AgentTerms = ...
    ) -> AgentState:
        """The agent's skills are other ones now. Whatever the agent does goes on; the next call is found by
        them, and one who is free and fits a waiting call is reserved at once. An agent who is signed out
        brings the skills when signing in.

        Returns the state that the agent is now in."""

    async def accept(self, call_id: str, agent_id: str, token: int, now_ms: int) -> None:
        """The agent answered; others who are rung for the call are free again, in their old places.

        Raises StaleToken. Repeating with the same token changes nothing."""

    async def reject(
        self,
        call_id: str,
        agent_id: str,
        token: int,
        refusal: Refusal,
        now_ms: int,
    ) -> None:
        """The agent did not take it: the call rings on where others are rung for it, and keeps its place.

        What becomes of the two, the refusal says. Raises StaleToken; repeating with the same token changes
        nothing."""

    async def cancel(self, call_id: str, now_ms: int, how: Departure = "abandoned") -> bool:
        """The wait is over without an agent; one who is reserved is free again. False if unknown.

        Where the store thinks that the two are talking, this ends the conversation as `done` does."""

    async def done(
        self, call_id: str, agent_id: str, token: int, now_ms: int, *, wrapup: bool = True
    ) -> int | None:
        """The conversation is over: wrap-up begins (or the agent is free). Returns the wrap-up deadline
        in ms, None without one. Raises StaleToken. Repeating changes nothing."""

    async def end_wrapup(self, agent_id: str, now_ms: int) -> AgentState:
        """The agent is done with what was to do: what was asked for meanwhile follows, or availability.

        Nothing changes outside wrap-up. Returns the state that the agent is now in."""

    async def extend_wrapup(self, agent_id: str, until_ms: int, now_ms: int) -> tuple[int, int] | None:
        """Let a wrap-up go on until `until_ms`, or its limit where that comes first; never shorter.

        Returns when it would have ended and when it ends now (ms); None where the agent is not in wrap-up."""

    async def tick(self, now_ms: int) -> int | None:
        """Carry out everything due: ring deadlines, ends of wrap-up, expired leases. Idempotent, any node.
        Returns when the next thing falls due."""

    async def heartbeat(self, node: str, lease_ms: int, now_ms: int) -> bool:
        """This node lives until now + lease. True if it held no lease: its calls may have been given up."""

    async def reset_node(self, node: str, now_ms: int) -> Sequence[str]:
        """This node begins anew: its lease, messages and calls go, agents held by those calls are free.

        Who is signed in, or paused, stays so. Returns the ids of the calls given up."""

    async def calls_of(self, node: str) -> Sequence[str]:
        """The ids of this node's calls in the store."""

    async def known_agents(self) -> Sequence[str]:
        """The ids of all agents who are remembered, whatever their state."""

    async def forget_queues(self, in_use: Collection[str], now_ms: int) -> Sequence[str]:
        """Forget the counters and habits of queues that are not among these: a day after their last call,
        and not while a call of theirs is there. Returns the names of those forgotten."""

    async def restore_talk(
        self,
        ticket: Ticket,
        agent_id: str,
        node: str,
        profile: AgentProfile,
        token: int,
        now_ms: int,
        terms: AgentTerms = ...,
    ) -> None:
        """Put back a conversation that the store has lost. Raises StaleToken where the store knows better:
        the call or the agent talks to another. Repeating changes nothing."""

    async def restore_offer(
        self,
        ticket: Ticket,
        agent_id: str,
        node: str,
        profile: AgentProfile,
        token: int,
        deadline_ms: int,
        now_ms: int,
        terms: AgentTerms = ...,
    ) -> None:
        """Put back a reservation that is being rung for and that the store has lost; what it did with the two
        meanwhile is undone. Raises StaleToken as `restore_talk` does. Repeating changes nothing."""

    async def restore_place(self, ticket: Ticket, now_ms: int) -> None:
        """Put back a call that waits, says its node. While the store is in doubt (`take_trouble`), what it
        has reserved for the call is taken back. Repeating changes nothing."""

    async def meet(
        self, node: str, now_ms: Callable[[], int], others: Callable[[], Collection[str]] = ...
    ) -> None:
        """From now on be told what becomes of the store. `others` are nodes that this one knows to live."""

    def take_trouble(self) -> Trouble | None:
        """What the store turned out to have lost since this was asked last. Until each node that lived then
        has said `settled`, and three seconds at most, nobody is reserved, and a word about a reservation that
        is not in force raises StoreUnavailable instead of StaleToken."""

    async def look_for_loss(self) -> Trouble | None:
        """Ask the store now, and answer as `take_trouble`."""

    async def settled(self, node: str, now_ms: int) -> None:
        """This node has said everything again that the store may have lost."""

    def watch_deadlines(self, tell: Callable[[int], None]) -> None:
        """Call `tell` with each deadline (ms) that an operation on this store object makes."""

    async def position(self, call_id: str) -> Position | None: ...

    async def crowd(
        self, call_id: str, requirements: Sequence[Requirement], absent: Collection[AgentState]
    ) -> Crowd | None:
        """What a waiting call, or with an empty id any that asks one of these requirements, finds there.

        None where the call does not wait, and where the store does not know such a requirement or may lack
        what it was told last."""

    async def queues(self, names: Sequence[str]) -> Sequence[QueueStatus]: ...

    async def agents(self, agent_ids: Sequence[str]) -> Mapping[str, AgentStatus]: ...

    async def messages(self, node: str, after: str, block_ms: int) -> Sequence[tuple[str, NodeMessage]]:
        """What this node's stream holds after an id, waiting up to `block_ms` for the first."""
