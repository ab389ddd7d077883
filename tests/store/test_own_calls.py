"""Agents who make calls are reserved whatever they were at, which follows again when the call is over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routing.model import (
    AgentProfile,
    AgentState,
    AgentTerms,
    Offer,
    Refusal,
    RejectReason,
    Requirement,
    Ticket,
)
from tests.sim.stores import RedisStore

pytestmark = pytest.mark.store

NOW = 1_790_000_000_000
BILLING = Requirement("billing")
_SITES = count(1)


class Floor:
    """One agent, in the store and in the model; everything is audited after each word."""

    def __init__(self, url: str, capacity: int = 1) -> None:
        self.store = RedisStore(url, f"maker{os.getpid()}-{next(_SITES)}", ("n1",))
        self.now, self.calls = NOW, 0
        self.terms = AgentTerms(capacity=capacity)
        self.say("heartbeat", "n1", 3_600_000)
        self.comes()

    def say(self, verb: str, *arguments: object, **words: object) -> list[Offer]:
        self.store.perform(verb, arguments, words, self.now)
        offers = [message for _, message in self.store.messages() if isinstance(message, Offer)]
        self.store.audit()
        return offers

    def comes(self) -> list[Offer]:
        return self.say("agent_available", "anna", "n1", AgentProfile.of({}), terms=self.terms)

    def pauses(self, why: str = "lunch", state: AgentState = AgentState.PAUSED) -> None:
        self.say("agent_away", "anna", state, why)

    def dials(self, wrapup_ms: int = 0) -> list[Offer]:
        self.calls += 1
        asked = Requirement("outbound", agent="anna")
        ticket = Ticket(f"o{self.calls}", "n1", asked, self.now, 99, wrapup_ms=wrapup_ms, own=True)
        return self.say("enqueue", ticket)

    def is_called(self, wrapup_ms: int = 0, limit_ms: int = 0) -> list[Offer]:
        self.calls += 1
        ticket = Ticket(
            f"c{self.calls}", "n1", BILLING, self.now, wrapup_ms=wrapup_ms, wrapup_limit_ms=limit_ms
        )
        return self.say("enqueue", ticket)

    def answers(self, offer: Offer) -> None:
        self.say("accept", offer.call_id, "anna", offer.token)

    def ends(self, offer: Offer, *, wrapup: bool = True) -> list[Offer]:
        return self.say("done", offer.call_id, "anna", offer.token, wrapup=wrapup)

    def passes(self, ms: int) -> list[Offer]:
        self.now += ms
        return self.say("tick")

    @property
    def anna(self) -> tuple[AgentState, str]:
        agent = self.store.model.agents["anna"]
        return agent.state, agent.why


@pytest.fixture
def floor(redis_url: str) -> Iterator[Floor]:
    floor = Floor(redis_url)
    yield floor
    floor.store.close()


@pytest.mark.parametrize("state", [AgentState.PAUSED, AgentState.NOT_ANSWERING])
def test_who_is_away_and_dials_talks_gets_no_call_and_is_away_again(floor: Floor, state: AgentState) -> None:
    floor.pauses("lunch", state)
    (own,) = floor.dials()
    floor.answers(own)
    assert floor.anna == (AgentState.TALKING, "")
    floor.passes(60_000)
    assert floor.is_called() == []
    assert floor.ends(own) == []
    assert floor.anna == (state, "lunch")
    assert [offer.call_id for offer in floor.comes()] == ["c2"]


@pytest.mark.parametrize("then", [AgentState.NOT_ANSWERING, AgentState.PAUSED])
def test_who_is_paused_and_does_not_take_a_call_of_their_own_is_paused_as_before(
    floor: Floor, then: AgentState
) -> None:
    floor.pauses()
    (own,) = floor.dials()
    floor.say(
        "reject", own.call_id, "anna", own.token, Refusal(RejectReason.NO_ANSWER, then, "missed a call")
    )
    assert floor.anna == (AgentState.PAUSED, "lunch")
    floor.say("cancel", own.call_id)
    floor.comes()
    (call,) = floor.is_called()
    floor.say(
        "reject", call.call_id, "anna", call.token, Refusal(RejectReason.NO_ANSWER, then, "missed a call")
    )
    assert floor.anna[0] is then


def test_what_is_left_of_a_wrapup_follows_a_call_of_their_own_that_was_not_taken(floor: Floor) -> None:
    (call,) = floor.is_called(wrapup_ms=20_000)
    floor.answers(call)
    floor.ends(call)
    floor.passes(5_000)
    (own,) = floor.dials()
    floor.passes(3_000)
    floor.say("reject", own.call_id, "anna", own.token, Refusal(RejectReason.REJECTED, rest_ms=9_000))
    assert floor.anna[0] is AgentState.WRAPUP
    assert floor.store.model.due["a:anna"] == floor.now + 15_000


def test_who_gives_up_before_the_store_knew_of_the_answer_is_away_again(floor: Floor) -> None:
    floor.pauses()
    (own,) = floor.dials()
    assert floor.anna[0] is AgentState.OFFERED
    floor.say("cancel", own.call_id)
    assert floor.anna == (AgentState.PAUSED, "lunch")


def test_who_resumes_during_the_call_is_free_after_it(floor: Floor) -> None:
    floor.pauses()
    (own,) = floor.dials()
    floor.answers(own)
    floor.comes()
    assert floor.anna[0] is AgentState.TALKING
    floor.ends(own)
    assert floor.anna[0] is AgentState.AVAILABLE


def test_what_is_left_of_a_wrapup_follows_the_call(floor: Floor) -> None:
    (call,) = floor.is_called(wrapup_ms=20_000, limit_ms=90_000)
    floor.answers(call)
    floor.ends(call)
    floor.passes(5_000)
    (own,) = floor.dials()
    floor.answers(own)
    assert floor.anna[0] is AgentState.TALKING
    floor.passes(60_000)
    assert floor.anna[0] is AgentState.TALKING, "the wrap-up waits"
    floor.ends(own)
    assert floor.anna[0] is AgentState.WRAPUP
    floor.say("extend_wrapup", "anna", floor.now + 500_000)
    assert floor.store.model.due["a:anna"] == floor.now + 85_000, "and so does its limit"
    assert floor.is_called() == []
    assert [offer.call_id for offer in floor.say("end_wrapup", "anna")] == ["c3"]


def test_the_longer_of_two_wrapups_is_taken(floor: Floor) -> None:
    for own_ms, expected in ((30_000, 30_000), (3_000, 15_000)):
        (call,) = floor.is_called(wrapup_ms=20_000)
        floor.answers(call)
        floor.ends(call)
        floor.passes(5_000)
        (own,) = floor.dials(wrapup_ms=own_ms)
        floor.answers(own)
        floor.ends(own)
        assert floor.store.model.due["a:anna"] == floor.now + expected
        floor.passes(expected)
        assert floor.anna[0] is AgentState.AVAILABLE


def test_nothing_of_its_own_follows_a_call_that_nobody_answered(floor: Floor) -> None:
    floor.pauses()
    (own,) = floor.dials(wrapup_ms=9_000)
    floor.answers(own)
    floor.ends(own, wrapup=False)
    assert floor.anna == (AgentState.PAUSED, "lunch")


def test_who_rests_after_a_refusal_and_dials_is_reserved(floor: Floor) -> None:
    (call,) = floor.is_called()
    floor.say("reject", call.call_id, "anna", call.token, Refusal(RejectReason.REJECTED, rest_ms=9_000))
    (own,) = floor.dials()
    floor.answers(own)
    assert floor.passes(20_000) == []
    assert [offer.call_id for offer in floor.ends(own)] == [call.call_id]


def test_who_is_rung_or_talks_is_reserved_once_that_is_over(floor: Floor) -> None:
    (call,) = floor.is_called()
    assert floor.dials() == []
    floor.answers(call)
    assert [offer.call_id for offer in floor.ends(call)] == ["o2"]


def test_who_dials_while_talking_is_reserved_when_a_wrapup_begins_which_follows(floor: Floor) -> None:
    (call,) = floor.is_called(wrapup_ms=20_000)
    floor.answers(call)
    assert floor.dials() == []
    (own,) = floor.ends(call)
    assert (own.call_id, floor.anna[0]) == ("o2", AgentState.OFFERED)
    floor.answers(own)
    floor.passes(60_000)
    assert floor.anna[0] is AgentState.TALKING
    floor.ends(own)
    assert floor.anna[0] is AgentState.WRAPUP


def test_who_dials_while_talking_is_reserved_when_a_pause_begins_which_follows(floor: Floor) -> None:
    (call,) = floor.is_called()
    floor.answers(call)
    floor.pauses()
    assert floor.dials() == []
    (own,) = floor.ends(call)
    floor.answers(own)
    floor.pauses("dinner")
    floor.ends(own)
    assert floor.anna == (AgentState.PAUSED, "dinner")


def test_who_dials_while_rung_is_reserved_when_the_ringing_is_over_for_a_rest_or_a_pause(
    floor: Floor,
) -> None:
    (call,) = floor.is_called()
    assert floor.dials() == []
    refusal = Refusal(RejectReason.REJECTED, rest_ms=9_000)
    (own,) = floor.say("reject", call.call_id, "anna", call.token, refusal)
    floor.say("cancel", own.call_id)
    floor.say("cancel", call.call_id)
    floor.passes(10_000)
    (call,) = floor.is_called()
    assert floor.dials() == []
    floor.pauses()
    assert floor.anna[0] is AgentState.OFFERED, "for their own call"
    floor.pauses()
    assert floor.store.messages() == [], "the pause follows the call"


words = st.one_of(
    st.sampled_from((500, 4_000, 30_000)),
    st.sampled_from(
        ("dials", "dials", "called", "answers", "ends", "refuses", "gives up", "pauses", "comes")
    ),
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(told=st.lists(words, min_size=10, max_size=50), capacity=st.sampled_from((1, 1, 2)))
def test_own_calls_are_those_of_the_model(redis_url: str, told: list[int | str], capacity: int) -> None:
    floor = Floor(redis_url, capacity)
    held: dict[str, Offer] = {}
    for number, word in enumerate(told):
        offers: list[Offer] = []
        pick = list(held.values())[number % len(held)] if held else None
        match word:
            case int(ms):
                offers = floor.passes(ms)
            case "dials":
                offers = floor.dials(wrapup_ms=3_000 * (number % 3))
            case "called":
                offers = floor.is_called(wrapup_ms=9_000, limit_ms=20_000)
            case "pauses":
                floor.pauses()
            case "comes":
                offers = floor.comes()
            case "answers" if pick:
                floor.answers(pick)
            case "refuses" if pick:
                then = (AgentState.AVAILABLE, AgentState.AVAILABLE, AgentState.NOT_ANSWERING)[number % 3]
                refusal = Refusal(RejectReason.REJECTED, then, rest_ms=5_000 * (number % 2))
                offers = floor.say("reject", pick.call_id, "anna", pick.token, refusal)
            case "gives up" if pick:
                offers = floor.say("cancel", pick.call_id)
                del held[pick.call_id]
            case "ends" if pick:
                offers = floor.ends(pick, wrapup=bool(number % 2))
                del held[pick.call_id]
        held |= {offer.call_id: offer for offer in offers}
    floor.store.close()
