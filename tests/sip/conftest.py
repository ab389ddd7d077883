"""Fixtures of the SIP tests that need sockets: a service on loopback, with bindings in a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from tests.support.redis_server import redis_url, site
from tests.support.sip_shell import Shell

__all__ = ["redis_url", "site"]


@pytest.fixture
async def shell(redis_url: str, site: str) -> AsyncIterator[Shell]:
    """A running SipService with two agents and the trunk 127.0.0.2."""
    redis = Redis.from_url(redis_url)
    made = Shell(redis, site)
    await made.start()
    yield made
    await made.stop()
    await redis.aclose()
