"""Transfers as the machine decides them: every event while the agent waits on the line, and whole stories."""

from __future__ import annotations

from dataclasses import replace

import pytest

from acd.calls import model as m
from acd.calls.machine import step
from acd.calls.model import Call, Place, Side, State, Timer
from acd.calls.steps.context import EXTENSION_QUEUE
from acd.calls.steps.ending import record_of
from routing.model import Offer
from tests.support.call_cases import (
    BERTS_OFFER,
    CONTEXT,
    EVENTS,
    NOW,
    OFFER,
    TO_LINE,
    TO_TALKING,
    drive,
    fresh,
    of_type,
)

TO_BERT = m.TransferAsked("1002", by_phone=True)
TALKING = drive(fresh(), *TO_TALKING)[0]
SENT = drive(TALKING, TO_BERT, now=NOW + 20)[0]
RINGING = drive(SENT, m.OfferMade(BERTS_OFFER), now=NOW + 21)[0]
CONNECTING = drive(RINGING, m.AgentAnswered(b"a"), now=NOW + 25)[0]

# What follows while Anna waits on the line, by the state before: the state, and whether she is still there.
STAYS, GONE = True, False
WITH_TRANSFEROR: dict[str, tuple[tuple[str, bool], ...]] = {
    "caller-gone": (("ended", GONE), ("ended", GONE), ("ended", GONE)),
    "clear": (("ended", GONE), ("ended", GONE), ("ended", GONE)),
    "hand-over": (("ended", GONE), ("ended", GONE), ("ended", GONE)),
    "transferor-gone": (("queued", GONE), ("offered", GONE), ("connecting", GONE)),
    "transferor-silent": (("queued", GONE), ("offered", GONE), ("connecting", GONE)),
    "transferor-digit": (("queued", STAYS), ("offered", STAYS), ("connecting", STAYS)),
    "refer": (("queued", STAYS), ("offered", STAYS), ("connecting", STAYS)),
    "move": (("queued", STAYS), ("offered", STAYS), ("connecting", STAYS)),
    "agent-gone": (("queued", STAYS), ("talking", GONE), ("ended", GONE)),
    "agent-unavailable": (("queued", STAYS), ("talking", GONE), ("connecting", STAYS)),
    "longest-wait": (("talking", GONE), ("offered", STAYS), ("connecting", STAYS)),
    "ring-timer": (("queued", STAYS), ("talking", GONE), ("connecting", STAYS)),
    "target-joined": (("queued", STAYS), ("offered", STAYS), ("connecting", STAYS)),
    "phone-moved": (("queued", STAYS), ("offered", STAYS), ("connecting", STAYS)),
}


@pytest.mark.parametrize("index", range(3), ids=["queued", "offered", "connecting"])
@pytest.mark.parametrize("name", list(WITH_TRANSFEROR))
def test_every_event_while_the_transferring_agent_waits_on_the_line(name: str, index: int) -> None:
    before = (SENT, RINGING, CONNECTING)[index]
    after, effects = step(CONTEXT, before, EVENTS[name], NOW + 30)
    assert (after.state.value, after.transferor is not None) == WITH_TRANSFEROR[name][index]
    if after.state is State.TALKING:
        assert m.ReclaimAgentLeg() in effects
        assert not of_type(list(effects), m.FinishConversation)
    elif after.transferor is None:
        assert of_type(list(effects), m.ReleaseTransferor)
        assert m.FinishConversation(OFFER) in effects


