"""One match in a large centre, by the server's own clock: 10,000 waiting calls, 1,000 agents, 50 skills.

Forty skills have a line of waiting calls and nobody free; ten have two hundred idle agents and no line. So
an agent who comes must find the right call among ten thousand, and a new call the right agent among the idle
past all those lines. The seed fixes who has which skill. SLOWLOG gives each script's own time in Redis.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Iterator
from itertools import product
from statistics import median

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from redis.asyncio import Redis

from routing.model import AgentProfile, AgentState, Offer, Requirement, Ticket
from routing.store.redis_store import RedisQueueStore, connect
from tests.support.redis_server import running_redis

WAITING, AGENTS, IDLE, SKILLS, CROWDED = 10_000, 1_000, 200, 50, 40
ROUNDS = 300
NODE = "n1"
SITE = "bench"
NOW_MS = 1_790_000_000_000
SEED = 20_260_101


class Centre:
    """The pinned workload on a real server."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.store = RedisQueueStore(redis, SITE)
        self.random = random.Random(SEED)
        self.now = NOW_MS
        self.calls = 0
        self.read_after = "0-0"
        self.client_us: dict[str, list[float]] = defaultdict(list)
        self.profiles = {f"a{n}": self._profile(idle=n < IDLE) for n in range(AGENTS)}

    def _profile(self, *, idle: bool) -> AgentProfile:
        pool = range(CROWDED, SKILLS) if idle else range(CROWDED)
        return AgentProfile.of({f"s{n}": self.random.randint(1, 10) for n in self.random.sample(pool, 4)})

    def ticket(self, *, crowded: bool) -> Ticket:
        pool = range(CROWDED) if crowded else range(CROWDED, SKILLS)
        skill = self.random.choice(pool)
        self.calls += 1
        self.now += 1
        needed = ((f"s{skill}", self.random.randint(1, 5)),)
        requirement = Requirement(f"q{skill}", needed)
        return Ticket(f"c{self.calls}", NODE, requirement, self.now, self.random.choice((0, 0, 0, 5)))

    async def fill(self) -> None:
        for agent, profile in self.profiles.items():
            await self.store.agent_available(agent, NODE, profile, self.now)
            if int(agent[1:]) >= IDLE:
                await self.store.agent_away(agent, AgentState.PAUSED, "", self.now)
        tickets = [self.ticket(crowded=True) for _ in range(WAITING)]
        await self._meet_every_class()
        for start in range(0, WAITING, 500):
            await asyncio.gather(*(self.store.enqueue(t, self.now) for t in tickets[start : start + 500]))

    async def _meet_every_class(self) -> None:
        """A class is made known by its first call; that first time is not measured."""
        for skill, level in product(range(CROWDED, SKILLS), range(1, 6)):
            requirement = Requirement(f"q{skill}", ((f"s{skill}", level),))
            first = Ticket(f"first-{skill}-{level}", NODE, requirement, self.now)
            await self.store.enqueue(first, self.now)
            await self.store.cancel(first.call_id, self.now)

    async def offer(self) -> Offer:
        while True:
            found = await self.store.messages(NODE, self.read_after, 1_000)
            self.read_after = found[-1][0]
            for _, message in reversed(found):
                if isinstance(message, Offer):
                    return message

    async def timed(self, what: str, work: Awaitable[object]) -> None:
        began = time.perf_counter()
        await work
        self.client_us[what].append((time.perf_counter() - began) * 1e6)

    async def agent_finds_a_call(self) -> None:
        """A crowded line moves by one, and a new caller joins it: the length stays."""
        agent = f"a{self.random.randrange(IDLE, AGENTS)}"
        work = self.store.agent_available(agent, NODE, self.profiles[agent], self.now)
        await self.timed("agent_available", work)
        offer = await self.offer()
        assert offer.agent_id == agent
        await self.store.accept(offer.call_id, agent, offer.token, self.now)
        await self.store.agent_away(agent, AgentState.PAUSED, "", self.now)
        await self.store.done(offer.call_id, agent, offer.token, self.now)
        await self.store.enqueue(self.ticket(crowded=True), self.now)

    async def call_finds_an_agent(self) -> None:
        ticket = self.ticket(crowded=False)
        await self.timed("enqueue", self.store.enqueue(ticket, self.now))
        offer = await self.offer()
        assert offer.call_id == ticket.call_id
        await self.store.accept(offer.call_id, offer.agent_id, offer.token, self.now)
        await self.store.done(offer.call_id, offer.agent_id, offer.token, self.now)

    async def redis_us(self) -> dict[str, list[int]]:
        """Microseconds in Redis of each script run since the log was reset."""
        names = {script.sha: name for name, script in self.store.scripts.items()}
        found = defaultdict(list)
        for entry in await self.redis.slowlog_get(-1):
            command = entry["command"].split(b" ")
            if command[0] == b"EVALSHA":
                found[names[command[1].decode()]].append(entry["duration"])
        return found


@pytest.fixture
def redis_address() -> Iterator[str]:
    with running_redis() as server:
        yield server.url


async def _measure(url: str, step: str, script: str) -> dict[str, float]:
    redis = connect(url)
    centre = Centre(redis)
    try:
        await centre.fill()
        await redis.config_set("slowlog-max-len", 100_000)
        for _ in range(ROUNDS // 10):
            await getattr(centre, step)()
        await redis.config_set("slowlog-log-slower-than", 0)
        await redis.slowlog_reset()
        centre.client_us.clear()
        for _ in range(ROUNDS):
            await getattr(centre, step)()
        await redis.config_set("slowlog-log-slower-than", -1)
        in_redis = sorted((await centre.redis_us())[script])
        in_client = sorted(centre.client_us[script])
    finally:
        await centre.store.close()
        await redis.aclose()
    return {
        "redis_p50_us": median(in_redis),
        "redis_p99_us": in_redis[len(in_redis) * 99 // 100],
        "client_p50_us": round(median(in_client)),
        "client_p99_us": round(in_client[len(in_client) * 99 // 100]),
        "rounds": len(in_redis),
    }


@pytest.mark.parametrize(
    ("step", "script"), [("agent_finds_a_call", "agent_available"), ("call_finds_an_agent", "enqueue")]
)
def test_bench_one_match(benchmark: BenchmarkFixture, redis_address: str, step: str, script: str) -> None:
    found = benchmark.pedantic(
        lambda: asyncio.run(_measure(redis_address, step, script)), rounds=1, iterations=1
    )
    benchmark.extra_info.update(found)
    print(script, found)
    assert found["rounds"] == ROUNDS
