"""An agent calls a number outside: what the machine decides, and what the session makes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from acd.calls import facts
from acd.calls import model as m
from acd.calls.leave import leave_to_dial
from acd.calls.model import Call, Side, State
from acd.calls.outside import Outside, Way
from acd.calls.outward import NotAllowed
from acd.calls.record import CallRecord
from acd.calls.steps.context import OUTBOUND_QUEUE
from acd.calls.steps.ending import record_of
from acd.calls.steps.phones import phones_of
from acd.calls.steps.tickets import ticket_of
from acd.calls.targets import TransferImpossible, UnknownTarget
from acd.directory.model import Dialling, OverflowRule, Queue
from acd.errors import BadSessionDescription
from acd.sip.core import events as sip
from acd.sip.core.refer import DialogId, ReferTo, Replaces
from acd.sip.watching import PhoneState
from routing.model import Offer
from routing.overflow import Conditions
from routing.ports import StaleToken
from tests.support import call_cases as table
from tests.support.call_bench import Arrival, Bench
from tests.support.call_cases import NOW, drive, of_type
from tests.support.call_fakes import FakeDoNotCall

NUMBER = "+37255512345"
CONTEXT = replace(
    table.CONTEXT,
    directory=replace(
        table.CONTEXT.directory, dialling=Dialling(country="EE", caller_id="+3726000555", wrapup_seconds=8)
    ),
)
RESERVED = Offer("c1", "anna", OUTBOUND_QUEUE, token=77, deadline_ms=0)
TO_CALLING = (m.CallArrived(b"o"), m.CallerMediaOpened(b"our answer"), m.DialAllowed())
TO_TALKING = (*TO_CALLING, m.NumberAnswered())


def dialled(number: str = "55512345", agent: str = "anna") -> Call:
    return Call("c1", "a", "1001", "Anna", number, "", agent, NOW, extension="1001")


def story(*events: m.Event, call: Call | None = None, now: float = NOW) -> tuple[Call, list[m.Effect]]:
    return drive(call or dialled(), *events, now=now, context=CONTEXT)


def record(call: Call, effects: list[m.Effect], at: float = NOW + 60) -> CallRecord:
    return record_of(call, of_type(effects, m.Close)[0], at)


# What is decided.


def test_an_agent_calls_a_number_and_talks() -> None:
    call, effects = story(*TO_CALLING)
    assert effects[1:4] == [m.SeatAgent(), m.OpenCallerMedia(b"o", Side.AGENT), m.AskLeave(outside())]
    assert of_type(effects, m.CallOutside) == [m.CallOutside(Side.CALLER, outside())]
    assert (call.state, call.caller, call.agent, call.trunk) == (State.CALLING, NUMBER, "anna", "carrier")
    assert phones_of(call) == (PhoneState("anna", "trying", is_caller=True),)
    call, effects = story(m.NumberAnswered(), call=call, now=NOW + 9)
    assert effects == [m.AnswerCaller(b"our answer", Side.AGENT), m.BridgeLegs()]
    assert phones_of(call) == (PhoneState("anna", "confirmed", is_caller=True),)
    call, effects = story(m.LegOver(Side.CALLER, "remote", 0), call=call, now=NOW + 29)
    told = record(call, effects)
    assert (told.direction, told.outcome, told.hangup_side) == ("outbound", "answered", "caller")
    assert (told.caller, told.called, told.outside, told.agent) == ("1001", NUMBER, NUMBER, "anna")
    assert (told.shown, told.trunk, told.trunk_out) == ("+3726000555", "carrier", "carrier")
    assert (told.talk_seconds, told.answered_at, told.queue) == (20.0, NOW + 9, OUTBOUND_QUEUE)


def outside(**changes: Any) -> Outside:
    ways = (Way("carrier", NUMBER), Way("spare", NUMBER))
    found = Outside(NUMBER, "national", ways, "+3726000555", "anna", 2)
    return msgspec.structs.replace(found, **changes)


def test_the_agent_is_reserved_before_every_caller_and_wraps_up_after() -> None:
    call, effects = story(*TO_CALLING)
    (entered,) = of_type(effects, m.EnterQueue)
    assert entered.ticket.requirement.agent == "anna"
    assert (entered.ticket.requirement.queue, entered.ticket.priority) == (OUTBOUND_QUEUE, 99)
    assert entered.ticket.wrapup_ms == 8_000
    call, effects = story(m.OfferMade(RESERVED), call=call)
    assert effects == [m.ConfirmOffer(RESERVED)]
    call, effects = story(m.OfferConfirmed(77), m.NumberAnswered(), m.OfferMade(RESERVED), call=call)
    assert not of_type(effects, m.ConfirmOffer)
    _, effects = story(m.LegOver(Side.AGENT, "remote", 0), call=call)
    assert m.FinishConversation(RESERVED) in effects


def test_a_reservation_that_is_taken_back_is_asked_for_again() -> None:
    call, _ = story(*TO_TALKING, m.OfferMade(RESERVED))
    for lost in (m.OfferTakenBack(77), m.OfferStale(77)):
        after, effects = story(lost, call=call)
        assert effects == [m.EnterQueue(ticket_of(CONTEXT, call))]
        assert (after.agent, after.offer and after.offer.token) == ("anna", 0)
    assert story(m.OfferTakenBack(5), call=call) == (call, [])


def test_early_media_is_heard_and_plain_ringing_only_told() -> None:
    call, _ = story(*TO_CALLING)
    ringing, effects = story(m.NumberProgressed(180, early=False), call=call)
    assert effects == [m.TellRinging(180, None)]
    heard, effects = story(m.NumberProgressed(183, early=True), call=ringing)
    assert effects == [m.BridgeLegs(), m.TellRinging(183, b"our answer")]
    heard, effects = story(m.NumberProgressed(180, early=False), call=heard)
    assert effects == []
    _, effects = story(m.NumberProgressed(183, early=True), call=heard)
    assert effects == [m.TellRinging(183, b"our answer")]


def test_without_an_offer_there_is_no_early_media_and_the_answer_comes_with_the_ack() -> None:
    call, _ = story(m.CallArrived(None), m.CallerMediaOpened(b"our offer"), m.DialAllowed())
    call, effects = story(m.NumberProgressed(183, early=True), call=call)
    assert effects == [m.TellRinging(180, None)]
    _, effects = story(m.NumberAnswered(), m.AgentConfirmed(b"theirs"), call=call)
    assert effects[0] == m.AnswerCaller(b"our offer", Side.AGENT)
    assert effects[-1] == m.ApplyCallerAnswer(b"theirs", Side.AGENT)


@pytest.mark.parametrize(
    ("event", "is_tried_again"),
    [
        (m.LegOver(Side.CALLER, "remote", 503), True),
        (m.LegOver(Side.CALLER, "remote", 408), True),
        (m.LegOver(Side.CALLER, "timeout", 408), True),
        (m.LegOver(Side.CALLER, "transport", 503), True),
        (m.NumberUnreachable("trunk-unavailable"), True),
        (m.NumberUnreachable("bad-sdp"), False),
        (m.LegOver(Side.CALLER, "remote", 486), False),
        (m.LegOver(Side.CALLER, "remote", 404), False),
    ],
)
def test_the_next_trunk_is_tried_where_the_first_is_to_blame(event: m.Event, is_tried_again: bool) -> None:
    call, _ = story(*TO_CALLING)
    after, effects = story(event, call=call)
    again = [m.CallOutside(Side.CALLER, outside(tried=1))]
    assert (of_type(effects, m.CallOutside) == again) == is_tried_again
    assert (after.state is State.CALLING) == is_tried_again
    assert after.trunk == ("spare" if is_tried_again else "carrier")
    rang, _ = story(m.NumberProgressed(180, early=False), call=call)
    assert story(event, call=rang)[0].state is State.ENDED


@pytest.mark.parametrize(
    ("event", "status", "cause"),
    [
        (m.LegOver(Side.CALLER, "remote", 486), 486, "busy"),
        (m.LegOver(Side.CALLER, "remote", 404), 404, "no-such-number"),
        (m.LegOver(Side.CALLER, "remote", 603), 603, "rejected"),
        (m.LegOver(Side.CALLER, "remote", 401), 503, "rejected"),
        (m.LegOver(Side.CALLER, "remote", 480), 480, "no-answer"),
        (m.NumberUnreachable("bad-sdp"), 503, "unreachable"),
    ],
)
def test_a_number_that_is_not_reached_is_told_to_the_phone(event: m.Event, status: int, cause: str) -> None:
    call, _ = story(*TO_CALLING)
    call, effects = story(event, call=call)
    assert effects[0] == m.RefuseCaller(status, Side.AGENT, cause)
    assert of_type(effects, m.FinishConversation)[0].wrapup is False
    assert (record(call, effects).outcome, record(call, effects).cause) == ("unanswered", cause)


def test_an_agent_who_gives_up_ends_the_call_to_the_number() -> None:
    call, _ = story(*TO_CALLING)
    call, effects = story(m.LegOver(Side.AGENT, "remote", 487), call=call)
    assert m.HangUp(Side.CALLER, "cancelled") in effects
    assert (record(call, effects).outcome, record(call, effects).cause) == ("unanswered", "cancelled")
    early, effects = story(m.CallArrived(b"o"), m.LegOver(Side.AGENT, "remote", 487))
    assert early.state is State.ENDED
    assert not of_type(effects, m.CallOutside)


def test_who_waits_for_an_answer_need_not_speak() -> None:
    call, _ = story(*TO_CALLING)
    for side in (Side.AGENT, Side.CALLER):
        assert story(m.MediaLost(side, "rtp-timeout"), call=call) == (call, [])
        assert story(m.MediaLost(side, "media-failed"), call=call)[0].state is State.ENDED


@pytest.mark.parametrize(
    ("number", "agent", "status", "cause"),
    [
        ("55512345", "bert", 403, "not-allowed"),
        ("+442071838750", "anna", 404, "no-route"),
        ("*99", "anna", 404, "no-route"),
    ],
)
def test_a_call_without_the_right_is_refused_and_noted(
    number: str, agent: str, status: int, cause: str
) -> None:
    call, effects = story(m.CallArrived(b"o"), call=dialled(number, agent))
    assert effects[:2] == [
        m.NoteRefusedDial(agent, number, cause),
        m.RefuseCaller(status, Side.CALLER, cause),
    ]
    assert not of_type(effects, m.OpenCallerMedia)
    assert (record(call, effects).outcome, record(call, effects).cause) == ("rejected", cause)


def test_what_is_forbidden_now_is_refused_with_its_reason() -> None:
    call, effects = story(*TO_CALLING[:2], m.DialForbidden(403, "do-not-call"))
    assert m.RefuseCaller(403, Side.AGENT, "do-not-call") in effects
    assert m.NoteRefusedDial("anna", NUMBER, "do-not-call") in effects
    assert of_type(effects, m.ReleaseAgentLeg)
    assert record(call, effects).outcome == "rejected"


def test_our_own_numbers_are_dialled_like_any_others() -> None:
    ours = replace(
        CONTEXT,
        directory=replace(CONTEXT.directory, numbers={"+3726000200": table.CONTEXT.directory.numbers["+2"]}),
    )
    call, effects = drive(dialled("6000200"), m.CallArrived(b"o"), context=ours)
    assert (call.called, effects[-1]) == ("+3726000200", m.OpenCallerMedia(b"o"))


# Leave.


@pytest.mark.parametrize(
    ("number", "live", "answer"),
    [
        (outside(), 2, m.DialAllowed()),
        (outside(), 3, m.DialForbidden(403, "too-many-calls")),
        (outside(by="", limit=0), 9, m.DialAllowed()),
        (outside(number="+3721"), 1, m.DialForbidden(403, "do-not-call")),
        (outside(number="+3721", kind="emergency"), 9, m.DialAllowed()),
    ],
)
async def test_leave_to_dial(number: Outside, live: int, answer: m.Event) -> None:
    listed = FakeDoNotCall()
    listed.listed.add("+3721")
    assert await leave_to_dial(listed, number, so_many(live)) == answer


def so_many(live: int) -> Callable[[str], Awaitable[int]]:
    async def count(agent: str) -> int:
        assert agent == "anna"
        return live

    return count


async def test_a_list_that_cannot_be_read_lets_only_emergency_calls_through() -> None:
    listed = FakeDoNotCall()
    listed.failure = OSError("no database")
    assert await leave_to_dial(listed, outside(), so_many(1)) == m.DialForbidden(503, "do-not-call-unknown")
    assert await leave_to_dial(listed, outside(kind="emergency"), so_many(1)) == m.DialAllowed()


# The session.


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench(context=CONTEXT)
    yield bench
    bench.store.away = False
    await bench.calls.drain(0)


async def calling(bench: Bench, leg: str = "caller-leg") -> str:
    """An agent's call is on its way; the leg of the number outside."""
    bench.calls.on_call(Arrival(leg=leg, called="55512345", trunk="", agent="anna", caller="1001"))
    before = len(bench.sip.said)
    await bench.settle(lambda: any(said[0] == "call" for said in bench.sip.said[before:]))
    return str(next(said[1] for said in reversed(bench.sip.said) if said[0] == "call"))


