"""What a waiting call needs of its agent, from its queue's rules, its own skills and its language. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from acd.agents.terms import lead_skill, team_skill
from acd.directory.model import Queue, Relaxation
from routing.model import Requirement, Step


@dataclass(frozen=True, slots=True)
class Needs:
    """What is asked at one time of the wait. `levels` of 0 are not asked."""

    levels: Mapping[str, int]
    teams: tuple[str, ...]
    languages: tuple[str, ...]
    """One is enough; none are asked where agents are not told apart by language."""


def first_needs(rules: Queue, skills: Mapping[str, int], language: str, known: Collection[str]) -> Needs:
    """The queue's and the call's skills, and the caller's language where agents are told apart by it."""
    levels = dict(rules.requires)
    for skill, level in skills.items():
        levels[skill] = max(level, levels.get(skill, 0))
    spoken = language_skill(language)
    asked = (spoken,) if spoken in known and spoken not in levels else ()
    return Needs(levels, rules.teams, asked)


def relaxed(needs: Needs, step: Relaxation, rules: Queue, known: Collection[str]) -> Needs:
    """What is asked once a step has been taken. Teams add up; without teams there are none to add to."""
    levels = {**needs.levels, **{s: least for s, least in step.requires.items() if s in needs.levels}}
    teams = (*needs.teams, *(t for t in step.teams if t not in needs.teams)) if needs.teams else ()
    more = tuple(language_skill(name) for name in rules.languages) if step.any_language else ()
    spoken = [s for s in more if s in known and s not in needs.languages] if needs.languages else []
    return replace(needs, levels=levels, teams=teams, languages=(*needs.languages, *spoken))


def requirement_of(rules: Queue, needs: Needs) -> Requirement:
    """The needs as the store takes them: one team or language is a skill, several are a group."""
    skills = {skill: least for skill, least in needs.levels.items() if least > 0}
    groups = [tuple(sorted(group.items())) for group in rules.any_of]
    for choice in (tuple(map(team_skill, needs.teams)), needs.languages):
        if len(choice) == 1:
            skills.setdefault(choice[0], 1)
        elif choice:
            groups.append(tuple((skill, 1) for skill in choice))
    return Requirement(
        rules.name, tuple(sorted(skills.items())), rules.strategy, None, tuple(groups), rules.weight
    )


def steps_of(rules: Queue, needs: Needs, known: Collection[str]) -> tuple[Step, ...]:
    """The requirement after each step of the queue, those that change nothing left out."""
    steps: list[Step] = []
    before = requirement_of(rules, needs)
    for step in rules.relax:
        needs = relaxed(needs, step, rules, known)
        after = requirement_of(rules, needs)
        if after != before:
            steps.append(Step(round(step.after_seconds * 1000), after))
        before = after
    return tuple(steps)


def opened(asked: Requirement, teams: Collection[str], alone: bool) -> Requirement:
    """The same, which leads of these teams may meet too, or they alone."""
    leads = tuple(map(lead_skill, teams))
    if alone:
        asked = replace(asked, skills=(), any_of=(tuple((lead, 1) for lead in leads),))
    return replace(asked, open_to=leads)


def language_skill(language: str) -> str:
    return f"lang-{language}"
