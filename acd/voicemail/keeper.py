"""Takes messages in, keeps them as long as they may be kept, and knows how many each box has."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog
from sqlalchemy.exc import SQLAlchemyError

from acd import tasks
from acd.calls.messages import LEAST_SOUND_SECONDS, BoxFull, MessageImpossible, NewMessage
from acd.clock import Clock
from acd.directory.boxes import rules_of
from acd.directory.model import Directory, VoicemailRules
from acd.media.engine import MediaEvent, RecordingEnded
from acd.voicemail.files import MessageFiles
from acd.voicemail.model import BoxCount, Message
from acd.voicemail.store import MessagePage, MessageStore
from ivr.mailbox import Waiting

log = structlog.get_logger(__name__)

LOOK_SECONDS = 5.0
"""Within so long a node learns what another one did with the messages of a box."""
SWEEP_SECONDS = 600.0
"""Between two looks for messages whose time is over."""
_DAY_SECONDS = 86_400.0
_ORPHAN_SECONDS = 7 * _DAY_SECONDS
"""After so long nobody waits any more for a node that is gone to remove its audio."""
_AT_ONCE = 500
_MOST_HEARD = 200
"""Messages of a box that can be listened to in one call, the newest ones."""
_FIRST_RETRY_SECONDS = 0.5
_LONGEST_RETRY_SECONDS = 30.0
_STOP_SECONDS = 2.0
_NONE = BoxCount()


class MessageKeeper:
    """The messages of all boxes, as far as they concern this node.

    `changed` is called with a box whose count is another one than before.
    """

    def __init__(
        self,
        node: str,
        store: MessageStore,
        folder: Path,
        clock: Clock,
        directory: Callable[[], Directory],
        changed: Callable[[str], None],
    ) -> None:
        self._node = node
        self._store = store
        self._files = MessageFiles(folder, node)
        self._clock = clock
        self._directory = directory
        self._changed = changed
        self._looking = asyncio.Lock()
        self._counts: Mapping[str, BoxCount] = {}
        self._taking: dict[str, NewMessage] = {}
        self._jobs: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._idle = asyncio.Event()
        self._idle.set()
        """No message is being left."""
        self.taken: Counter[str] = Counter()
        """Messages taken since the start, by kind of box."""
        self.lost: Counter[str] = Counter()
        """Callers who could leave none, by why: full, failed, disk-full, overrun."""

    @property
    def counts(self) -> Mapping[str, BoxCount]:
        """By box, as they were at the last look."""
        return self._counts

    def count(self, box: str) -> BoxCount:
        return self._counts.get(box, _NONE)

    def by_kind(self) -> Mapping[tuple[str, str], int]:
        """All messages by kind of box, new and heard."""
        found: Counter[tuple[str, str]] = Counter()
        for box, count in self._counts.items():
            kind = box.partition(":")[0]
            found[kind, "new"] += count.new
            found[kind, "heard"] += count.heard
        return found

    async def start(self) -> None:
        """Take up what a predecessor left. Raises OSError, and what the database raises."""
        await asyncio.to_thread(self._files.prepare)
        self._counts = await self._store.counts()
        for message in await asyncio.to_thread(lambda: list(self._files.left())):
            log.warning("message-taken-up", message=message.id, box=message.box)
            self._jobs.put_nowait(functools.partial(self._take, message, "closed"))
        self._tasks = [
            asyncio.create_task(self._work(), name="message-keeper"),
            asyncio.create_task(self._watch(), name="message-counts"),
        ]

    async def stop(self) -> None:
        """What is not taken in by now is taken up by the next start."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await self._idle.wait()
                await self._jobs.join()
        for task in self._tasks:
            await tasks.end(task)
        self._tasks = []

    # A message is left.

    async def begin(self, message: NewMessage) -> Path:
        """Where to record it. Raises BoxFull, MessageImpossible."""
        rules = rules_of(self._directory(), message.box)
        if rules is None:
            raise MessageImpossible(f"there is no box {message.box}")
        taking = sum(other.box == message.box for other in self._taking.values())
        if self.count(message.box).all + taking >= rules.max_messages:
            self.lost["full"] += 1
            log.warning("voicemail-box-full", box=message.box, messages=rules.max_messages)
            raise BoxFull(f"box {message.box} has {rules.max_messages} messages")
        try:
            await asyncio.to_thread(self._files.begin, message)
        except OSError as error:
            self.lost["failed"] += 1
            log.error("message-cannot-be-taken", box=message.box, error=str(error))
            raise MessageImpossible(f"the folder of messages cannot be written: {error}") from error
        self._taking[message.id] = message
        self._idle.clear()
        return self._files.incoming(message.id)

    def on_media(self, event: MediaEvent) -> None:
        """A recording that is over may be a message."""
        if isinstance(event, RecordingEnded) and (message := self._taking.get(event.recording)):
            # A worker that died knows nothing any more of what it wrote.
            sound = None if event.why == "failed" else event.sound_seconds
            self._jobs.put_nowait(functools.partial(self._take, message, event.why, sound))

    async def _take(self, message: NewMessage, why: str, sound: float | None = None) -> None:
        try:
            seconds, measured = await asyncio.to_thread(self._files.measure, message.id)
            if (measured if sound is None else sound) >= LEAST_SOUND_SECONDS:
                fields = msgspec.structs.asdict(message)
                kept = Message(**fields, node=self._node, seconds=round(seconds, 3))
                await asyncio.to_thread(self._files.keep, kept)
                if await self._store.add(kept):
                    self._count_taken(kept, why)
            elif why in ("failed", "disk-full", "overrun"):
                self.lost[why] += 1
                log.error("message-lost", box=message.box, call_id=message.call_id, why=why)
            await asyncio.to_thread(self._files.done, message.id)
        except OSError as error:
            # Its file stays where it is, and the next start tries again.
            self.lost["failed"] += 1
            log.error("message-not-kept", message=message.id, error=str(error))
        self._taking.pop(message.id, None)
        if not self._taking:
            self._idle.set()
        await self.look()

    def _count_taken(self, message: Message, why: str) -> None:
        self.taken[message.box.partition(":")[0]] += 1
        log.info("message-taken", message=message.id, box=message.box, seconds=message.seconds, why=why)

    # Messages are listened to.

    async def of(self, box: str, cursor: str | None = None, limit: int = 100) -> MessagePage:
        return await self._store.of(box, cursor, limit)

    async def waiting(self, box: str) -> Sequence[Waiting]:
        """What is in a box, as it is listened to: new ones first, each kind by age."""
        page = await self._store.of(box, limit=_MOST_HEARD)
        found = sorted(page.messages, key=lambda one: (one.heard_at is not None, one.received_at))
        return [Waiting(one.id, one.heard_at is None, one.caller) for one in found]

    async def find(self, message_id: str) -> Message | None:
        return await self._store.find(message_id)

    def audio(self, message_id: str) -> Path:
        return self._files.audio(message_id)

    def heard(self, message_id: str, by: str) -> None:
        """Somebody listened to it; noted as soon as the database can."""
        self._jobs.put_nowait(functools.partial(self._do, self.mark, message_id, True, by))

    def deleted(self, message_id: str) -> None:
        self._jobs.put_nowait(functools.partial(self._do, self.delete, message_id))

    async def _do(self, action: Callable[..., Awaitable[bool]], *words: object) -> None:
        await action(*words)

    async def mark(self, message_id: str, heard: bool, by: str) -> bool:
        """False where there is no such message."""
        found = await self._store.mark(message_id, self._clock.time() if heard else None, by)
        await self.look()
        return found

    async def delete(self, message_id: str) -> bool:
        """False where there is no such message."""
        found = await self._store.drop(message_id, self._clock.time())
        await self._remove_dropped()
        await self.look()
        return found

    # Looking after them.

    async def look(self) -> None:
        """Count anew, and tell which boxes have changed."""
        async with self._looking:  # a look that began earlier must not tell what was so then as the newest
            counts = await self._store.counts()
            before, self._counts = self._counts, counts
            for box in before.keys() | counts.keys():
                if before.get(box, _NONE) != self.count(box):
                    self._changed(box)

    async def sweep(self) -> None:
        """Drop what has been kept for long enough, and the audio of what was dropped."""
        now, directory = self._clock.time(), self._directory()
        for box in list(self._counts):
            days = (rules_of(directory, box) or VoicemailRules()).keep_days
            if gone := await self._store.expire(box, now - days * _DAY_SECONDS, now):
                log.info("messages-expired", box=box, messages=gone)
        await self._remove_dropped()
        await self.look()

    async def _remove_dropped(self) -> None:
        """Each node removes the audio that lies with it; where they share a folder, any."""
        gone = []
        for message_id, node, dropped_at in await self._store.dropped(_AT_ONCE):
            try:
                removed = await asyncio.to_thread(self._files.remove, message_id)
            except OSError as error:
                log.error("message-not-removed", message=message_id, error=str(error))
                continue
            orphan = self._clock.time() - dropped_at > _ORPHAN_SECONDS
            if removed or node == self._node or orphan:
                gone.append(message_id)
        if gone:
            await self._store.forget(gone)

    async def _work(self) -> None:
        """One job after the other; the database being away is waited out."""
        while True:
            job = await self._jobs.get()
            pause = _FIRST_RETRY_SECONDS
            while not await self._try(job):
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_RETRY_SECONDS)
            self._jobs.task_done()

    async def _try(self, job: Callable[[], Awaitable[None]]) -> bool:
        try:
            await job()
        except SQLAlchemyError as error:
            log.warning("messages-database-away", error=str(error))
            return False
        except Exception:
            log.exception("message-keeper-failed")
        return True

    async def _watch(self) -> None:
        swept = float("-inf")
        while True:
            try:
                await self.look()
                if self._clock.monotonic() - swept >= SWEEP_SECONDS:
                    await self.sweep()
                    swept = self._clock.monotonic()
            except SQLAlchemyError as error:
                log.warning("messages-database-away", error=str(error))
            except Exception:
                log.exception("message-keeper-failed")
            await asyncio.sleep(LOOK_SECONDS)