def test_a_blind_transfer_keeps_the_agent_until_the_colleague_has_the_call() -> None:
    call, effects = drive(TALKING, TO_BERT, now=NOW + 20)
    assert effects[:3] == [m.AnswerRefer(202), m.ParkAgentLeg(), m.PlaySilence(Side.TRANSFEROR)]
    ticket = of_type(effects, m.EnterQueue)[0].ticket
    assert (ticket.call_id, ticket.requirement.agent, call.state) == ("c1~1", "bert", State.QUEUED)
    assert not of_type(effects, m.FinishConversation)
    call, effects = drive(call, m.OfferMade(BERTS_OFFER), now=NOW + 21)
    assert effects[0] == m.ReportRefer(Side.TRANSFEROR, 180)
    call, effects = drive(call, m.AgentAnswered(b"a"), m.OfferConfirmed(8), now=NOW + 25)
    done = [m.FinishConversation(OFFER), m.ReleaseTransferor("transferred")]
    assert effects[2:5] == [m.ReportRefer(Side.TRANSFEROR, 200), *done]
    assert m.BridgeLegs() in effects
    assert (call.state, call.agent, call.entry) == (State.TALKING, "bert", "c1~1")


def test_the_record_names_who_sent_the_call_where_and_keeps_its_queue() -> None:
    call, _ = drive(CONNECTING, m.OfferConfirmed(8), now=NOW + 25)
    call, effects = drive(call, m.LegOver(Side.CALLER, "remote", 0), now=NOW + 35)
    record = record_of(call, of_type(effects, m.Close)[0], NOW + 35)
    mark = next(segment for segment in record.segments if segment.state == "transfer")
    assert (mark.agent, mark.to, mark.at) == ("anna", "1002", NOW + 20)
    assert (record.queue, record.agent, record.outcome) == ("billing", "bert", "answered")
    assert (record.wait_seconds, record.talk_seconds, record.answered_at) == (5.0, 30.0, NOW)


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (m.LegOver(Side.AGENT, "remote", 486), 486),
        (m.LegOver(Side.AGENT, "remote", 603), 603),
        (m.LegOver(Side.AGENT, "remote", 480), 480),
        (m.LegOver(Side.AGENT, "remote", 488), 488),
        (m.LegOver(Side.AGENT, "remote", 302), 603),
        (m.LegOver(Side.AGENT, "remote", 404), 480),
        (m.LegOver(Side.AGENT, "transport", 503), 480),
        (m.TimerFired(Timer.RING, 0), 480),
        (m.OfferTakenBack(8), 480),
    ],
)
def test_a_colleague_who_does_not_take_it_brings_the_caller_back_to_the_agent(
    event: m.Event, status: int
) -> None:
    call, effects = drive(RINGING, event, now=NOW + 30)
    assert (call.state, call.agent, call.entry) == (State.TALKING, "anna", "c1")
    assert m.ReportRefer(Side.TRANSFEROR, status) in effects
    assert of_type(effects, m.LeaveQueue) == [m.LeaveQueue("c1~1")]
    released, reclaimed = m.ReleaseAgentLeg, m.ReclaimAgentLeg()
    assert effects.index(of_type(effects, released)[0]) < effects.index(reclaimed)
    assert effects.index(reclaimed) < effects.index(m.BridgeLegs())
    again, _ = drive(call, TO_BERT, now=NOW + 40)
    assert again.entry == "c1~2"


def test_an_agent_who_held_the_caller_for_the_transfer_still_holds_when_it_fails() -> None:
    call, _ = drive(TALKING, m.Reoffered(Side.AGENT, b"a", "sendonly"), TO_BERT, now=NOW + 20)
    assert call.held_by == frozenset()
    call, effects = drive(call, m.TimerFired(Timer.LONGEST_WAIT, 0), now=NOW + 50)
    assert call.held_by == {Side.AGENT}
    assert m.PlayMusic(Side.CALLER, "hold-music") in effects
    call, _ = drive(call, m.Reoffered(Side.AGENT, b"a", "sendrecv"), now=NOW + 52)
    assert call.hold_seconds == 2


