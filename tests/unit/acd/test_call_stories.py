"""Stories of calls, event by event, as the call machine tells them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd.calls import model as m
from acd.calls.machine import UnexpectedEvent, step
from acd.calls.model import Call, Place, Side, State, Timer
from acd.calls.steps.context import EXTENSION_QUEUE
from acd.calls.steps.ending import record_of
from acd.calls.steps.tickets import ticket_of
from acd.calls.steps.waiting import ANNOUNCEMENT
from acd.directory.model import Queue
from routing.model import Candidate, Decision, Offer, RejectReason, Requirement
from routing.requirement import class_name
from tests.support.call_cases import (
    CALLS,
    CONTEXT,
    EVENTS,
    NOW,
    OFFER,
    TO_ANSWERING,
    TO_CONNECTING,
    TO_LINE,
    TO_OFFERED,
    TO_TALKING,
    drive,
    fresh,
    of_type,
    telling,
)

# Stories.


def test_a_call_reaches_an_agent_and_ends_in_one_record() -> None:
    call, effects = drive(fresh(), *TO_TALKING)
    assert of_type(effects, m.RingAgent) == [m.RingAgent(OFFER)]
    assert of_type(effects, m.ConfirmOffer) == [m.ConfirmOffer(OFFER)]
    assert of_type(effects, m.BridgeLegs)
    call, effects = drive(call, m.LegOver(Side.AGENT, "remote", 0), now=NOW + 30)
    close = of_type(effects, m.Close)[0]
    record = record_of(call, close, NOW + 30)
    assert (record.outcome, record.hangup_side, record.cause) == ("answered", "agent", "normal")
    assert (record.queue, record.agent, record.talk_seconds) == ("billing", "anna", 30.0)
    assert [segment.state for segment in record.segments] == [
        *("new", "answering", "queued", "offered", "connecting", "talking", "ended")
    ]


def test_the_store_hears_of_the_end_before_any_audio_is_closed() -> None:
    """The agent's next caller waits for the word to the store; closing a leg waits for the media worker."""
    talking, _ = drive(fresh(), *TO_TALKING)
    _, effects = drive(talking, m.LegOver(Side.CALLER, "remote", 0), now=NOW + 30)
    kinds = [type(effect) for effect in effects]
    assert kinds.index(m.FinishConversation) < kinds.index(m.ReleaseAgentLeg)
    ringing, _ = drive(fresh(), *TO_LINE, m.OfferMade(OFFER))
    _, effects = drive(ringing, m.LegOver(Side.AGENT, "remote", 486), now=NOW + 5)
    kinds = [type(effect) for effect in effects]
    assert kinds.index(m.RejectOffer) < kinds.index(m.ReleaseAgentLeg)


def test_a_number_gives_its_calls_priority_skills_and_language() -> None:
    _, effects = drive(fresh(), *TO_LINE)
    ticket = of_type(effects, m.EnterQueue)[0].ticket
    assert ticket.priority == 7
    assert ticket.requirement.skills == (("billing", 1), ("lang-et", 1), ("vip", 2))


def test_the_language_chosen_in_the_menu_is_asked_of_the_agent() -> None:
    call, _ = drive(fresh("+1"), *TO_LINE)
    call, effects = drive(call, m.DigitPressed(Side.CALLER, "1"))
    ticket = of_type(effects, m.EnterQueue)[0].ticket
    assert (call.state, ticket.requirement.skills) == (State.QUEUED, (("billing", 1), ("lang-et", 1)))
    assert ticket.priority == 3


@pytest.mark.parametrize(
    ("status", "by", "reason"),
    [
        (486, "remote", RejectReason.BUSY),
        (600, "remote", RejectReason.BUSY),
        (603, "remote", RejectReason.REJECTED),
        (480, "remote", RejectReason.REJECTED),
        (404, "remote", RejectReason.UNREACHABLE),
        (408, "timeout", RejectReason.NO_ANSWER),
        (503, "transport", RejectReason.UNREACHABLE),
    ],
)
def test_an_agent_who_does_not_take_the_call_leaves_the_caller_in_place(
    status: int, by: Any, reason: RejectReason
) -> None:
    call, _ = drive(fresh(), *TO_OFFERED)
    call, effects = drive(call, m.LegOver(Side.AGENT, by, status), now=NOW + 4)
    assert call.state is State.QUEUED
    assert call.enqueued_at == NOW
    (rejection,) = of_type(effects, m.RejectOffer)
    assert (rejection.offer, rejection.refusal.reason) == (OFFER, reason)
    assert not of_type(effects, m.EnterQueue)
    again, effects = drive(call, m.OfferMade(replace(OFFER, agent_id="bert", token=8)))
    assert (again.state, again.agent, again.offers) == (State.OFFERED, "bert", 2)


