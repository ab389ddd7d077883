"""A caller keeps the place and hangs up; the call back is made when the place is due, and ends once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from acd.agents.terms import SKILL_QUEUE, profile_of
from acd.calls import model as m
from acd.calls.callbacks import CallbackOrder, entry_of, read_order
from acd.calls.keeper import CallbackKeeper
from acd.calls.machine import step
from acd.calls.model import Call, Side, State, Timer
from acd.calls.outside import Outside, Way
from acd.calls.outward import NotAllowed, outside_for_callback, shown_number
from acd.calls.record import CallRecord
from acd.calls.steps.context import EXTENSION_QUEUE, NO_QUEUES, Context
from acd.calls.steps.ending import record_of
from acd.calls.steps.tickets import ticket_of
from acd.directory.model import (
    OWN_QUEUES,
    Agent,
    CallbackRules,
    Directory,
    Number,
    Queue,
    Route,
    Trunk,
    TrunkHost,
)
from acd.directory.schema.queues import QueueEntry
from acd.errors import AcdError
from acd.sip.core import events as sip
from ivr.flow import Callback, FlowDefinition
from ivr.flow import Queue as QueueNode
from ivr.interpreter import Noted
from routing.model import CallbackOver, Offer, Requirement
from routing.requirement import eligible
from tests.support.call_bench import Bench
from tests.support.call_cases import TO_LINE, of_type
from tests.support.clock import FakeClock

NOW = 1000.0
RULES = CallbackRules(digit="1", numbers=("+3725",), ring_seconds=20)
ANNA = Agent(id="anna", extension="1001")
CONTEXT = Context(
    directory=Directory(
        trunks={"carrier": Trunk("carrier", (), country="EE", hosts=(TrunkHost("192.0.2.7"),))},
        routes={
            "+372": Route("+372", "national", ("carrier", "spare")),
            "+372900": Route("+372900", "premium", ("carrier",)),
        },
        numbers={"+2": Number("+2", queue="billing", priority=7), "+3": Number("+3", flow="later")},
        queues={
            "billing": Queue(
                "billing", ring_seconds=15, wrapup_seconds=5, max_wait_seconds=60, callback=RULES
            ),
            "sales": Queue("sales"),
        },
        agents={"anna": ANNA},
    ),
    flows={
        "callback": FlowDefinition("callback", "ask", {"ask": Callback()}),
        "later": FlowDefinition(
            "later", "ask", {"ask": Callback("billing", otherwise="wait"), "wait": QueueNode("billing")}
        ),
    },
)
ORDER = CallbackOrder(
    id="cb1",
    queue="billing",
    number="+3725550001",
    called="+2",
    trunk="carrier",
    created_at=NOW,
    enqueued_at=NOW - 300,
    ring_seconds=20,
)
CUSTOMER = Outside(
    "+3725550001", "national", (Way("carrier", "+3725550001"), Way("spare", "+3725550001")), "+2"
)
OFFER = Offer("c2", "anna", "billing", token=7, deadline_ms=30_000)
TO_DIALLING = (m.CallbackDue(), m.OfferMade(OFFER), m.AgentAnswered(b"a"), m.OfferConfirmed(7))
FIRST_CUSTOMER = (m.CallbackDue(), m.OfferMade(OFFER))


def waiting(called: str = "+2", caller: str = "+3725550001") -> Call:
    return Call("c1", "a", caller, "Ann", called, "carrier", "", started_at=NOW)


def errand(first: str = "agent") -> Call:
    order = msgspec.structs.replace(ORDER, first=first)
    return Call(
        "c2", "a", order.number, "", "+2", "carrier", "", NOW, ranked_at=order.enqueued_at, callback=order
    )


def drive(call: Call, *events: m.Event, now: float = NOW) -> tuple[Call, list[m.Effect]]:
    effects: list[m.Effect] = []
    for event in events:
        call, more = step(CONTEXT, call, event, now)
        effects += more
    return call, effects


def press(call: Call, digits: str, now: float = NOW) -> tuple[Call, list[m.Effect]]:
    return drive(call, *(m.DigitPressed(Side.CALLER, digit) for digit in digits), now=now)


def asked(digits: str, **changes: Any) -> tuple[Call, m.NoteCallback | None]:
    call, _ = drive(waiting(**changes), *TO_LINE)
    call, effects = press(call, digits, now=NOW + 30)
    return call, next(iter(of_type(effects, m.NoteCallback)), None)


def record(call: Call, effects: list[m.Effect]) -> CallRecord:
    return record_of(call, of_type(effects, m.Close)[0], NOW + 60)


# The wish.


def test_a_waiting_caller_keeps_the_place_and_hangs_up() -> None:
    call, note = asked("11")
    assert call.state is State.QUEUED
    assert note is not None
    order = note.order
    assert (order.id, order.queue, order.number, order.enqueued_at) == ("c1", "billing", "+3725550001", NOW)
    assert (order.priority, order.first, order.expires_at) == (7, "agent", NOW + 30 + 28_800)
    call, effects = drive(call, m.CallbackAnswered("c1", note.step, Noted.NOTED), now=NOW + 31)
    assert effects[0] == m.LeaveQueue("c1", "released")
    assert effects.index(m.MakeCallback()) > 0
    assert of_type(effects, m.PlayToCaller)[0].prompts == ("callback-noted", "goodbye")
    call, effects = drive(call, m.LegOver(Side.CALLER, "remote", 0), now=NOW + 33)
    assert (record(call, effects).outcome, record(call, effects).callback) == ("callback", "c1")
    assert record(call, effects).wait_seconds == 31.0


def test_who_hears_it_to_the_end_is_hung_up_and_is_no_abandon() -> None:
    call, note = asked("11")
    assert note is not None
    call, effects = drive(call, m.CallbackAnswered("c1", note.step, Noted.NOTED))
    call, effects = drive(call, m.PlaybackOver(of_type(effects, m.PlayToCaller)[0].playback))
    assert call.state is State.ENDED
    assert record(call, effects).outcome == "callback"


def test_a_second_wish_for_the_number_is_merged_into_the_first() -> None:
    call, note = asked("11")
    assert note is not None
    call, effects = drive(call, m.CallbackAnswered("c1", note.step, Noted.KNOWN))
    assert m.LeaveQueue("c1", "released") in effects
    assert not of_type(effects, m.MakeCallback)
    assert of_type(effects, m.PlayToCaller)[0].prompts == ("callback-known", "goodbye")


@pytest.mark.parametrize(
    ("digits", "number"),
    [
        ("12" + "5550002" + "#1", "+3725550002"),
        ("12" + "003725550002" + "#1", "+3725550002"),
        ("12" + "+" + "#1", None),
        ("12" + "090012345" + "#1", None),
        ("1*", None),
        ("2", None),
    ],
)
def test_another_number_may_be_entered_where_the_queue_allows_it(digits: str, number: str | None) -> None:
    call, note = asked(digits)
    assert (note.order.number if note else None) == number
    assert call.state is State.QUEUED


def test_a_caller_without_a_number_enters_one() -> None:
    _, note = asked("1" + "5550002#1", caller="anonymous")
    assert note is not None
    assert note.order.number == "+3725550002"


def test_without_numbers_allowed_there_is_only_the_callers_own() -> None:
    rules = replace(RULES, numbers=())
    queues = {"billing": Queue("billing", callback=rules)}
    context = replace(CONTEXT, directory=replace(CONTEXT.directory, queues=queues))
    call, _ = drive(waiting(), *TO_LINE)
    call, effects = step(context, call, m.DigitPressed(Side.CALLER, "1"), NOW)
    assert "callback-other" not in of_type(list(effects), m.PlayToCaller)[0].prompts
    call, effects = step(context, call, m.DigitPressed(Side.CALLER, "2"), NOW)
    assert of_type(list(effects), m.PlayToCaller)[0].prompts[0] == "invalid-choice"


def test_a_queue_that_calls_nobody_back_has_no_such_digit() -> None:
    context = replace(
        CONTEXT, directory=replace(CONTEXT.directory, queues={"billing": Queue("billing", callback=None)})
    )
    call, _ = drive(waiting(), *TO_LINE)
    assert step(context, call, m.DigitPressed(Side.CALLER, "1"), NOW) == (call, ())


def test_an_agent_who_is_found_meanwhile_comes_first() -> None:
    call, note = asked("11")
    assert note is not None
    call, effects = drive(call, m.OfferMade(replace(OFFER, call_id="c1")))
    assert call.menu is None
    assert of_type(effects, m.PlayMusic)
    call, effects = drive(call, m.CallbackAnswered("c1", note.step, Noted.NOTED))
    assert (call.state, effects) == (State.OFFERED, [m.DropCallback("c1")])


def test_who_thinks_better_of_it_goes_on_waiting_with_music_and_announcements() -> None:
    call, _ = asked("1")
    _, effects = drive(call, m.TimerFired(Timer.ANNOUNCE, 0), m.PositionKnown(2))
    assert not of_type(effects, m.AskPosition)
    assert not of_type(effects, m.PlayToCaller)
    call, effects = press(call, "*")
    assert of_type(effects, m.PlayMusic)
    _, effects = drive(call, m.TimerFired(Timer.ANNOUNCE, 0), m.PositionKnown(2))
    assert of_type(effects, m.AskPosition)
    assert of_type(effects, m.PlayToCaller)[0].prompts[-2:] == ("callback-offer", "digit-1")


def test_a_flow_offers_it_before_the_queue() -> None:
    call, _ = drive(waiting("+3"), *TO_LINE)
    call, effects = press(call, "1", now=NOW + 5)
    (note,) = of_type(effects, m.NoteCallback)
    assert (note.order.queue, note.order.enqueued_at) == ("billing", NOW + 5)
    refused, effects = drive(call, m.CallbackAnswered("c1", note.step, Noted.REFUSED))
    assert refused.state is State.IVR
    assert not refused.called_back
    told, _ = drive(refused, m.PlaybackOver(of_type(effects, m.PlayToCaller)[0].playback))
    assert told.state is State.QUEUED


# The call back.


def test_it_has_the_place_of_the_caller() -> None:
    call, effects = drive(errand(), m.CallbackDue(), now=NOW + 400)
    (entered,) = of_type(effects, m.EnterQueue)
    assert entered.ticket.enqueued_ms == round(ORDER.enqueued_at * 1000)
    assert effects == [entered]
    assert drive(call, m.TimerFired(Timer.LONGEST_WAIT, 0))[0].state is State.ENDED


def test_agent_first_the_customer_is_called_when_the_agent_is_there() -> None:
    call, effects = drive(errand(), *TO_DIALLING)
    assert of_type(effects, m.RingAgent)
    assert effects[-2:] == [m.PlayMusic(Side.AGENT, "hold-music"), m.BeginAttempt()]
    assert not of_type(effects, m.CallOutside)
    call, effects = drive(call, m.AttemptAllowed(1))
    assert effects == [m.CallOutside(Side.CALLER, CUSTOMER), m.StartTimer(Timer.RING, 20)]
    call, effects = drive(call, m.NumberAnswered(), now=NOW + 8)
    assert (call.state, call.answered_at) == (State.TALKING, NOW + 8)
    assert m.CallbackMade() in effects
    assert m.BridgeLegs() in effects
    call, effects = drive(call, m.LegOver(Side.CALLER, "remote", 0), now=NOW + 20)
    assert m.FinishConversation(OFFER) in effects
    assert not of_type(effects, m.SettleCallback)
    assert (record(call, effects).outcome, record(call, effects).callback) == ("answered", "cb1")
    assert record(call, effects).talk_seconds == 12.0


@pytest.mark.parametrize(
    ("event", "cause"),
    [
        (m.LegOver(Side.CALLER, "remote", 486), "callback-busy"),
        (m.LegOver(Side.CALLER, "remote", 404), "callback-no-such-number"),
        (m.LegOver(Side.CALLER, "remote", 603), "callback-rejected"),
        (m.LegOver(Side.CALLER, "timeout", 408), "callback-no-answer"),
        (m.TimerFired(Timer.RING, 0), "callback-no-answer"),
        (m.NumberUnreachable("trunk-unavailable"), "callback-unreachable"),
        (m.LegOver(Side.AGENT, "remote", 0), "callback-agent-gone"),
    ],
)
def test_a_customer_who_is_not_reached_costs_the_agent_no_wrapup(event: m.Event, cause: str) -> None:
    call, _ = drive(errand(), *TO_DIALLING, m.AttemptAllowed(1), m.LegOver(Side.CALLER, "remote", 503))
    call, effects = drive(call, event)
    assert call.state is State.ENDED
    assert m.FinishConversation(OFFER, wrapup=False) in effects
    assert m.SettleCallback(cause) in effects
    assert of_type(effects, m.ReleaseAgentLeg)
    assert (record(call, effects).outcome, record(call, effects).cause) == ("failed", cause)


def test_what_is_not_ours_to_make_any_more_is_not_made() -> None:
    call, _ = drive(errand(), *TO_DIALLING)
    call, effects = drive(call, m.AttemptAllowed(0))
    assert call.state is State.ENDED
    assert not of_type(effects, m.CallOutside)
    assert not of_type(effects, m.SettleCallback)


def test_customer_first_the_agent_is_held_and_rung_when_the_customer_is_there() -> None:
    call, effects = drive(errand("customer"), *FIRST_CUSTOMER)
    assert ticket_of(CONTEXT, call).ring_ms == 35_000
    assert (call.state, effects[-1]) == (State.DIALLING, m.BeginAttempt())
    assert not of_type(effects, m.RingAgent)
    call, effects = drive(call, m.AttemptAllowed(1), m.NumberAnswered())
    assert (call.state, of_type(effects, m.RingAgent)) == (State.OFFERED, [m.RingAgent(OFFER)])
    assert not of_type(effects, m.CallbackMade)
    call, effects = drive(call, m.AgentAnswered(b"a"), m.OfferConfirmed(7))
    assert call.state is State.TALKING
    assert m.CallbackMade() in effects


def test_customer_first_an_agent_who_does_not_take_it_leaves_the_customer_in_the_place() -> None:
    call, _ = drive(errand("customer"), *FIRST_CUSTOMER, m.AttemptAllowed(1), m.NumberAnswered())
    call, effects = drive(call, m.LegOver(Side.AGENT, "remote", 486))
    assert call.state is State.QUEUED
    assert of_type(effects, m.RejectOffer)
    call, effects = drive(call, m.LegOver(Side.CALLER, "remote", 0))
    assert m.SettleCallback("normal") in effects
    assert m.LeaveQueue("c2", "released") in effects
    assert record(call, effects).outcome == "failed"


def test_customer_first_who_is_not_reached_sets_the_agent_free() -> None:
    call, _ = drive(errand("customer"), *FIRST_CUSTOMER, m.AttemptAllowed(1))
    taken_back, _ = drive(call, m.OfferTakenBack(7))
    for dialled in (call, taken_back):
        _, effects = drive(dialled, m.LegOver(Side.CALLER, "remote", 486))
        assert m.LeaveQueue("c2", "released") in effects
        assert not of_type(effects, m.ReleaseAgentLeg)
        assert m.SettleCallback("callback-busy") in effects
    answered, _ = drive(taken_back, m.NumberAnswered())
    assert answered.state is State.QUEUED


@pytest.mark.parametrize(
    ("event", "settled"),
    [
        (m.CallbackGone("cancelled"), []),
        (m.CallbackGone("expired"), []),
        (m.ClearRequested("operator"), [m.SettleCallback("operator", cancel=True)]),
        (m.ClearRequested("shutdown"), [m.SettleCallback("shutdown")]),
    ],
)
def test_one_that_waits_can_be_ended(event: m.Event, settled: list[m.Effect]) -> None:
    call, _ = drive(errand(), m.CallbackDue())
    call, effects = drive(call, event)
    assert of_type(effects, m.SettleCallback) == settled
    assert m.LeaveQueue("c2", "released") in effects
    assert record(call, effects).outcome == "cleared"


def test_a_follow_up_for_an_agent_waits_for_just_that_agent() -> None:
    order = msgspec.structs.replace(ORDER, queue=EXTENSION_QUEUE, agent="anna", kind="follow-up")
    _, effects = drive(msgspec.structs.replace(errand(), callback=order), m.CallbackDue())
    (entered,) = of_type(effects, m.EnterQueue)
    assert entered.ticket.requirement.agent == "anna"
    assert not entered.ticket.own, "who is paused is not rung for it"


def test_a_follow_up_for_a_skill_waits_for_whoever_has_it() -> None:
    order = msgspec.structs.replace(ORDER, queue=SKILL_QUEUE, skills={"vip": 3}, kind="follow-up")
    call = msgspec.structs.replace(errand(), callback=order, skills=dict(order.skills))
    _, effects = drive(call, m.CallbackDue())
    (entered,) = of_type(effects, m.EnterQueue)
    assert entered.ticket.requirement == Requirement(SKILL_QUEUE, (("vip", 3),))
    for queues in ({}, {"billing": 1}):
        able = replace(ANNA, skills={"vip": 3}, queues=queues)
        assert eligible(entered.ticket.requirement, profile_of(able))
        assert not eligible(entered.ticket.requirement, profile_of(replace(able, skills={"vip": 2})))


def test_who_promised_a_follow_up_calls_it_with_their_own_rights() -> None:
    rightful = replace(ANNA, dialling=("premium",))
    directory = replace(CONTEXT.directory, agents={"anna": rightful})
    order = msgspec.structs.replace(ORDER, queue=EXTENSION_QUEUE, agent="anna", number="+37290055")
    call = msgspec.structs.replace(errand(), callback=order)
    with pytest.raises(NotAllowed):
        outside_for_callback(directory, call)
    own = msgspec.structs.replace(order, by="anna")
    assert outside_for_callback(directory, msgspec.structs.replace(call, callback=own)).kind == "premium"
    national = msgspec.structs.replace(own, number="+3725550001")
    with pytest.raises(NotAllowed):
        outside_for_callback(directory, msgspec.structs.replace(call, callback=national))


def test_no_queue_of_the_directory_has_a_name_of_our_own() -> None:
    assert NO_QUEUES == OWN_QUEUES
    with pytest.raises(ValueError, match="service's own"):
        QueueEntry(name=SKILL_QUEUE)


def test_a_callback_of_a_queue_that_is_gone_ends() -> None:
    order = msgspec.structs.replace(ORDER, queue="gone")
    _, effects = drive(msgspec.structs.replace(errand(), callback=order), m.CallbackDue())
    assert m.SettleCallback("unknown-queue", cancel=True) in effects


def test_what_is_noted_can_be_read_again() -> None:
    order = msgspec.structs.replace(ORDER, skills={"vip": 2}, note="x", kind="follow-up")
    entry = entry_of(order)
    assert read_order(entry.document) == order
    assert entry.number == ""
    assert entry_of(ORDER).number == "+3725550001"


# In a session.


@pytest.fixture
def bench() -> Bench:
    return Bench(context=CONTEXT)


async def ringing_customer(bench: Bench) -> str:
    """Anna is on the line and the customer is rung; the call's id."""
    bench.calls.make_callback(ORDER)
    bench.calls.make_callback(ORDER)
    (view,) = bench.calls.live()
    await bench.told_store("enqueue")
    bench.calls.on_routing(replace(OFFER, call_id=view.id))
    await bench.settle(lambda: bench.sip.said[-1:] == [("invite", f"{view.id}-1", "anna")])
    bench.calls.on_leg(sip.LegAnswered(f"{view.id}-1", b"sdp"))
    await bench.settle(lambda: bench.sip.said[-1][0] == "call")
    assert bench.sip.said[-1] == ("call", f"{view.id}-out1", "carrier", "+3725550001", "+2")
    return view.id


