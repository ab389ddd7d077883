"""Fixtures of the tests that need a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from routing.store.redis_store import RedisQueueStore, connect
from tests.support.database import engine
from tests.support.redis_server import redis_url, site

__all__ = ["engine", "redis_url", "site"]


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = connect(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
async def store(redis: Redis, site: str) -> AsyncIterator[RedisQueueStore]:
    opened = RedisQueueStore(redis, site)
    yield opened
    await opened.close()
