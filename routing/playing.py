"""One way in which a centre may go on from where it stands (routing/outlook.py). Pure."""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from routing.estimate import Agent, Habits, Waiter
from routing.model import AgentProfile, Lending, Requirement
from routing.requirement import PRIORITY_WIDTH, eligible, eligible_while, urgency
from routing.strategy import own_order

_MOST_TAKEN = 1_500
"""Calls that one run gives to agents; the waits of those behind follow from its pace."""
_FEW_LINES = 16
"""So many lines are compared one by one; of more, those with the most urgent callers are looked at first."""
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True)
class Servers:
    """Who takes the calls of a class: agents of these kinds; where it names one, `only` that one."""

    kinds: Sequence[int]
    only: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """Who serves a caller, from when to when in seconds."""

    servers: Servers
    since: float
    until: float


class Crew:
    """The agents by number. Those with equal profiles are of one kind."""

    def __init__(self, agents: Sequence[Agent], lending: Collection[Lending] = ()) -> None:
        """`lending` are the terms on which a queue lends its agents as it stands."""
        self.agents = agents
        self._lending = frozenset(lending)
        kinds: dict[AgentProfile, int] = {}
        self.kind_of = [kinds.setdefault(agent.profile, len(kinds)) for agent in agents]
        self.kinds = list(kinds)
        self._by_id: dict[str, list[int]] = defaultdict(list)
        self._known: dict[Requirement, Servers] = {}
        for number, agent in enumerate(agents):
            self._by_id[agent.id].append(number)

    def serving(self, asked: Requirement) -> Servers:
        known = self._known.get(asked)
        if known is None:
            known = self._known[asked] = self._look_up(asked)
        return known

    def _look_up(self, asked: Requirement) -> Servers:
        if asked.agent is None:
            return Servers([n for n, profile in enumerate(self.kinds) if self._takes(profile, asked)])
        only = frozenset(self._by_id.get(asked.agent, ()))
        return Servers(sorted({self.kind_of[agent] for agent in only}), only)

    def _takes(self, profile: AgentProfile, asked: Requirement) -> bool:
        return eligible(asked, profile) or eligible_while(asked, profile) in self._lending


_Place = tuple[int, int]
"""Score, and the number of the waiter."""


class Lines:
    """Who waits, in a line for each class, and who goes over to another line when."""

    def __init__(self, waiters: Sequence[Waiter], crew: Crew, now_ms: int) -> None:
        self.waiters = waiters
        self._numbers: dict[Requirement, int] = {}
        self.line_of = [self._line(waiter.requirement) for waiter in waiters]
        self.moves = sorted(
            ((later.at_ms - now_ms) / 1000, n, self._line(later.requirement))
            for n, waiter in enumerate(waiters)
            for later in waiter.later
        )
        self.asked = list(self._numbers)
        self.servers = [crew.serving(asked) for asked in self._numbers]
        self.weights = [asked.weight for asked in self._numbers]
        self.places: list[list[_Place]] = [[] for _ in self._numbers]
        for n, line in enumerate(self.line_of):
            self.places[line].append((waiters[n].score, n))
        for places in self.places:
            places.sort()
        self.of_agent = self._of_agents(crew)

    def _line(self, asked: Requirement) -> int:
        return self._numbers.setdefault(asked, len(self._numbers))

    def _of_agents(self, crew: Crew) -> list[set[int]]:
        """Of each agent the lines that they take calls from. Those of one kind share one set."""
        shared: list[set[int]] = [set() for _ in crew.kinds]
        own: dict[int, set[int]] = defaultdict(set)
        for line, servers in enumerate(self.servers):
            for kind in servers.kinds if servers.only is None else ():
                shared[kind].add(line)
            for agent in servers.only or ():
                own[agent].add(line)
        return [
            shared[kind] | own[agent] if agent in own else shared[kind]
            for agent, kind in enumerate(crew.kind_of)
        ]