def test_attempts_for_a_call_that_nobody_takes_are_bounded() -> None:
    call, _ = drive(fresh(), *TO_LINE)
    for n in range(300):
        offer = replace(OFFER, token=n)
        call, _ = drive(call, m.OfferMade(offer), m.LegOver(Side.AGENT, "remote", 486), now=NOW + n / 10)
    assert len(call.attempts) == 200
    assert call.attempts[-1].at == NOW + 29.9


@pytest.mark.parametrize(
    ("rules", "first_ms", "limit_ms"),
    [
        (Queue("q", wrapup_seconds=5), 5_000, 0),
        (Queue("q", wrapup_seconds=5, wrapup_mode="extendable", wrapup_limit_seconds=60), 5_000, 60_000),
        (Queue("q", wrapup_seconds=5, wrapup_mode="until-ended", wrapup_limit_seconds=60), 60_000, 60_000),
    ],
)
def test_the_queues_way_of_wrapping_up_goes_with_its_calls(
    rules: Queue, first_ms: int, limit_ms: int
) -> None:
    context = replace(CONTEXT, directory=replace(CONTEXT.directory, queues={"q": rules}))
    call = msgspec.structs.replace(CALLS[State.QUEUED], place=Place("q"))
    ticket = ticket_of(context, call)
    assert (ticket.wrapup_ms, ticket.wrapup_limit_ms) == (first_ms, limit_ms)


def test_each_agent_who_was_rung_is_written_down_with_the_reason() -> None:
    needs = Requirement("billing", (("billing", 1), ("lang-et", 1), ("vip", 2)))
    decision = Decision("agent", class_name(needs), (Candidate("anna", 1, 2),))
    call, _ = drive(fresh(), *TO_LINE)
    call, _ = drive(call, m.OfferMade(replace(OFFER, decision=decision)), now=NOW + 1)
    call, _ = drive(call, m.LegOver(Side.AGENT, "remote", 486), now=NOW + 4)
    call, _ = drive(call, m.OfferMade(replace(OFFER, agent_id="bert", token=8)), now=NOW + 5)
    call, effects = drive(call, m.LegOver(Side.CALLER, "remote", 0), now=NOW + 7)
    first, second = record_of(call, of_type(effects, m.Close)[0], NOW + 7).attempts
    assert (first.agent, first.at, first.result, first.ring_seconds) == ("anna", NOW + 1, "busy", 3.0)
    assert (first.needs, first.decision) == ("billing 1, lang-et 1, vip 2", decision)
    assert (second.agent, second.result, second.ring_seconds) == ("bert", "ended", 2.0)


def test_the_agent_who_answered_is_the_last_attempt() -> None:
    call, _ = drive(fresh(), *TO_TALKING)
    assert [(attempt.agent, attempt.result) for attempt in call.attempts] == [("anna", "answered")]
    call, _ = drive(call, m.LegOver(Side.AGENT, "remote", 0), now=NOW + 30)
    assert len(call.attempts) == 1


def test_an_unanswered_ring_is_given_back_after_the_ring_time() -> None:
    call, effects = drive(fresh(), *TO_OFFERED)
    assert m.StartTimer(Timer.RING, 15) in effects
    _, effects = drive(call, m.TimerFired(Timer.RING, 0))
    assert of_type(effects, m.RejectOffer)[0].refusal.reason is RejectReason.NO_ANSWER
    assert of_type(effects, m.ReleaseAgentLeg)


def test_an_answer_that_came_too_late_lets_the_phone_go_and_says_the_place_again() -> None:
    call, before = drive(fresh(), *TO_CONNECTING)
    call, effects = drive(call, m.OfferStale(7))
    assert call.state is State.QUEUED
    assert of_type(effects, m.EnterQueue) == of_type(before, m.EnterQueue)
    assert of_type(effects, m.ReleaseAgentLeg)


def test_words_about_an_older_offer_change_nothing() -> None:
    for story, state in ((TO_OFFERED, State.OFFERED), (TO_CONNECTING, State.CONNECTING)):
        call, _ = drive(fresh(), *story)
        call, effects = drive(call, m.OfferTakenBack(6))
        assert (call.state, effects) == (state, [])