async def test_the_far_ringing_is_heard_before_the_answer_and_both_after_it(bench: Bench) -> None:
    far = await calling(bench)
    assert bench.sip.said[-1] == ("call", far, "carrier", NUMBER, "+3726000555")
    bench.calls.on_leg(sip.LegProgressed(far, 183, b"early"))
    await bench.settle(lambda: bench.sip.said[-1][0] == "ring")
    assert bench.sip.said[-1] == ("ring", "caller-leg", 183, b"sdp of caller-leg")
    assert bench.media.hears == {far: "caller-leg", "caller-leg": far}
    bench.calls.on_leg(sip.LegAnswered(far, b"final"))
    await bench.until("talking")
    assert bench.media.answers[far] == b"final"
    assert ("accept", "caller-leg", b"sdp of caller-leg") in bench.sip.said
    bench.calls.on_leg(sip.LegEnded("caller-leg", "remote", 0))
    await bench.until("gone")
    assert ("hangup", far) in bench.sip.said
    assert bench.media.open == set()
    await bench.told_store("cancel")
    assert bench.store.said[-1][1] == bench.journal.records[0].id


async def test_early_audio_that_cannot_be_used_is_ringing_and_such_an_answer_the_end(bench: Bench) -> None:
    far = await calling(bench)
    bench.media.bad_answer = BadSessionDescription("no audio")
    bench.calls.on_leg(sip.LegProgressed(far, 183, b"early"))
    await bench.settle(lambda: bench.sip.said[-1] == ("ring", "caller-leg", 180, None))
    bench.calls.on_leg(sip.LegAnswered(far, b"final"))
    await bench.until("gone")
    assert ("refuse", "caller-leg", 503) in bench.sip.said
    assert ("hangup", far) in bench.sip.said