async def test_the_two_are_joined_and_the_callback_is_done_once(bench: Bench) -> None:
    call_id = await ringing_customer(bench)
    bench.calls.on_leg(sip.LegAnswered(f"{call_id}-out1", b"sdp"))
    await bench.settle(lambda: bench.store.noted.said[-1:] == [("done", "cb1")])
    assert bench.media.hears[f"{call_id}-out1"] == f"{call_id}-1"
    bench.calls.on_leg(sip.LegEnded(f"{call_id}-out1", "remote", 0))
    await bench.settle(lambda: bool(bench.journal.records))
    assert [said[0] for said in bench.store.noted.said] == ["begin", "done"]
    assert not bench.media.open


async def test_a_busy_customer_is_told_to_the_store_with_the_attempt(bench: Bench) -> None:
    call_id = await ringing_customer(bench)
    bench.calls.on_leg(sip.LegEnded(f"{call_id}-out1", "remote", 486))
    await bench.settle(lambda: bench.store.noted.said[-1][0] == "unreached")
    assert bench.store.noted.said[-1] == ("unreached", "cb1", 1, "callback-busy")
    await bench.settle(lambda: bool(bench.journal.records))
    assert bench.journal.records[0].callback == "cb1"
    assert not bench.media.open


async def test_an_agent_who_leaves_before_the_attempt_is_allowed_leaves_no_attempt_open(bench: Bench) -> None:
    bench.store.noted.answers["begin"] = 2
    call_id = await ringing_customer(bench)
    bench.calls.on_leg(sip.LegEnded(f"{call_id}-1", "remote", 0))
    await bench.settle(lambda: bench.store.noted.said[-1][:3] == ("unreached", "cb1", 2))


