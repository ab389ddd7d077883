"""What a waiting call needs of its agent, from its queue's rules, its own skills and its language. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from acd.agents.terms import lead_skill, team_skill
from acd.directory.model import Queue, Relaxation, language_skill
from routing.limits import PREFERENCES_MAX
from routing.model import Requirement, Step


@dataclass(frozen=True, slots=True)
class Needs:
    """What is asked at one time of the wait. `levels` of 0 are not asked."""

    levels: Mapping[str, int]
    teams: tuple[str, ...]
    languages: tuple[str, ...]
    """One is enough; none are asked where agents are not told apart by language."""
    prefers: tuple[str, ...] = ()
    """The languages of the caller that agents are told apart by, the best first."""
    any_of: tuple[Mapping[str, int], ...] = ()
    """Of each group one is enough."""
    least: Mapping[str, int] = field(default_factory=dict)
    """How well a language must be spoken, where more than a little is asked."""


def first_needs(
    rules: Queue, skills: Mapping[str, int], languages: Sequence[str], known: Collection[str]
) -> Needs:
    """The queue's and the call's skills, and the caller's first language that agents are told apart by."""
    levels = dict(rules.requires)
    for skill, level in skills.items():
        levels[skill] = max(level, levels.get(skill, 0))
    spoken = dict.fromkeys(skill for skill in map(language_skill, languages) if skill in known)
    # Asked with a level of its own, a language is a skill as any other.
    prefers = () if spoken.keys() & levels.keys() else tuple(spoken)[:PREFERENCES_MAX]
    least = {language_skill(language): level for language, level in rules.language_levels.items()}
    return Needs(levels, rules.teams, prefers[:1], prefers, rules.any_of, least)


def relaxed(needs: Needs, step: Relaxation, rules: Queue, known: Collection[str]) -> Needs:
    """What is asked once a step has been taken. Teams add up; without teams there are none to add to."""
    levels = {**needs.levels, **{s: least for s, least in step.requires.items() if s in needs.levels}}
    least = {skill: max(1, step.requires.get(skill, level)) for skill, level in needs.least.items()}
    teams = (*needs.teams, *(t for t in step.teams if t not in needs.teams)) if needs.teams else ()
    more = needs.prefers[: step.languages]
    if step.any_language and needs.languages:
        # Further languages of the caller too, as far as the queue has them; these in the caller's order.
        listed = [skill for skill in map(language_skill, rules.languages) if skill in known]
        more = (*more, *listed)
    spoken = [skill for skill in dict.fromkeys(more) if skill not in needs.languages]
    languages = (*needs.languages, *spoken)
    any_of = _lowered(needs.any_of, step)
    return replace(needs, levels=levels, teams=teams, languages=languages, any_of=any_of, least=least)


def _lowered(groups: tuple[Mapping[str, int], ...], step: Relaxation) -> tuple[Mapping[str, int], ...]:
    """The groups with the levels of a step; one of which something is asked no longer goes."""
    changed = [{skill: step.any_of.get(skill, least) for skill, least in group.items()} for group in groups]
    return tuple(group for group in changed if all(group.values()))


def requirement_of(rules: Queue, needs: Needs) -> Requirement:
    """The needs as the store takes them: one team or language is a skill, several are a group."""
    skills = {skill: least for skill, least in needs.levels.items() if least > 0}
    groups = [tuple(sorted(group.items())) for group in needs.any_of]
    for choice in (tuple(map(team_skill, needs.teams)), needs.languages):
        if len(choice) == 1:
            skills.setdefault(choice[0], needs.least.get(choice[0], 1))
        elif choice:
            groups.append(tuple((skill, needs.least.get(skill, 1)) for skill in choice))
    several = [skill for skill in needs.prefers if skill in needs.languages] if needs.languages[1:] else []
    return Requirement(
        rules.name,
        tuple(sorted(skills.items())),
        rules.strategy,
        None,
        tuple(groups),
        rules.weight,
        prefers=tuple(several),
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
