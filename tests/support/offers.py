"""What the stream of node n1 holds, as tests of the store read it."""

from __future__ import annotations

from routing.model import Offer
from routing.store.redis_store import RedisQueueStore


async def offers(store: RedisQueueStore) -> list[Offer]:
    """All offers, the oldest first."""
    return [message for _, message in await store.messages("n1", "0-0", 0) if isinstance(message, Offer)]


async def pairs(store: RedisQueueStore) -> list[tuple[str, str]]:
    """The call and the agent of each offer."""
    return [(offer.call_id, offer.agent_id) for offer in await offers(store)]