async def test_a_number_that_no_trunk_reaches_is_an_attempt_that_failed(bench: Bench) -> None:
    bench.calls.make_callback(ORDER)
    (view,) = bench.calls.live()
    await bench.told_store("enqueue")
    bench.calls.on_routing(replace(OFFER, call_id=view.id))
    await bench.settle(lambda: bench.sip.said[-1:] == [("invite", f"{view.id}-1", "anna")])
    bench.sip.unreachable = AcdError("no trunk calls out")
    bench.calls.on_leg(sip.LegAnswered(f"{view.id}-1", b"sdp"))
    await bench.settle(lambda: len(bench.store.noted.said) == 2)
    assert bench.store.noted.said[-1] == ("unreached", "cb1", 1, "callback-unreachable")


def test_the_next_trunk_of_the_route_is_asked_where_the_first_is_of_no_use() -> None:
    call, _ = drive(errand(), *TO_DIALLING, m.AttemptAllowed(1))
    call, effects = drive(call, m.LegOver(Side.CALLER, "remote", 503))
    assert effects == [m.CallOutside(Side.CALLER, msgspec.structs.replace(CUSTOMER, tried=1))]
    call, effects = drive(call, m.LegOver(Side.CALLER, "timeout", 408))
    assert m.SettleCallback("callback-no-answer") in effects