def test_hold_plays_music_to_the_held_party_and_is_counted() -> None:
    call, _ = drive(fresh(), *TO_TALKING)
    call, effects = drive(call, m.Reoffered(Side.AGENT, b"a", "sendonly"), now=NOW + 10)
    assert effects == [
        m.AcceptReoffer(Side.AGENT, b"a"),
        m.PlayMusic(Side.CALLER, "hold-music"),
        m.PlaySilence(Side.AGENT),
    ]
    call, effects = drive(call, m.Reoffered(Side.AGENT, b"b", "sendrecv"), now=NOW + 25)
    assert effects == [m.AcceptReoffer(Side.AGENT, b"b"), m.BridgeLegs()]
    assert call.hold_seconds == 15


def test_a_call_that_ends_on_hold_counts_the_hold() -> None:
    call, _ = drive(fresh(), *TO_TALKING)
    call, _ = drive(call, m.Reoffered(Side.CALLER, b"a", "inactive"), now=NOW + 10)
    call, _ = drive(call, m.LegOver(Side.CALLER, "remote", 0), now=NOW + 14)
    assert call.hold_seconds == 4


def test_a_caller_who_holds_while_waiting_is_still_held_when_answered() -> None:
    call, _ = drive(fresh(), *TO_LINE, m.Reoffered(Side.CALLER, b"a", "sendonly"))
    _, effects = drive(call, m.OfferMade(OFFER), m.AgentAnswered(b"a"), m.OfferConfirmed(7))
    assert m.PlayMusic(Side.AGENT, "hold-music") in effects
    assert not of_type(effects, m.BridgeLegs)


def test_a_re_invite_that_only_moves_media_is_no_hold() -> None:
    call, _ = drive(fresh(), *TO_TALKING)
    _, effects = drive(call, m.Reoffered(Side.CALLER, b"a", "sendrecv"))
    assert effects == [m.AcceptReoffer(Side.CALLER, b"a")]


def test_the_longest_wait_ends_the_call_but_never_cuts_a_ringing_agent_short() -> None:
    call, _ = drive(fresh(), *TO_OFFERED)
    call, effects = drive(call, m.TimerFired(Timer.LONGEST_WAIT, 0), now=NOW + 60)
    assert (call.state, effects) == (State.OFFERED, [])
    call, effects = drive(call, m.TimerFired(Timer.RING, 0), now=NOW + 65)
    assert call.state is State.ENDED
    assert of_type(effects, m.Close)[0].outcome == "timed-out"
    assert of_type(effects, m.RejectOffer)
    assert of_type(effects, m.LeaveQueue)


def test_a_transfer_to_an_extension_reserves_that_agent_first() -> None:
    call, _ = drive(fresh("+1"), *TO_LINE)
    call, effects = drive(call, m.DigitPressed(Side.CALLER, "2"))
    ticket = of_type(effects, m.EnterQueue)[0].ticket
    assert (ticket.requirement.agent, ticket.requirement.skills) == ("anna", ())
    call, effects = drive(call, m.TimerFired(Timer.LONGEST_WAIT, 0), now=NOW + 31)
    assert isinstance(effects[0], m.LeaveQueue)
    assert call.state is State.ENDED
    assert of_type(effects, m.Close)[0].outcome == "completed"


def test_an_agent_dials_a_colleague_and_a_stranger_cannot() -> None:
    call, _ = drive(fresh("1001", from_agent="bert"), *TO_LINE)
    assert (call.queue, call.state) == (EXTENSION_QUEUE, State.QUEUED)
    call, effects = drive(fresh("1001"), m.CallArrived(b"o"))
    assert [refusal.status for refusal in of_type(effects, m.RefuseCaller)] == [404]
    assert of_type(effects, m.Close)[0].outcome == "rejected"


@pytest.mark.parametrize("status", [486, 603, 404])
def test_a_colleague_who_does_not_take_the_call_is_not_rung_for_it_again(status: int) -> None:
    call, _ = drive(fresh("1001", from_agent="bert"), *TO_LINE)
    offer = replace(OFFER, call_id=call.entry, queue=EXTENSION_QUEUE)
    call, effects = drive(call, m.OfferMade(offer), m.LegOver(Side.AGENT, "remote", status), now=NOW + 3)
    (closing,) = of_type(effects, m.Close)
    assert (call.state, closing.outcome, closing.cause) == (State.ENDED, "unanswered", "not-taken")


