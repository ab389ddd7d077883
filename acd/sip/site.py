"""What the nodes of a site know of each other's phones, opened as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from acd.clock import Clock
from acd.config import NodeSection
from acd.sip.bindings import BindingStore
from acd.sip.core.events import FlowKind
from acd.sip.following import Follower
from acd.sip.nodes import Nodes
from acd.sip.phone_board import PhoneBoard

log = structlog.get_logger(__name__)


class Site:
    """The other nodes, all bindings, what phones do in calls, and what keeps all of that true."""

    def __init__(self, redis: Redis, settings: NodeSection, clock: Clock) -> None:
        name, node = settings.site, settings.id
        self.nodes = Nodes(redis, site=name, node=node, lease_seconds=settings.lease_seconds, clock=clock)
        self.bindings = BindingStore(redis, site=name, node=node, clock=clock, is_up=self.nodes.is_up)
        self.board = PhoneBoard(redis, site=name, node=node, others=lambda: self.nodes.up)
        self._follower = Follower(redis, self.bindings, self.board, self.nodes, site=name, node=node)
        self._on_gone: list[Callable[[frozenset[str]], None]] = []
        self.nodes.subscribe(self._nodes_changed)

    def subscribe(self, on_gone: Callable[[frozenset[str]], None]) -> None:
        """Name one more who hears of nodes that are gone, after their phones were forgotten."""
        self._on_gone.append(on_gone)

    async def start(self, name: str, addresses: Sequence[tuple[FlowKind, str, int]]) -> None:
        """Say where we are and hear of the others; our own bindings are there before. Raises RedisError."""
        await self.board.start()
        await self.nodes.start(name, addresses)
        await self._follower.start()

    async def stop(self) -> None:
        """Hear and say no more."""
        await self._follower.stop()
        await self.nodes.stop()
        await self.board.stop()

    async def look_up(self, agent: str) -> None:
        """Ask Redis for an agent to whom no way is known: word of it may still be on its way."""
        if not self.bindings.is_reachable(agent):
            try:
                await self.nodes.look()
                await self._follower.hear_all()
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("sip.bindings.not_looked_up", error=str(error))

    def _nodes_changed(self, gone: frozenset[str], come: frozenset[str]) -> None:
        for node in gone:
            self.bindings.forget(node)
            self.board.forget(node)
        if come:
            self._follower.look_again()
            self.board.say_again()
        if gone:
            for listener in self._on_gone:
                listener(gone)