def test_nobody_is_called_back_at_a_number_of_a_class_that_the_queue_does_not_allow() -> None:
    order = msgspec.structs.replace(ORDER, number="+3729001234")
    call = msgspec.structs.replace(errand(), callback=order)
    call, effects = drive(call, *TO_DIALLING, m.AttemptAllowed(1))
    assert not of_type(effects, m.CallOutside)
    assert m.NoteRefusedDial("anna", "+3725550001", "not-allowed") in effects
    assert m.SettleCallback("callback-not-allowed") in effects


def test_the_customer_sees_the_number_that_they_dialled_else_one_of_the_queue() -> None:
    assert shown_number(CONTEXT.directory, errand()) == "+2"
    follow_up = msgspec.structs.replace(errand(), called="", place=m.Place("billing"))
    assert shown_number(CONTEXT.directory, follow_up) == "+2"
    assert shown_number(Directory(), follow_up) == ""


async def test_one_that_is_cancelled_leaves_the_line(bench: Bench) -> None:
    bench.calls.make_callback(ORDER)
    await bench.told_store("enqueue")
    bench.calls.on_routing(CallbackOver("cb1", "cancelled"))
    await bench.settle(lambda: bench.store.said[-1][0] == "cancel" and not bench.calls.live())
    assert bench.store.said[-1][-1] == "released"
    assert bench.store.noted.said == []
    bench.calls.make_callback(ORDER)
    assert len(bench.calls.live()) == 1


