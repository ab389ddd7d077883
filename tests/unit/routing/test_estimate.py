"""The expected wait: right where it can be known, ordered as the line, nearer than usual formulas."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.estimate import Agent, Busy, Durations, Habits, Later, Waiter, duration_bucket
from routing.model import AgentProfile, Lending, Requirement
from routing.outlook import Outlook, expected_waits
from routing.requirement import Missed, eligible

BILLING = Requirement("billing", (("billing", 1),))
ABLE = AgentProfile.of({"billing": 1})
STEADY = Habits({"ring": Durations.of(4), "talk": Durations.of(100), "wrapup": Durations.of(20)})
CYCLE = sum(STEADY.stages[stage].mean for stage in ("ring", "talk", "wrapup"))
HABITS = {"billing": STEADY}


def line(length: int) -> list[Waiter]:
    return [Waiter(f"c{n}", BILLING, n) for n in range(length)]


durations = st.lists(st.floats(0.1, 20_000), min_size=1, max_size=20)


@given(durations, st.floats(0, 1), st.floats(0, 30_000))
def test_what_is_left_is_never_negative_and_grows_with_the_share(
    seconds: list[float], share: float, elapsed: float
) -> None:
    known = Durations.of(*seconds)
    left = known.left(share, elapsed)
    assert left >= 0
    assert known.left(min(1.0, share + 0.1), elapsed) >= left - 1e-6


@given(st.floats(0.6, 20_000))
def test_a_duration_is_known_to_within_a_fifth(seconds: float) -> None:
    assert Durations.of(seconds).mean == pytest.approx(seconds, rel=0.2)
    assert 0 <= duration_bucket(seconds) < 60


def test_a_free_agent_is_there_after_the_ring() -> None:
    waits = expected_waits([Agent(ABLE)], line(1), HABITS)
    assert waits == {"c0": pytest.approx(STEADY.stages["ring"].mean)}


def test_each_place_in_line_waits_one_more_call_of_the_only_agent() -> None:
    waits = expected_waits([Agent(ABLE)], line(4), HABITS)
    steps = [waits[f"c{n + 1}"] - waits[f"c{n}"] for n in range(3)]
    assert steps == [pytest.approx(CYCLE, rel=0.12)] * 3


def test_a_conversation_that_has_lasted_long_ends_sooner() -> None:
    def wait(seconds: float) -> float:
        busy = Agent(ABLE, Busy("talk", "billing", seconds))
        return expected_waits([busy], line(1), HABITS)["c0"]

    assert wait(90) < wait(50) < wait(1)


def test_many_busy_agents_do_not_come_free_all_at_once() -> None:
    """The first of ten who talk is there long before the mean of what is left of their conversations."""
    spread = Habits({**STEADY.stages, "talk": Durations.of(*range(20, 400, 20))})
    busy = [Agent(ABLE, Busy("talk", "billing", 10.0)) for _ in range(10)]
    waits = expected_waits(busy, line(1), {"billing": spread})
    assert waits["c0"] < spread.stages["talk"].mean / 2


def test_nobody_there_means_no_expectation() -> None:
    assert expected_waits([], line(2), HABITS) == {}
    assert expected_waits([Agent(AgentProfile.of({"other": 9}))], line(1), HABITS) == {}


def test_who_would_come_now_changes_nobodys_wait_and_who_joins_those_of_later_ones() -> None:
    outlook = Outlook([Agent(ABLE)], line(3), HABITS, 0)
    newcomer = Waiter("q", BILLING, 100)
    expected = outlook.of(newcomer, 0)
    assert expected is not None
    assert expected > outlook.waits["c2"]
    assert outlook.of(newcomer, 0) == expected == outlook.join(newcomer, 0)
    later = outlook.join(Waiter("r", BILLING, 101), 0)
    assert later == pytest.approx(expected + CYCLE, rel=0.12)


def test_callers_who_may_hang_up_shorten_the_wait_of_those_behind() -> None:
    impatient = Habits(STEADY.stages, hang_ups_per_second=1 / 200)
    patient = expected_waits([Agent(ABLE)], line(5), HABITS)
    hurried = expected_waits([Agent(ABLE)], line(5), {"billing": impatient})
    assert hurried["c4"] < patient["c4"]
    assert hurried["c0"] == patient["c0"]


@given(
    st.lists(st.tuples(st.sampled_from(("billing", "support")), st.integers(0, 50)), min_size=1, max_size=30),
    st.lists(st.sets(st.sampled_from(("billing", "support")), min_size=1), min_size=1, max_size=5),
)
def test_within_a_class_who_is_ahead_is_served_first(
    waiting: list[tuple[str, int]], skills: list[set[str]]
) -> None:
    waiters = [
        Waiter(f"c{n}", Requirement(queue, ((queue, 1),)), score) for n, (queue, score) in enumerate(waiting)
    ]
    agents = [Agent(AgentProfile.of(dict.fromkeys(found, 1))) for found in skills]
    waits = expected_waits(agents, waiters, {"billing": STEADY, "support": STEADY})
    for queue in ("billing", "support"):
        mine = sorted((w for w in waiters if w.requirement.queue == queue), key=lambda w: w.score)
        known = [waits[waiter.name] for waiter in mine if waiter.name in waits]
        assert known == sorted(known)
        assert len(known) == (len(mine) if any(queue in found for found in skills) else 0)


def test_who_will_have_missed_the_target_by_then_lets_the_others_go_first() -> None:
    """The only agent is busy for longer than the first has until the target, but not the second."""
    busy = Agent(ABLE, Busy("talk", "billing", 90.0))
    hurried = Waiter("hurried", BILLING, 5_000, missed=Missed(5_000, 400_000))
    patient = Waiter("patient", Requirement("support"), 200_000, missed=Missed(200_000, 210_000))
    habits = {"billing": STEADY, "support": STEADY}
    waits = expected_waits([busy], [hurried, patient], habits, now_ms=0)
    assert waits["patient"] < waits["hurried"]
    waits = expected_waits([Agent(ABLE)], [hurried, patient], habits, now_ms=0)
    assert waits["hurried"] < waits["patient"]


def test_the_weight_of_a_queue_counts_at_the_time_when_the_agent_is_free() -> None:
    """The light one has waited for longer, but when the agent comes free the heavy one's wait counts more."""
    now = 1_790_000_000_000
    light = Waiter("light", BILLING, now)
    heavy = Waiter("heavy", Requirement("support", weight=3), now + 10_000)
    habits = {"billing": STEADY, "support": STEADY}
    soon = expected_waits([Agent(ABLE)], [light, heavy], habits, now_ms=now + 11_000)
    assert soon["light"] < soon["heavy"]
    busy = Agent(ABLE, Busy("talk", "billing", 90.0))
    later = expected_waits([busy], [light, heavy], habits, now_ms=now + 11_000)
    assert later["heavy"] < later["light"]


