"""Where the agents' phones are: held in memory, written behind to Redis, loaded again at start.

Redis keys: `acd:{site}:reg:<node>` is the set of agents that have a binding at this node;
`acd:{site}:reg:<node>:<agent>` is a hash of contact key -> binding, which Redis drops by itself when
its last binding is over. Memory is the truth while the service runs: a REGISTER is answered without
waiting for Redis, and what could not be written is kept and tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from itertools import islice

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from acd import tasks
from acd.clock import Clock
from acd.sip.contacts import Binding, ContactTable
from acd.sip.core.events import Flow

_log = structlog.get_logger(__name__)

_BATCH = 500
_RETRY_SECONDS = 1.0
_STOP_SECONDS = 2.0
_LEAST_TIMER_SECONDS = 0.05

Listener = Callable[[str, bool], None]
"""Agent id, and whether the agent has a reachable phone now. Called on changes only."""

Change = tuple[str, str]
"""Agent and contact key."""


def _ignore(agent: str, registered: bool) -> None:
    """The listener until there is one."""


class BindingStore:
    """Bindings of this node's agents: looked up synchronously, kept across a restart."""

    def __init__(self, redis: Redis, *, site: str, node: str, clock: Clock) -> None:
        self._redis = redis
        self._clock = clock
        self._index_key = f"acd:{{{site}}}:reg:{node}"
        self._table = ContactTable()
        self._unwritten: dict[Change, Binding | None] = {}
        self._wake = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._stopping = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._listener: Listener = _ignore
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(Binding)

    @property
    def active(self) -> int:
        """Bindings held now."""
        return len(self._table)

    @property
    def unwritten(self) -> int:
        """Changes that Redis does not have yet."""
        return len(self._unwritten)

    def subscribe(self, listener: Listener) -> None:
        """Name the one listener of changes. It also hears of every agent that `start` finds registered."""
        self._listener = listener

    async def start(self) -> None:
        """Load what Redis holds and begin to write. Raises redis.exceptions.RedisError."""
        await self._load()
        self._stopping = False
        self._writer = asyncio.create_task(self._write_forever(), name="bindings-writer")
        self._arm()

    async def stop(self) -> None:
        """Write what is left, within two seconds, and stop. The bindings stay in Redis."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writer is None:
            return
        # Told rather than cancelled: a cancellation that meets a finished reply could be lost in the client.
        self._stopping = True
        self._wake.set()
        await asyncio.wait((self._writer,), timeout=_STOP_SECONDS)
        await tasks.end(self._writer)
        self._writer = None
        if self._unwritten:
            _log.error("sip.bindings.unwritten", pending=self.unwritten)

    def lookup(self, agent: str) -> tuple[Binding, ...]:
        """The agent's reachable contacts, the newest first."""
        return self._table.of(agent)

    def has_host(self, host: str) -> bool:
        """Whether some phone is registered from this address."""
        return self._table.has_host(host)

    def put(self, binding: Binding) -> None:
        """Add a binding, or replace the one of the same key."""
        is_first = not self._table.of(binding.agent)
        self._hold(binding)
        self._mark(binding.agent, binding.key, binding)
        self._arm()
        if is_first:
            self._listener(binding.agent, True)

    def remove(self, agent: str, *keys: str) -> None:
        """Take bindings away; unknown keys are passed over."""
        removed = [key for key in keys if self._table.remove(agent, key)]
        for key in removed:
            self._mark(agent, key, None)
        if removed and not self._table.of(agent):
            self._listener(agent, False)

    def drop_flow(self, flow: Flow) -> None:
        """A connection broke: whoever it led to is unreachable (RFC 5626 section 5)."""
        for binding in self._table.on_flow(flow):
            self.remove(binding.agent, binding.key)

    def move_flow(self, wanted: Flow, opened: Flow) -> None:
        """A connection to phones was opened: from now on they are reached through it."""
        for binding in self._table.on_flow(wanted):
            self.put(msgspec.structs.replace(binding, flow=opened))

    def expire(self) -> None:
        """Drop what is over by now."""
        for binding in self._table.due(self._clock.monotonic()):
            self.remove(binding.agent, binding.key)

    async def flush(self) -> None:
        """Write every change now. Raises redis.exceptions.RedisError; the changes are then kept."""
        while self._unwritten:
            batch = dict(islice(self._unwritten.items(), _BATCH))
            await self._write(batch)
            for change, binding in batch.items():
                if self._unwritten.get(change) is binding:  # not changed again meanwhile
                    del self._unwritten[change]

    def _hold(self, binding: Binding) -> None:
        # The deadline is on the monotonic clock: setting the wall clock must not unregister a call centre.
        left = binding.expires_at - self._clock.time()
        self._table.put(binding, self._clock.monotonic() + left)

    def _mark(self, agent: str, key: str, binding: Binding | None) -> None:
        self._unwritten[agent, key] = binding
        self._wake.set()

    def _arm(self) -> None:
        due = self._table.next_deadline()
        if self._writer is None or due is None or (self._timer is not None and self._timer_due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        # The floor keeps the loop from spinning where the clock stands still.
        delay = max(_LEAST_TIMER_SECONDS, due - self._clock.monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.expire()
        self._arm()

    async def _write_forever(self) -> None:
        failing = False
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self.flush()
            except (RedisError, OSError) as error:
                if not failing:
                    _log.error("sip.bindings.write_failed", pending=self.unwritten, error=str(error))
                failing = True
            else:
                if failing:
                    _log.info("sip.bindings.write_recovered")
                failing = False
            if self._stopping:
                return
            if failing:
                await asyncio.sleep(_RETRY_SECONDS)
                self._wake.set()

    async def _write(self, batch: Mapping[Change, Binding | None]) -> None:
        pipe = self._redis.pipeline(transaction=True)
        for (agent, key), binding in batch.items():
            if binding is None:
                pipe.hdel(self._agent_key(agent), key)
            else:
                pipe.hset(self._agent_key(agent), key, self._encoder.encode(binding).decode())
        for agent in {agent for agent, _ in batch}:
            held = self._table.of(agent)
            if held:
                pipe.sadd(self._index_key, agent)
                last = max(binding.expires_at for binding in held)
                pipe.pexpireat(self._agent_key(agent), int(last * 1000))
            else:
                pipe.srem(self._index_key, agent)
        await pipe.execute()

    async def _load(self) -> None:
        agents = sorted(_text(item) for item in await self._redis.smembers(self._index_key))
        for start in range(0, len(agents), _BATCH):
            batch = agents[start : start + _BATCH]
            pipe = self._redis.pipeline(transaction=False)
            for agent in batch:
                pipe.hgetall(self._agent_key(agent))
            for agent, fields in zip(batch, await pipe.execute(), strict=True):
                self._load_agent(agent, {_text(key): value for key, value in fields.items()})

    def _load_agent(self, agent: str, fields: Mapping[str, bytes | str]) -> None:
        if not fields:
            self._mark(agent, "", None)  # Redis dropped the hash; let the index follow
        for key, value in fields.items():
            binding = self._revived(agent, value)
            if binding is None:
                self._mark(agent, key, None)
            else:
                self._hold(binding)
        if self._table.of(agent):
            self._listener(agent, True)

    def _revived(self, agent: str, value: bytes | str) -> Binding | None:
        """The binding as it is usable after a restart; None where it is over or cannot be reached."""
        try:
            binding = self._decoder.decode(value)
        except msgspec.MsgspecError as error:
            _log.warning("sip.bindings.unreadable", agent=agent, error=str(error))
            return None
        if binding.expires_at <= self._clock.time():
            return None
        flow = binding.flow
        if flow.transport == "udp":
            return binding
        # Its connection went with the process before. Where the phone listens can be connected to;
        # a phone behind a NAT has to come back by itself.
        if binding.listens[0] != flow.remote[0]:
            return None
        return msgspec.structs.replace(binding, flow=Flow(flow.transport, flow.local, binding.listens))

    def _agent_key(self, agent: str) -> str:
        return f"{self._index_key}:{agent}"


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