async def test_a_store_that_forgot_is_told_again_and_one_that_knows_better_is_believed(bench: Bench) -> None:
    bench.calls.make_callback(ORDER)
    await bench.told_store("enqueue")
    bench.store.noted.answers["hold"] = None
    bench.calls.reassert()
    await bench.settle(lambda: [said[0] for said in bench.store.said] == ["enqueue", "enqueue"])
    assert [said[0] for said in bench.store.noted.said] == ["hold", "add"]
    bench.store.noted.answers["hold"] = False
    bench.calls.reassert()
    await bench.settle(lambda: bool(bench.journal.records))
    assert bench.journal.records[0].cause == "callback-taken"


async def test_a_store_that_lost_the_attempt_is_told_its_number_and_not_to_cancel_it(bench: Bench) -> None:
    call_id = await ringing_customer(bench)
    await bench.calls.correct()
    assert bench.store.noted.said == [("begin", "cb1"), ("begin", "cb1", 1)]
    bench.store.noted.answers["begin"] = 0
    bench.store.noted.answers["hold"] = None
    await bench.calls.correct()
    assert [said[0] for said in bench.store.noted.said[2:]] == ["begin", "hold", "add", "begin"]
    bench.calls.on_leg(sip.LegAnswered(f"{call_id}-out1", b"sdp"))
    await bench.settle(lambda: bench.store.noted.said[-1:] == [("done", "cb1")])
    await bench.calls.correct()
    assert bench.store.noted.said[-2:] == [("done", "cb1")] * 2
    assert bench.calls.live()[0].state == "talking"


