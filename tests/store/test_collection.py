"""What nobody uses any more is collected: a week in which everything comes and goes leaves nothing behind."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from routing import limits
from routing.callbacks import Callback
from routing.model import (
    AgentProfile,
    AgentState,
    AgentTerms,
    Lending,
    Offer,
    Refusal,
    RejectReason,
    Requirement,
    Step,
    Ticket,
)
from routing.ports import StaleToken
from routing.store.redis_store import RedisQueueStore
from routing.strategy import STRATEGIES
from tests.support.queue_audit import CONSTANT, sizes, snapshot

pytestmark = pytest.mark.store

START = 1_790_000_000_000
HOUR = 3_600_000
DAY = 24 * HOUR
LEASE = 4 * HOUR
BURSTS, CALLS = 11, 6
CALLBACKS_END = {f"callback-{how}" for how in ("done", "failed", "expired", "cancelled", "unreached")}
FATES = {"answered", "rejected", "abandoned", "lost", "let-go", "relaxed", "wrapped"} | CALLBACKS_END


class Churn:
    """Each day has its own queues, skills, agents and node; each two hours other classes and profiles."""

    def __init__(self, store: RedisQueueStore) -> None:
        self.store = store
        self.source = random.Random(20_260_101)
        self.now = START
        self.read_after: dict[str, str] = {}
        self.made = 0
        self.backs = 0

    @property
    def day(self) -> int:
        return (self.now - START) // DAY

    @property
    def node(self) -> str:
        return f"n{self.day}"

    @property
    def queues(self) -> list[str]:
        """What the directory has now."""
        return ["always", f"day{self.day}-a", f"day{self.day}-b"]

    async def live(self) -> None:
        """One day, in bursts of two hours: who was here leaves, others come, calls of every fate."""
        today = self.day
        for _ in range(BURSTS):
            await self._burst([f"agent{today}-{n}" for n in range(4)])
        # The node is taken away; the directory of tomorrow has other agents and queues.
        await self.store.reset_node(self.node, self.now)
        for agent in await self.store.known_agents():
            await self.store.agent_away(agent, AgentState.OFFLINE, "removed", self.now)
        self.now = START + (today + 1) * DAY
        await self.store.tick(self.now)
        await self.store.forget_queues(self.queues, self.now)

    async def _burst(self, agents: list[str]) -> None:
        await self.store.heartbeat(self.node, LEASE, self.now)
        for number, agent in enumerate(agents):
            skills = {f"skill{self.day}-{n}": self.source.randint(1, 9) for n in range(3)}
            profile = AgentProfile.of(skills, *self._served(number))
            terms = AgentTerms(number, self.source.randint(1, 9), capacity=1 + number % 3)
            await self.store.agent_available(agent, self.node, profile, self.now, terms)
        for _ in range(CALLS):
            await self._call(agents)
        for fate in ("done", "rests", "fails", "is cancelled", "comes later"):
            await self._callback(fate)
        for agent in agents:
            away = self.source.choice((AgentState.OFFLINE, AgentState.OFFLINE, AgentState.PAUSED))
            await self.store.agent_away(agent, away, "", self.now + 600_000)
        self.now += 2 * HOUR
        await self.store.tick(self.now)

    def _served(self, number: int) -> tuple[dict[str, int], dict[str, Lending]]:
        """Whom some serve by name, and one of the queues only while another is well."""
        if number % 4 < 2:
            return {}, {}
        lender, first, second = self.queues
        terms = Lending(lender, self.source.randrange(3), 9_000 * self.day, number % 2)
        return {lender: 1, first: 2, second: 1}, {second: terms} if number % 4 == 3 else {}

    async def _call(self, agents: Sequence[str]) -> None:
        self.made += 1
        queue = self.source.choice(self.queues)
        skill = f"skill{self.day}-{self.source.randrange(3)}"
        strategy = self.source.choice(sorted(STRATEGIES))
        weight = 1 + len(queue) % 3
        easy = Requirement(queue, ((skill, 1),), strategy, weight=weight)
        hard = replace(easy, skills=((skill, self.source.randint(1, 9)),), open_to=(f"lead:{self.day}",))
        if self.made % 5 == 0:
            hard = Requirement(queue, strategy=strategy, agent=self.source.choice(agents), weight=weight)
        ticket = Ticket(
            f"call{self.made}",
            self.node,
            hard,
            self.now,
            wrapup_ms=5_000,
            steps=(Step(30_000, easy),),
            ring_agents=self.source.choice((1, 2, limits.RING_AGENTS_MAX)),
            target_ms=self.source.choice((0, 20_000)),
        )
        await self.store.enqueue(ticket, self.now)
        await self.store.learn(queue, {f"talk:{self.source.randrange(40)}": 1, "waited": 3})
        fate = self.source.choice(("answered", "refused", "gives up", "is lost"))
        for offer in await self._offers():
            with contextlib.suppress(StaleToken):
                await self._take(offer, fate)
        if fate in ("refused", "gives up"):
            await self.store.cancel(ticket.call_id, self.now)

    async def _take(self, offer: Offer, fate: str) -> None:
        if fate == "refused":
            word = (offer.call_id, offer.agent_id, offer.token, Refusal(RejectReason.BUSY, rest_ms=5_000))
            await self.store.reject(*word, self.now)
        elif fate == "answered":
            await self.store.accept(offer.call_id, offer.agent_id, offer.token, self.now)
            await self.store.done(offer.call_id, offer.agent_id, offer.token, self.now + 60_000)

    async def _offers(self) -> list[Offer]:
        after = self.read_after.get(self.node, "0-0")
        found = await self.store.messages(self.node, after, 0)
        if found:
            self.read_after[self.node] = found[-1][0]
        return [message for _, message in found if isinstance(message, Offer)]

    async def _callback(self, fate: str) -> None:
        self.backs += 1
        back, callbacks = f"back{self.backs}", self.store.callbacks
        due, ends = (self.now + 3 * HOUR, 5 * HOUR) if fate == "comes later" else (0, HOUR)
        most = 1 if fate == "fails" else 3
        wish = Callback(back, self.queues[1], f"+{back}", self.now, "{}", due, self.now + ends, most)
        await callbacks.add(wish, self.node, self.now)
        if fate == "is cancelled":
            await callbacks.cancel(back, "", self.now)
        elif fate != "comes later":
            attempt = await callbacks.begin(back, self.node, self.now)
            if fate == "done":
                await callbacks.done(back, self.node, self.now)
            else:
                await callbacks.unreached(back, self.node, attempt, "busy", self.now)


async def test_a_week_of_churn_leaves_as_much_as_two_days(
    redis: Redis, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Bounds that a week of this small centre reaches too.
    monkeypatch.setattr(limits, "EVENTS_KEPT", 500)
    monkeypatch.setattr(limits, "MESSAGES_KEPT", 20)
    monkeypatch.setattr(limits, "CALLBACKS_REMEMBERED", 20)
    store = RedisQueueStore(redis, site)
    churn = Churn(store)
    keys, taken = [], []
    while churn.day < 7:
        await churn.live()
        found = await sizes(redis, site)
        keys.append(len(found.keys() - set(CONSTANT)))
        taken.append(sum(found.values()))
    state = await snapshot(redis, site)
    await store.close()
    assert churn.made == 7 * BURSTS * CALLS
    happened = {what for counts in state.under("qs:").values() for what in counts}
    assert happened >= FATES, FATES - happened
    assert max(keys[2:]) <= keys[1], keys
    # Streams are trimmed by whole nodes, so what they take swings.
    assert max(taken[2:]) <= 1.3 * taken[1], taken
    assert {queue[:4] for queue in state.under("qs:")} == {"alwa", "day6"}
    assert set(state.under("hb:")) <= set(state.under("qs:"))


async def test_a_queue_is_not_forgotten_while_it_is_in_use(store: RedisQueueStore) -> None:
    late = START + limits.FORGET_QUEUE_MS
    for queue in ("configured", "waited-in", "young", "gone"):
        await store.enqueue(Ticket(queue, "n1", Requirement(queue), START), START)
    await store.heartbeat("n1", 10 * DAY, START)
    for queue in ("configured", "young", "gone"):
        await store.cancel(queue, START)
    await store.enqueue(Ticket("again", "n1", Requirement("young"), START), START + 1)
    await store.cancel("again", START + 1)
    assert await store.forget_queues({"configured"}, late - 1) == []
    assert await store.forget_queues({"configured"}, late) == ["gone"]
    counters = [
        status.counters["entered"] for status in await store.queues(["configured", "waited-in", "gone"])
    ]
    assert counters == [1, 1, 0]


async def test_habits_of_a_queue_go_with_it(store: RedisQueueStore) -> None:
    await store.enqueue(Ticket("c1", "n1", Requirement("gone"), START), START)
    await store.cancel("c1", START)
    await store.learn("gone", {"talk:3": 2})
    await store.forget_queues((), START + limits.FORGET_QUEUE_MS)
    assert await store.learn("gone", {}) == {}