async def test_the_next_trunk_gets_a_leg_of_its_own_and_the_first_is_let_go(bench: Bench) -> None:
    far = await calling(bench)
    bench.calls.on_leg(sip.LegEnded(far, "remote", 503))
    await bench.settle(lambda: bench.sip.said[-1][0] == "call" and bench.sip.said[-1][2] == "spare")
    second = bench.sip.said[-1][1]
    assert second != far
    assert bench.media.open == {"caller-leg", second}
    bench.calls.on_leg(sip.LegAnswered(far, b"too late"))
    bench.calls.on_leg(sip.LegEnded(second, "remote", 486))
    await bench.until("gone")
    assert ("refuse", "caller-leg", 486) in bench.sip.said
    assert bench.media.open == set()


async def test_the_store_holds_the_agent_and_lets_go_with_the_call(bench: Bench) -> None:
    far = await calling(bench)
    await bench.told_store("enqueue")
    call_id = bench.calls.live()[0].id
    bench.calls.on_routing(replace(RESERVED, call_id=call_id))
    await bench.told_store("accept")
    bench.calls.reassert()
    await bench.told_store("restore_talk")
    bench.calls.on_leg(sip.LegAnswered(far, b"final"))
    await bench.until("talking")
    bench.calls.on_leg(sip.LegEnded(far, "remote", 0))
    await bench.told_store("done")
    assert bench.store.said[-1][1:4] == (call_id, "anna", 77)


