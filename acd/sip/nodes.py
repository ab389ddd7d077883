"""The nodes of the site: which of them live, where they can be reached, and the key that they share.

Redis keys: `acd:{site}:nodes` is the set of nodes that were ever seen; `acd:{site}:node:<id>` says where one
is, and goes by itself when it has not been said again for a lease; `acd:{site}:edge-key` signs what nodes ask
of each other. While Redis is away nobody is taken for dead.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from acd import tasks
from acd.clock import Clock
from acd.sip.core.events import Flow, FlowKind

log = structlog.get_logger(__name__)

_BEATS = 3
"""How often within a lease a node says that it lives."""
_RETRY_SECONDS = 0.5

BETWEEN_NODES: Sequence[FlowKind] = ("tcp", "udp", "tls")
"""The transports that nodes speak with each other, the one preferred first."""
IN_SECRET: Sequence[FlowKind] = ("tls", "tcp", "udp")
"""The same for calls whose keys stand in the SDP."""


class NodeFacts(msgspec.Struct, frozen=True):
    """What a node says of itself. `process` differs from start to start."""

    process: str
    name: str
    """Whom its certificate is for; empty: its address."""
    addresses: tuple[tuple[FlowKind, str, int], ...] = ()

    def at(self, transport: FlowKind) -> Flow | None:
        """Where it listens with this transport."""
        for kind, host, port in self.addresses:
            if kind == transport:
                return Flow(kind, ("", 0), (host, port))
        return None


Listener = Callable[[frozenset[str], frozenset[str]], None]
"""Nodes that are gone, and nodes that have come."""


def _ignore(gone: frozenset[str], come: frozenset[str]) -> None:
    """The listener until there is one."""


class Nodes:
    """This node among the others. Looked up synchronously; kept true by a loop of its own."""

    def __init__(self, redis: Redis, *, site: str, node: str, lease_seconds: float, clock: Clock) -> None:
        self._redis = redis
        self._prefix = f"acd:{{{site}}}:"
        self._node = node
        self._lease = lease_seconds
        self._clock = clock
        self.facts = NodeFacts(secrets.token_hex(8), "")
        self._others: dict[str, NodeFacts] = {}
        self._gone: dict[str, NodeFacts] = {}
        """What those said last who went at the last look."""
        self._hosts: frozenset[str] = frozenset()
        self._key = secrets.token_hex(32)
        self._is_shared = False
        self._patient_until = 0.0
        self._listener: Listener = _ignore
        self._beating: asyncio.Task[None] | None = None

    def subscribe(self, listener: Listener) -> None:
        """Name the one listener of nodes that come and go."""
        self._listener = listener

    # What is known.

    def is_up(self, node: str) -> bool:
        """Whether this is another node, and it lives."""
        return node in self._others

    def lives(self, node: str, process: str) -> bool:
        """Whether this is another node that lives, and still the same process."""
        facts = self._others.get(node)
        return facts is not None and facts.process == process

    @property
    def up(self) -> frozenset[str]:
        """The other nodes that live."""
        return frozenset(self._others)

    def facts_of(self, node: str) -> NodeFacts | None:
        """What another node says of itself; None where it is not up."""
        return self._others.get(node)

    def addresses_of_gone(self, node: str) -> Sequence[tuple[FlowKind, str, int]]:
        """Where a node was that is just gone."""
        facts = self._gone.get(node)
        return facts.addresses if facts else ()

    def has_host(self, host: str) -> bool:
        """Whether another node is at this address."""
        return host in self._hosts

    def key(self) -> bytes:
        """What tokens of the site are signed with; empty while Redis has not been asked."""
        return self._key.encode() if self._is_shared else b""

    async def known(self) -> Sequence[str]:
        """Every other node that was ever seen. Raises RedisError."""
        names: set[bytes] = await _reply(self._redis.smembers(f"{self._prefix}nodes"))
        return sorted(name.decode() for name in names if name.decode() != self._node)

    async def strike(self, node: str) -> None:
        """Know a node no longer; it says so itself when it comes back. Raises RedisError."""
        await _reply(self._redis.srem(f"{self._prefix}nodes", node))

    # Its life.

    async def start(self, name: str, addresses: Sequence[tuple[FlowKind, str, int]]) -> None:
        """Say where we are, and hear where the others are. Raises RedisError."""
        self.facts = NodeFacts(self.facts.process, name, tuple(addresses))
        await self._beat()
        self._beating = asyncio.create_task(self._beat_forever(), name="nodes")

    async def stop(self) -> None:
        """Say no more; the others notice when the lease is over."""
        await tasks.end(self._beating)
        self._beating = None

    async def _beat_forever(self) -> None:
        pause = self._lease / _BEATS
        while True:
            await asyncio.sleep(pause)
            try:
                await self._beat()
            except (RedisError, OSError, TimeoutError) as error:
                if pause != _RETRY_SECONDS:
                    log.warning("nodes-unknown", error=str(error))
                pause = _RETRY_SECONDS
                self._be_patient()
            except Exception:
                log.exception("nodes-beat-failed")
            else:
                pause = self._lease / _BEATS

    def _be_patient(self) -> None:
        """What Redis holds may be behind: the others get the time of a lease to say that they live."""
        self._patient_until = self._clock.monotonic() + self._lease

    async def look(self) -> None:
        """Ask for the other nodes out of turn. Raises RedisError."""
        await self._beat()

    async def _beat(self) -> None:
        pipe = self._redis.pipeline(transaction=False)
        said = msgspec.json.encode(self.facts)
        pipe.set(f"{self._prefix}node:{self._node}", said, px=round(self._lease * 1000), get=True)
        pipe.sadd(f"{self._prefix}nodes", self._node)
        pipe.set(f"{self._prefix}edge-key", self._key, nx=True)
        pipe.get(f"{self._prefix}edge-key")
        before, _, _, key = await pipe.execute()
        self._key, self._is_shared = key.decode(), True
        self._compare(before)
        names = await self.known()
        found = (
            await _reply(self._redis.mget([f"{self._prefix}node:{name}" for name in names])) if names else []
        )
        self._take({name: _read(said) for name, said in zip(names, found, strict=True) if said})

    def _compare(self, before: bytes | None) -> None:
        """What Redis had of us tells whether it, or we, slept."""
        if before is None:
            self._be_patient()
        elif self._beating is not None and _read(before).process != self.facts.process:
            log.error(
                "node-name-used-twice",
                node=self._node,
                remedy="another process calls itself by this name; give each its own node.id",
            )

    def _take(self, found: Mapping[str, NodeFacts]) -> None:
        if self._clock.monotonic() < self._patient_until:
            found = {**self._others, **found}
        gone = frozenset(self._others.keys() - found.keys())
        come = frozenset(
            name
            for name, facts in found.items()
            if name not in self._others or self._others[name].process != facts.process
        )
        self._gone = {name: self._others[name] for name in gone}
        self._others = dict(found)
        self._hosts = frozenset(host for facts in found.values() for _, host, _ in facts.addresses)
        if gone or come:
            log.info("nodes-changed", up=sorted(found), gone=sorted(gone), come=sorted(come))
            self._listener(gone, come)


def _read(said: bytes) -> NodeFacts:
    """Another version of the service may say what we cannot read: it is up, and nowhere."""
    try:
        return msgspec.json.decode(said, type=NodeFacts)
    except msgspec.MsgspecError:
        return NodeFacts("unreadable", "")


async def _reply(command: Any) -> Any:
    """redis-py's types say that a command may be no awaitable."""
    return await command
