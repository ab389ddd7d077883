"""What the overflow rules of queues want to know of this node's waiting callers: one look a second for all.

Of the callers of one queue who ask the same of their agent, the store is asked once. A call hears of it only
where a rule holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import structlog

from acd.calls.model import Call, SituationKnown, State
from acd.calls.steps.context import Context
from acd.clock import Clock
from acd.directory.model import AbsentState
from acd.polling import Poll
from routing.model import AgentState, Crowd, Requirement, Ticket
from routing.overflow import Conditions, Situation, asks_who_waits, decide
from routing.ports import StoreUnavailable
from routing.requirement import still_asked

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
TRUST_AFTER_SECONDS = 10.0
"""So long after the store was away it may not have heard again yet of all agents who are there."""
_AT_ONCE = 200
"""Places that are looked at before others have their turn."""

_STATES: dict[AbsentState, tuple[AgentState, ...]] = {
    "paused": (AgentState.PAUSED,),
    "not-answering": (AgentState.NOT_ANSWERING,),
    "wrap-up": (AgentState.WRAPUP,),
    "busy": (AgentState.OFFERED, AgentState.TALKING),
}


def states_of(words: Iterable[AbsentState]) -> frozenset[AgentState]:
    """The states of agents who count as absent where a queue says these."""
    return frozenset(state for word in words for state in _STATES[word])


@dataclass(frozen=True, slots=True)
class Seeking:
    """Who could end the wait: what is asked of an agent now or by a step to come, in which states not."""

    requirements: tuple[Requirement, ...]
    absent: frozenset[AgentState]


@dataclass(frozen=True, slots=True)
class WaitingPlace:
    """One caller in a queue that has rules. `post` tells the call."""

    entry: str
    queue: str
    since: float
    """Seconds since the epoch."""
    rules: tuple[Conditions, ...]
    spent: tuple[int, ...]
    seeking: Seeking
    post: Callable[[SituationKnown], None]


def waiting_place(
    context: Context, call: Call, ticket: Ticket | None, now_ms: int, post: Callable[[SituationKnown], None]
) -> WaitingPlace | None:
    """Where a caller waits whom the queue's rules may send elsewhere; `ticket` is the last put in line."""
    queue = context.queue(call.queue)
    if queue is None or not queue.rules or call.state is not State.QUEUED or call.callback is not None:
        return None
    if ticket is None or call.enqueued_at is None or ticket.call_id != call.entry:
        return None
    seeking = Seeking(still_asked(ticket, now_ms), states_of(queue.agents_count_as_absent))
    rules = tuple(rule.when for rule in queue.rules)
    return WaitingPlace(call.entry, queue.name, call.enqueued_at, rules, call.spent_rules, seeking, post)


class Store(Protocol):
    async def crowd(
        self, call_id: str, requirements: tuple[Requirement, ...], absent: frozenset[AgentState]
    ) -> Crowd | None: ...


class Expectations(Protocol):
    """Seconds until an agent answers a waiting call; None where that is not known."""

    def of_call(self, entry: str) -> float | None: ...


class Lookout:
    """`places` are the callers of this node who wait in queues with rules."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        expectations: Expectations,
        places: Callable[[], Iterable[WaitingPlace]],
    ) -> None:
        self._store = store
        self._clock = clock
        self._expectations = expectations
        self._places = places
        self._deserted: frozenset[Seeking] = frozenset()
        """What nobody was there for at the last look."""
        self._trusted_from = 0.0
        self._poll = Poll(
            self.look, LOOK_SECONDS, "lookout-blind", expected=(StoreUnavailable,), told_elsewhere=True
        )

    def distrust(self) -> None:
        """The store was away: that it knows of nobody means nothing for a while."""
        self._trusted_from = self._clock.monotonic() + TRUST_AFTER_SECONDS

    async def joining(self, place: WaitingPlace) -> None:
        """Tell who has just joined. Raises StoreUnavailable."""
        crowd = await self._ask(place.entry, place.seeking)
        if crowd is not None:
            expected = self._expectations.of_call(place.entry)
            situation = Situation(True, 0.0, crowd.waiting, expected, self._believed(crowd))
            place.post(SituationKnown(place.entry, situation))

    def expected(self, entry: str) -> float | None:
        """Seconds until an agent answers who waits under this entry."""
        return self._expectations.of_call(entry)

    def _believed(self, crowd: Crowd) -> bool | None:
        trusted = self._clock.monotonic() >= self._trusted_from
        return crowd.agent_there if crowd.agent_there or trusted else None

    async def _ask(self, entry: str, seeking: Seeking) -> Crowd | None:
        try:
            return await self._store.crowd(entry, seeking.requirements, seeking.absent)
        except StoreUnavailable:
            self.distrust()
            raise

    # Looking.

    def start(self) -> None:
        self._poll.start()

    async def stop(self) -> None:
        await self._poll.stop()

    async def look(self) -> None:
        """Tell those for whom a rule holds now. Raises StoreUnavailable.

        That nobody is there counts once it was so at two looks in a row: a phone that registers anew, or a
        node that takes over, is away for a moment.
        """
        places = [place for place in self._places() if asks_who_waits(place.rules, place.spent)]
        there = await self._look_for_agents(places)
        now, deserted = self._clock.time(), self._deserted
        self._deserted = frozenset(seeking for seeking, found in there.items() if found is False)
        for number, place in enumerate(places):
            if number % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
            found = there.get(place.seeking)
            situation = Situation(
                waited_seconds=now - place.since,
                expected_seconds=self._expectations.of_call(place.entry),
                agent_there=None if found is False and place.seeking not in deserted else found,
            )
            if decide(place.rules, situation, place.spent) is not None:
                place.post(SituationKnown(place.entry, situation))

    async def _look_for_agents(self, places: Iterable[WaitingPlace]) -> dict[Seeking, bool | None]:
        wanted = {place.seeking for place in places if any(rule.no_agent for rule in place.rules)}
        crowds = await asyncio.gather(*(self._ask("", seeking) for seeking in wanted))
        return {
            seeking: self._believed(crowd)
            for seeking, crowd in zip(wanted, crowds, strict=True)
            if crowd is not None
        }