async def test_a_reservation_that_is_stale_is_asked_for_again(bench: Bench) -> None:
    await calling(bench)
    await bench.told_store("enqueue")
    bench.store.raises["accept"] = StaleToken()
    bench.calls.on_routing(replace(RESERVED, call_id=bench.calls.live()[0].id))
    await bench.settle(lambda: [said[0] for said in bench.store.said] == ["enqueue", "accept", "enqueue"])
    bench.calls.reassert()
    await bench.settle(lambda: len(bench.store.said) == 4)
    assert bench.store.said[-1][0] == "enqueue"


async def test_an_agent_has_so_many_calls_outside_and_no_more(bench: Bench) -> None:
    for leg in ("one", "two"):
        await calling(bench, leg)
    bench.calls.on_call(Arrival(leg="three", called="55512345", trunk="", agent="anna", caller="1001"))
    await bench.settle(lambda: ("refuse", "three", 403) in bench.sip.said)
    refused = [fact for fact in bench.told if isinstance(fact, facts.DialRefused)]
    assert [(fact.agent, fact.cause) for fact in refused] == [("anna", "too-many-calls")]
    bench.calls.on_leg(sip.LegEnded("one", "remote", 487))
    await bench.settle(lambda: bench.calls.live_calls == 1)
    await calling(bench, "four")


