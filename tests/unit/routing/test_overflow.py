"""The rules that callers leave a queue by, against the obvious reading of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.overflow import (
    Conditions,
    Situation,
    asks_who_joins,
    asks_who_waits,
    decide,
    holds,
    next_time,
)

NUMBERS = st.integers(0, 4)
SECONDS = st.sampled_from([0.0, 1.0, 10.0, 60.0])
MAYBE_SECONDS = st.none() | SECONDS
CONDITIONS = st.builds(
    Conditions,
    st.sampled_from(["any", "joining", "waiting"]),
    SECONDS,
    st.none() | NUMBERS,
    MAYBE_SECONDS,
    st.booleans(),
)
SITUATIONS = st.builds(
    Situation, st.booleans(), SECONDS, st.none() | NUMBERS, MAYBE_SECONDS, st.none() | st.booleans()
)


def told(rule: Conditions, seen: Situation) -> list[bool]:
    """What the page says of each condition that the rule names, whether it is so."""
    said = [seen.waited_seconds >= rule.after_seconds]
    if rule.at == "joining":
        said.append(seen.joining)
    if rule.at == "waiting":
        said.append(not seen.joining)
    if rule.waiting_over is not None:
        said.append(seen.joining and seen.waiting is not None and seen.waiting > rule.waiting_over)
    if rule.expected_wait_over_seconds is not None:
        known = seen.expected_seconds is not None
        said.append(known and (seen.expected_seconds or 0.0) > rule.expected_wait_over_seconds)
    if rule.no_agent:
        said.append(seen.agent_there is False)
    return said


@given(CONDITIONS, SITUATIONS)
def test_a_rule_holds_where_all_it_names_is_so(rule: Conditions, seen: Situation) -> None:
    assert holds(rule, seen) == all(told(rule, seen))


@given(st.lists(CONDITIONS, max_size=5), SITUATIONS, st.sets(NUMBERS))
def test_the_first_that_holds_and_is_not_spent_decides(
    rules: list[Conditions], seen: Situation, spent: set[int]
) -> None:
    found = [n for n, rule in enumerate(rules) if n not in spent and all(told(rule, seen))]
    assert decide(rules, seen, spent) == (found[0] if found else None)


@given(st.lists(CONDITIONS, max_size=5), SITUATIONS)
def test_what_is_not_known_holds_nothing_that_knowing_it_would_not(
    rules: list[Conditions], seen: Situation
) -> None:
    blind = replace(seen, waiting=None, expected_seconds=None, agent_there=None)
    found = decide(rules, blind)
    assert found is None or holds(rules[found], seen)


@given(st.lists(CONDITIONS, max_size=5), SECONDS, st.sets(NUMBERS))
def test_nothing_is_missed_between_one_look_at_the_clock_and_the_next(
    rules: list[Conditions], waited: float, spent: set[int]
) -> None:
    due = next_time(rules, waited, spent)
    by_time = [rule for n, rule in enumerate(rules) if n not in spent and rule.only_time]
    later = sorted({rule.after_seconds for rule in by_time if rule.after_seconds > waited})
    assert due == (later[0] if later else None)


@given(CONDITIONS, SITUATIONS)
def test_who_is_never_asked_is_decided_by_time_alone(rule: Conditions, seen: Situation) -> None:
    joined = replace(seen, joining=True, waited_seconds=0.0)
    if not asks_who_joins([rule]) and not rule.only_time:
        assert not holds(rule, joined)
    waiting = replace(seen, joining=False)
    if not asks_who_waits([rule]) and not rule.only_time:
        assert not holds(rule, waiting)


@pytest.mark.parametrize(
    ("rule", "why", "text"),
    [
        (Conditions(after_seconds=60), "waited", "after 60 s"),
        (Conditions("joining", waiting_over=3), "waiting", "joining, more than 3 waiting"),
        (Conditions(expected_wait_over_seconds=90), "expected-wait", "expected wait over 90 s"),
        (Conditions(after_seconds=5, no_agent=True), "no-agent", "after 5 s, no agent"),
    ],
)
def test_a_rule_says_what_it_is_about(rule: Conditions, why: str, text: str) -> None:
    assert (rule.why, str(rule)) == (why, text)
