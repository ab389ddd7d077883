"""What a call needs at first, and what it needs after each step of its queue."""

from __future__ import annotations

from acd.agents.terms import profile_of
from acd.calls.steps.needs import first_needs, requirement_of, steps_of
from acd.directory.model import Agent, Queue, Relaxation
from routing.model import Requirement
from routing.requirement import eligible

KNOWN = {"billing", "lang-et", "lang-en", "lang-ru"}


def _agent(team: str = "", **skills: int) -> Agent:
    return Agent("a", "1001", team=team, skills={k.replace("_", "-"): v for k, v in skills.items()})


def _stages(queue: Queue, language: str = "et", **skills: int) -> list[Requirement]:
    needs = first_needs(queue, skills, language, KNOWN)
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


def test_a_step_that_changes_nothing_is_left_out():
    queue = Queue("q", {"billing": 2}, relax=(Relaxation(30, {"other": 1}), Relaxation(60, teams=("b",))))
    assert len(_stages(queue)) == 1


def test_one_skill_of_each_group_is_enough():
    queue = Queue("q", any_of=({"billing": 3, "lang-en": 1},))
    stages = _stages(queue, language="xx")
    assert _takes(_agent(billing=3), stages) == [True]
    assert _takes(_agent(lang_en=2), stages) == [True]
    assert _takes(_agent(billing=2), stages) == [False]
