"""Several agents are rung for one call: one has it, and nobody else keeps a phone, a leg or a reservation."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd.calls import model as m
from acd.calls.machine import UnexpectedEvent, step
from acd.calls.model import Call, Side, State, Timer
from acd.calls.steps.phones import phones_of
from acd.sip.ringing import ELSEWHERE
from routing.model import Offer, RejectReason
from tests.support.call_cases import CONTEXT, EVENTS, NOW, OFFER, TO_LINE, drive, fresh, of_type

ANNAS = replace(OFFER, token=7, together=7)
BERTS = Offer("c1", "bert", "billing", token=8, deadline_ms=30_000, together=7)
CARLS = Offer("c1", "carl", "billing", token=9, deadline_ms=30_000, together=7)
RUNG = (m.OfferMade(ANNAS), m.OfferMade(BERTS), m.OfferMade(CARLS))


def rung() -> Call:
    return drive(fresh(), *TO_LINE, *RUNG)[0]


def results(call: Call) -> dict[str, str]:
    return {attempt.agent: attempt.result for attempt in call.attempts}


def test_all_who_are_reserved_together_are_rung() -> None:
    call, effects = drive(fresh(), *TO_LINE, *RUNG)
    assert call.state is State.OFFERED
    assert of_type(effects, m.RingAgent) == [m.RingAgent(ANNAS)]
    assert of_type(effects, m.RingRival) == [m.RingRival(BERTS), m.RingRival(CARLS)]
    assert call.offers == 3
    assert {phone.agent for phone in phones_of(call)} == {"anna", "bert", "carl"}


def test_an_offer_of_another_round_is_not_rung_beside_it() -> None:
    call = rung()
    assert step(CONTEXT, call, m.OfferMade(replace(CARLS, token=12, together=11)), NOW) == (call, ())


@pytest.mark.parametrize(
    ("answer", "who"),
    [(m.RivalAnswered(7), ANNAS), (m.RivalAnswered(8), BERTS), (m.RivalAnswered(9), CARLS)],
)
def test_the_first_who_answers_has_it_and_the_others_phones_say_elsewhere(
    answer: m.Event, who: Offer
) -> None:
    call, effects = drive(rung(), answer)
    assert call.state is State.CONNECTING
    assert (call.offer, call.rivals) == (who, ())
    assert of_type(effects, m.ConfirmOffer) == [m.ConfirmOffer(who)]
    assert of_type(effects, m.RejectOffer) == []
    stopped = of_type(effects, m.ReleaseRival) + of_type(effects, m.ReleaseAgentLeg)
    assert [effect.reason for effect in stopped] == [ELSEWHERE] * 2
    assert of_type(effects, m.TakeRival) == ([] if who is ANNAS else [m.TakeRival(who.token)])
    call, _ = drive(call, m.OfferConfirmed(who.token))
    others = {"anna", "bert", "carl"} - {who.agent_id}
    assert results(call) == {who.agent_id: "answered", **dict.fromkeys(others, "elsewhere")}


def test_a_second_answer_finds_the_call_taken() -> None:
    call, _ = drive(rung(), m.RivalAnswered(8))
    for late in (m.RivalAnswered(9), m.RivalAnswered(7), m.RivalOver(9, "remote", 486)):
        assert step(CONTEXT, call, late, NOW) == (call, ())


def test_one_who_refuses_leaves_the_others_ringing() -> None:
    call, effects = drive(rung(), m.RivalOver(7, "remote", 486), m.RivalOver(9, "remote", 603))
    assert call.state is State.OFFERED
    assert (call.offer, call.rivals) == (BERTS, ())
    told = [(effect.offer.agent_id, effect.refusal.reason) for effect in of_type(effects, m.RejectOffer)]
    assert told == [("anna", RejectReason.BUSY), ("carl", RejectReason.REJECTED)]
    assert of_type(effects, m.StopTimer) == []
    call, _ = drive(call, m.RivalOver(8, "remote", 486))
    assert call.state is State.QUEUED
    assert results(call) == {"anna": "busy", "carl": "rejected", "bert": "busy"}


def test_the_ring_time_ends_for_all_of_them() -> None:
    call, effects = drive(rung(), m.TimerFired(Timer.RING, 0))
    assert call.state is State.QUEUED
    told = {effect.offer.agent_id: effect.refusal.reason for effect in of_type(effects, m.RejectOffer)}
    assert told == dict.fromkeys(("anna", "bert", "carl"), RejectReason.NO_ANSWER)


@pytest.mark.parametrize("order", [(7, 8, 9), (9, 8, 7), (8, 7, 9)])
def test_reservations_that_are_taken_back_end_one_by_one(order: tuple[int, ...]) -> None:
    call = rung()
    for left, token in enumerate(order[:-1], 1):
        call, effects = drive(call, m.OfferTakenBack(token))
        assert call.state is State.OFFERED
        assert len(call.rivals) == 2 - left
        assert of_type(effects, m.RejectOffer) == []
    assert drive(call, m.OfferTakenBack(order[-1]))[0].state is State.QUEUED


def test_an_answer_that_came_too_late_gives_up_the_others_too_and_takes_the_place_anew() -> None:
    call, effects = drive(rung(), m.RivalAnswered(8), m.OfferStale(8))
    assert call.state is State.QUEUED
    assert of_type(effects, m.LeaveQueue) == [m.LeaveQueue("c1", "released")]
    assert isinstance(effects[effects.index(m.LeaveQueue("c1", "released")) + 1], m.EnterQueue)


def test_a_word_of_one_whose_turn_came_meanwhile_is_not_lost_nor_taken_for_anothers() -> None:
    gone = m.OfferTakenBack(7)
    assert drive(rung(), gone, m.RivalAnswered(8))[0].offer == BERTS
    assert drive(rung(), gone, m.RivalOver(7, "remote", 486))[0].rivals == (CARLS,)
    call, effects = drive(rung(), gone, m.RivalOver(8, "remote", 486))
    assert (call.offer, of_type(effects, m.RejectOffer)[0].offer) == (CARLS, BERTS)
    talking, _ = drive(rung(), m.RivalAnswered(8), m.RivalOver(7, "remote", 486), m.OfferConfirmed(8))
    assert talking.state is State.TALKING
    assert drive(talking, m.RivalOver(8, "remote", 0))[0].state is State.ENDED


def test_a_caller_who_hangs_up_stops_every_phone() -> None:
    call, effects = drive(rung(), m.LegOver(Side.CALLER, "remote", 0))
    assert len(of_type(effects, m.ReleaseAgentLeg) + of_type(effects, m.ReleaseRival)) == 3
    assert results(call) == dict.fromkeys(("anna", "bert", "carl"), "ended")


ALONE = ("agent-answered", "agent-unavailable", "offer")

TOGETHER = {
    **{name: event for name, event in EVENTS.items() if name not in ALONE},
    "anna": RUNG[0],
    "bert": RUNG[1],
    "carl": RUNG[2],
    **{f"answer-{t}": m.RivalAnswered(t) for t in (7, 8, 9)},
    **{f"over-{t}": m.RivalOver(t, "remote", 486) for t in (7, 8, 9)},
    **{f"back-{t}": m.OfferTakenBack(t) for t in (7, 8, 9)},
    **{f"confirmed-{t}": m.OfferConfirmed(t) for t in (8, 9)},
    **{f"stale-{t}": m.OfferStale(t) for t in (8, 9)},
}


@given(st.lists(st.sampled_from(list(TOGETHER)), max_size=20))
def test_on_any_path_every_phone_that_rang_is_let_go_and_one_answer_is_confirmed(names: list[str]) -> None:
    call, effects = rung(), list(drive(fresh(), *TO_LINE, *RUNG)[1])
    for name in [*names, "clear"]:
        confirmed = Counter(type(effect) for effect in effects)[m.ConfirmOffer]
        try:
            call, more = step(CONTEXT, call, TOGETHER[name], NOW + 1)
        except UnexpectedEvent:
            continue
        effects += more
        kinds = Counter(type(effect) for effect in effects)
        assert kinds[m.ConfirmOffer] - confirmed <= 1
        assert call.state is State.OFFERED or not call.rivals
        tokens = [offer.token for offer in call.rivals]
        rings = Counter(e.offer.token for e in of_type(effects, m.RingRival))
        rings.subtract(e.token for e in effects if isinstance(e, m.ReleaseRival | m.TakeRival))
        assert sorted(tokens) == sorted(rings.elements())
        assert all(count >= 0 for count in rings.values())
    released = kinds[m.ReleaseAgentLeg] + kinds[m.ReleaseTransferor] + kinds[m.HandOver]
    assert kinds[m.RingAgent] + kinds[m.RingRival] == released + kinds[m.ReleaseRival]
