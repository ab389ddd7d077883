"""One match in a large centre, by the server's own clock: 10,000 waiting calls, 1,000 agents, 50 skills; the
same with fewer waiting; and whole cycles of calls, by the processor time of the server.

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
WORKING, CYCLES = 300, 10_000
NODE = "n1"
SITE = "bench"
NOW_MS = 1_790_000_000_000
SEED = 20_260_101


class Centre:
    """The pinned workload on a real server."""

    def __init__(self, redis: Redis, waiting: int = WAITING) -> None:
        self.redis = redis
        self.waiting = waiting
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
        tickets = [self.ticket(crowded=True) for _ in range(self.waiting)]
        await self._meet_every_class()
        for start in range(0, self.waiting, 500):
            await asyncio.gather(*(self.store.enqueue(t, self.now) for t in tickets[start : start + 500]))

    async def _meet_every_class(self) -> None:
        """A class is made known by its first call; that first time is not measured."""
        for skill, level in product(range(CROWDED, SKILLS), range(1, 6)):
            requirement = Requirement(f"q{skill}", ((f"s{skill}", level),))
            first = Ticket(f"first-{skill}-{level}", NODE, requirement, self.now)
            await self.store.enqueue(first, self.now)
            await self.store.cancel(first.call_id, self.now)
        while found := await self.store.messages(NODE, self.read_after, 0):
            self.read_after = found[-1][0]

    async def offers(self, count: int) -> list[Offer]:
        found: list[Offer] = []
        while len(found) < count:
            told = await self.store.messages(NODE, self.read_after, 1_000)
            self.read_after = told[-1][0]
            found += [message for _, message in told if isinstance(message, Offer)]
        return found

    async def timed(self, what: str, *work: Awaitable[object]) -> None:
        began = time.perf_counter()
        await asyncio.gather(*work)
        self.client_us[what].append((time.perf_counter() - began) * 1e6)

    async def agents_find_calls(self, burst: int) -> None:
        """A crowded line moves by one for each, and a new caller joins it: the length stays."""
        agents = [f"a{n}" for n in self.random.sample(range(IDLE, AGENTS), burst)]
        comes = self.store.agent_available
        await self.timed(
            "agent_available", *(comes(agent, NODE, self.profiles[agent], self.now) for agent in agents)
        )
        offers = await self.offers(burst)
        assert {offer.agent_id for offer in offers} == set(agents)
        for offer in offers:
            await self.store.accept(offer.call_id, offer.agent_id, offer.token, self.now)
            await self.store.agent_away(offer.agent_id, AgentState.PAUSED, "", self.now)
            await self.store.done(offer.call_id, offer.agent_id, offer.token, self.now)
            await self.store.enqueue(self.ticket(crowded=True), self.now)

    async def calls_find_agents(self, burst: int) -> None:
        tickets = [self.ticket(crowded=False) for _ in range(burst)]
        await self.timed("enqueue", *(self.store.enqueue(ticket, self.now) for ticket in tickets))
        offers = await self.offers(burst)
        assert {offer.call_id for offer in offers} == {ticket.call_id for ticket in tickets}
        for offer in offers:
            await self.store.accept(offer.call_id, offer.agent_id, offer.token, self.now)
            await self.store.done(offer.call_id, offer.agent_id, offer.token, self.now)

    async def cycles(self, count: int) -> None:
        """So many calls are answered and over, and as many come: the lines stay as long as they are."""
        over = 0
        while over < count:
            found = await self.store.messages(NODE, self.read_after, 1_000)
            self.read_after = found[-1][0]
            offers = [message for _, message in found if isinstance(message, Offer)]
            words = [(offer.call_id, offer.agent_id, offer.token) for offer in offers]
            await asyncio.gather(*(self.store.accept(*word, self.now) for word in words))
            arriving = (self.store.enqueue(self.ticket(crowded=True), self.now) for _ in words)
            await asyncio.gather(*(self.store.done(*word, self.now) for word in words), *arriving)
            over += len(words)

    async def processor_seconds(self) -> float:
        """What the server has used so far."""
        used = await self.redis.info("cpu")
        return float(used["used_cpu_user"] + used["used_cpu_sys"])

    async def redis_us(self) -> dict[str, list[int]]:
        """Microseconds in Redis of each script run since the log was reset."""
        found = defaultdict(list)
        for entry in await self.redis.slowlog_get(-1):
            command = entry["command"].split(b" ")
            if command[0] == b"FCALL":
                found[command[1].decode().split("_", 2)[2]].append(entry["duration"])
        return found


@pytest.fixture
def redis_address() -> Iterator[str]:
    with running_redis() as server:
        yield server.url


async def _measure(url: str, step: str, script: str, waiting: int, burst: int) -> dict[str, float]:
    redis = connect(url)
    centre = Centre(redis, waiting)
    try:
        await centre.fill()
        await centre.store.heartbeat(NODE, 3_600_000, centre.now)
        await redis.config_set("slowlog-max-len", 100_000)
        await getattr(centre, step)(burst)
        await redis.config_set("slowlog-log-slower-than", 0)
        await redis.slowlog_reset()
        centre.client_us.clear()
        in_redis: list[int] = []
        while len(in_redis) < ROUNDS:
            await getattr(centre, step)(burst)
            # The centre itself says this word too; what counts here is the burst, which was said first.
            in_redis += (await centre.redis_us())[script][-burst:]
            await redis.slowlog_reset()
    finally:
        await centre.store.close()
        await redis.aclose()
    in_redis.sort()
    return {
        "redis_p50_us": median(in_redis),
        "redis_p99_us": in_redis[len(in_redis) * 99 // 100],
        "client_p50_us": round(median(centre.client_us[script])),
        "rounds": len(in_redis),
    }


@pytest.mark.parametrize("burst", [1, 20])
@pytest.mark.parametrize(
    ("step", "script"), [("agents_find_calls", "agent_available"), ("calls_find_agents", "enqueue")]
)
def test_bench_one_match(
    benchmark: BenchmarkFixture, redis_address: str, step: str, script: str, burst: int
) -> None:
    """Alone on a server that was at rest, and in a burst on one that is at work."""
    found = benchmark.pedantic(
        lambda: asyncio.run(_measure(redis_address, step, script, WAITING, burst)), rounds=1, iterations=1
    )
    benchmark.extra_info.update(found)
    print(script, burst, found)
    assert found["rounds"] >= ROUNDS


@pytest.mark.parametrize("waiting", [100, 1_000, 10_000])
def test_bench_hand_out_with_so_many_waiting(
    benchmark: BenchmarkFixture, redis_address: str, waiting: int
) -> None:
    found = benchmark.pedantic(
        lambda: asyncio.run(_measure(redis_address, "agents_find_calls", "agent_available", waiting, 20)),
        rounds=1,
        iterations=1,
    )
    benchmark.extra_info.update(found)
    print(waiting, found)


async def _cycles(url: str, waiting: int) -> dict[str, float]:
    """Agents who are always at work, and callers who wait for them. `done` finds the agent's next call."""
    redis = connect(url)
    centre = Centre(redis, waiting)
    try:
        await centre.fill()
        await centre.store.heartbeat(NODE, 3_600_000, centre.now)
        for agent in list(centre.profiles)[IDLE : IDLE + WORKING]:
            await centre.store.agent_available(agent, NODE, centre.profiles[agent], centre.now)
        await centre.cycles(CYCLES // 10)
        began, used = time.perf_counter(), await centre.processor_seconds()
        await centre.cycles(CYCLES)
        used = await centre.processor_seconds() - used
        wall = time.perf_counter() - began
        await redis.config_set("slowlog-max-len", 100_000)
        await redis.config_set("slowlog-log-slower-than", 0)
        await redis.slowlog_reset()
        await centre.cycles(CYCLES // 10)
        in_redis = await centre.redis_us()
    finally:
        await centre.store.close()
        await redis.aclose()
    return {
        "cycles": CYCLES,
        "cycles_a_redis_second": round(CYCLES / used),
        "cycles_a_second": round(CYCLES / wall),
        **{f"{script}_p50_us": median(in_redis[script]) for script in ("enqueue", "accept", "done")},
    }


@pytest.mark.parametrize("waiting", [100, 1_000, 10_000])
def test_bench_call_cycles(benchmark: BenchmarkFixture, redis_address: str, waiting: int) -> None:
    found = benchmark.pedantic(lambda: asyncio.run(_cycles(redis_address, waiting)), rounds=1, iterations=1)
    benchmark.extra_info.update(found)
    print(waiting, found)
