"""Records the day of the expected wait's benchmark: plays one on a real Redis, keeps what its events tell.

python -m tests.bench.record_day
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from routing.limits import EVENTS_KEPT
from routing.store import replies
from routing.store.redis_store import RedisQueueStore, connect
from tests.sim.direct import DirectLink
from tests.support.day_centre import drawn_day
from tests.support.day_player import DayPlayer
from tests.support.recorded_day import Day, day_of, write
from tests.support.redis_server import running_redis

FILE = Path(__file__).parent / "data" / "day.json.gz"
_SITE = "recorded"
_SEED = 7


async def record(url: str, drawn: Day) -> Day:
    """Play a day and read the event stream of it."""
    redis, link = connect(url), DirectLink(url.removeprefix("unix://"))
    store = RedisQueueStore(redis, _SITE)
    await DayPlayer(drawn, store, link, _SITE, lambda fact: None).play()
    (entries,) = link.exchange([("XRANGE", f"acd:{{{_SITE}}}:ev", "-", "+")])
    events = [replies.pairs(fields) for _, fields in entries]
    assert len(events) < EVENTS_KEPT
    assert events[0]["s"] == "1"
    tickets = {call.ticket.call_id: call.ticket for call in drawn.calls}
    link.close()
    await redis.aclose()
    return day_of(events, tickets, drawn.skills, drawn.begins_ms)


def main() -> None:
    with running_redis() as server:
        day = asyncio.run(record(server.url, drawn_day(_SEED)))
    FILE.parent.mkdir(exist_ok=True)
    write(day, FILE)
    waits = sorted(call.waited_ms or 0 for call in day.calls if call.waited_ms is not None)
    print(
        f"{len(day.calls)} callers, {len(waits)} answered, median wait {waits[len(waits) // 2] / 1000:.0f} s,"
        f" ninth decile {waits[len(waits) * 9 // 10] / 1000:.0f} s, {FILE.stat().st_size} bytes"
    )


if __name__ == "__main__":
    main()
