"""How far the expected wait is off over a recorded day, beside the formulas in use elsewhere.

The day is one of a centre with 34 agents and four queues, played on a real store and kept as its event stream
tells of it (`python -m tests.bench.record_day`). It is replayed on a real store and seen as a node sees it;
what is typical is learnt from the calls of the day itself.
"""

from __future__ import annotations

import asyncio
from statistics import median

from pytest_benchmark.fixture import BenchmarkFixture

from routing.store.redis_store import RedisQueueStore, connect
from tests.bench.record_day import FILE
from tests.sim.direct import DirectLink
from tests.support.recorded_day import Day, read
from tests.support.redis_server import running_redis
from tests.support.wait_formulas import FORMULAS, HOUR_MS, OF_THE_SAME, OURS, UPDATED, Replay, means


async def replay(url: str, day: Day) -> Replay:
    redis = connect(url)
    link = DirectLink(url.removeprefix("unix://"))
    last = max(call.ticket.enqueued_ms for call in day.calls) - day.begins_ms
    replayed = Replay(day, RedisQueueStore(redis, "bench"), link, "bench", HOUR_MS, last + 1)
    await replayed.run()
    link.close()
    await redis.aclose()
    return replayed


def test_bench_expected_wait(benchmark: BenchmarkFixture) -> None:
    day = read(FILE)
    with running_redis() as server:
        replayed = benchmark.pedantic(lambda: asyncio.run(replay(server.url, day)), rounds=1, iterations=1)
    off = {
        name: (mean, round(median(replayed.errors[name]))) for name, mean in means(replayed.errors).items()
    }
    benchmark.extra_info.update({"callers": len(replayed.errors[OURS]), **off})
    print(len(replayed.errors[OURS]), off)
    assert all(off[OURS][0] < theirs[0] for name, theirs in off.items() if name in FORMULAS)
    assert off[UPDATED][0] < off[OF_THE_SAME][0]