def test_a_line_too_long_to_play_through_goes_on_at_its_pace() -> None:
    waits = expected_waits([Agent(ABLE)] * 10, line(4_000), HABITS)
    assert len(waits) == 4_000
    assert waits["c3999"] == pytest.approx(4_000 / 10 * CYCLE, rel=0.15)


places = st.lists(
    st.tuples(
        st.sampled_from(("billing", "support")),
        st.integers(0, 60),
        st.sampled_from((None, "anna", "bert")),
        st.none() | st.integers(1, 300_000),
        st.none() | st.integers(1, 200_000),
    ),
    max_size=12,
)
crews = st.lists(
    st.tuples(
        st.sampled_from(("anna", "bert", "cleo")),
        st.sets(st.sampled_from(("billing", "support"))),
        st.none() | st.floats(0, 300),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda agent: agent[0],
)
BOTH = {"billing": STEADY, "support": STEADY}


def waiter(
    name: str, queue: str, score: int, named: str | None, step_ms: int | None, target_ms: int | None
) -> Waiter:
    """One who may ask for an agent first, or for a level that nobody has, until a step."""
    plain = Requirement(queue, ((queue, 1),))
    first = Requirement(queue, agent=named) if named else Requirement(queue, ((queue, 9),))
    later = () if step_ms is None else (Later(step_ms, plain),)
    missed = None if target_ms is None else Missed(target_ms, score + 1_000)
    return Waiter(name, first if named or later else plain, score, missed, later)


def crew(found: list[tuple[str, set[str], float | None]]) -> list[Agent]:
    return [
        Agent(
            AgentProfile.of(dict.fromkeys(able, 1)),
            None if busy is None else Busy("talk", "billing", busy),
            id=name,
        )
        for name, able, busy in found
    ]


def could_serve(asked: Requirement, agents: list[Agent]) -> bool:
    if asked.agent:
        return any(agent.id == asked.agent for agent in agents)
    return any(eligible(asked, agent.profile) for agent in agents)


def ever(found: Waiter, agents: list[Agent]) -> bool:
    return any(
        could_serve(asked, agents) for asked in (found.requirement, *(s.requirement for s in found.later))
    )


def at_last(found: Waiter, agents: list[Agent]) -> bool:
    return could_serve((found.requirement, *(s.requirement for s in found.later))[-1], agents)


@given(crews, places, places)
def test_whoever_has_an_agent_in_the_end_is_told_when_and_nobody_who_never_has_one(
    found: list[tuple[str, set[str], float | None]],
    waiting: list[tuple[str, int, str | None, int | None, int | None]],
    coming: list[tuple[str, int, str | None, int | None, int | None]],
) -> None:
    agents = crew(found)
    waiters = [waiter(f"c{n}", *place) for n, place in enumerate(waiting)]
    outlook = Outlook(agents, waiters, BOTH, 0)
    assert {each.name for each in waiters if at_last(each, agents)} <= set(outlook.waits)
    assert set(outlook.waits) <= {each.name for each in waiters if ever(each, agents)}
    assert all(wait >= STEADY.stages["ring"].mean for wait in outlook.waits.values())
    for n, place in enumerate(coming):
        newcomer = waiter(f"n{n}", *place)
        expected = outlook.of(newcomer, 1_000)
        assert expected is not None if at_last(newcomer, agents) else True
        assert expected is None if not ever(newcomer, agents) else True
        assert outlook.of(newcomer, 1_000) == expected
        assert outlook.join(newcomer, 1_000) == expected
        again = outlook.of(newcomer, 1_000)
        assert expected is None or again is None or again >= expected - 1e-6


@given(crews, places, st.sampled_from(("billing", "support")), st.integers(0, 60))
def test_who_comes_now_is_told_what_they_are_told_once_they_wait(
    found: list[tuple[str, set[str], float | None]],
    waiting: list[tuple[str, int, str | None, int | None, int | None]],
    queue: str,
    place: int,
) -> None:
    """As far as nobody asks for less later. Of equal places that of the newcomer is the last."""
    agents = crew(found)
    waiters = [waiter(f"c{n}", q, score, None, None, None) for n, (q, score, *_) in enumerate(waiting)]
    waiters = [replace(each, score=2 * each.score) for each in waiters]
    newcomer = Waiter("new", Requirement(queue, ((queue, 1),)), 2 * place + 1)
    told = Outlook(agents, waiters, BOTH, 0).of(newcomer, 0)
    waits = expected_waits(agents, [*waiters, newcomer], BOTH)
    assert told == pytest.approx(waits.get("new")) if told is not None else "new" not in waits


def test_who_waits_for_an_agent_by_name_gets_just_that_one() -> None:
    agents = [Agent(ABLE, Busy("talk", "billing", 10.0), id="anna"), Agent(ABLE, id="bert")]
    named = Waiter("named", Requirement("billing", agent="anna"), 1)
    waits = expected_waits(agents, [named, Waiter("other", BILLING, 2)], HABITS)
    assert waits["other"] == pytest.approx(STEADY.stages["ring"].mean)
    assert waits["named"] > 60


def test_who_has_waited_long_enough_for_one_agent_gets_another() -> None:
    """The one who is free takes the call when its step is due."""
    agents = [Agent(ABLE, Busy("talk", "billing", 0.5), id="anna"), Agent(ABLE, id="bert")]
    named = Waiter("named", Requirement("billing", agent="anna"), 1, later=(Later(20_000, BILLING),))
    ring = STEADY.stages["ring"].mean
    outlook = Outlook(agents, [named], HABITS, 0)
    assert outlook.waits == {"named": pytest.approx(20 + ring)}
    # Meanwhile the free one takes somebody else who comes, and is busy when the step is due.
    assert outlook.of(Waiter("new", BILLING, 5), 1_000) == pytest.approx(ring)


def test_who_asks_for_an_agent_who_is_away_does_not_wait_for_the_step() -> None:
    named = Waiter("named", Requirement("billing", agent="anna"), 1, later=(Later(20_000, BILLING),))
    assert Outlook([Agent(ABLE, id="bert")], [], HABITS, 0).of(named, 0) == pytest.approx(
        STEADY.stages["ring"].mean
    )


def test_callers_for_one_agent_stand_before_others_of_that_agent_by_their_place() -> None:
    agents = [Agent(ABLE, id="anna")]
    line_up = [
        Waiter("a", BILLING, 1),
        Waiter("b", Requirement("billing", agent="anna"), 2),
        Waiter("c", BILLING, 3),
    ]
    waits = expected_waits(agents, line_up, HABITS)
    assert waits["a"] < waits["b"] < waits["c"]


def test_a_caller_of_high_priority_is_told_another_wait_than_one_who_stands_last() -> None:
    busy = [Agent(ABLE, Busy("talk", "billing", 50.0), id="anna")]
    outlook = Outlook(busy, line(10), HABITS, 0)
    first, last = outlook.of(Waiter("vip", BILLING, -5), 0), outlook.of(Waiter("new", BILLING, 50), 0)
    assert first is not None
    assert last is not None
    assert first == pytest.approx(outlook.waits["c0"])
    assert last > outlook.waits["c9"] > 5 * first


def test_time_that_has_passed_since_the_look_is_taken_off() -> None:
    outlook = Outlook([Agent(ABLE)], line(4), HABITS, 0)
    newcomer = Waiter("new", BILLING, 50)
    now, later = outlook.of(newcomer, 0), outlook.of(newcomer, 30_000)
    assert now is not None
    assert later == pytest.approx(now - 30)
    assert outlook.of(newcomer, 90_000_000) == pytest.approx(STEADY.stages["ring"].mean)


@given(st.integers(2, 60), st.integers(0, 59), st.randoms(use_true_random=False))
def test_however_many_classes_there_are_the_first_in_line_goes_first(
    classes: int, skipped: int, source: random.Random
) -> None:
    """Of many lines an agent looks at the most urgent first, and of few at all: the order is the same."""
    able = {f"s{n}": 1 for n in range(classes) if n != skipped}
    waiters = [
        Waiter(f"c{n}", Requirement("billing", ((f"s{n % classes}", 1),)), score)
        for n, score in enumerate(source.sample(range(500), 2 * classes))
    ]
    waits = expected_waits([Agent(AgentProfile.of(able))], waiters, HABITS)
    mine = [w for w in sorted(waiters, key=lambda w: w.score) if w.requirement.skills[0][0] in able]
    assert [*waits] == [w.name for w in mine]


# Agents who are lent, more agents, and steps that come earlier.

LENT = AgentProfile.of({}, {"support": 1, "billing": 2}, {"billing": Lending("support", 1, 30_000, 1)})
OWN = AgentProfile.of({}, {"support": 1})


@pytest.mark.parametrize(
    ("others_wait", "waited_ms", "own_are_free", "counts"),
    [(0, 0, 1, True), (1, 29_999, 1, True), (2, 0, 1, False), (1, 30_000, 1, False), (0, 0, 0, False)],
)
def test_who_is_lent_counts_while_the_queue_that_lends_them_is_well(
    others_wait: int, waited_ms: int, own_are_free: int, counts: bool
) -> None:
    now = 1_790_000_000_000
    support = Requirement("support", (("nobody", 1),))
    waiters = [Waiter("c", Requirement("billing"), now)]
    waiters += [Waiter(f"s{n}", support, now - waited_ms) for n in range(others_wait)]
    agents = [Agent(LENT, id="anna"), *(Agent(OWN, id=f"own{n}") for n in range(own_are_free))]
    assert ("c" in expected_waits(agents, waiters, BOTH, now)) is counts


@given(
    busy=st.lists(st.floats(0, 120), min_size=1, max_size=6),
    waiting=st.integers(1, 8),
    more=st.lists(st.none() | st.floats(0, 120), min_size=1, max_size=3),
    lent=st.booleans(),
)
def test_more_agents_never_lengthen_a_wait(
    busy: list[float], waiting: int, more: list[float | None], lent: bool
) -> None:
    """But for the width of the buckets, since other durations are drawn for other agents."""
    profile = AgentProfile.of({"billing": 1}, {"billing": 1})
    extra = replace(LENT, skills=ABLE.skills) if lent else profile

    def at_work(profile: AgentProfile, seconds: float | None) -> Agent:
        return Agent(profile, None if seconds is None else Busy("talk", "billing", seconds))

    agents = [at_work(profile, seconds) for seconds in busy]
    fewer = expected_waits(agents, line(waiting), BOTH)
    many = expected_waits(agents + [at_work(extra, seconds) for seconds in more], line(waiting), BOTH)
    for name, wait in fewer.items():
        assert many[name] <= 1.2 * wait + 12


@given(st.integers(0, 120_000), st.integers(0, 120_000), st.floats(0, 90))
def test_asking_for_less_earlier_never_lengthens_the_wait(one: int, other: int, seconds: float) -> None:
    strict = Requirement("billing", (("billing", 5),))
    agents = [
        Agent(AgentProfile.of({"billing": 5}), Busy("talk", "billing", seconds)),
        Agent(ABLE, Busy("talk", "billing", 90)),
    ]

    def wait(at_ms: int) -> float:
        return expected_waits(agents, [Waiter("c", strict, 0, later=(Later(at_ms, BILLING),))], HABITS)["c"]

    assert wait(min(one, other)) <= wait(max(one, other)) + 1e-6


@pytest.mark.parametrize(("by_priority", "first"), [(True, "billing"), (False, "support")])
def test_who_takes_calls_by_priority_is_expected_to(by_priority: bool, first: str) -> None:
    agent = Agent(AgentProfile.of({}, {"billing": 1, "support": 2}, by_priority=by_priority))
    waiters = [Waiter("support", Requirement("support"), 1), Waiter("billing", Requirement("billing"), 2)]
    waits = expected_waits([agent], waiters, BOTH)
    assert min(waits, key=lambda name: waits[name]) == first
