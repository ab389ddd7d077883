"""How long a caller will wait: the centre played forward from where it stands. Pure.

Every agent who is at work will be free some time (by how long rings, conversations and wrap-ups of their
queue last, given how long this one has lasted already), then takes the first call in line among all that they
can take, and so on until each waiting call has its agent. Those in line may hang up before, and ask for less
when a step of theirs falls due. The mean over a few such runs is the expected wait. No chance is involved:
the runs go evenly through the spread of durations.

Not foreseen: callers who will come later and go first, and agents who come or go.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from routing.estimate import Agent, Habits, Waiter
from routing.playing import Crew, Lines, Run, Wish

_RUNS = 8


def expected_waits(
    agents: Sequence[Agent], waiters: Sequence[Waiter], habits: Mapping[str, Habits], now_ms: int = 0
) -> Mapping[str, float]:
    """Name of the waiter -> seconds from now until an agent answers, the ring included.

    `habits` has every queue of theirs; `now_ms` is the time that the scores go by. Missing is who could be
    served by nobody of those who are there.
    """
    return Outlook(agents, waiters, habits, now_ms).waits


class Outlook:
    """What is to come of a centre as it stands at `now_ms`. Nobody who joins later is in `waits`."""

    def __init__(
        self, agents: Sequence[Agent], waiters: Sequence[Waiter], habits: Mapping[str, Habits], now_ms: int
    ) -> None:
        self._now_ms = now_ms
        self._crew = Crew(agents)
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
