"""What is missing, in words, says no more and no less than who fits."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from routing.model import AgentProfile, Lending, Requirement, Step, Ticket
from routing.requirement import (
    class_definition,
    eligible,
    eligible_while,
    in_force,
    in_words,
    missing,
    profile_definition,
    read_class,
    read_profile,
)

SKILLS = ("billing", "et", "sales")
levels = st.dictionaries(st.sampled_from(SKILLS), st.integers(0, 10)).map(lambda found: tuple(found.items()))
groups = st.lists(levels.filter(bool), max_size=2).map(tuple)
open_to = st.lists(st.sampled_from(("lead:a", "lead:b")), max_size=2).map(tuple)
requirements = st.builds(
    Requirement,
    queue=st.just("q"),
    skills=levels,
    any_of=groups,
    weight=st.sampled_from((1, 3)),
    open_to=open_to,
)
profiles = st.builds(
    AgentProfile.of,
    st.dictionaries(st.sampled_from((*SKILLS, "lead:a")), st.integers(1, 10)),
    st.sampled_from(({}, {"q": 1}, {"other": 1})),
)


@given(requirements, profiles)
def test_something_is_missing_exactly_where_the_agent_does_not_fit(
    requirement: Requirement, profile: AgentProfile
) -> None:
    assert bool(missing(requirement, profile)) is not eligible(requirement, profile)


LENT = Lending("other", 1)
served = st.sampled_from(
    (
        ({}, {}),
        ({"q": 1}, {}),
        ({"other": 1}, {}),
        ({"q": 2, "other": 1}, {"q": LENT}),
        ({"q": 2, "other": 1}, {"third": LENT}),
    )
)


@given(requirements, st.dictionaries(st.sampled_from((*SKILLS, "lead:a")), st.integers(1, 10)), served)
def test_who_fits_is_told_in_sets_too(
    requirement: Requirement, skills: dict[str, int], serves: tuple[dict[str, int], dict[str, Lending]]
) -> None:
    """Every level of a skill is a thing that an agent has, those below included: all that is asked are among
    them, and one of each group."""
    queues, lent = serves
    profile = replace(AgentProfile.of(skills, queues), lent=tuple(lent.items()))
    has = {(skill, level) for skill in SKILLS for level in range(skills.get(skill, 0) + 1)}
    asked = set(requirement.skills)
    able = asked <= has and all(has & set(group) for group in requirement.any_of)
    helps = not set(requirement.open_to).isdisjoint(skills)
    goes_there = "q" in queues or queues == {}
    assert eligible(requirement, profile) is (helps or (able and goes_there and "q" not in lent))
    on_terms = able and goes_there and "q" in lent and not helps
    assert eligible_while(requirement, profile) == (LENT if on_terms else None)
    named = replace(requirement, agent="anna")
    assert not eligible(named, profile)
    assert eligible_while(named, profile) is None


@given(requirements, profiles)
def test_opening_a_call_to_more_never_keeps_anybody_from_it(
    requirement: Requirement, profile: AgentProfile
) -> None:
    opened = replace(requirement, open_to=(*requirement.open_to, "lead:a"))
    leads = "lead:a" in dict(profile.skills)
    assert eligible(opened, profile) == (leads or eligible(requirement, profile))
    assert eligible_while(opened, replace(profile, lent=(("q", Lending("other")),))) is None or not leads


@given(requirements)
def test_a_class_is_read_back_as_it_was(requirement: Requirement) -> None:
    definition = class_definition(requirement)
    assert class_definition(read_class(definition)) == definition
    assert read_class(definition).open_to == tuple(sorted(set(requirement.open_to)))
    assert read_class(definition).weight == requirement.weight


def test_the_words_name_skill_level_and_what_was_asked() -> None:
    requirement = Requirement("q", (("billing", 5),), any_of=((("et", 1), ("en", 2)),))
    assert in_words(requirement) == "billing 5, en 2 or et 1"
    assert in_words(replace(requirement, open_to=("lead:a",))) == "billing 5, en 2 or et 1; or else lead:a"
    profile = AgentProfile.of({"billing": 3}, {"other": 1})
    assert missing(requirement, profile) == ("does not serve q", "billing 3, asked 5", "none of en 2, et 1")


@given(st.integers(0, 100_000))
def test_the_step_in_force_is_the_last_that_is_due(waited_ms: int) -> None:
    needs = [Requirement("q", (("billing", level),)) for level in (5, 3, 1)]
    ticket = Ticket("c", "n", needs[0], 1_000, steps=(Step(30_000, needs[1]), Step(60_000, needs[2])))
    assert in_force(ticket, 1_000 + waited_ms) == needs[(waited_ms >= 30_000) + (waited_ms >= 60_000)]


def test_who_is_lent_fits_only_on_terms() -> None:
    terms = Lending("billing", 1, 9_000, 2)
    profile = AgentProfile.of({"et": 2}, {"billing": 1, "support": 2}, {"support": terms})
    support, harder = Requirement("support", (("et", 2),)), Requirement("support", (("et", 3),))
    assert not eligible(support, profile)
    assert eligible_while(support, profile) == terms
    assert eligible_while(harder, profile) is None
    assert missing(support, profile) == ("lent by billing while that is well",)
    assert eligible(Requirement("billing"), profile)
    assert eligible_while(Requirement("billing"), profile) is None


def test_definitions_say_all_there_is_to_say() -> None:
    terms = Lending("the billing desk", 1, 9_000, 2)
    queues = {"the billing desk": 1, "support": 2}
    for in_talk in (False, True):
        for lent in ({}, {"support": terms}):
            for by_priority in (False, True):
                profile = AgentProfile.of({"et": 2}, queues, lent, by_priority=by_priority)
                profile = replace(profile, in_talk=in_talk)
                assert read_profile(profile_definition(profile)) == profile
    for weight in (1, 7):
        requirement = Requirement("q", (("et", 1),), "linear", None, ((("a", 1),),), weight)
        assert read_class(class_definition(requirement)) == requirement