def test_after_the_agent_hung_up_a_failed_transfer_rings_them_and_then_their_queue() -> None:
    call, _ = drive(RINGING, m.LegOver(Side.TRANSFEROR, "remote", 0), now=NOW + 22)
    call, effects = drive(call, m.LegOver(Side.AGENT, "remote", 486), now=NOW + 23)
    ticket = of_type(effects, m.EnterQueue)[0].ticket
    assert (ticket.call_id, ticket.requirement.agent) == ("c1~2", "anna")
    call, effects = drive(call, m.TimerFired(Timer.LONGEST_WAIT, 0), now=NOW + 60)
    ticket = of_type(effects, m.EnterQueue)[0].ticket
    assert (ticket.call_id, ticket.requirement.queue) == ("c1~3", "billing")
    assert (ticket.enqueued_ms, ticket.priority) == (NOW * 1000, 7)  # in the old place
    call, effects = drive(call, m.TimerFired(Timer.LONGEST_WAIT, 0), now=NOW + 130)
    assert of_type(effects, m.Close)[0].outcome == "answered"


def test_who_sends_a_caller_into_a_queue_is_not_the_first_to_be_rung_for_them() -> None:
    call, effects = drive(TALKING, m.TransferAsked("sales", by_phone=True), now=NOW + 20)
    assert of_type(effects, m.EnterQueue)[0].ticket.passes_over == "anna"
    offer = replace(OFFER, call_id="c1~1", agent_id="bert", token=9)
    rung = (m.OfferMade(offer), m.AgentAnswered(b"a"), m.OfferConfirmed(9))
    _, effects = drive(call, *rung, m.TransferAsked("last", by_phone=True), now=NOW + 40)
    assert of_type(effects, m.EnterQueue)[0].ticket.passes_over == "bert"
    wanted = m.TransferAsked("sales", by_phone=False, preferred="anna")
    _, effects = drive(TALKING, wanted, now=NOW + 20)
    assert of_type(effects, m.EnterQueue)[0].ticket.passes_over == ""
    _, effects = drive(TALKING, m.TransferAsked("1002", by_phone=True), now=NOW + 20)
    assert of_type(effects, m.EnterQueue)[0].ticket.passes_over == ""


@pytest.mark.parametrize(
    ("queue", "priority", "age"), [("sales", 7, NOW), ("last", 0, NOW + 20)], ids=["keep", "last"]
)
def test_a_transfer_to_a_queue_frees_the_agent_at_once(queue: str, priority: int, age: float) -> None:
    call, effects = drive(TALKING, m.TransferAsked(queue, by_phone=True), now=NOW + 20)
    assert effects[:4] == [
        m.AnswerRefer(202),
        m.ReportRefer(Side.AGENT, 200),
        m.FinishConversation(OFFER),
        m.ReleaseAgentLeg("transferred"),
    ]
    ticket = of_type(effects, m.EnterQueue)[0].ticket
    assert (ticket.requirement.queue, ticket.priority, ticket.enqueued_ms) == (queue, priority, age * 1000)
    assert (call.agent, call.state) == ("", State.QUEUED)


def test_a_transfer_to_a_number_with_a_flow_starts_the_flow() -> None:
    call, effects = drive(TALKING, m.TransferAsked("+1", by_phone=True), now=NOW + 20)
    assert call.state is State.IVR
    assert of_type(effects, m.PlayToCaller)


@pytest.mark.parametrize(("to", "status"), [("4711", 404), ("1001", 403), ("", 404)])
def test_a_transfer_to_nowhere_or_to_oneself_is_refused_and_the_call_goes_on(to: str, status: int) -> None:
    call, effects = drive(TALKING, m.TransferAsked(to, by_phone=True), now=NOW + 20)
    assert call is TALKING
    assert effects == [m.AnswerRefer(status), m.ReportRefer(Side.AGENT, status)]


def test_an_agent_sends_the_caller_on_over_the_api_with_the_agents_own_name() -> None:
    call, effects = drive(TALKING, m.TransferAsked("sales", by_phone=False, by="anna"), now=NOW + 20)
    assert of_type(effects, m.EnterQueue)[0].ticket.requirement.queue == "sales"
    assert [mark.agent for mark in call.segments if mark.state == "transfer"] == ["anna"]
    assert drive(TALKING, m.TransferAsked("sales", by_phone=False, by="bert"))[1] == []
    waiting, _ = drive(fresh(), *TO_LINE)
    assert drive(waiting, m.TransferAsked("sales", by_phone=False, by="anna"))[1] == []