@pytest.mark.parametrize(
    ("dialled", "state"),
    [("1001", State.QUEUED), ("+2", State.QUEUED), ("+1", State.IVR), ("*43", State.IVR)],
)
def test_an_agent_who_calls_somebody_here_is_reserved_until_they_hang_up(dialled: str, state: State) -> None:
    call, effects = drive(fresh(dialled, from_agent="bert"), *TO_LINE)
    assert call.state is state
    own = of_type(effects, m.EnterQueue)[0].ticket
    assert (own.requirement.agent, own.own, own.wrapup_ms) == ("bert", True, 0)
    for asked in of_type(effects, m.EnterQueue)[1:]:
        assert asked.ticket.passes_over == ("" if asked.ticket.requirement.agent else "bert")
    reserved = Offer(own.call_id, "bert", EXTENSION_QUEUE, token=3, deadline_ms=0)
    call, effects = drive(call, m.MakerReserved(reserved))
    assert effects == [m.ConfirmMaker(reserved)]
    _, effects = drive(call, m.LegOver(Side.CALLER, "remote", 0))
    assert of_type(effects, m.FinishConversation) == [m.FinishConversation(reserved)]


def test_who_listens_to_messages_or_asks_the_desk_is_reserved_for_no_call() -> None:
    _, effects = drive(fresh("*14", from_agent="bert"), *TO_LINE)
    assert of_type(effects, m.EnterQueue) == []


def test_the_first_announcement_says_that_all_are_busy_then_only_the_place() -> None:
    call, _ = drive(fresh(), *TO_LINE)
    call, effects = drive(call, m.TimerFired(Timer.ANNOUNCE, 0), m.PositionKnown(3))
    assert of_type(effects, m.PlayToCaller)[0].prompts == ("please-wait", "position-3")
    call, effects = drive(call, m.PlaybackOver(ANNOUNCEMENT))
    assert effects == [m.PlayMusic(Side.CALLER, "hold-music")]
    _, effects = drive(call, m.PositionKnown(2))
    assert of_type(effects, m.PlayToCaller)[0].prompts == ("position-2",)


@pytest.mark.parametrize(
    ("says", "place"), [("never", ("position-3",)), ("also", ("position-3",)), ("instead", ())]
)
def test_who_waits_is_told_the_expected_wait_where_the_queue_says_so(
    says: str, place: tuple[str, ...]
) -> None:
    context = telling(says)
    call, _ = drive(fresh(), *TO_LINE, context=context)
    call, effects = drive(call, m.PositionKnown(3, 250.0), context=context)
    wait = () if says == "never" else ("wait-5",)
    assert of_type(effects, m.PlayToCaller)[0].prompts == ("please-wait", *place, *wait)


def test_a_wait_is_told_again_once_it_is_shorter_and_not_where_it_has_grown_a_little() -> None:
    context = telling("instead")
    call, _ = drive(fresh(), *TO_LINE, context=context)
    said = []
    for seconds in (None, 250.0, 280.0, 350.0, 170.0, 500.0):
        call, effects = drive(call, m.PositionKnown(3, seconds), context=context)
        said.append([effect.prompts for effect in of_type(effects, m.PlayToCaller)])
    assert said == [
        [("please-wait",)],
        [("wait-5",)],
        [],
        [],
        [("wait-3",)],
        [("wait-10",)],
    ]


@pytest.mark.parametrize(
    ("story", "event", "outcome", "cause"),
    [
        (TO_ANSWERING, m.LegOver(Side.CALLER, "remote", 487), "abandoned", "cancelled"),
        (TO_ANSWERING, m.LegOver(Side.CALLER, "timeout", 0), "failed", "no-ack"),
        (TO_LINE, m.LegOver(Side.CALLER, "remote", 0), "abandoned", "normal"),
        (TO_LINE, m.LegOver(Side.CALLER, "transport", 503), "failed", "transport"),
        (TO_LINE, m.ClearRequested("operator"), "cleared", "operator"),
        (TO_TALKING, m.ClearRequested("operator"), "answered", "operator"),
        (TO_TALKING, m.MediaLost(Side.AGENT, "rtp-timeout"), "answered", "rtp-timeout"),
    ],
)
def test_each_end_has_its_outcome(story: Any, event: m.Event, outcome: str, cause: str) -> None:
    _, effects = drive(fresh(), *story, event)
    close = of_type(effects, m.Close)[0]
    assert (close.outcome, close.cause) == (outcome, cause)


