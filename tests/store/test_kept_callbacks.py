"""Callbacks are in the history too: a Redis that has lost everything is told of those that have not ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy import select

from acd.calls.callbacks import CallbackOrder, entry_of
from acd.calls.kept_callbacks import KeptCallbacks
from acd.database import create_engine, metadata
from acd.history.callbacks import SqlRegister, callback_of
from acd.history.tables import callbacks
from routing.store.redis_store import RedisQueueStore
from tests.support.clock import FakeClock
from tests.support.queue_audit import audit, snapshot

pytestmark = pytest.mark.store


def order_of(number: str, **more: object) -> CallbackOrder:
    words = {"enqueued_at": 1_000_000.0, "created_at": 1_000_000.0, "interval_seconds": 300.0, **more}
    return CallbackOrder(id=f"of{number}", queue="billing", number=number, **words)  # type: ignore[arg-type]


class Centre:
    """A node's callbacks, in a Redis that can lose all of them, and in a database."""

    def __init__(self, redis: Redis, site: str, store: RedisQueueStore, register: SqlRegister) -> None:
        self.redis, self.site, self.store, self.register = redis, site, store, register
        self.clock = register._clock
        self.kept = KeptCallbacks(store.callbacks, register)

    @property
    def now(self) -> int:
        return round(self.clock.time() * 1000)

    async def asks(self, number: str, **more: object) -> str:
        order = order_of(number, **more)
        return await self.kept.add(entry_of(order), "n1", self.now)

    async def loses_everything(self) -> None:
        """And the node that knew the latest words with it."""
        async for key in self.redis.scan_iter(f"acd:{{{self.site}}}:*"):
            await self.redis.delete(key)
        self.store.callbacks = RedisQueueStore(self.redis, self.site).callbacks
        self.kept = KeptCallbacks(self.store.callbacks, self.register)

    async def there(self) -> list[tuple[str, str, int]]:
        audit(await snapshot(self.redis, self.site))
        found = await self.kept.of("billing", 100)
        return [(one.id, one.state.value, one.attempts) for one in found]


@pytest.fixture
async def centre(redis: Redis, site: str, store: RedisQueueStore, tmp_path: Path) -> AsyncIterator[Centre]:
    engine = create_engine(f"sqlite+aiosqlite:///{tmp_path / 'history.db'}")
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield Centre(redis, site, store, SqlRegister(engine, FakeClock(1_000_000.0)))
    await engine.dispose()


async def test_those_that_wait_and_rest_are_put_back_in_their_order_and_the_ended_are_not(
    centre: Centre,
) -> None:
    for n in range(1, 6):
        await centre.asks(f"+{n}", enqueued_at=1_000_000.0 - n, due_at=1_000_900.0 if n == 5 else 0.0)
    assert await centre.kept.begin("of+1", "n1", centre.now) == 1
    assert await centre.kept.unreached("of+1", "n1", 1, "busy", centre.now) == "resting"
    assert await centre.kept.begin("of+2", "n1", centre.now) == 1
    assert await centre.kept.done("of+2", "n1", centre.now)
    assert await centre.kept.cancel("of+3", "", centre.now)
    before = await centre.there()
    assert before == [("of+5", "resting", 0), ("of+4", "waiting", 0), ("of+1", "resting", 1)]
    centre.clock.advance(120)
    await centre.loses_everything()
    assert await centre.there() == []
    assert await centre.kept.restore(centre.now) == 3
    assert await centre.there() == before
    found = await centre.kept.find("of+1")
    assert found is not None
    assert found.due_ms == 1_000_000_000 + 300_000, "it rests as long as it would have"
    assert await centre.kept.restore(centre.now) == 0, "said again, it changes nothing"
    assert await centre.there() == before


async def test_what_was_done_while_nobody_had_heard_of_the_loss_is_not_put_back(centre: Centre) -> None:
    await centre.asks("+1")
    await centre.kept.begin("of+1", "n1", centre.now)
    await centre.register.flush()
    await centre.loses_everything()
    late = await centre.register.open()
    assert not await centre.kept.done("of+1", "n1", centre.now), "the store has forgotten it"
    for callback in late:
        await centre.store.callbacks.add(callback, "", centre.now)
    assert await centre.there() == []
    assert await centre.kept.restore(centre.now) == 0


async def test_an_attempt_that_may_still_be_made_is_left_to_its_node(centre: Centre) -> None:
    await centre.asks("+1", ring_seconds=30.0)
    await centre.kept.begin("of+1", "n1", centre.now)
    await centre.loses_everything()
    await centre.kept.restore(centre.now)
    assert await centre.there() == [("of+1", "resting", 0)]
    assert await centre.kept.claim("n2", 10, centre.now) == []
    assert await centre.kept.begin("of+1", "n1", centre.now, said=1) == 1, "its node says how far it is"
    assert await centre.there() == [("of+1", "making", 1)]
    assert await centre.kept.done("of+1", "n1", centre.now)
    assert await centre.kept.restore(centre.now) == 0


async def test_a_number_that_has_asked_again_is_called_once(centre: Centre) -> None:
    await centre.asks("+1")
    await centre.loses_everything()
    again = order_of("+1")
    newer = entry_of(CallbackOrder(id="newer", queue="billing", number="+1", created_at=1.0, enqueued_at=2.0))
    assert again.id != newer.id
    assert await centre.kept.add(newer, "n1", centre.now) == "newer"
    assert await centre.kept.restore(centre.now) == 0
    await centre.kept.done("newer", "n1", centre.now)
    await centre.loses_everything()
    assert await centre.kept.restore(centre.now) == 0
    assert await centre.there() == []


async def test_nothing_of_who_was_called_is_kept_and_what_has_expired_is_forgotten(centre: Centre) -> None:
    await centre.asks("+1")
    await centre.asks("+2", expires_at=1_000_060.0)
    await centre.kept.done("of+1", "n1", centre.now)
    centre.clock.advance(61)
    await centre.loses_everything()
    assert await centre.kept.restore(centre.now) == 0
    rows = select(callbacks.c.id, callbacks.c.document, callbacks.c.ended)
    async with centre.register._engine.connect() as connection:
        ended = (await connection.execute(rows.where(callbacks.c.ended != ""))).all()
    assert [tuple(row) for row in ended] == [("of+1", "", "done")]
    centre.clock.advance(3 * 86_400)
    await centre.register._forget()
    async with centre.register._engine.connect() as connection:
        assert (await connection.execute(rows)).all() == []


@pytest.mark.parametrize(
    ("attempts", "making", "ago", "made", "due"),
    [
        (0, False, 50.0, 0, 0.0),
        (1, False, 50.0, 1, 250.0),
        (2, True, 10.0, 1, 90.0),
        (2, True, 4_000.0, 2, -3_700.0),
    ],
)
def test_how_far_it_had_come(attempts: int, making: bool, ago: float, made: int, due: float) -> None:
    document, now = entry_of(order_of("+1")).document, 1_000_000.0
    found = callback_of(document, attempts, making, now - ago, now)
    assert found is not None
    assert (found.made, found.due_ms) == (made, round((now + due) * 1000) if due else 0)
    for over, left in ((3, 400.0), (3, 4_000.0)):
        last = callback_of(document, over, left > 3_600, now - left, now)
        assert last is None, "all attempts were made"
