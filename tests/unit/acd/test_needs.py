"""What a call needs at first, and what it needs after each step of its queue."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from acd.agents.terms import profile_of
from acd.calls.steps.needs import first_needs, requirement_of, steps_of
from acd.directory.model import Agent, Queue, Relaxation
from routing.model import Requirement
from routing.requirement import eligible
from routing.strategy import STRATEGIES, rank

KNOWN = {"billing", "lang-et", "lang-en", "lang-ru"}


def _agent(team: str = "", **skills: int) -> Agent:
    return Agent("a", "1001", team=team, skills={k.replace("_", "-"): v for k, v in skills.items()})


def _stages(queue: Queue, language: str = "et", **skills: int) -> list[Requirement]:
    needs = first_needs(queue, skills, language.split(), KNOWN)
    return [requirement_of(queue, needs), *(s.requirement for s in steps_of(queue, needs, KNOWN))]


def _takes(agent: Agent, stages: list[Requirement]) -> list[bool]:
    return [eligible(stage, profile_of(agent)) for stage in stages]


def test_a_step_asks_for_a_lower_level_then_for_none():
    queue = Queue("q", {"billing": 5}, relax=(Relaxation(30, {"billing": 3}), Relaxation(60, {"billing": 0})))
    stages = _stages(queue)
    assert _takes(_agent(billing=5, lang_et=1), stages) == [True, True, True]
    assert _takes(_agent(billing=3, lang_et=1), stages) == [False, True, True]
    assert _takes(_agent(lang_et=1), stages) == [False, False, True]


def test_a_step_brings_in_another_team():
    queue = Queue("q", teams=("a",), relax=(Relaxation(60, teams=("b",)),))
    stages = _stages(queue, language="xx")
    assert _takes(_agent("a"), stages) == [True, True]
    assert _takes(_agent("b"), stages) == [False, True]
    assert _takes(_agent(), stages) == [False, False]


def test_a_step_lets_in_any_language_of_the_list():
    queue = Queue("q", languages=("en", "fi"), relax=(Relaxation(90, any_language=True),))
    stages = _stages(queue)
    assert _takes(_agent(lang_et=1), stages) == [True, True]
    assert _takes(_agent(lang_en=1), stages) == [False, True]
    assert _takes(_agent(lang_ru=1), stages) == [False, False]


def test_a_language_is_asked_as_well_as_the_queue_says_and_a_step_asks_for_less():
    queue = Queue(
        "q",
        languages=("et", "en"),
        language_levels={"et": 7},
        relax=(Relaxation(30, {"lang-et": 3}), Relaxation(60, any_language=True)),
    )
    stages = _stages(queue)
    assert _takes(_agent(lang_et=7), stages) == [True, True, True]
    assert _takes(_agent(lang_et=3), stages) == [False, True, True]
    assert _takes(_agent(lang_et=2, lang_en=1), stages) == [False, False, True]
    assert _takes(_agent(lang_et=2), stages) == [False, False, False]
    assert stages[2].any_of == ((("lang-et", 3), ("lang-en", 1)),)


def test_who_speaks_the_first_language_too_badly_is_asked_with_those_of_the_next():
    queue = Queue("q", language_levels={"ru": 5}, relax=(Relaxation(20, languages=2),))
    both = _stages(queue, "ru et")[1]
    ranks = [rank(both, profile_of(agent)) for agent in (_agent(lang_ru=5), _agent(lang_ru=4, lang_et=1))]
    assert ranks == sorted(set(ranks))


def test_the_best_and_the_least_skilled_are_told_apart_by_their_languages_too():
    best, good = _agent(billing=5, lang_et=10), _agent(billing=5, lang_et=6)
    for strategy, order in (("most-skilled", [best, good]), ("least-skilled", [good, best])):
        (asked,) = _stages(Queue("q", {"billing": 1}, strategy=strategy))
        assert sorted((best, good), key=lambda agent: rank(asked, profile_of(agent))) == order


def test_a_step_lets_in_the_next_language_of_the_caller_and_keeps_their_order():
    queue = Queue("q", relax=(Relaxation(20, languages=2), Relaxation(40, languages=3)))
    stages = _stages(queue, "ru xx et en")
    assert _takes(_agent(lang_ru=1), stages) == [True, True, True]
    assert _takes(_agent(lang_et=1), stages) == [False, True, True]
    assert _takes(_agent(lang_en=1), stages) == [False, False, True]
    assert [stage.prefers for stage in stages] == [
        (),
        ("lang-ru", "lang-et"),
        ("lang-ru", "lang-et", "lang-en"),
    ]


def test_who_speaks_one_language_is_let_in_to_no_other_by_such_a_step():
    assert len(_stages(Queue("q", relax=(Relaxation(20, languages=2),)), "et")) == 1


def test_any_language_leaves_those_of_the_caller_in_front():
    queue = Queue("q", languages=("en", "ru"), relax=(Relaxation(90, any_language=True),))
    (_, relaxed) = _stages(queue, "et ru")
    assert relaxed.prefers == ("lang-et", "lang-ru")
    place = {name: rank(relaxed, profile_of(_agent(**{f"lang_{name}": 3}))) for name in ("et", "ru", "en")}
    assert place["et"] < place["ru"] < place["en"]


def test_a_step_asks_for_lower_levels_in_a_group_then_for_none_of_it():
    queue = Queue(
        "q",
        any_of=({"billing": 5, "lang-en": 5},),
        relax=(Relaxation(30, any_of={"billing": 2}), Relaxation(60, any_of={"billing": 0})),
    )
    stages = _stages(queue, "xx")
    assert _takes(_agent(billing=5), stages) == [True, True, True]
    assert _takes(_agent(billing=2), stages) == [False, True, True]
    assert _takes(_agent(lang_en=4), stages) == [False, False, True]


LANGUAGES = ("et", "en", "ru", "fi")


@given(
    speaks=st.lists(st.sampled_from(LANGUAGES), min_size=1, max_size=4, unique=True),
    admitted=st.integers(2, 4),
    agents=st.lists(
        st.tuples(st.sets(st.sampled_from(LANGUAGES)), st.sampled_from((None, 1, 2)), st.integers(1, 10)),
        max_size=8,
    ),
    strategy=st.sampled_from(sorted(STRATEGIES)),
)
def test_agents_of_an_earlier_language_come_first(
    speaks: list[str],
    admitted: int,
    agents: list[tuple[set[str], int | None, int]],
    strategy: str,
):
    """Against the slow and obvious: who may, by the agent's priority, the first language, the strategy."""
    known = {"billing", *(f"lang-{name}" for name in LANGUAGES)}
    queue = Queue("q", {"billing": 1}, strategy=strategy, relax=(Relaxation(20, languages=admitted),))
    needs = first_needs(queue, {}, speaks, known)
    steps = steps_of(queue, needs, known)
    after = steps[-1].requirement if steps else requirement_of(queue, needs)
    wanted = speaks[:admitted] if steps else speaks[:1]
    found, expected = [], []
    for number, (languages, priority, level) in enumerate(agents):
        skills = {"billing": level, **{f"lang-{name}": 1 for name in languages}}
        profile = profile_of(
            Agent(f"a{number}", "1", skills=skills, queues={"q": priority} if priority else {})
        )
        understood = [name for name in wanted if name in languages]
        assert eligible(after, profile) == bool(understood)
        if understood:
            order = STRATEGIES[strategy].rank(after, profile)
            found.append((rank(after, profile), number))
            expected.append(((priority or 1, wanted.index(understood[0]), order), number))
    assert [number for _, number in sorted(found)] == [number for _, number in sorted(expected)]


def test_a_step_that_changes_nothing_is_left_out():
    queue = Queue("q", {"billing": 2}, relax=(Relaxation(30, {"other": 1}), Relaxation(60, teams=("b",))))
    assert len(_stages(queue)) == 1


def test_one_skill_of_each_group_is_enough():
    queue = Queue("q", any_of=({"billing": 3, "lang-en": 1},))
    stages = _stages(queue, language="xx")
    assert _takes(_agent(billing=3), stages) == [True]
    assert _takes(_agent(lang_en=2), stages) == [True]
    assert _takes(_agent(billing=2), stages) == [False]
