"""What a match costs, counted in commands of the server and not in time: it does not grow with who waits."""

from __future__ import annotations

from redis.asyncio import Redis

from routing.store.redis_store import connect
from tests.bench.test_bench_routing import Centre
from tests.support.redis_server import running_redis

FEW, MANY = 200, 2_000
MATCHES = 20


async def commands(redis: Redis) -> int:
    """Those that the server has carried out; each look-up of a script is one."""
    stats = await redis.info("commandstats")
    return sum(command["calls"] for command in stats.values())


async def cost(waiting: int) -> dict[str, float]:
    """Commands a match with so many in line: where an agent comes, and where a call comes."""
    with running_redis() as server:
        redis = connect(server.url)
        centre = Centre(redis, waiting)
        counted: dict[str, float] = {}
        say = centre.timed

        async def counting(what: str, *work: object) -> None:
            before = await commands(redis)
            await say(what, *work)  # type: ignore[arg-type]
            counted[what] = (await commands(redis) - before) / MATCHES

        try:
            await centre.fill()
            centre.timed = counting  # type: ignore[method-assign]
            await centre.agents_find_calls(MATCHES)
            await centre.calls_find_agents(MATCHES)
        finally:
            await centre.store.close()
            await redis.aclose()
    return counted


async def test_a_match_costs_the_same_however_many_wait() -> None:
    few, many = await cost(FEW), await cost(MANY)
    assert few.keys() == many.keys() == {"agent_available", "enqueue"}
    assert all(many[script] < 1.1 * few[script] for script in few), (few, many)
