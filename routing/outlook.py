"""How long a caller will wait: the centre played forward from where it stands. Pure.

Every agent who is at work will be free some time (by how long rings, conversations and wrap-ups of their
queue last, given how long this one has lasted already), then takes the first call in line among all that they
can take, and so on until each waiting call has its agent. Those in line may hang up before, and ask for less
when a step of theirs falls due. The mean over a few such runs is the expected wait. No chance is involved:
the runs go evenly through the spread of durations.

Agents who are lent count where the queue that lends them is well as it stands now. Not foreseen: callers who
will come later and go first, agents who come or go, and queues that get well or stop being so.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from routing.estimate import Agent, Habits, Waiter
from routing.model import AgentProfile, Lending
from routing.playing import Crew, Lines, Run, Wish
from routing.requirement import PRIORITY_WIDTH

_RUNS = 8


def expected_waits(
    agents: Sequence[Agent], waiters: Sequence[Waiter], habits: Mapping[str, Habits], now_ms: int = 0
) -> Mapping[str, float]:
    """Name of the waiter -> seconds from now until an agent answers, the ring included.

    `habits` has every queue of theirs; `now_ms` is the time that the scores go by. Missing is who could be
    served by nobody of those who are there.
    """
    return Outlook(agents, waiters, habits, now_ms).waits


def lending_now(agents: Sequence[Agent], waiters: Sequence[Waiter], now_ms: int) -> Collection[Lending]:
    """The terms of those who are lent that hold now (routing.model.Lending)."""
    lent = {agent.profile for agent in agents if agent.profile.lent}
    asked = {(terms, profile) for profile in lent for _, terms in profile.lent}
    return {terms for terms, profile in asked if _is_well(terms, profile, agents, waiters, now_ms)}


def _is_well(
    terms: Lending, lent: AgentProfile, agents: Sequence[Agent], waiters: Sequence[Waiter], now_ms: int
) -> bool:
    waits = [
        now_ms - waiter.score % PRIORITY_WIDTH
        for waiter in waiters
        if waiter.requirement.queue == terms.lender
    ]
    if len(waits) > terms.waiting_at_most:
        return False
    if terms.longest_wait_ms and max(waits, default=-1) >= terms.longest_wait_ms:
        return False
    free = [agent for agent in agents if agent.busy is None and _serves(agent.profile, terms.lender)]
    beside = len({agent.id for agent in free}) - any(agent.profile == lent for agent in free)
    return beside >= terms.free_agents_at_least


def _serves(profile: AgentProfile, queue: str) -> bool:
    return queue in dict(profile.queues) and queue not in dict(profile.lent)


class Outlook:
    """What is to come of a centre as it stands at `now_ms`. Nobody who joins later is in `waits`."""

    def __init__(
        self, agents: Sequence[Agent], waiters: Sequence[Waiter], habits: Mapping[str, Habits], now_ms: int
    ) -> None:
        self._now_ms = now_ms
        self._crew = Crew(agents, lending_now(agents, waiters, now_ms))
        self._habits = habits
        lines = Lines(waiters, self._crew, now_ms)
        self._runs = [Run(self._crew, lines, habits, (n + 0.5) / _RUNS, now_ms) for n in range(_RUNS)]
        found: dict[str, list[float]] = defaultdict(list)
        for run in self._runs:
            for name, wait in run.play():
                found[name].append(wait)
        self.waits: Mapping[str, float] = {name: sum(each) / len(each) for name, each in found.items()}

    def of(self, waiter: Waiter, now_ms: int) -> float | None:
        """Seconds from `now_ms` on until somebody is answered who comes then; None where nobody could."""
        return self._mean(waiter, now_ms, joins=False)

    def join(self, waiter: Waiter, now_ms: int) -> float | None:
        """The same of somebody who does come: whoever comes later finds one more in line."""
        return self._mean(waiter, now_ms, joins=True)

    def _mean(self, waiter: Waiter, now_ms: int, *, joins: bool) -> float | None:
        if waiter.requirement.queue not in self._habits:
            return None
        begin = max(0.0, (now_ms - self._now_ms) / 1000)
        wishes = self._wishes(waiter, begin)
        waits = [run.find(waiter, wishes, joins=joins) for run in self._runs]
        known = [wait - begin for wait in waits if wait is not None]
        return sum(known) / len(known) if known else None

    def _wishes(self, waiter: Waiter, begin: float) -> Sequence[Wish]:
        """What is asked from when to when. Nobody waits for an agent who is away and then for others."""
        wishes, servers, since = [], self._crew.serving(waiter.requirement), begin
        for later in waiter.later:
            if servers.only is None or servers.only:
                until = max(since, (later.at_ms - self._now_ms) / 1000)
                wishes.append(Wish(servers, since, until))
                since = until
            servers = self._crew.serving(later.requirement)
        return [*wishes, Wish(servers, since, math.inf)]