def test_a_supervisor_moves_a_waiting_caller() -> None:
    call, _ = drive(fresh(), *TO_LINE)
    call, effects = drive(call, m.TransferAsked("1002", by_phone=False), now=NOW + 5)
    assert m.LeaveQueue("c1") in effects
    assert of_type(effects, m.EnterQueue)[0].ticket.requirement.agent == "bert"
    call, effects = drive(call, m.TimerFired(Timer.LONGEST_WAIT, 0), now=NOW + 40)
    assert of_type(effects, m.EnterQueue)[0].ticket.requirement.queue == "billing"


def consult() -> Call:
    """Anna has asked Bert, in a call of her own, and they talk."""
    offer = replace(BERTS_OFFER, call_id="c2")
    call = Call("c2", "a", "1001", "Anna", "1002", "", "anna", started_at=NOW)
    call, _ = drive(call, *TO_LINE, m.OfferMade(offer), m.AgentAnswered(b"a"), m.OfferConfirmed(8))
    return call


def test_an_attended_transfer_joins_the_caller_and_the_colleague() -> None:
    call, effects = drive(TALKING, m.JoinAsked("c2"), now=NOW + 20)
    assert effects == [m.AnswerRefer(202), m.AskHandOver("c2")]
    asked, effects = drive(consult(), m.HandOverAsked("c1"), now=NOW + 20)
    (given,) = of_type(effects, m.HandOver)
    assert not of_type(effects, m.ReleaseAgentLeg)
    assert [done.offer.call_id for done in of_type(effects, m.FinishConversation)] == ["c2~own"]
    assert of_type(effects, m.Close)[0].cause == "transferred"
    assert asked.state is State.ENDED
    call, effects = drive(call, m.TargetJoined(given.offer, given.place, given.holds), now=NOW + 20)
    assert effects == [
        m.FinishConversation(OFFER),
        m.TakeJoined(Side.AGENT, "transferred", 200),
        m.BridgeLegs(),
    ]
    call, effects = drive(call, m.LegOver(Side.AGENT, "remote", 0), now=NOW + 30)
    assert m.FinishConversation(given.offer) in effects
    record = record_of(call, of_type(effects, m.Close)[0], NOW + 30)
    assert (record.agent, record.queue, record.talk_seconds) == ("bert", "billing", 30.0)
    assert [segment.to for segment in record.segments if segment.state == "transfer"] == ["bert"]


def test_joining_with_a_colleague_who_has_not_answered_yet_becomes_a_blind_transfer() -> None:
    waiting, _ = drive(Call("c2", "a", "1001", "Anna", "1002", "", "anna", started_at=NOW), *TO_LINE)
    call, effects = drive(waiting, m.HandOverAsked("c1"))
    assert effects[0] == m.PassOn("c1")
    assert m.LeaveQueue("c2") in effects
    assert call.state is State.ENDED


def test_a_colleague_who_joins_too_late_is_let_go() -> None:
    queued, _ = drive(fresh(), *TO_LINE)
    joined = m.TargetJoined(BERTS_OFFER, Place(EXTENSION_QUEUE, agent="bert"), holds=False)
    assert drive(queued, joined) == (queued, [m.DropJoined()])


def test_a_phone_that_takes_over_goes_on_with_the_call() -> None:
    call, _ = drive(TALKING, m.Reoffered(Side.AGENT, b"a", "sendonly"), now=NOW + 10)
    call, effects = drive(call, m.PhoneMoved(Side.AGENT), now=NOW + 15)
    assert effects == [m.TakeJoined(Side.AGENT, "replaced"), m.BridgeLegs()]
    assert call.hold_seconds == 5
    assert call.talked_seconds == 15


# An agent who made the call sends on whom they reached.