def test_hanging_up_in_the_echo_is_no_abandon() -> None:
    call, _ = drive(fresh("+3"), *TO_LINE)
    assert call.run is not None
    call, effects = drive(call, m.PlaybackOver(call.run.step), m.LegOver(Side.CALLER, "remote", 0))
    assert of_type(effects, m.PlayEcho)
    assert of_type(effects, m.Close)[0].outcome == "completed"


@pytest.mark.parametrize("state", list(State), ids=lambda state: state.value)
def test_a_call_can_be_written_down_in_every_state(state: State) -> None:
    call = CALLS[state]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(call), type=Call) == call


STARTS = [("+1", ""), ("+2", ""), ("+3", ""), ("+37255", "anna")]


@given(st.lists(st.sampled_from(list(EVENTS)), max_size=30), st.sampled_from(STARTS))
def test_any_path_ends_once_and_never_forgets_what_it_holds(names: list[str], start: tuple[str, str]) -> None:
    called, agent = start
    call, effects = drive(fresh(called, from_agent=agent), m.CallArrived(b"o"))
    for name in names:
        try:
            call, more = step(CONTEXT, call, EVENTS[name], NOW + 1)
        except UnexpectedEvent:
            continue
        effects += more
    call, more = step(CONTEXT, call, m.ClearRequested("operator"), NOW + 2)
    effects += more
    kinds = Counter(type(effect) for effect in effects)
    assert call.state is State.ENDED
    assert kinds[m.Close] == 1
    released = kinds[m.ReleaseAgentLeg] + kinds[m.ReleaseTransferor] + kinds[m.HandOver]
    forwarded = sum(segment.state == State.FORWARDING for segment in call.segments)
    assert kinds[m.RingAgent] + bool(kinds[m.SeatAgent]) + forwarded == released
    assert call.transferor is None
    assert call.held_since is None
    record_of(call, of_type(effects, m.Close)[0], NOW + 2)


# Feature codes.


@pytest.mark.parametrize(
    ("dialled", "action", "reason"),
    [
        ("*11", "sign-in", ""),
        ("*12", "sign-out", ""),
        ("*13", "pause", ""),
        ("*132", "pause", "lunch"),
        ("*14", "resume", ""),
        ("*15", "end-wrapup", ""),
    ],
)
def test_a_code_is_carried_out_confirmed_and_hung_up(dialled: str, action: Any, reason: str) -> None:
    call, effects = drive(fresh(dialled, from_agent="anna"), *TO_LINE)
    assert effects[-1] == m.AskDesk("anna", action, reason)
    call, effects = drive(call, m.DeskAnswered("paused"))
    assert of_type(effects, m.PlayToCaller)[0].prompts == ("paused",)
    call, effects = drive(call, m.PlaybackOver(0))
    assert (call.state, of_type(effects, m.Close)[0].outcome) == (State.ENDED, "completed")


def test_the_code_for_voicemail_says_to_who_has_no_box_that_there_are_no_messages() -> None:
    _, effects = drive(fresh("*97", from_agent="anna"), *TO_LINE)
    assert of_type(effects, m.PlayToCaller)[0].prompts == ("no-messages",)


def test_the_code_for_echo_starts_the_echo_flow() -> None:
    call, _ = drive(fresh("*43", from_agent="anna"), *TO_LINE)
    assert (call.state, call.run.flow if call.run else "") == (State.IVR, "echo")


@pytest.mark.parametrize(
    ("dialled", "agent"), [("*99", "anna"), ("*139", "anna"), ("*", "anna"), ("*11", "")]
)
def test_an_unknown_code_and_a_stranger_who_dials_one_are_refused(dialled: str, agent: str) -> None:
    _, effects = drive(fresh(dialled, from_agent=agent), m.CallArrived(b"o"))
    assert [refusal.status for refusal in of_type(effects, m.RefuseCaller)] == [404]


@pytest.mark.parametrize("then", [(), (m.OfferMade(Offer("c1", "bert", "billing", 9, 0)),)])
def test_an_answer_that_counts_after_the_offer_was_given_up_frees_the_agent_and_keeps_the_place(
    then: tuple[m.Event, ...],
) -> None:
    """A store that lost the end of the reservation took the accept that was still under way."""
    call, _ = drive(fresh(), *TO_CONNECTING, m.OfferTakenBack(7), *then)
    after, effects = drive(call, m.OfferConfirmed(7, OFFER))
    assert after == call
    assert m.FinishConversation(OFFER, wrapup=False) in effects
    assert any(isinstance(effect, m.EnterQueue) for effect in effects)
    assert drive(call, m.OfferConfirmed(7))[1] == []
