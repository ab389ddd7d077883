"""Keeps one node in touch with the store: reads its messages, carries out what is due, holds its lease."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

from routing.limits import MESSAGES_KEPT, RING_GRACE_MS
from routing.model import NodeMessage, Offer, WrapupTaken
from routing.outages import Outages, Trouble
from routing.ports import QueueStore, StoreUnavailable

log = logging.getLogger(__name__)

_READ_BLOCK_MS = 1_000
_LONGEST_SLEEP_MS = 1_000
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0
_LONGEST_BEAT_SECONDS = 1.0
"""However long the lease is, a store that is back hears of everything this soon."""
_BEGINNING = "0-0"


def sort_out(
    stored: Iterable[str], suspects: frozenset[str], is_live: Callable[[str], bool]
) -> tuple[Sequence[str], frozenset[str]]:
    """Of the calls that the store has for a node, those that are ghosts, and all that are suspected now.

    A ghost stays a suspect until it is gone: the word that takes it away may be lost.
    """
    unknown = [call_id for call_id in stored if not is_live(call_id)]
    return [call_id for call_id in unknown if call_id in suspects], frozenset(unknown)


class Ear:
    """Knows what was heard before, where a stream is read again. Offers and wrap-ups are numbered each.

    Not by the order of the numbers: those of a store that has lost its data may begin below what was heard.
    """

    def __init__(self) -> None:
        self._heard: dict[tuple[int, str], None] = {}

    def is_news(self, message: NodeMessage) -> bool:
        """False for an offer or a wrap-up that was heard; a withdrawal may be heard again."""
        if not isinstance(message, Offer | WrapupTaken):
            return True
        key = (message.token, message.call_id if isinstance(message, Offer) else message.agent_id)
        if key in self._heard:
            return False
        self._heard[key] = None
        if len(self._heard) > 2 * MESSAGES_KEPT:
            del self._heard[next(iter(self._heard))]
        return True


class Lease:
    """How long this node holds what is its own, as far as it knows. Times in milliseconds.

    While it does not, it carries out nothing that is due: it would give up its very own calls, which live and
    are about to be said again.
    """

    def __init__(self, length_ms: int) -> None:
        self.length_ms = length_ms
        self._until = 0

    def renewed(self, said_ms: int) -> None:
        """The store has heard what was said at that time."""
        self._until = said_ms + self.length_ms

    def holds(self, now_ms: int) -> bool:
        return now_ms < self._until


class RoutingEngine:
    """The loops of one node. It survives the store being away, and says so when the store is back.

    `now_ms` is the time in milliseconds since the epoch. `on_message` hears each offer and each wrap-up once,
    and each withdrawal at least once. `on_store_back` is awaited after the store was away or this node's
    lease ran out: the owner says its calls and agents again (every operation of the store may be repeated)
    and returns how many of what. Given True, the store has lost what it knew last: it is to be told what each
    call does as if it knew otherwise. `others` are the nodes that live.
    `is_live` says whether the owner has, or still speaks of, a call of this id: one that it does not know at
    two looks in a row was put in line by a word that came late, and is taken out. `queues` are those in use;
    what the store remembers of others is forgotten a day after their last call.
    """

    def __init__(
        self,
        store: QueueStore,
        node: str,
        now_ms: Callable[[], int],
        lease_ms: int,
        *,
        on_message: Callable[[NodeMessage], None],
        on_store_back: Callable[[bool], Awaitable[Mapping[str, int]]],
        is_live: Callable[[str], bool],
        queues: Callable[[], Collection[str]],
        others: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._store = store
        self._node = node
        self._now_ms = now_ms
        self._lease = Lease(lease_ms)
        self._on_message = on_message
        self._on_store_back = on_store_back
        self._read_after = _BEGINNING
        self._ear = Ear()
        self._is_live = is_live
        self._queues = queues
        self._others = others
        self._lost: Trouble | None = None
        self._suspects: frozenset[str] = frozenset()
        self._wake_at = 0
        self._renewed = asyncio.Event()
        self._woken = asyncio.Event()
        self.outages = Outages(time.monotonic)
        self._tasks: list[asyncio.Task[None]] = []
        store.watch_deadlines(self.note_deadline)

    @property
    def store_away(self) -> bool:
        """Whether the store failed to answer and has not answered since."""
        return self.outages.is_on

    async def start(self) -> Sequence[str]:
        """Begin anew. Returns the ids of calls that a predecessor of this node left in the store.

        Raises StoreUnavailable.
        """
        await self._store.meet(self._node, self._now_ms, self._others)
        given_up = await self._store.reset_node(self._node, self._now_ms())
        await self._renew_lease()
        loops = (self._read, self._tick, self._beat, self._keep_house)
        self._tasks = [asyncio.create_task(self._forever(step), name=step.__name__) for step in loops]
        return given_up

    async def stop(self) -> None:
        """End the loops. The lease runs out by itself."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def note_deadline(self, due_ms: int) -> None:
        """Something falls due at this time (ms since the epoch): be awake then."""
        if due_ms < self._wake_at:
            self._wake_at = due_ms
            self._woken.set()

    async def _forever(self, step: Callable[[], Awaitable[None]]) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                await step()
            except StoreUnavailable as error:
                self.outages.begin(error)
            except Exception:
                log.exception("routing: %s failed", step.__name__)
            else:
                pause = _FIRST_PAUSE_SECONDS
                continue
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    # Messages.

    async def _read(self) -> None:
        try:
            found = await self._store.messages(self._node, self._read_after, _READ_BLOCK_MS)
        except StoreUnavailable:
            # The stream that comes back may have smaller ids; offers known already are passed over.
            self._read_after = _BEGINNING
            raise
        for entry, message in found:
            self._read_after = entry
            self._hear(message)

    def _hear(self, message: NodeMessage) -> None:
        if not self._ear.is_news(message):
            return
        if isinstance(message, Offer):
            self.note_deadline(message.deadline_ms + RING_GRACE_MS)
        try:
            self._on_message(message)
        except Exception:
            log.exception("routing: a message was not taken: %r", message)

    # What is due.

    async def _tick(self) -> None:
        now = self._now_ms()
        if not self._lease.holds(now):
            self._renewed.clear()
            await self._renewed.wait()
            return
        self._wake_at = now + _LONGEST_SLEEP_MS
        due = await self._store.tick(now)
        if due is not None:
            self.note_deadline(due)
        while True:
            self._woken.clear()
            wait = min(self._wake_at - self._now_ms(), _LONGEST_SLEEP_MS)
            if wait <= 0 or not await self._woken_within(wait / 1000):
                return

    async def _woken_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        return True

    # The lease.

    async def _beat(self) -> None:
        began, pause = time.monotonic(), min(self._lease.length_ms / 3000, _LONGEST_BEAT_SECONDS)
        lapsed = await self._renew_lease()
        lost = await self._store.look_for_loss() if lapsed else self._store.take_trouble()
        self._lost = lost or self._lost
        if self._lost:
            await self._tell_what_is_lost(self._lost)
            self._lost = None
        elif lapsed or self.outages.is_on:
            self.outages.end(Trouble.LEASE if lapsed else Trouble.AWAY)
            self.outages.note_said_again(await self._on_store_back(False))
        # The lease began when the word was said, and that may have been long on its way.
        await asyncio.sleep(max(0.0, began + pause - time.monotonic()))

    async def _renew_lease(self) -> bool:
        now = self._now_ms()
        lapsed = await self._store.heartbeat(self._node, self._lease.length_ms, now)
        self._lease.renewed(now)
        self._renewed.set()
        return lapsed

    async def _tell_what_is_lost(self, lost: Trouble) -> None:
        """The node with the call knows what it does. Nobody is reserved until all nodes have said so."""
        self.outages.end(lost)
        for call_id in await self._store.calls_of(self._node):
            if not self._is_live(call_id):
                await self._store.cancel(call_id, self._now_ms(), "released")
        self.outages.note_said_again(await self._on_store_back(True))
        await self._store.settled(self._node, self._now_ms())

    # What nobody has or uses any more.

    async def _keep_house(self) -> None:
        await asyncio.sleep(self._lease.length_ms / 1000)
        ghosts, self._suspects = sort_out(
            await self._store.calls_of(self._node), self._suspects, self._is_live
        )
        for call_id in ghosts:
            log.warning("routing: a call that nobody has is taken out of its line")
            await self._store.cancel(call_id, self._now_ms(), "released")
        await self._store.forget_queues(self._queues(), self._now_ms())