CORAS_OFFER = Offer("c1~1", "cora", EXTENSION_QUEUE, token=9, deadline_ms=30_000)
BERTS_OWN = Offer("c1~own", "bert", EXTENSION_QUEUE, token=6, deadline_ms=30_000)
BERT_TALKS_TO_ANNA = drive(fresh("1001", from_agent="bert"), *TO_TALKING, m.MakerReserved(BERTS_OWN))[0]
TO_CORA = m.TransferAsked("1003", by_phone=True, side=Side.CALLER)
TO_THE_QUEUE = m.TransferAsked("sales", by_phone=True, side=Side.CALLER)
SENT_ON = drive(BERT_TALKS_TO_ANNA, TO_CORA, now=NOW + 20)[0]
CORA_HAS_ANNA = drive(
    SENT_ON, m.OfferMade(CORAS_OFFER), m.AgentAnswered(b"a"), m.OfferConfirmed(9), now=NOW + 25
)[0]


def test_an_agent_who_dials_a_colleague_is_reserved_from_the_first_ring_to_the_end() -> None:
    call, effects = drive(fresh("1001", from_agent="bert"), *TO_LINE)
    own, other = (entered.ticket for entered in of_type(effects, m.EnterQueue))
    assert (own.call_id, own.requirement.agent, own.own, own.priority) == ("c1~own", "bert", True, 99)
    assert (other.call_id, other.requirement.agent, other.own) == ("c1", "anna", True)
    assert own.priority > other.priority, "who calls out is in that call, whoever calls them"
    call, effects = drive(call, m.MakerReserved(BERTS_OWN))
    assert effects == [m.ConfirmMaker(BERTS_OWN)]
    call, effects = drive(call, m.MakerLost(6))
    assert [entered.ticket.call_id for entered in of_type(effects, m.EnterQueue)] == ["c1~own"]
    again = replace(BERTS_OWN, token=8)
    call, _ = drive(call, m.MakerReserved(again))
    call, effects = drive(call, m.LegOver(Side.CALLER, "remote", 0), now=NOW + 5)
    assert m.FinishConversation(again) in effects
    assert drive(call, m.MakerReserved(BERTS_OWN)) == (call, [])


def test_who_is_reserved_for_a_call_that_they_have_left_is_let_go() -> None:
    waiting, _ = drive(fresh("1001", from_agent="bert"), *TO_TALKING)
    left, effects = drive(waiting, TO_THE_QUEUE, now=NOW + 20)
    assert [done.offer.token for done in of_type(effects, m.FinishConversation)] == [0]
    assert drive(left, m.MakerReserved(BERTS_OWN))[1] == [m.LeaveQueue("c1~own", "released")]


def test_whom_an_agent_reached_waits_for_the_third_and_stays_reserved() -> None:
    call, effects = drive(BERT_TALKS_TO_ANNA, TO_CORA, now=NOW + 20)
    assert effects[:3] == [
        m.AnswerRefer(202, Side.CALLER),
        m.ChangeSeats(),
        m.PlaySilence(Side.TRANSFEROR),
    ]
    assert of_type(effects, m.EnterQueue)[0].ticket.requirement.agent == "cora"
    assert not of_type(effects, m.FinishConversation)
    assert (call.state, call.from_agent, call.transferor and call.transferor.agent) == (
        State.QUEUED,
        "anna",
        "bert",
    )
    call, effects = drive(call, m.OfferMade(CORAS_OFFER), m.AgentAnswered(b"a"), now=NOW + 24)
    call, effects = drive(call, m.OfferConfirmed(9), now=NOW + 25)
    assert effects[:3] == [
        m.ReportRefer(Side.TRANSFEROR, 200),
        m.FinishConversation(BERTS_OWN),
        m.ReleaseTransferor("transferred"),
    ]
    assert m.BridgeLegs() in effects
    assert (call.state, call.agent, call.from_agent) == (State.TALKING, "cora", "anna")
    _, effects = drive(call, m.LegOver(Side.CALLER, "remote", 0), now=NOW + 40)
    assert {done.offer for done in of_type(effects, m.FinishConversation)} == {OFFER, CORAS_OFFER}