async def test_calls_that_the_agent_has_over_other_nodes_count_too(bench: Bench) -> None:
    bench.outside.elsewhere = 1
    await calling(bench, "one")
    bench.calls.on_call(Arrival(leg="two", called="55512345", trunk="", agent="anna", caller="1001"))
    await bench.settle(lambda: ("refuse", "two", 403) in bench.sip.said)
    await bench.settle(lambda: bench.calls.live_calls == 1)
    bench.outside.elsewhere = 0
    await calling(bench, "three")


async def test_whom_nobody_is_to_call_is_not_called(bench: Bench) -> None:
    bench.do_not_call.listed.add(NUMBER)
    bench.calls.on_call(Arrival(called="55512345", trunk="", agent="anna", caller="1001"))
    await bench.until("gone")
    assert ("refuse", "caller-leg", 403) in bench.sip.said
    assert not [said for said in bench.sip.said if said[0] == "call"]
    assert bench.media.open == set()
    assert bench.store.said == []


# Callers who are sent outside.


def to_forwarding() -> tuple[Call, list[m.Effect]]:
    call, _ = drive(table.fresh(), *table.TO_TALKING, context=CONTEXT)
    return drive(call, m.TransferAsked("55512345", by_phone=True), now=NOW + 10, context=CONTEXT)


def test_a_caller_is_transferred_outside_and_the_agent_stays_until_it_answers() -> None:
    call, effects = to_forwarding()
    assert call.state is State.FORWARDING
    assert effects[0] == m.AnswerRefer(202)
    assert of_type(effects, m.AskLeave)[0].outside.shown == "+2"
    assert m.PlayMusic(Side.CALLER, "hold-music") in effects
    assert not of_type(effects, m.FinishConversation)
    call, effects = drive(call, m.DialAllowed(), m.NumberProgressed(180, early=False), context=CONTEXT)
    assert of_type(effects, m.CallOutside)[0].side is Side.AGENT
    assert m.ReportRefer(Side.TRANSFEROR, 180) in effects
    call, effects = drive(call, m.NumberAnswered(), now=NOW + 15, context=CONTEXT)
    assert call.state is State.TALKING
    assert effects[-1] == m.BridgeLegs()
    for expected in (m.ReportRefer(Side.TRANSFEROR, 200), m.FinishConversation(table.OFFER)):
        assert expected in effects
    call, effects = drive(call, m.LegOver(Side.AGENT, "remote", 0), now=NOW + 30, context=CONTEXT)
    told = record(call, effects, NOW + 30)
    assert (told.outcome, told.outside, told.trunk, told.trunk_out) == (
        *("answered", NUMBER, "carrier"),
        "carrier",
    )
    assert told.talk_seconds == 25.0
    assert not of_type(effects, m.FinishConversation)


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ((m.DialForbidden(403, "do-not-call"),), 403),
        ((m.DialAllowed(), m.LegOver(Side.AGENT, "remote", 486)), 486),
        ((m.DialAllowed(), m.TimerFired(m.Timer.RING, 0)), 480),
        ((m.DialAllowed(), m.NumberUnreachable("bad-sdp")), 503),
    ],
)
def test_a_failed_transfer_outside_gives_the_caller_back(events: tuple[m.Event, ...], status: int) -> None:
    call, _ = to_forwarding()
    call, effects = drive(call, *events, context=CONTEXT)
    assert (call.state, call.agent, call.offer) == (State.TALKING, "anna", table.OFFER)
    released = effects.index(m.ReleaseAgentLeg("transfer-failed"))
    assert (
        released < effects.index(m.ReportRefer(Side.TRANSFEROR, status)) < effects.index(m.ReclaimAgentLeg())
    )
    assert effects[-1] == m.BridgeLegs()
    assert not of_type(effects, m.LeaveQueue)


