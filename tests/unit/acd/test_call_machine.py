"""The call machine as a specification: every state x event, and what must hold on any path."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd.calls import model as m
from acd.calls.callbacks import CallbackOrder
from acd.calls.machine import IGNORED, STEPS, UnexpectedEvent, key_of, step
from acd.calls.model import Call, Place, Side, State, Timer
from acd.calls.outside import Outside
from acd.calls.steps.context import EXTENSION_QUEUE, Context
from acd.calls.steps.ending import record_of
from acd.calls.steps.tickets import ticket_of
from acd.calls.steps.waiting import ANNOUNCEMENT
from acd.directory.model import STANDARD_CODES, Agent, Directory, Number, Queue, Route
from ivr.flow import Echo, FlowDefinition, HangUp, Menu, Play, Set, Transfer
from ivr.flow import Queue as QueueNode
from ivr.interpreter import Noted
from routing.model import Candidate, Decision, Offer, RejectReason, Requirement
from routing.overflow import Situation
from routing.requirement import class_name

BERT = Agent(id="bert", extension="1002")
CORA = Agent(id="cora", extension="1003")
ANNA = Agent(id="anna", extension="1001", skills={"billing": 5}, dialling=("national",))
CONTEXT = Context(
    directory=Directory(
        numbers={
            "+1": Number("+1", flow="main"),
            "+2": Number("+2", queue="billing", priority=7, skills={"vip": 2}, language="et"),
            "+3": Number("+3", flow="echo"),
        },
        skills=frozenset({"billing", "vip", "lang-et"}),
        queues={
            "billing": Queue(
                "billing", requires={"billing": 1}, ring_seconds=15, wrapup_seconds=5, max_wait_seconds=60
            ),
            "sales": Queue("sales"),
            "last": Queue("last", transfer_place="last"),
        },
        codes={code.code: code for code in STANDARD_CODES},
        agents={"anna": ANNA, "bert": BERT, "cora": CORA},
        routes={"+372": Route("+372", "national", ("carrier", "spare"))},
        agent_by_extension={"1001": ANNA, "1002": BERT, "1003": CORA},
    ),
    flows={
        "main": FlowDefinition(
            "main",
            "menu",
            {
                "menu": Menu(("choose",), {"1": "et", "2": "ext", "3": "echo"}, otherwise="bye"),
                "et": Set(next="queue", language="et", priority=3),
                "queue": QueueNode("billing"),
                "ext": Transfer("extension:1001", otherwise="bye"),
                "bye": HangUp(),
                "echo": Echo(),
            },
        ),
        "echo": FlowDefinition("echo", "intro", {"intro": Play(("hi",), "echo"), "echo": Echo()}),
    },
)
OFFER = Offer("c1", "anna", "billing", token=7, deadline_ms=30_000)
BERTS_OFFER = Offer("c1~1", "bert", EXTENSION_QUEUE, token=8, deadline_ms=30_000)
NOW = 1000.0
ORDER = CallbackOrder(id="cb1", queue="billing", number="+37255", created_at=NOW, enqueued_at=NOW)


def fresh(called: str = "+2", from_agent: str = "") -> Call:
    return Call("c1", "a", "+37255", "Ann", called, "carrier", from_agent, started_at=NOW)


def drive(
    call: Call, *events: m.Event, now: float = NOW, context: Context = CONTEXT
) -> tuple[Call, list[m.Effect]]:
    """Feed events one after the other; all effects in order."""
    effects: list[m.Effect] = []
    for event in events:
        call, more = step(context, call, event, now)
        effects += more
    return call, effects


def telling(says: str) -> Context:
    """The centre where callers of billing are told the expected wait so."""
    billing = replace(CONTEXT.directory.queues["billing"], announce_wait=says)
    queues = {**CONTEXT.directory.queues, "billing": billing}
    return replace(CONTEXT, directory=replace(CONTEXT.directory, queues=queues))


TO_ANSWERING = (m.CallArrived(b"o"), m.CallerMediaOpened(b"a"))
TO_LINE = (*TO_ANSWERING, m.CallerConfirmed(None))
TO_OFFERED = (*TO_LINE, m.OfferMade(OFFER))
TO_CONNECTING = (*TO_OFFERED, m.AgentAnswered(b"a"))
TO_TALKING = (*TO_CONNECTING, m.OfferConfirmed(7))
TO_CALLING = (*TO_ANSWERING, m.DialAllowed())

CALLS: dict[State, Call] = {
    State.NEW: drive(fresh(), m.CallArrived(b"o"))[0],
    State.ANSWERING: drive(fresh(), *TO_ANSWERING)[0],
    State.IVR: drive(fresh("+1"), *TO_LINE)[0],
    State.QUEUED: drive(fresh(), *TO_LINE)[0],
    State.OFFERED: drive(fresh(), *TO_OFFERED)[0],
    State.CONNECTING: drive(fresh(), *TO_CONNECTING)[0],
    State.TALKING: drive(fresh(), *TO_TALKING)[0],
    State.CODE: drive(fresh("*14", from_agent="anna"), *TO_LINE)[0],
    State.DIALLING: drive(
        msgspec.structs.replace(fresh(), callback=ORDER),
        *(m.CallbackDue(), m.OfferMade(OFFER), m.AgentAnswered(b"a"), m.OfferConfirmed(7)),
    )[0],
    State.CALLING: drive(fresh("+37255", from_agent="anna"), *TO_CALLING)[0],
    State.FORWARDING: drive(fresh(), *TO_TALKING, m.TransferAsked("+37255", by_phone=True))[0],
    State.ENDED: drive(fresh(), *TO_TALKING, m.LegOver(Side.CALLER, "remote", 0))[0],
}

EVENTS: dict[str, m.Event] = {
    "arrived": m.CallArrived(b"o"),
    "media-opened": m.CallerMediaOpened(b"a"),
    "media-refused": m.CallerMediaRefused(488, "no-common-codec"),
    "caller-known": m.CallerKnown(),
    "confirmed": m.CallerConfirmed(None),
    "caller-gone": m.LegOver(Side.CALLER, "remote", 0),
    "agent-gone": m.LegOver(Side.AGENT, "remote", 486),
    "caller-reoffer": m.Reoffered(Side.CALLER, b"a", "sendrecv"),
    "agent-reoffer": m.Reoffered(Side.AGENT, b"a", "sendonly"),
    "reoffer-answered": m.ReofferAnswered(Side.AGENT, "sendonly"),
    "bad-reoffer": m.ReofferUnusable(Side.CALLER, 488),
    "caller-digit": m.DigitPressed(Side.CALLER, "9"),
    "agent-digit": m.DigitPressed(Side.AGENT, "9"),
    "playback-over": m.PlaybackOver(ANNOUNCEMENT),
    "caller-silent": m.MediaLost(Side.CALLER, "rtp-timeout"),
    "agent-silent": m.MediaLost(Side.AGENT, "rtp-timeout"),
    "ivr-timer": m.TimerFired(Timer.IVR, 999),
    "announce-timer": m.TimerFired(Timer.ANNOUNCE, 0),
    "longest-wait": m.TimerFired(Timer.LONGEST_WAIT, 0),
    "overflow-timer": m.TimerFired(Timer.OVERFLOW, 0),
    "situation": m.SituationKnown("c1", Situation(agent_there=False)),
    "ring-timer": m.TimerFired(Timer.RING, 0),
    "offer": m.OfferMade(OFFER),
    "offer-taken-back": m.OfferTakenBack(7),
    "offer-confirmed": m.OfferConfirmed(7),
    "offer-stale": m.OfferStale(7),
    "agent-answered": m.AgentAnswered(b"a"),
    "agent-unavailable": m.AgentUnavailable("unreachable"),
    "rival-answered": m.RivalAnswered(9),
    "rival-over": m.RivalOver(9, "remote", 486),
    "position": m.PositionKnown(3),
    "clear": m.ClearRequested("operator"),
    "refer": m.TransferAsked("sales", by_phone=True),
    "move": m.TransferAsked("sales", by_phone=False),
    "join": m.JoinAsked("c2"),
    "hand-over": m.HandOverAsked("c2"),
    "hand-over-refused": m.HandOverRefused(),
    "target-joined": m.TargetJoined(BERTS_OFFER, Place(EXTENSION_QUEUE, agent="bert"), holds=False),
    "phone-moved": m.PhoneMoved(Side.AGENT),
    "transferor-gone": m.LegOver(Side.TRANSFEROR, "remote", 0),
    "transferor-silent": m.MediaLost(Side.TRANSFEROR, "rtp-timeout"),
    "transferor-digit": m.DigitPressed(Side.TRANSFEROR, "9"),
    "desk-answered": m.DeskAnswered("paused"),
    "recording-over": m.RecordingOver("other", 2.0, "stopped"),
    "mailbox-opened": m.MailboxOpened(()),
    "callback-due": m.CallbackDue(),
    "callback-answered": m.CallbackAnswered("c1", 3, Noted.NOTED),
    "attempt-allowed": m.AttemptAllowed(1),
    "agent-confirmed": m.AgentConfirmed(None),
    "maker-reserved": m.MakerReserved(replace(OFFER, call_id="c1~own")),
    "maker-lost": m.MakerLost(7),
    "dial-requested": m.DialRequested(),
    "dial-allowed": m.DialAllowed(),
    "dial-forbidden": m.DialForbidden(403, "do-not-call"),
    "number-rings": m.NumberProgressed(180, early=False),
    "number-answered": m.NumberAnswered(),
    "number-unreachable": m.NumberUnreachable("bad-sdp"),
    "outside-joined": m.OutsideJoined(Outside("+37255", "national", (), ""), holds=False),
    "callback-gone": m.CallbackGone("cancelled"),
}

N, A, I, Q, O, C, T, F, D, K, W, E = (state.value for state in State)  # noqa: E741
X = "unexpected"
# Rows: events. Columns: NEW, ANSWERING, IVR, QUEUED, OFFERED, CONNECTING, TALKING, CODE,
# DIALLING, CALLING, FORWARDING, ENDED.
NEXT: dict[str, tuple[str, ...]] = {
    "arrived": (N, X, X, X, X, X, X, X, X, X, X, E),
    "media-opened": (A, X, X, X, X, X, X, X, X, X, X, E),
    "media-refused": (E, X, X, X, X, X, X, X, X, X, X, E),
    "caller-known": (N, X, X, X, X, X, X, X, X, X, X, E),
    "confirmed": (X, Q, I, Q, O, C, T, F, D, K, W, E),
    "caller-gone": (E, E, E, E, E, E, E, E, E, E, E, E),
    "agent-gone": (E, X, I, Q, Q, E, E, X, E, E, T, E),
    "caller-reoffer": (N, A, I, Q, O, C, T, F, D, K, W, E),
    "agent-reoffer": (N, A, I, Q, O, C, T, F, D, K, W, E),
    "reoffer-answered": (N, A, I, Q, O, C, T, F, D, K, W, E),
    "bad-reoffer": (N, A, I, Q, O, C, T, F, D, K, W, E),
    "caller-digit": (X, A, I, Q, O, C, T, F, D, K, W, E),
    "agent-digit": (X, X, I, Q, O, C, T, X, D, K, W, E),
    "playback-over": (X, X, I, Q, O, C, T, E, D, K, W, E),
    "caller-silent": (E, E, E, E, E, E, E, E, E, K, E, E),
    "agent-silent": (N, X, I, Q, O, E, E, X, E, K, E, E),
    "ivr-timer": (X, X, I, Q, O, C, T, F, D, X, W, E),
    "announce-timer": (X, X, I, Q, O, C, T, X, D, X, W, E),
    "longest-wait": (X, X, I, E, O, C, T, X, D, X, W, E),
    "overflow-timer": (X, X, I, Q, O, C, T, X, D, X, W, E),
    "situation": (X, X, I, Q, O, C, T, X, D, X, W, E),
    "ring-timer": (X, X, I, Q, Q, C, T, X, E, E, T, E),
    "offer": (X, X, I, O, O, C, T, X, D, K, W, E),
    "offer-taken-back": (X, X, I, Q, Q, Q, T, X, D, K, W, E),
    "offer-confirmed": (X, X, I, Q, O, T, T, X, D, K, W, E),
    "offer-stale": (X, X, I, Q, O, Q, T, X, D, K, W, E),
    "agent-answered": (X, X, I, Q, C, C, T, X, D, K, W, E),
    "agent-unavailable": (X, X, I, Q, Q, C, T, X, D, E, W, E),
    "rival-answered": (X, X, I, Q, O, C, T, X, X, X, W, E),
    "rival-over": (X, X, I, Q, O, C, T, X, X, X, W, E),
    "position": (X, X, I, Q, O, C, T, X, D, X, W, E),
    "clear": (E, E, E, E, E, E, E, E, E, E, E, E),
    "refer": (N, A, I, Q, O, C, Q, F, D, K, W, E),
    "move": (N, A, Q, Q, O, C, Q, F, D, K, W, E),
    "join": (X, X, I, Q, O, C, T, X, D, K, W, E),
    "hand-over": (E, E, E, E, E, E, E, E, E, E, E, E),
    "hand-over-refused": (X, X, I, Q, O, C, T, X, D, K, W, E),
    "target-joined": (N, A, I, Q, O, C, T, F, D, K, W, E),
    "phone-moved": (N, A, I, Q, O, C, T, F, D, K, W, E),
    "transferor-gone": (X, X, I, Q, O, C, T, X, X, X, W, E),
    "transferor-silent": (X, X, I, Q, O, C, T, X, X, X, W, E),
    "transferor-digit": (X, X, I, Q, O, C, T, X, X, X, W, E),
    "desk-answered": (X, X, X, X, X, X, X, F, X, X, X, E),
    "recording-over": (X, X, I, Q, O, C, T, X, D, X, W, E),
    "mailbox-opened": (X, X, X, X, X, X, X, F, X, X, X, E),
    "callback-due": (N, X, X, X, X, X, X, X, X, X, X, E),
    "callback-answered": (X, X, I, Q, O, C, T, X, X, X, W, E),
    "attempt-allowed": (X, X, X, Q, O, C, T, X, D, X, W, E),
    "agent-confirmed": (N, A, I, Q, O, C, T, F, D, K, W, E),
    "maker-reserved": (N, A, I, Q, O, C, T, F, D, K, W, E),
    "maker-lost": (N, A, I, Q, O, C, T, F, D, K, W, E),
    "dial-requested": (N, X, X, X, X, X, X, X, X, X, X, E),
    "dial-allowed": (N, X, I, Q, O, C, T, X, X, K, W, E),
    "dial-forbidden": (E, X, I, Q, O, C, T, X, X, K, T, E),
    "number-rings": (X, X, I, Q, O, C, T, X, D, K, W, E),
    "number-answered": (X, X, I, Q, O, C, T, X, T, T, T, E),
    "number-unreachable": (X, X, I, Q, O, C, T, X, E, E, T, E),
    "outside-joined": (N, A, I, Q, O, C, T, F, D, K, W, E),
    "callback-gone": (X, X, X, Q, O, C, T, X, E, K, W, E),
}


def test_the_table_names_every_event_type() -> None:
    assert {type(event) for event in EVENTS.values()} == set(m.Event.__args__)
    assert set(NEXT) == set(EVENTS)


@pytest.mark.parametrize("state", list(State), ids=lambda state: state.value)
@pytest.mark.parametrize("name", list(EVENTS))
def test_every_state_and_event(state: State, name: str) -> None:
    expected = NEXT[name][list(State).index(state)]
    call = CALLS[state]
    if expected == X:
        with pytest.raises(UnexpectedEvent):
            step(CONTEXT, call, EVENTS[name], NOW + 1)
        return
    after, effects = step(CONTEXT, call, EVENTS[name], NOW + 1)
    assert after.state.value == expected
    if state is State.ENDED:
        assert effects == ()
        assert after is call
    elif after.state is State.ENDED:
        assert_leaves_nothing_behind(state, list(effects))


def assert_leaves_nothing_behind(state: State, effects: list[m.Effect]) -> None:
    kinds = Counter(type(effect) for effect in effects)
    assert kinds[m.Close] == 1
    assert kinds[m.HangUp] == 1
    assert isinstance(effects[-1], m.Close)
    given = kinds[m.HandOver]
    with_agent = CALLS[state].has_agent_leg
    assert (kinds[m.ReleaseAgentLeg] + given == 1) == with_agent
    assert (kinds[m.LeaveQueue] == 1) == (state in (State.QUEUED, State.OFFERED, State.CONNECTING))
    talks = state in (State.TALKING, State.DIALLING, State.CALLING) or CALLS[state].transferor is not None
    assert (kinds[m.FinishConversation] + given == 1) == talks


def test_no_pair_is_both_a_step_and_ignored() -> None:
    for state, keys in IGNORED.items():
        assert not keys & set(STEPS[state])
        assert keys | set(STEPS[state]) >= {key_of(m.ClearRequested("x"))}


# Stories.


def of_type(effects: list[m.Effect], kind: type[Any]) -> list[Any]:
    return [effect for effect in effects if isinstance(effect, kind)]


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
