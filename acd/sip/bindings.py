"""Where the agents' phones are: held in memory, written behind to Redis, loaded again at start.

Redis keys: `acd:{site}:reg:<node>` is the set of agents that have a binding at this node;
`acd:{site}:reg:<node>:<agent>` is a hash of contact key -> binding, which Redis drops by itself when
its last binding is over; `acd:{site}:regs` is the stream by which nodes tell each other of every change.
Memory is the truth while the service runs: a REGISTER is answered without waiting for Redis, and what could
not be written is kept and tried again. Of the bindings of other nodes there are copies, beside our own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

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
NEWS_KEPT = 10_000
"""Changes in the stream; who is further behind reads everything."""

Listener = Callable[[str, bool], None]
"""Agent id, and whether the agent has a reachable phone now. Called on changes only."""

Change = tuple[str, str]
"""Agent and contact key."""


class Removed(msgspec.Struct, frozen=True):
    """A contact is gone. `asked_at` is when the phone asked for that, 0 where the contact was lost: the
    phone may have registered with another node since."""

    asked_at: float = 0.0


class _Word(NamedTuple):
    """What is to be written of a contact, and the other node that held it before."""

    said: Binding | Removed
    former: str


def _ignore(agent: str, registered: bool) -> None:
    """The listener until there is one."""


def _alone(node: str) -> bool:
    """Which other nodes live, where there are none."""
    return False


def news_key(site: str) -> str:
    """The stream by which the nodes of a site tell each other what changes at their phones."""
    return f"acd:{{{site}}}:regs"


def is_direct(binding: Binding) -> bool:
    """Whether any node can call the phone: by UDP, and no NAT or else a proxy is before it."""
    flow = binding.flow
    return flow.transport == "udp" and (bool(binding.path) or binding.listens == flow.remote)


class BindingStore:
    """Bindings of the agents: looked up synchronously, our own kept across a restart.

    The listener hears of our own, and of those that a dead node leaves behind.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        site: str,
        node: str,
        clock: Clock,
        is_up: Callable[[str], bool] = _alone,
    ) -> None:
        """`is_up` says whether another node lives."""
        self._redis = redis
        self._clock = clock
        self._node = node
        self._is_up = is_up
        self._prefix = f"acd:{{{site}}}:reg"
        self._index_key = f"{self._prefix}:{node}"
        self._news_key = news_key(site)
        self._table = ContactTable()
        self._copies: dict[Change, str] = {}
        """Bindings of other nodes, and whose they are."""
        self._unwritten: dict[Change, _Word] = {}
        self._wake = asyncio.Event()
        self._written = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._stopping = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._listener: Listener = _ignore
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(Binding)

    @property
    def active(self) -> int:
        """Bindings of this node held now."""
        return len(self._table) - len(self._copies)

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

    def is_reachable(self, agent: str) -> bool:
        """Whether there is a way to some phone of the agent, as far as is known."""
        return any(self._is_looked_after(held) or is_direct(held) for held in self._table.of(agent))

    def has_host(self, host: str) -> bool:
        """Whether some phone is registered from this address."""
        return self._table.has_host(host)

    def owner(self, binding: Binding) -> str:
        """The other node that holds this binding; empty for this one."""
        return self._copies.get((binding.agent, binding.key), "")

    def put(self, binding: Binding) -> None:
        """Add a binding of this node, or replace the one of the same key."""
        is_first = not any(self._is_looked_after(held) for held in self._table.of(binding.agent))
        former = self._copies.pop((binding.agent, binding.key), "")
        self._hold(binding)
        self._mark(binding.agent, binding.key, binding, former)
        self._arm()
        if is_first:
            self._listener(binding.agent, True)

    def _is_looked_after(self, binding: Binding) -> bool:
        owner = self.owner(binding)
        return not owner or self._is_up(owner)

    def remove(self, agent: str, *keys: str) -> None:
        """Take bindings away because the phone asked for it; unknown keys are passed over."""
        for key in keys:
            self._remove(agent, key, Removed(self._clock.time()))

    def _remove(self, agent: str, key: str, how: Removed) -> None:
        if not self._table.remove(agent, key):
            return
        owner = self._copies.pop((agent, key), "")
        if how.asked_at or not owner:  # what another node lost is its own affair
            self._mark(agent, key, how, owner)
        if not self._table.of(agent) and not self._is_up(owner):
            self._listener(agent, False)

    def drop_flow(self, flow: Flow) -> None:
        """A connection broke: whoever it led to is unreachable (RFC 5626 section 5)."""
        for binding in self._ours_on(flow):
            self._remove(binding.agent, binding.key, Removed())

    def move_flow(self, wanted: Flow, opened: Flow) -> None:
        """A connection to phones was opened: from now on they are reached through it."""
        for binding in self._ours_on(wanted):
            self.put(msgspec.structs.replace(binding, flow=opened))

    def _ours_on(self, flow: Flow) -> Sequence[Binding]:
        return [binding for binding in self._table.on_flow(flow) if not self.owner(binding)]

    def expire(self) -> None:
        """Drop what is over by now."""
        for binding in self._table.due(self._clock.monotonic()):
            self._remove(binding.agent, binding.key, Removed())

    async def written(self) -> None:
        """Return once everything that was said so far is in Redis, for the other nodes to hear."""
        while self._unwritten:
            self._written.clear()
            await self._written.wait()

    def say_again(self) -> int:
        """Redis has lost what it knew last: all that this node holds is written once more. How many."""
        ours = [held for held in self._table.all() if not self.owner(held)]
        for binding in ours:
            self._mark(binding.agent, binding.key, binding)
        return len(ours)

    # What other nodes say.

    def hear(self, node: str, agent: str, key: str, said: Binding | Removed) -> None:
        """Another node tells of one of its contacts; what was said last of a contact holds."""
        held = next((one for one in self._table.of(agent) if one.key == key), None)
        owner = self.owner(held) if held else ""
        if isinstance(said, Removed):
            if held is not None and (owner == node or held.registered_at <= said.asked_at):
                self._remove(agent, key, Removed())
            return
        if held is not None and owner != node and held.registered_at > said.registered_at:
            return
        if owner == node and held == said:
            return  # as nearly always where all is read again
        if said.expires_at <= self._clock.time():
            return
        if held is not None and not owner:
            self._mark(agent, key, Removed())  # the phone has gone over to that node
        self._hold(said)
        self._copies[agent, key] = node
        self._arm()

    def hear_all(self, node: str, bindings: Sequence[Binding]) -> None:
        """Everything that another node holds; copies of what it no longer holds go."""
        reachable = [binding for binding in bindings if self._is_up(node) or is_direct(binding)]
        kept = {(binding.agent, binding.key) for binding in reachable}
        for binding in reachable:
            self.hear(node, binding.agent, binding.key, binding)
        self._forget(change for change, owner in self._copies.items() if owner == node and change not in kept)

    def forget(self, node: str) -> None:
        """Another node is gone: only phones that every node can call are left of it."""
        theirs = [change for change, owner in self._copies.items() if owner == node]
        self._forget(change for change in theirs if not self._is_direct(*change))

    def _is_direct(self, agent: str, key: str) -> bool:
        return any(one.key == key and is_direct(one) for one in self._table.of(agent))

    def _forget(self, changes: Iterable[Change]) -> None:
        for agent, key in list(changes):
            self._remove(agent, key, Removed())

    async def flush(self) -> None:
        """Write every change now. Raises redis.exceptions.RedisError; the changes are then kept."""
        while self._unwritten:
            batch = dict(islice(self._unwritten.items(), _BATCH))
            await self._write(batch)
            for change, word in batch.items():
                if self._unwritten.get(change) is word:  # not changed again meanwhile
                    del self._unwritten[change]
        self._written.set()

    def _hold(self, binding: Binding) -> None:
        # The deadline is on the monotonic clock: setting the wall clock must not unregister a call centre.
        left = binding.expires_at - self._clock.time()
        self._table.put(binding, self._clock.monotonic() + left)

    def _mark(self, agent: str, key: str, said: Binding | Removed, former: str = "") -> None:
        unwritten = self._unwritten.get((agent, key))
        self._unwritten[agent, key] = _Word(said, former or (unwritten.former if unwritten else ""))
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

    async def _write(self, batch: Mapping[Change, _Word]) -> None:
        pipe = self._redis.pipeline(transaction=True)
        for (agent, key), (said, former) in batch.items():
            text = self._encoder.encode(said).decode()
            if isinstance(said, Removed):
                pipe.hdel(self._agent_key(agent), key)
            else:
                pipe.hset(self._agent_key(agent), key, text)
            news: dict[Any, Any] = {
                "n": self._node,
                "a": agent,
                "k": key,
                "put" if isinstance(said, Binding) else "gone": text,
            }
            if former:  # a node that is gone would bring it back when it starts again
                pipe.hdel(f"{self._prefix}:{former}:{agent}", key)
            pipe.xadd(self._news_key, news, maxlen=NEWS_KEPT, approximate=True)
        for agent in {agent for agent, _ in batch}:
            held = [binding for binding in self._table.of(agent) if not self.owner(binding)]
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
            self._mark(agent, "", Removed())  # Redis dropped the hash; let the index follow
        for key, value in fields.items():
            binding = self._revived(agent, value)
            if binding is None:
                self._mark(agent, key, Removed())
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