def test_without_the_agent_a_failed_transfer_waits_for_them_again() -> None:
    call, _ = to_forwarding()
    call, _ = drive(call, m.DialAllowed(), m.LegOver(Side.TRANSFEROR, "remote", 0), context=CONTEXT)
    call, effects = drive(call, m.LegOver(Side.AGENT, "remote", 486), context=CONTEXT)
    assert (call.state, call.place and call.place.agent) == (State.QUEUED, "anna")
    assert of_type(effects, m.EnterQueue)


def test_an_operator_sends_a_waiting_caller_outside_and_gets_them_back_into_the_queue() -> None:
    context = replace(CONTEXT, directory=replace(CONTEXT.directory))
    call, _ = drive(table.fresh(), *table.TO_LINE, context=context)
    call, effects = drive(call, m.TransferAsked("55512345", by_phone=False), context=context)
    assert call.state is State.FORWARDING
    assert m.LeaveQueue("c1") in effects
    back, effects = drive(call, m.DialAllowed(), m.LegOver(Side.AGENT, "remote", 486), context=context)
    assert (back.state, back.queue) == (State.QUEUED, "billing")
    assert of_type(effects, m.EnterQueue)[0].ticket.enqueued_ms == round(NOW * 1000)
    through, _ = drive(call, m.DialAllowed(), m.NumberAnswered(), now=NOW + 5, context=context)
    ended, effects = drive(through, m.LegOver(Side.CALLER, "remote", 0), now=NOW + 9, context=context)
    assert record(ended, effects, NOW + 9).outcome == "forwarded"


async def test_an_agent_joins_a_caller_to_somebody_outside(bench: Bench) -> None:
    agent_leg = await bench.to_talking()
    far = await calling(bench, "second")
    bench.calls.on_leg(sip.LegAnswered(far, b"final"))
    await bench.settle(lambda: {view.state for view in bench.calls.live()} == {"talking"})
    dialog: DialogId = ("x", "a", "b")
    bench.sip.dialogs[dialog] = "second"
    wanted = ReferTo("55512345", Replaces(dialog))
    bench.calls.on_leg(sip.LegReferred(agent_leg, wanted, None, None))  # type: ignore[arg-type]
    await bench.settle(lambda: bench.calls.live_calls == 1 and bench.media.hears["caller-leg"] == far)
    assert ("hangup", agent_leg) in bench.sip.said
    assert ("hangup", "second") in bench.sip.said
    assert ("hangup", far) not in bench.sip.said
    bench.calls.on_leg(sip.LegEnded(far, "remote", 0))
    await bench.until("gone")
    assert bench.media.open == set()
    first, second = bench.journal.records
    assert (first.direction, first.cause, second.direction) == ("outbound", "transferred", "inbound")
    assert (second.outside, second.outcome) == (NUMBER, "answered")


