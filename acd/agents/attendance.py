"""Who is at what, looked at every few seconds: why a choice of the store passed over those whom it did.

The store tells of the candidates among whom it chose. Of all others this says how many could not take the
call and why, as they were at the last look, so that choosing costs nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import structlog

from acd.agents.staffing import LiveStore, offline
from acd.agents.terms import profile_of
from acd.clock import Clock
from acd.directory.model import Directory
from acd.polling import Poll
from routing.model import AgentProfile, AgentState, AgentStatus, Requirement, Skipped
from routing.ports import StoreUnavailable
from routing.requirement import missing

log = structlog.get_logger(__name__)

LOOK_SECONDS = 5.0
_SHARE_OF_TIME = 0.05
_NEAREST = 3
_NEARNESS = ("wrapup", "talking", "offered", "paused", "not-answering", "lent", "queue", "skill")
"""Reasons, those first that are over the soonest."""


@dataclass
class _Group:
    """Agents of one profile, as they are."""

    states: Counter[AgentState] = field(default_factory=Counter)
    some: dict[AgentState, list[AgentStatus]] = field(default_factory=lambda: defaultdict(list))
    """Of each state a few, one more than are told of."""


class Attendance:
    """The agents of the directory in force, as the store has them."""

    def __init__(self, store: LiveStore, clock: Clock, directory: Callable[[], Directory]) -> None:
        self._store = store
        self._clock = clock
        self._directory = directory
        self._groups: Mapping[AgentProfile, _Group] = {}
        self._states: Mapping[str, tuple[AgentProfile, AgentState]] = {}
        self._poll = Poll(
            self.look,
            LOOK_SECONDS,
            "attendance-blind",
            expected=(StoreUnavailable,),
            told_elsewhere=True,
            blind=self._see_nobody,
            at_once=True,
            share_of_time=_SHARE_OF_TIME,
        )

    def skipped(self, needs: Requirement, chosen: str) -> Skipped | None:
        """Who could not take a call that needs this, for which `chosen` was found; None where that is not
        known, and of a call for one agent by name."""
        if needs.agent is not None or not self._groups:
            return None
        counts: Counter[str] = Counter()
        near: list[tuple[int, str, str]] = []
        for profile, group in self._groups.items():
            lacks = _lacks(needs, profile)
            for state, number in group.states.items():
                if reason := _reason(lacks, state):
                    counts[reason] += number
                    near += self._near(reason, lacks, group.some[state], chosen)
        if chosen in self._states:
            # Who was found may have been at something else when they were looked at.
            profile, state = self._states[chosen]
            counts -= Counter([_reason(_lacks(needs, profile), state)])
        found = tuple(sorted((reason, number) for reason, number in counts.items() if reason))
        return Skipped(found, tuple((agent, words) for _, agent, words in sorted(near)[:_NEAREST]))

    def _near(
        self, reason: str, lacks: tuple[str, ...], some: list[AgentStatus], chosen: str
    ) -> Iterator[tuple[int, str, str]]:
        if reason not in _NEARNESS:
            return
        for status in some:
            if status.agent_id != chosen:
                words = "; ".join(lacks) or f"{status.state}{f' ({status.reason})' if status.reason else ''}"
                yield _NEARNESS.index(reason), status.agent_id, words

    # Looking.

    def start(self) -> None:
        self._poll.start()

    async def stop(self) -> None:
        await self._poll.stop()

    def _see_nobody(self) -> None:
        self._groups = {}

    async def look(self) -> None:
        """See what everybody is at. Raises StoreUnavailable."""
        agents = self._directory().agents
        known = await self._store.agents(list(agents))
        groups: dict[AgentProfile, _Group] = defaultdict(_Group)
        states: dict[str, tuple[AgentProfile, AgentState]] = {}
        for name, agent in agents.items():
            status, profile = known.get(name) or offline(name), profile_of(agent)
            group = groups[profile]
            group.states[status.state] += 1
            states[name] = profile, status.state
            if len(group.some[status.state]) <= _NEAREST:
                group.some[status.state].append(status)
        self._groups, self._states = groups, states


@lru_cache(maxsize=20_000)
def _lacks(needs: Requirement, profile: AgentProfile) -> tuple[str, ...]:
    return missing(needs, profile)


def _reason(lacks: tuple[str, ...], state: AgentState) -> str:
    """One word for why not; empty for somebody who could."""
    if state is AgentState.OFFLINE:
        return state.value
    if not lacks:
        return "" if state is AgentState.AVAILABLE else state.value
    if all(lack.startswith("lent by ") for lack in lacks):
        return "lent"
    return "queue" if any(lack.startswith("does not serve ") for lack in lacks) else "skill"