async def test_a_callback_that_waits_is_put_back_in_its_place_and_one_of_others_leaves(bench: Bench) -> None:
    bench.calls.make_callback(ORDER)
    await bench.told_store("enqueue")
    bench.store.noted.answers["hold"] = None
    await bench.calls.correct()
    assert [said[0] for said in bench.store.noted.said] == ["hold", "add"]
    assert bench.store.said[-1][0] == "restore_place"
    bench.store.noted.answers["hold"] = False
    await bench.calls.correct()
    await bench.settle(lambda: bool(bench.journal.records))
    assert bench.journal.records[0].cause == "callback-taken"


async def test_an_attempt_begins_though_the_store_has_just_lost_the_callback(bench: Bench) -> None:
    bench.store.noted.answers.update(begin=0, hold=None)
    bench.calls.make_callback(ORDER)
    (view,) = bench.calls.live()
    await bench.told_store("enqueue")
    bench.calls.on_routing(replace(OFFER, call_id=view.id))
    await bench.settle(lambda: bench.sip.said[-1:] == [("invite", f"{view.id}-1", "anna")])
    bench.calls.on_leg(sip.LegAnswered(f"{view.id}-1", b"sdp"))
    await bench.settle(lambda: len(bench.store.noted.said) >= 4)
    assert [said[0] for said in bench.store.noted.said[:4]] == ["begin", "hold", "add", "begin"]


async def test_a_node_that_drains_gives_its_callbacks_back(bench: Bench) -> None:
    bench.calls.make_callback(ORDER)
    await bench.told_store("enqueue")
    await asyncio.wait_for(bench.calls.drain(30), 5)
    assert bench.store.noted.said == [("release", "cb1")]


async def test_the_keeper_takes_up_what_can_be_read_and_ends_what_cannot(bench: Bench) -> None:
    made: list[CallbackOrder] = []
    bench.store.noted.documents = {"cb1": entry_of(ORDER).document, "cb2": "{"}
    keeper = CallbackKeeper("a", bench.store.noted, FakeClock(), made.append, lambda: True)  # type: ignore[arg-type]
    await keeper.look()
    assert made == [ORDER]
    assert bench.store.noted.said == [("cancel", "cb2")]
