"""Two nodes of one site: two services on one Redis and one database, killed and stopped one by one."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.support.net import eventually
from tests.support.redis_gate import RedisGate
from tests.support.redis_server import PrivateRedis, running_redis
from tests.support.service import RunningService

LEASE = 1.5
_FIRST_MEDIA_PORT = 50_000


class Node(RunningService):
    """One of several."""

    name = ""
    redis: PrivateRedis | None = None
    gate: RedisGate | None = None
    """Its way to Redis, where it has one of its own."""

    def pause(self) -> None:
        """Stop the process as a hanging machine would: it neither answers nor ends."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    async def signed_in(self, name: str, within: float = 5.0) -> None:
        await self.agent_reaches(name, "available", within=within)

    async def waiting(self, queue: str, count: int, within: float = 5.0) -> None:
        """So many wait in a queue of the site."""

        async def there() -> bool:
            return bool((await self.queue(queue))["waiting"] == count)

        await eventually(there, within=within, what=f"{count} in {queue}")

    async def written_down(self, calls: int, within: float = 5.0) -> None:
        """What so many of its calls do lies in Redis, for others to find if it dies."""
        assert self.redis is not None
        ask = self.redis.ask

        async def there() -> bool:
            key = f"acd:{{main}}:live:{self.name}"
            return bool(await asyncio.to_thread(ask, "HLEN", key) >= calls)

        await eventually(there, within=within, what=f"{calls} calls written down")

    async def logs(self, words: str, within: float = 5.0) -> None:
        """The log holds these words."""

        async def there() -> bool:
            return words in await asyncio.to_thread(self.log_file.read_text)

        await eventually(there, within=within, what=f"{words!r} in the log")


@contextmanager
def two_nodes(
    folder: Path,
    directory: Mapping[str, Any],
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    gated: str = "",
    clock_off: float = 0.0,
) -> Iterator[tuple[Node, Node]]:
    """Nodes a and b, started, with tokens; they must stop in order where they still run.

    The node of the name `gated` reaches Redis through a gate; the machine's clock of node b is off by so many
    seconds.
    """
    with running_redis() as redis, ExitStack() as gates:
        nodes = []
        for number, name in enumerate("ab"):
            place = folder / name
            place.mkdir()
            first = _FIRST_MEDIA_PORT + number * 2000
            gate = None
            if name == gated:
                gate = gates.enter_context(RedisGate(redis.socket, redis.socket.with_name(f"{name}.sock")))
            own: dict[str, dict[str, Any]] = {
                "node": {"id": name, "lease_seconds": LEASE},
                "redis": {"url": gate.url if gate else redis.url},
                "database": {"url": f"sqlite+aiosqlite:///{folder / 'site.db'}"},
                "media": {"ports": f"{first}-{first + 1999}"},
            }
            for section, values in (settings or {}).items():
                own.setdefault(section, {}).update(values)
            node = Node(place, {} if nodes else directory, own)
            node.name, node.redis, node.gate = name, redis, gate
            if name == "b":
                node.clock_off = clock_off
            nodes.append(node)
        try:
            with ThreadPoolExecutor() as starting:
                list(starting.map(Node.start, nodes))
            nodes[0].token()
            nodes[1].share_tokens(nodes[0])
            yield nodes[0], nodes[1]
            for node in nodes:
                node.stop()
        finally:
            for node in nodes:
                if node.running:
                    node.kill9()
