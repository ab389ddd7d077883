"""How many calls to the outside each agent has, whichever nodes have them.

Redis key: `acd:{site}:outside:<agent>` is a hash of call id -> node and process that have the call. What
a dead node left there no longer counts, goes when somebody counts, and by itself after a day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from itertools import islice
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from acd import tasks

log = structlog.get_logger(__name__)

_BATCH = 500
_MOST_UNWRITTEN = 20_000
_KEPT_SECONDS = 86_400
_PATIENCE_SECONDS = 2.0
_RETRY_SECONDS = 1.0


class OutsideCalls:
    """Our own are counted in memory; those of others in Redis, where ours are before we count.

    So of two nodes that let an agent call at the same moment, one sees the call of the other. While Redis is
    away each node counts its own alone.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        site: str,
        node: str,
        process: str,
        look: Callable[[], Awaitable[None]],
        lives: Callable[[str, str], bool],
    ) -> None:
        """`lives` says whether this process of another node is known to live, `look` asks for others anew."""
        self._redis = redis
        self._prefix = f"acd:{{{site}}}:outside:"
        self._own = f"{node} {process}"
        self._look = look
        self._lives = lives
        self._held: dict[str, frozenset[str]] = {}
        """Call -> agents who have it."""
        self._unwritten: dict[tuple[str, str], bool] = {}
        """Agent and call -> whether the agent has it."""
        self._writing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._writer = asyncio.create_task(self._write_forever(), name="outside-calls")

    async def stop(self) -> None:
        """Write what is left, if Redis takes it."""
        await tasks.end(self._writer)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while self._unwritten:
                    await self._write("")
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("outside-calls-not-written", error=str(error))

    def changed(self, call_id: str, agents: Collection[str]) -> None:
        """These agents have the call to the outside now; none where it is over, or leads nowhere outside."""
        before = self._held.pop(call_id, frozenset())
        if agents:
            self._held[call_id] = frozenset(agents)
        for agent in before.symmetric_difference(agents):
            self._unwritten[agent, call_id] = agent in agents
        while len(self._unwritten) > _MOST_UNWRITTEN:
            del self._unwritten[next(iter(self._unwritten))]
        self._wake.set()

    async def of(self, agent: str) -> int:
        """The agent's calls to the outside at all nodes."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                elsewhere = await self._elsewhere(agent)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("outside-calls-of-other-nodes-unknown", error=str(error))
            elsewhere = 0
        return elsewhere + sum(1 for agents in self._held.values() if agent in agents)

    def say_again(self) -> int:
        """Redis has lost something, or others took us for dead: everything is written once more. How many."""
        for call_id, agents in self._held.items():
            self._unwritten.update(((agent, call_id), True) for agent in agents)
        self._wake.set()
        return len(self._held)

    async def _elsewhere(self, agent: str) -> int:
        found = await self._write(agent)
        others = {call: said.decode() for call, said in found.items() if said.decode() != self._own}
        if any(not self._is_alive(said) for said in others.values()):
            await self._look()
        dead = [call for call, said in others.items() if not self._is_alive(said)]
        if dead:
            await _reply(self._redis.hdel(self._prefix + agent, *dead))
        return len(others) - len(dead)

    def _is_alive(self, said: str) -> bool:
        node, _, process = said.partition(" ")
        return self._lives(node, process)

    async def _write(self, asked: str) -> Mapping[bytes, bytes]:
        """What is unwritten, and at the same moment what is written of one agent. Raises RedisError."""
        async with self._writing:
            batch = dict(islice(self._unwritten.items(), _BATCH))
            if asked:
                batch |= {change: has for change, has in self._unwritten.items() if change[0] == asked}
            async with self._redis.pipeline(transaction=True) as transaction:
                for (agent, call_id), has in batch.items():
                    key = self._prefix + agent
                    if has:
                        transaction.hset(key, call_id, self._own)
                        transaction.expire(key, _KEPT_SECONDS)
                    else:
                        transaction.hdel(key, call_id)
                transaction.hgetall(self._prefix + asked)
                *_, found = await transaction.execute()
            for change, has in batch.items():
                if self._unwritten.get(change) is has:
                    del self._unwritten[change]
        return dict(found)

    async def _write_forever(self) -> None:
        failing = False
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while self._unwritten:
                    await self._write("")
            except (RedisError, OSError, TimeoutError) as error:
                if not failing:
                    log.warning("outside-calls-not-written", error=str(error))
                failing = True
                await asyncio.sleep(_RETRY_SECONDS)
                self._wake.set()
            else:
                failing = False


async def _reply(command: Any) -> Any:
    """redis-py's types say that a command may be no awaitable."""
    return await command
