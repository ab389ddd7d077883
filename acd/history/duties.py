"""Writes down what agents owe a word about: conversations that want a note, calls that they did not take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog
from sqlalchemy.exc import SQLAlchemyError

from acd.agents.notes import RefusedCall
from acd.calls.facts import CallFact, ConversationOver, NoteMissed, Observer, OfferFailed, WrapupEnded
from acd.clock import Clock
from acd.directory.model import Directory, Queue
from routing.model import RejectReason

log = structlog.get_logger(__name__)

TELLABLE = frozenset({RejectReason.REJECTED, RejectReason.BUSY, RejectReason.NO_ANSWER})
"""Ways of not taking a call that the agent can say something about."""
OWN_DOING = TELLABLE - {RejectReason.NO_ANSWER}
_MOST_WAITING = 10_000
_LOOK_SECONDS = 1.0


class DutyStore(Protocol):
    """Every method raises what the database raises."""

    async def expect(self, call_id: str, agent: str, queue: str, due_at: float) -> None: ...

    async def fall_due(self, call_id: str, agent: str, now: float) -> bool: ...


class RefusedStore(Protocol):
    """Raises what the database raises."""

    async def refused(self, call: RefusedCall) -> None: ...


@dataclass(frozen=True, slots=True)
class _Duty:
    call_id: str
    queue: str
    agent: str
    due_at: float


class NoteDuties:
    """One a node, an observer of its calls. What it writes down holds also where the node dies meanwhile."""

    def __init__(
        self,
        store: DutyStore,
        refusals: RefusedStore,
        clock: Clock,
        directory: Callable[[], Directory],
        tell: Observer,
    ) -> None:
        self._store = store
        self._refusals = refusals
        self._clock = clock
        self._directory = directory
        self._tell = tell
        self._heard: asyncio.Queue[_Duty | RefusedCall | str | None] = asyncio.Queue(_MOST_WAITING)
        self._open: dict[tuple[str, str], _Duty] = {}
        self._worker: asyncio.Task[None] | None = None

    def __call__(self, fact: CallFact) -> None:
        """An observer of calls: of who parts, who has wrapped up, and who did not take a call."""
        try:
            if isinstance(fact, ConversationOver):
                rules = self._directory().queues.get(fact.queue)
                if rules is not None and rules.note_required:
                    due_at = self._clock.time() + _longest_wrapup(rules)
                    self._heard.put_nowait(_Duty(fact.call_id, fact.queue, fact.agent, due_at))
            elif isinstance(fact, OfferFailed):
                self._hear_refusal(fact)
            elif isinstance(fact, WrapupEnded):
                self._heard.put_nowait(fact.agent)
        except asyncio.QueueFull:
            log.error("note-duties-lost", waiting=_MOST_WAITING)

    def _hear_refusal(self, fact: OfferFailed) -> None:
        rules = self._directory().queues.get(fact.queue)
        if rules is not None and rules.refusal_reasons and fact.reason in TELLABLE:
            required = rules.refusal_reason_required and fact.reason in OWN_DOING
            now = self._clock.time()
            self._heard.put_nowait(RefusedCall(fact.call_id, fact.agent, fact.queue, now, required))

    def start(self) -> None:
        self._worker = asyncio.create_task(self._run(), name="note-duties")

    async def stop(self) -> None:
        """What was heard is written down before."""
        await self._heard.put(None)
        await (self._worker or self._run())
        self._worker = None

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    heard = await self._heard.get()
            except TimeoutError:
                await self.look()
            else:
                if heard is None:
                    return
                await self._take(heard)

    async def _take(self, heard: _Duty | RefusedCall | str) -> None:
        try:
            if isinstance(heard, RefusedCall):
                await self._refusals.refused(heard)
                return
            if isinstance(heard, str):
                # The wrap-up of all conversations that the agent had at a time.
                for duty in [duty for duty in self._open.values() if duty.agent == heard]:
                    await self._fall_due(duty)
                return
            self._open[heard.call_id, heard.agent] = heard
            await self._store.expect(heard.call_id, heard.agent, heard.queue, heard.due_at)
        except SQLAlchemyError as error:
            log.error("note-duty-not-written", error=str(error))

    async def look(self) -> None:
        """See to those of which no wrap-up was heard: there was none, or another node heard of it."""
        now = self._clock.time()
        try:
            for duty in [duty for duty in self._open.values() if duty.due_at <= now]:
                await self._fall_due(duty)
        except SQLAlchemyError as error:
            log.error("note-duty-not-written", error=str(error))

    async def _fall_due(self, duty: _Duty) -> None:
        missing = await self._store.fall_due(duty.call_id, duty.agent, self._clock.time())
        self._open.pop((duty.call_id, duty.agent), None)
        if missing:
            self._tell(NoteMissed(duty.queue, duty.agent))
            log.info("note-missed", call_id=duty.call_id, queue=duty.queue, agent=duty.agent)


def _longest_wrapup(rules: Queue) -> float:
    return rules.wrapup_seconds if rules.wrapup_mode == "fixed" else rules.wrapup_limit_seconds