@pytest.mark.parametrize("holder", [None, Side.CALLER, Side.AGENT])
def test_both_are_back_in_their_seats_where_the_third_does_not_take_it(holder: Side | None) -> None:
    before = BERT_TALKS_TO_ANNA
    if holder:
        before, _ = drive(before, m.Reoffered(holder, b"a", "sendonly"), now=NOW + 10)
    call, _ = drive(before, TO_CORA, m.OfferMade(CORAS_OFFER), now=NOW + 20)
    call, effects = drive(call, m.LegOver(Side.AGENT, "remote", 486), now=NOW + 25)
    assert m.ReportRefer(Side.TRANSFEROR, 486) in effects
    assert m.ChangeSeatsBack() in effects
    assert not of_type(effects, m.FinishConversation)
    assert (call.state, call.agent, call.from_agent) == (State.TALKING, "anna", "bert")
    assert (call.offer, call.place, call.entry) == (before.offer, before.place, before.entry)
    assert (call.held_by, call.seated, call.transferor) == (before.held_by, before.seated, None)


def test_who_was_sent_on_may_send_the_next_on() -> None:
    call, effects = drive(CORA_HAS_ANNA, m.TransferAsked("1002", True, Side.CALLER), now=NOW + 30)
    berts = Offer("c1~2", "bert", EXTENSION_QUEUE, token=10, deadline_ms=30_000)
    failed, _ = drive(call, m.OfferMade(berts), m.LegOver(Side.AGENT, "remote", 603), now=NOW + 33)
    assert (failed.agent, failed.from_agent, failed.seated) == ("cora", "anna", CORA_HAS_ANNA.seated)
    call, effects = drive(call, m.OfferMade(berts), m.AgentAnswered(b"a"), m.OfferConfirmed(10), now=NOW + 35)
    assert m.FinishConversation(OFFER) in effects  # Anna is done
    assert m.FinishConversation(CORAS_OFFER) not in effects
    assert (call.agent, call.from_agent) == ("bert", "cora")


def test_to_a_queue_or_a_flow_they_go_at_once() -> None:
    call, effects = drive(BERT_TALKS_TO_ANNA, TO_THE_QUEUE, now=NOW + 20)
    assert effects[:4] == [
        m.AnswerRefer(202, Side.CALLER),
        m.ReportRefer(Side.CALLER, 200),
        m.ChangeSeats(),
        m.ReleaseTransferor("transferred"),
    ]
    assert m.FinishConversation(BERTS_OWN) in effects
    assert (call.queue, call.from_agent, call.transferor) == ("sales", "anna", None)
    _, effects = drive(call, m.LegOver(Side.CALLER, "remote", 0), now=NOW + 30)
    assert of_type(effects, m.FinishConversation) == [m.FinishConversation(OFFER)]


def test_who_hangs_up_after_sending_on_is_rung_again_where_it_fails() -> None:
    call, effects = drive(SENT_ON, m.LegOver(Side.TRANSFEROR, "remote", 0), now=NOW + 21)
    assert of_type(effects, m.ReleaseTransferor)
    call, effects = drive(call, m.TimerFired(Timer.LONGEST_WAIT, 0), now=NOW + 60)
    assert of_type(effects, m.EnterQueue)[0].ticket.requirement.agent == "bert"


@pytest.mark.parametrize(
    ("call", "to", "status"),
    [
        (BERT_TALKS_TO_ANNA, "4711", 404),
        (BERT_TALKS_TO_ANNA, "1002", 403),  # to himself
        (BERT_TALKS_TO_ANNA, "1001", 403),  # Anna to Anna
        (TALKING, "1002", 403),  # a caller from outside
        (drive(fresh("1001", from_agent="bert"), *TO_LINE)[0], "1003", 403),
        (drive(fresh("1001", from_agent="bert"), *TO_LINE, m.OfferMade(OFFER))[0], "1003", 491),
    ],
)
def test_who_may_not_or_reaches_nobody_is_refused_and_the_call_goes_on(
    call: Call, to: str, status: int
) -> None:
    after, effects = drive(call, m.TransferAsked(to, by_phone=True, side=Side.CALLER), now=NOW + 20)
    assert after is call
    assert effects == [m.AnswerRefer(status, Side.CALLER)]