def test_an_overflow_rule_may_lead_outside_and_who_is_not_reached_there_is_back_in_the_queue() -> None:
    rule = OverflowRule(Conditions(after_seconds=30), number=NUMBER)
    queues = {**CONTEXT.directory.queues, "billing": Queue("billing", overflow=(rule,))}
    context = replace(CONTEXT, directory=replace(CONTEXT.directory, queues=queues))
    call, _ = drive(table.fresh(), *table.TO_LINE, context=context)
    call, effects = drive(call, m.TimerFired(m.Timer.OVERFLOW, 0), now=NOW + 30, context=context)
    assert call.state is State.FORWARDING
    assert m.LeaveQueue("c1", "overflowed") in effects
    (asked,) = of_type(effects, m.AskLeave)
    assert (asked.outside.number, asked.outside.by, asked.outside.shown) == (NUMBER, "", "+2")
    back, effects = drive(
        call, m.DialAllowed(), m.LegOver(Side.AGENT, "remote", 486), now=NOW + 40, context=context
    )
    assert (back.state, back.queue) == (State.QUEUED, "billing")
    assert of_type(effects, m.EnterQueue)[0].ticket.enqueued_ms == round(NOW * 1000)
    through, _ = drive(call, m.DialAllowed(), m.NumberAnswered(), now=NOW + 35, context=context)
    assert through.state is State.TALKING


# Whom the API calls for an agent.


def summoned() -> Call:
    return msgspec.structs.replace(
        dialled(), caller=NUMBER, called=NUMBER, outside=outside(), is_outgoing=True, is_summoned=True
    )


def test_the_phone_of_an_agent_rings_first_and_then_the_number_is_called() -> None:
    call, effects = story(m.DialRequested(), m.DialAllowed(), call=summoned())
    assert (call.state, of_type(effects, m.CallOutside)) == (State.CALLING, [])
    assert of_type(effects, m.RingAgent)[0].offer.agent_id == "anna"
    call, effects = story(m.AgentAnswered(b"a"), call=call)
    assert effects == [
        m.StopTimer(m.Timer.RING),
        m.PlayMusic(Side.AGENT, "hold-music"),
        m.CallOutside(Side.CALLER, outside()),
    ]
    assert story(m.NumberProgressed(180, early=False), call=call)[1] == []
    call, effects = story(m.NumberProgressed(183, early=True), m.NumberAnswered(), call=call)
    assert effects == [m.BridgeLegs(), m.BridgeLegs()]
    call, effects = story(m.LegOver(Side.AGENT, "remote", 0), call=call)
    assert (record(call, effects).outcome, record(call, effects).caller) == ("answered", "1001")


@pytest.mark.parametrize(
    ("event", "cause"),
    [
        (m.AgentUnavailable("unreachable"), "unreachable"),
        (m.TimerFired(m.Timer.RING, 0), "agent-no-answer"),
        (m.LegOver(Side.AGENT, "remote", 486), "cancelled"),
    ],
)
def test_without_the_agent_nobody_is_called(event: m.Event, cause: str) -> None:
    call, _ = story(m.DialRequested(), m.DialAllowed(), call=summoned())
    call, effects = story(event, call=call)
    assert not of_type(effects, m.CallOutside)
    assert of_type(effects, m.ReleaseAgentLeg)
    assert record(call, effects).cause == cause


async def test_the_supervisor_makes_the_call_with_the_rights_of_the_agent(bench: Bench) -> None:
    call_id = bench.calls.dial("anna", "55512345")
    await bench.settle(lambda: bench.sip.said[-1:] == [("invite", f"{call_id}-0", "anna")])
    bench.calls.on_leg(sip.LegAnswered(f"{call_id}-0", b"answer"))
    await bench.settle(lambda: bench.sip.said[-1][0] == "call")
    far = bench.sip.said[-1][1]
    bench.calls.on_leg(sip.LegAnswered(far, b"final"))
    await bench.until("talking")
    assert bench.media.hears[far] == f"{call_id}-0"
    for to, error in (("+442071838750", UnknownTarget), ("1002", TransferImpossible)):
        with pytest.raises(error):
            bench.calls.dial("anna", to)
    with pytest.raises(NotAllowed):
        bench.calls.dial("bert", "55512345")
