"""Plays a day on a real store in virtual time: each word to the store carries the time at which it is said.

What the service would tell its observers is told: who was queued, answered, hung up, how long wrap-ups took.
"""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from acd.calls.facts import CallAnswered, CallEnded, CallFact, CallQueued, WrapupEnded
from routing.limits import RING_GRACE_MS
from routing.model import AgentProfile, AgentState, NodeMessage, Offer, Refusal, WrapupTaken
from routing.ports import StaleToken
from routing.store import replies
from routing.store.redis_store import RedisQueueStore
from routing.store.scripts import load_library
from tests.sim.direct import DirectBatcher, DirectLink
from tests.support.clock import FakeClock
from tests.support.control import a_record
from tests.support.recorded_day import Day, DayCall, Ring

NODE = "n1"
_LEASE_MS = 100 * 3_600_000
_USUAL_RING = Ring(4_000)
Work = Callable[..., Awaitable[None]]


@dataclass
class _Live:
    call: DayCall
    rung: int = 0
    answered_ms: int | None = None
    over: bool = False


@dataclass
class DayPlayer:
    """`tell` hears the facts, that a call is queued just before it is put in line."""

    day: Day
    store: RedisQueueStore
    link: DirectLink
    site: str
    tell: Callable[[CallFact], None]
    clock: FakeClock = field(default_factory=FakeClock)
    waits: dict[str, float] = field(default_factory=dict)
    """Seconds, of those who were answered."""

    def __post_init__(self) -> None:
        self.store._batcher = DirectBatcher(self.link, load_library())  # type: ignore[assignment]
        self.store.watch_deadlines(lambda due: self._at(due, self._tick))
        self._calls = {call.ticket.call_id: _Live(call) for call in self.day.calls}
        self._profiles = {agent: AgentProfile.of(skills) for agent, skills in self.day.skills.items()}
        self._heap: list[tuple[int, int, Work, tuple[Any, ...]]] = []
        self._count = 0
        self._now = self.day.begins_ms
        self._read_after = "0-0"
        for change in self.day.changes:
            self._at(change.at_ms, self._change, change.agent, change.state)
        for live in self._calls.values():
            self._at(live.call.ticket.enqueued_ms, self._come, live)

    async def play(self, until_ms: int | None = None) -> None:
        """Go on until then, or until nothing is to come."""
        await self.store.heartbeat(NODE, _LEASE_MS, self._now)
        while self._heap and (until_ms is None or self._heap[0][0] < until_ms):
            at, _, work, arguments = heapq.heappop(self._heap)
            self._now = max(self._now, at)
            self.clock.now = self._now / 1000
            await work(*arguments)
            for message in self._messages():
                self._hear(message)

    def at(self, ms: int, work: Work, *arguments: Any) -> None:
        """Do this then, too."""
        self._at(ms, work, *arguments)

    def _at(self, ms: int, work: Work, *arguments: Any) -> None:
        self._count += 1
        heapq.heappush(self._heap, (ms, self._count, work, arguments))

    def _after(self, ms: int, work: Work, *arguments: Any) -> None:
        self._at(self._now + ms, work, *arguments)

    # Words to the store.

    async def _tick(self) -> None:
        await self.store.tick(self._now)

    async def _change(self, agent: str, state: AgentState) -> None:
        if state is AgentState.AVAILABLE:
            await self.store.agent_available(agent, NODE, self._profiles[agent], self._now)
        else:
            await self.store.agent_away(agent, state, "", self._now)

    async def _come(self, live: _Live) -> None:
        ticket = live.call.ticket
        self.tell(CallQueued(ticket.call_id, ticket.requirement.queue, ticket))
        await self.store.enqueue(ticket, self._now)
        if live.call.gives_up_ms is not None:
            self._after(live.call.gives_up_ms, self._give_up, live)

    async def _give_up(self, live: _Live) -> None:
        if live.answered_ms is None:
            live.over = True
            await self.store.cancel(live.call.ticket.call_id, self._now)
            self._ended(live, "abandoned", wait_seconds=(live.call.gives_up_ms or 0) / 1000)

    async def _rings_out(self, live: _Live, offer: Offer, ring: Ring) -> None:
        if live.over:
            return
        try:
            if ring.refused is None:
                await self.store.accept(offer.call_id, offer.agent_id, offer.token, self._now)
            else:
                refusal = Refusal(ring.refused, rest_ms=5_000)
                await self.store.reject(offer.call_id, offer.agent_id, offer.token, refusal, self._now)
        except StaleToken:
            return
        if ring.refused is None:
            live.answered_ms = self._now
            wait = (self._now - live.call.ticket.enqueued_ms) / 1000
            self.waits[offer.call_id] = wait
            self.tell(CallAnswered(offer.call_id, offer.queue, offer.agent_id, wait, ring.ms / 1000))
            self._after(live.call.talk_ms, self._hang_up, live, offer)

    async def _hang_up(self, live: _Live, offer: Offer) -> None:
        live.over = True
        deadline = await self.store.done(offer.call_id, offer.agent_id, offer.token, self._now)
        self._ended(live, "answered", talk_seconds=live.call.talk_ms / 1000)
        if deadline:
            self._after(live.call.wrapup_ms, self._wrap_up, offer.agent_id)

    async def _wrap_up(self, agent: str) -> None:
        await self.store.end_wrapup(agent, self._now)

    def _ended(self, live: _Live, outcome: str, **figures: float) -> None:
        ticket = live.call.ticket
        queue = ticket.requirement.queue
        self.tell(CallEnded(a_record(ticket.call_id, queue=queue, outcome=outcome, **figures)))

    # What the store says.

    def _messages(self) -> list[NodeMessage]:
        key = f"acd:{{{self.site}}}:off:{NODE}"
        (reply,) = self.link.exchange([("XREAD", "STREAMS", key, self._read_after)])
        entries = reply[0][1] if reply else []
        if entries:
            self._read_after = entries[-1][0]
        return [replies.node_message(fields) for _, fields in entries]

    def _hear(self, message: NodeMessage) -> None:
        if isinstance(message, WrapupTaken):
            self.tell(WrapupEnded(message.queue, message.agent_id, message.taken_ms / 1000))
        elif isinstance(message, Offer):
            live = self._calls[message.call_id]
            rings, live.rung = live.call.rings, live.rung + 1
            ring = rings[live.rung - 1] if live.rung <= len(rings) else _USUAL_RING
            self._at(message.deadline_ms + RING_GRACE_MS, self._tick)
            self._after(ring.ms, self._rings_out, live, message, ring)
