"""The order in which calls are handed out, of a real store and of the slow obvious model, side by side."""

from __future__ import annotations

import os
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routing.model import AgentProfile, AgentState, AgentTerms, Requirement, Ticket
from tests.sim.stores import RedisStore

pytestmark = pytest.mark.store

NOW = 1_790_000_000_000
TARGETS = {"plain": 0, "hurried": 5_000, "patient": 60_000, "pressing": 0, "heavy": 20_000}
WEIGHTS = {"pressing": 10, "heavy": 3}
SKILLS = ("et", "en")
PROFILES = (AgentProfile.of({"et": 1, "en": 1}), AgentProfile.of({"et": 1}))
_SITES = count(1)

calls = st.tuples(
    st.sampled_from(sorted(TARGETS)), st.sampled_from(SKILLS), st.sampled_from((0, 0, 0, 3)), st.booleans()
)
"""Queue, skill, priority, and whether the caller has waited already (a call that is put back)."""
stories = st.lists(
    st.one_of(calls, st.integers(1, 30_000), st.sampled_from(("anna", "bert"))), min_size=10, max_size=60
)
"""Calls, milliseconds that pass, and agents who come free."""


class Story:
    """Two agents who come free when the story says so. The store is compared with the model at each word."""

    def __init__(self, url: str) -> None:
        self.store = RedisStore(url, f"order{os.getpid()}-{next(_SITES)}", ("n1",))
        self.now = NOW
        self.calls = 0
        for agent, profile in zip(("anna", "bert"), PROFILES, strict=True):
            self.say("agent_available", agent, "n1", profile)

    def say(self, verb: str, *arguments: object) -> None:
        if verb == "agent_available":
            self.store.perform(verb, arguments, {"terms": AgentTerms()}, self.now)
        else:
            self.store.perform(verb, arguments, {}, self.now)
        self.store.messages()

    def call(self, queue: str, skill: str, priority: int, waited: bool) -> None:
        self.calls += 1
        requirement = Requirement(queue, ((skill, 1),), weight=WEIGHTS.get(queue, 1))
        came = self.now - 7_000 * waited
        target = TARGETS[queue]
        self.say(
            "enqueue",
            Ticket(f"c{self.calls}", "n1", requirement, came, priority, 300_000, target_ms=target),
        )

    def passes(self, ms: int) -> None:
        self.now += ms
        self.say("tick")

    def is_free(self, name: str) -> None:
        agent = self.store.model.agents[name]
        if agent.call is None:
            return
        word = (agent.call, name, self.store.model.calls[agent.call].held[name])
        if agent.state is AgentState.OFFERED:
            self.say("accept", *word)
        self.say("done", *word)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(story=stories)
def test_calls_are_handed_out_in_the_order_of_the_model(
    redis_url: str, story: list[tuple[str, str, int, bool] | int | str]
) -> None:
    told = Story(redis_url)
    for word in story:
        match word:
            case str():
                told.is_free(word)
            case int():
                told.passes(word)
            case _:
                told.call(*word)
    told.store.audit()
    told.store.close()
