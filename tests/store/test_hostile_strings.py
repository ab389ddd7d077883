"""What a caller writes is a value in the store, and never part of a key."""

from __future__ import annotations

import msgspec
from redis.asyncio import Redis

from acd.sip.bindings import BindingStore
from routing.callbacks import Callback
from routing.store.redis_store import RedisQueueStore
from tests.store.test_bindings import binding, late, open_store

EVIL = "+372}{*:evil\r\n\x00\u2028"


async def keys(redis: Redis) -> set[str]:
    return {str(key) async for key in redis.scan_iter("*")}


async def test_a_callers_number_is_in_no_key(redis: Redis, store: RedisQueueStore) -> None:
    before = await keys(redis)
    noted = Callback("cb1", "billing", EVIL, 1_000, "{}")
    assert await store.callbacks.add(noted, "a", 1_000) == "cb1"
    assert await store.callbacks.add(Callback("cb2", "billing", EVIL, 1_000, "{}"), "a", 1_000) == "cb1"
    made = await keys(redis) - before
    assert made
    assert not [key for key in made if "evil" in key or not key.isprintable()]
    assert await store.callbacks.cancel("cb1", "a", 2_000)
    assert await store.callbacks.add(Callback("cb3", "billing", EVIL, 3_000, "{}"), "a", 3_000) == "cb3"


async def test_what_a_phone_writes_into_its_registration_is_in_no_key(redis: Redis, site: str) -> None:
    before = await keys(redis)
    bindings: BindingStore = open_store(redis, site)
    await bindings.start()
    (hostile,) = late(binding("anna"))
    bindings.put(msgspec.structs.replace(hostile, key=EVIL, call_id=EVIL, contact=f"sip:{EVIL}@192.0.2.7"))
    await bindings.stop()
    made = await keys(redis) - before
    assert made
    assert not [key for key in made if "evil" in key or not key.isprintable()]