class Run:
    """One way in which it may go. `share` moves all durations within their spread."""

    def __init__(
        self, crew: Crew, lines: Lines, habits: Mapping[str, Habits], share: float, now_ms: int
    ) -> None:
        self._share = share
        self._crew = crew
        self._habits = habits
        self._now_ms = now_ms
        self._all = lines
        self._lines = [[*places] for places in lines.places]
        self._line_of: list[int | None] = [*lines.line_of]
        """Of each waiter; None of one who is served."""
        self._heads: dict[int, list[_Place]] = {weight: [] for weight in sorted({*lines.weights})}
        self._head_of: list[int | None] = [None for _ in lines.places]
        """Of each line the first score as it stands in `_heads`, which may be that of one who is gone."""
        for line in range(len(lines.places)):
            self._settle(line, 0.0)
        self._next_move = 0
        self._free = [(self._until_free(agent), n) for n, agent in enumerate(crew.agents)]
        heapq.heapify(self._free)
        self._idle: list[list[tuple[float, int]]] = [[] for _ in crew.kinds]
        """Of each kind a heap: since when who has nobody to serve."""
        self._gaps: list[list[tuple[float, float, int]]] = [[] for _ in crew.kinds]
        """From when to when somebody had nobody to serve."""
        self._taken: list[list[tuple[float, int, int]]] = [[] for _ in crew.kinds]
        """When who took a call, and how urgent that was."""
        self._least: list[float] = [-math.inf for _ in crew.kinds]
        """The least urgent of those."""
        self._behind: list[int] = []
        self._count = 0
        self._now = 0.0

    def play(self) -> Iterator[tuple[str, float]]:
        """Each waiter with the wait, in the order in which they are served."""
        while self._count < _MOST_TAKEN:
            self._let_move()
            if not self._free:
                return
            self._now, agent = self._free[0]
            found = self._first_in_line(agent, self._now)
            if found is None:
                heapq.heappop(self._free)
                heapq.heappush(self._idle[self._crew.kind_of[agent]], (self._now, agent))
                continue
            how_urgent, line = found
            number = heapq.heappop(self._lines[line])[1]
            self._line_of[number] = None
            self._settle(line, self._now)
            waiter = self._all.waiters[number]
            yield waiter.name, self._now + self._ring(waiter)
            self._count += 1
            self._note(self._now, agent, how_urgent)
            heapq.heapreplace(self._free, (self._now + self._work_on(waiter, self._now), agent))
        yield from self._those_behind()

    def _let_move(self) -> None:
        """Whoever asks for less before the next agent is free does so; one who has nobody may be theirs."""
        moves = self._all.moves
        while self._next_move < len(moves) and not (
            self._free and self._free[0][0] < moves[self._next_move][0]
        ):
            at, number, line = moves[self._next_move]
            self._next_move += 1
            if self._line_of[number] is None:
                continue
            self._line_of[number] = line
            heapq.heappush(self._lines[line], (self._score(self._all.waiters[number], at), number))
            self._settle(line, at)
            self._wake(self._all.servers[line], at)

    def _wake(self, servers: Servers, at: float) -> None:
        found: tuple[float, int, int] | None = None
        for kind in servers.kinds:
            for since, agent in self._idle[kind] if servers.only is not None else self._idle[kind][:1]:
                fits = servers.only is None or agent in servers.only
                if fits and (found is None or (since, agent, kind) < found):
                    found = since, agent, kind
        if found is None:
            return
        since, agent, kind = found
        self._idle[kind].remove((since, agent))
        heapq.heapify(self._idle[kind])
        self._gaps[kind].append((since, at, agent))
        heapq.heappush(self._free, (max(at, since), agent))

    def _note(self, at: float, agent: int, how_urgent: int) -> None:
        kind = self._crew.kind_of[agent]
        self._taken[kind].append((at, agent, how_urgent))
        self._least[kind] = max(self._least[kind], how_urgent)

    def _first_in_line(self, agent: int, now: float) -> tuple[int, int] | None:
        """How urgent the most urgent is whom this agent can take, and the line."""
        own = self._all.of_agent[agent]
        profile = self._crew.kinds[self._crew.kind_of[agent]]
        if profile.by_priority:
            return self._first_of_own_queues(own, profile, now)
        best: tuple[int, int] | None = None
        if len(own) <= _FEW_LINES:
            for line in own:
                score = self._settle(line, now)
                if score is not None:
                    found = self._urgency(self._all.weights[line], score, now), line
                    best = found if best is None else min(best, found)
            return best
        for weight, heads in self._heads.items():
            place = 0
            while place < len(heads):
                score, line = heads[place]
                if line in own and self._settle(line, now) == score:
                    found = self._urgency(weight, score, now), line
                    best = found if best is None else min(best, found)
                    break
                # One that went back in its line left its place to another.
                place += line not in own
        return best

    def _first_of_own_queues(
        self, own: Collection[int], profile: AgentProfile, now: float
    ) -> tuple[int, int] | None:
        """The same of an agent who goes by their own priorities of the queues."""
        found = []
        for line in own:
            score = self._settle(line, now)
            if score is not None:
                place = score // PRIORITY_WIDTH, own_order(self._all.asked[line], profile)
                found.append((place, self._urgency(self._all.weights[line], score, now), line))
        return min(found)[1:] if found else None

    def _settle(self, line: int, now: float) -> int | None:
        """The score of the first in a line. Who has missed the target by now goes back in it, once."""
        places = self._lines[line]
        score: int | None = None
        while places:
            known, number = places[0]
            if self._line_of[number] != line:
                heapq.heappop(places)
                continue
            place = self._score(self._all.waiters[number], now)
            if place == known:
                score = known
                break
            heapq.heapreplace(places, (place, number))
        self._show(line, score)
        return score

    def _show(self, line: int, score: int | None) -> None:
        """Keep the sorted heads of the lines."""
        before = self._head_of[line]
        if score == before:
            return
        heads = self._heads[self._all.weights[line]]
        if before is not None:
            del heads[bisect_left(heads, (before, line))]
        if score is not None:
            insort(heads, (score, line))
        self._head_of[line] = score

    def _score(self, waiter: Waiter, now: float) -> int:
        missed = waiter.missed
        return missed.score if missed and missed.at_ms <= self._now_ms + now * 1000 else waiter.score

    def _urgency(self, weight: int, score: int, now: float) -> int:
        return score if weight == 1 else urgency(score, weight, self._now_ms + round(now * 1000))

    def _ring(self, waiter: Waiter) -> float:
        return self._habits[waiter.requirement.queue].stages["ring"].mean

    # Those whose turn this run does not reach.

    def _those_behind(self) -> Iterator[tuple[str, float]]:
        """They come in order at the pace so far, where somebody is there for them."""
        behind = [
            (self._urgency(waiter.requirement.weight, self._score(waiter, self._now), self._now), n, waiter)
            for n, waiter in enumerate(self._all.waiters)
            if (line := self._line_of[n]) is not None and self._all.servers[line].kinds
        ]
        behind.sort(key=lambda place: place[:2])
        self._behind = [how_urgent for how_urgent, _, _ in behind]
        for place, (_, _, waiter) in enumerate(behind, 1):
            yield waiter.name, self._after(place) + self._ring(waiter)

    def _after(self, place: int) -> float:
        return self._now + self._now / max(1, self._count) * place

    # Somebody who comes later.

    def find(self, waiter: Waiter, wishes: Sequence[Wish], *, joins: bool) -> float | None:
        """Seconds from the beginning of the run until they are answered; None where nobody would."""
        for wish in wishes:
            at = self._find(waiter, wish, joins=joins)
            if at is not None:
                return at + self._ring(waiter)
        last = wishes[-1].servers
        if self._count < _MOST_TAKEN or not last.kinds:
            return None
        how_urgent = self._urgency(waiter.requirement.weight, self._score(waiter, self._now), self._now)
        place = bisect_right(self._behind, how_urgent)
        if joins:
            self._behind.insert(place, how_urgent)
        return max(wishes[0].since, self._after(place + 1)) + self._ring(waiter)

    def _find(self, waiter: Waiter, wish: Wish, *, joins: bool) -> float | None:
        """When the first agent is free for them within the time of a wish, if one is."""
        best, take = wish.until, None
        for kind in wish.servers.kinds:
            for at, change in self._openings(waiter, wish, kind):
                if at < best:
                    best, take = at, change
        if take is None:
            return None
        if joins:
            take(best)
        return best

    def _openings(
        self, waiter: Waiter, wish: Wish, kind: int
    ) -> Iterator[tuple[float, Callable[[float], None]]]:
        """When agents of a kind are free for them, the first of each sort, and what taking one changes."""
        only, since = wish.servers.only, wish.since
        idle, gaps, taken = self._idle[kind], self._gaps[kind], self._taken[kind]
        for begin, agent in idle[:1] if only is None else idle:
            if only is None or agent in only:
                yield max(begin, since), partial(self._take_idle, waiter, kind, (begin, agent))
        for gap in gaps:
            begin, end, agent = gap
            if max(begin, since) < end and (only is None or agent in only):
                yield max(begin, since), partial(self._take_gap, kind, gap)
        if waiter.requirement.weight == 1 and self._least[kind] <= waiter.score:
            return
        for n, (at, agent, how_urgent) in enumerate(taken):
            if at >= since and (only is None or agent in only):
                mine = self._urgency(waiter.requirement.weight, self._score(waiter, at), at)
                if mine < how_urgent:
                    yield at, partial(self._take_turn, kind, n, mine)
                    return

    def _take_idle(self, waiter: Waiter, kind: int, place: tuple[float, int], at: float) -> None:
        idle = self._idle[kind]
        idle.remove(place)
        idle.append((at + self._work_on(waiter, at), place[1]))
        heapq.heapify(idle)

    def _take_gap(self, kind: int, gap: tuple[float, float, int], at: float) -> None:
        self._gaps[kind].remove(gap)

    def _take_turn(self, kind: int, n: int, how_urgent: int, at: float) -> None:
        """Whose turn it was comes a little later, which is not followed up: the next look will see it."""
        self._taken[kind][n] = (at, self._taken[kind][n][1], how_urgent)

    # How long things last.

    def _work_on(self, waiter: Waiter, now: float) -> float:
        """Seconds that the call takes its agent, less by the odds that the caller is gone by then."""
        habits = self._habits[waiter.requirement.queue]
        still_there = math.exp(-habits.hang_ups_per_second * now)
        talk = habits.stages["talk"].left(self._step())
        return still_there * (habits.stages["ring"].mean + talk + habits.stages["wrapup"].mean)

    def _until_free(self, agent: Agent) -> float:
        if agent.busy is None:
            return 0.0
        stages = self._habits[agent.busy.queue].stages
        left = stages[agent.busy.stage].left(self._step(), agent.busy.seconds)
        if agent.busy.stage == "wrapup":
            return left
        if agent.busy.stage == "talk":
            return left + stages["wrapup"].mean
        return left + stages["talk"].mean + stages["wrapup"].mean

    def _step(self) -> float:
        self._share = (self._share + _GOLDEN) % 1.0
        return self._share
