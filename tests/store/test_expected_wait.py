"""The expected wait over the busiest part of a recorded day, on a real store as the service uses it."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from routing.store.redis_store import RedisQueueStore
from tests.bench.record_day import FILE
from tests.sim.direct import DirectLink
from tests.support.recorded_day import read
from tests.support.wait_formulas import FORMULAS, HOUR_MS, OF_THE_SAME, OURS, UPDATED, Replay, means

pytestmark = pytest.mark.store


async def test_callers_are_told_better_than_by_any_usual_formula_and_ever_better(
    redis: Redis, redis_url: str, site: str
) -> None:
    day = read(FILE)
    link = DirectLink(redis_url.removeprefix("unix://"))
    store = RedisQueueStore(redis, site)
    replayed = Replay(day, store, link, site, round(4.75 * HOUR_MS), round(5.25 * HOUR_MS))
    await replayed.run()
    off = means(replayed.errors)
    assert len(replayed.errors[OURS]) > 60
    assert all(off[OURS] < 0.9 * off[formula] for formula in FORMULAS), off
    assert off[UPDATED] < off[OF_THE_SAME]
    link.close()
