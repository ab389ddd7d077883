"""Each strategy chooses by what it says: over any idle agents, and over any draw."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from routing.model import AgentProfile, Requirement
from routing.strategy import (
    STRATEGIES,
    IdleAgent,
    fewest_calls,
    least_occupied,
    linear,
    longest_idle,
    rank,
    round_robin,
    weighted_random,
)

NOW = 1_790_000_000_000
HOUR = 3_600_000

times = st.integers(NOW - 12 * HOUR, NOW)
idle_agents = st.builds(
    IdleAgent,
    agent_id=st.text(min_size=1, max_size=8),
    idle_since_ms=times,
    last_rung_ms=times,
    calls=st.integers(0, 2_000),
    busy_ms=st.integers(0, 6 * HOUR),
    signed_in_ms=st.integers(NOW - 24 * HOUR, NOW - 13 * HOUR),
    order=st.integers(0, 1_000),
    weight=st.integers(1, 100),
)
skills = st.dictionaries(st.sampled_from(("billing", "et", "sales")), st.integers(1, 10))


def _occupancy(agent: IdleAgent) -> int:
    return agent.busy_ms * 10_000 // (agent.idle_since_ms - agent.signed_in_ms)


@given(idle_agents, idle_agents)
def test_longest_idle_rings_who_waited_longest_for_a_call(a: IdleAgent, b: IdleAgent):
    assert (longest_idle(a) < longest_idle(b)) == (a.idle_since_ms < b.idle_since_ms)


@given(idle_agents, idle_agents)
def test_round_robin_rings_who_was_rung_longest_ago(a: IdleAgent, b: IdleAgent):
    assert (round_robin(a) < round_robin(b)) == (a.last_rung_ms < b.last_rung_ms)


@given(idle_agents, idle_agents)
def test_fewest_calls_rings_who_talked_least_often(a: IdleAgent, b: IdleAgent):
    if a.calls != b.calls:
        assert (fewest_calls(a) < fewest_calls(b)) == (a.calls < b.calls)
    elif abs(a.idle_since_ms - b.idle_since_ms) >= 100:
        assert (fewest_calls(a) < fewest_calls(b)) == (a.idle_since_ms < b.idle_since_ms)


@given(idle_agents, idle_agents)
def test_least_occupied_rings_who_was_busy_for_the_smallest_part(a: IdleAgent, b: IdleAgent):
    assume(_occupancy(a) != _occupancy(b))
    assert (least_occupied(a) < least_occupied(b)) == (_occupancy(a) < _occupancy(b))


@given(idle_agents, idle_agents)
def test_linear_rings_in_the_order_of_the_directory(a: IdleAgent, b: IdleAgent):
    assert (linear(a) < linear(b)) == (a.order < b.order)


@given(idle_agents)
def test_every_score_is_exact_in_a_double(agent: IdleAgent):
    for score in (longest_idle, round_robin, fewest_calls, least_occupied, linear, weighted_random):
        assert int(float(score(agent))) == score(agent)


@settings(max_examples=15, deadline=None)
@given(
    weights=st.lists(st.integers(1, 9), min_size=2, max_size=5),
    rung_elsewhere=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 4)), max_size=3),
    salt=st.integers(0, 10**6),
)
def test_weighted_random_draws_in_the_ratio_of_the_weights(
    weights: list[int], rung_elsewhere: list[tuple[int, int]], salt: int
):
    """Of so many draws each agent wins the share that the weight has of all, give or take five deviations,
    whoever is rung by other queues meanwhile and is idle anew: the odds are those of who was idle before."""
    draws = 4_000
    won: Counter[int] = Counter()
    rung = [salt + n for n in range(len(weights))]
    clock = 0

    def score(agent: int) -> int:
        return weighted_random(IdleAgent(f"a{agent}", 0, rung[agent], weight=weights[agent], clock=clock))

    scores = [score(agent) for agent in range(len(weights))]
    for now in range(draws):
        winner = scores.index(min(scores))
        won[winner] += 1
        clock = max(clock, scores[winner])
        drawn_anew = {winner} | {
            who for every, who in rung_elsewhere if now % every == 0 and who < len(weights)
        }
        for agent in drawn_anew:
            rung[agent] = 10**9 + salt + now
            scores[agent] = score(agent)
    for agent, weight in enumerate(weights):
        share = weight / sum(weights)
        assert abs(won[agent] - draws * share) < 5 * math.sqrt(draws * share * (1 - share)) + 1


@given(st.text(max_size=8), times, st.integers(1, 100), st.integers(2, 100), st.integers(0, 10**9))
def test_a_greater_weight_never_makes_a_draw_worse(
    name: str, rung_ms: int, weight: int, times_more: int, clock: int
):
    light = IdleAgent(name, 0, rung_ms, weight=weight, clock=clock)
    heavy = replace(light, weight=weight * times_more)
    assert clock <= weighted_random(heavy) <= weighted_random(light)


@given(skills, skills)
def test_most_skilled_asks_the_highest_levels_of_what_is_needed(a: dict[str, int], b: dict[str, int]):
    requirement = Requirement("q", (("billing", 1), ("et", 1)), "most-skilled")
    total = [levels.get("billing", 0) + levels.get("et", 0) for levels in (a, b)]
    ranks = [rank(requirement, AgentProfile.of(levels)) for levels in (a, b)]
    assert (ranks[0] < ranks[1]) == (total[0] > total[1])


@given(skills, skills)
def test_least_skilled_keeps_the_experts_free(a: dict[str, int], b: dict[str, int]):
    requirement = Requirement("q", (), "least-skilled")
    ranks = [rank(requirement, AgentProfile.of(levels)) for levels in (a, b)]
    assert (ranks[0] < ranks[1]) == (sum(a.values()) < sum(b.values()))


@given(skills, skills, st.sampled_from(sorted(STRATEGIES)))
def test_an_agents_own_priority_for_the_queue_comes_before_any_strategy(
    a: dict[str, int], b: dict[str, int], strategy: str
):
    requirement = Requirement("q", (), strategy)
    first, second = AgentProfile.of(a, {"q": 1}), AgentProfile.of(b, {"q": 2})
    assert rank(requirement, first) < rank(requirement, second)


@given(skills, skills, st.sampled_from(sorted(STRATEGIES)), st.integers(1, 99))
def test_who_only_helps_comes_after_the_agents_of_the_queue_and_before_who_talks(
    a: dict[str, int], b: dict[str, int], strategy: str, priority: int
):
    requirement = Requirement("q", (), strategy, open_to=("lead:a",))
    lead, own = AgentProfile.of({**a, "lead:a": 1}), AgentProfile.of(b, {"q": priority})
    talking = replace(own, in_talk=True)
    assert rank(requirement, own) < rank(requirement, lead) < rank(requirement, talking)
