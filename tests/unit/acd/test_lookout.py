"""What waiting callers are told of their queues: only where a rule holds, and never on a guess."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from acd.calls.lookout import TRUST_AFTER_SECONDS, Lookout, Seeking, WaitingPlace, states_of
from acd.calls.model import SituationKnown
from routing.model import AgentState, Crowd, Requirement
from routing.overflow import Conditions, Situation
from routing.ports import StoreUnavailable
from tests.support.clock import FakeClock

BILLING = Seeking((Requirement("billing"),), states_of(("paused",)))
SALES = Seeking((Requirement("sales"),), states_of(()))
EMPTY = (Conditions(no_agent=True),)


@dataclass
class Centre:
    """A store and a forecast that say what they are set to, and the callers of a node."""

    clock: FakeClock = field(default_factory=FakeClock)
    there: dict[Seeking, bool | None] = field(default_factory=lambda: {BILLING: False})
    others: int = 4
    asked: list[tuple[str, Seeking]] = field(default_factory=list)
    away: bool = False
    places: list[WaitingPlace] = field(default_factory=list)
    told: list[SituationKnown] = field(default_factory=list)
    expected: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lookout = Lookout(self, self, self, lambda: self.places)
        self.time, self.monotonic = self.clock.time, self.clock.monotonic

    async def crowd(
        self, call_id: str, requirements: tuple[Requirement, ...], absent: frozenset[AgentState]
    ) -> Crowd | None:
        seeking = Seeking(requirements, absent)
        self.asked.append((call_id, seeking))
        if self.away:
            raise StoreUnavailable("away")
        there = self.there[seeking]
        return None if there is None else Crowd(self.others, there)

    def of_call(self, entry: str) -> float | None:
        return self.expected.get(entry)

    def waits(self, entry: str, *rules: Conditions, seeking: Seeking = BILLING) -> WaitingPlace:
        queue = seeking.requirements[0].queue
        place = WaitingPlace(entry, queue, self.clock.time(), rules, (), seeking, self.told.append)
        self.places.append(place)
        return place

    async def looks(self, times: int = 1) -> list[str]:
        """Who is told something at the last of so many looks, a second apart."""
        for _ in range(times):
            self.clock.advance(1)
            self.told.clear()
            await self.lookout.look()
        return [known.entry for known in self.told]


@pytest.fixture
def centre() -> Centre:
    return Centre()


async def test_that_nobody_is_there_counts_at_the_second_look(centre: Centre) -> None:
    centre.waits("c1", *EMPTY)
    assert await centre.looks() == []
    assert await centre.looks() == ["c1"]
    assert centre.told[0].situation.agent_there is False
    centre.there[BILLING] = True
    assert await centre.looks() == []
    centre.there[BILLING] = False
    assert await centre.looks() == []


async def test_callers_who_ask_the_same_cost_one_question(centre: Centre) -> None:
    centre.there[SALES] = True
    for n in range(300):
        centre.waits(f"c{n}", *EMPTY, seeking=SALES if n % 2 else BILLING)
    told = await centre.looks(2)
    assert len(centre.asked) == 4
    assert told == [f"c{n}" for n in range(0, 300, 2)]


async def test_queues_whose_rules_need_no_look_are_asked_nothing(centre: Centre) -> None:
    centre.waits("c1", Conditions(after_seconds=0.5), Conditions("joining", no_agent=True))
    centre.waits("c2", Conditions("joining", waiting_over=0))
    centre.places.append(replace(centre.waits("c3", *EMPTY), spent=(0,)))
    centre.places.pop(2)
    assert await centre.looks(3) == []
    assert centre.asked == []


async def test_a_long_expected_wait_is_told_to_the_caller_whose_it_is(centre: Centre) -> None:
    centre.waits("c1", Conditions(expected_wait_over_seconds=60))
    centre.waits("c2", Conditions(expected_wait_over_seconds=60))
    centre.waits("c3", Conditions(after_seconds=3, expected_wait_over_seconds=60))
    centre.expected = {"c1": 59.0, "c2": 61.0, "c3": 61.0}
    assert await centre.looks() == ["c2"]
    assert await centre.looks(2) == ["c2", "c3"]
    assert centre.asked == []


async def test_what_the_store_cannot_say_makes_nobody_leave(centre: Centre) -> None:
    centre.there[BILLING] = None
    place = centre.waits("c1", *EMPTY)
    assert await centre.looks(3) == []
    await centre.lookout.joining(place)
    assert centre.told == []


async def test_a_store_that_was_away_is_believed_again_after_a_while(centre: Centre) -> None:
    place = centre.waits("c1", *EMPTY)
    await centre.looks(2)
    centre.away = True
    with pytest.raises(StoreUnavailable):
        await centre.lookout.look()
    centre.away = False
    assert await centre.looks(3) == []
    await centre.lookout.joining(place)
    assert centre.told.pop().situation.agent_there is None
    centre.clock.advance(TRUST_AFTER_SECONDS)
    assert await centre.looks(2) == ["c1"]


async def test_one_who_joins_is_told_at_once_all_that_is_known(centre: Centre) -> None:
    place = centre.waits("c1", *EMPTY)
    centre.expected = {"c1": 70.0}
    await centre.lookout.joining(place)
    known = Situation(True, 0.0, 4, 70.0, False)
    assert centre.told == [SituationKnown("c1", known)]
    assert centre.asked == [("c1", BILLING)]


def test_the_words_of_the_directory_are_states_of_agents() -> None:
    assert states_of(("busy", "wrap-up")) == {AgentState.OFFERED, AgentState.TALKING, AgentState.WRAPUP}
    assert states_of(("paused", "not-answering")) == {AgentState.PAUSED, AgentState.NOT_ANSWERING}
