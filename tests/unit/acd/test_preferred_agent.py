"""Who should take a call before any other: a preferred agent, or who talked to the caller last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from acd.calls import model as m
from acd.calls.beginning import call_back
from acd.calls.callbacks import entry_of, read_order
from acd.calls.machine import step
from acd.calls.model import Call, Side, Spoken, State
from acd.calls.record import Attempt, CallRecord
from acd.calls.steps.context import Context
from acd.calls.steps.noting import callback_order
from acd.calls.steps.tickets import ticket_of
from acd.database import create_engine
from acd.directory.model import Agent, CallbackRules, Directory, LastAgent, Number, Queue, Relaxation
from acd.history import contacts
from acd.history.contacts import ContactReader
from acd.history.tables import records
from ivr.flow import FlowDefinition, Set
from ivr.flow import Queue as QueueNode
from routing.model import Offer, Requirement, Step
from routing.requirement import in_force
from tests.support.database import migrate

NOW = 1_700_000_000.0
DAY = 86_400.0
BILLING = Queue(
    "billing",
    requires={"billing": 5},
    strategy="linear",
    relax=(Relaxation(10, {"billing": 3}), Relaxation(60, {"billing": 1})),
    preferred_seconds=25,
    last_agent=LastAgent(days=7, timeout_seconds=40),
)
AGENTS = {
    "anna": Agent("anna", "1001", skills={"billing": 9}),
    "bert": Agent("bert", "1002", skills={"billing": 1}),
    "cleo": Agent("cleo", "1003", skills={"sales": 9}),
}
DIRECTORY = Directory(
    numbers={"+1": Number("+1", flow="main"), "+2": Number("+2", queue="billing")},
    skills=frozenset({"billing", "sales"}),
    queues={"billing": BILLING, "sales": Queue("sales")},
    agents=AGENTS,
    agent_by_extension={agent.extension: agent for agent in AGENTS.values()},
)
FLOW = FlowDefinition("main", "who", {"who": Set("wait", agent="cleo"), "wait": QueueNode("billing")})
CONTEXT = Context(directory=DIRECTORY, flows={"main": FLOW})
_CALLING_BACK = {"billing": replace(BILLING, callback=CallbackRules())}
CALLS_BACK = replace(CONTEXT, directory=replace(DIRECTORY, queues=_CALLING_BACK))
ANYBODY = tuple(Requirement("billing", (("billing", level),), "linear") for level in (5, 3, 1))


def drive(call: Call, *events: m.Event, context: Context = CONTEXT) -> tuple[Call, list[m.Effect]]:
    effects: list[m.Effect] = []
    for event in events:
        call, more = step(context, call, event, NOW)
        effects += more
    return call, effects


def arrival(called: str = "+2", caller: str = "+37255", from_agent: str = "") -> Call:
    return Call("c1", "a", caller, "", called, "carrier", from_agent, started_at=NOW)


def waits(*spoken: Spoken, called: str = "+2", context: Context = CONTEXT) -> Call:
    events = (m.CallArrived(b"o"), m.CallerKnown(spoken), m.CallerMediaOpened(b"a"), m.CallerConfirmed(None))
    return drive(arrival(called), *events, context=context)[0]


def of(effects: list[m.Effect], kind: type[Any]) -> list[Any]:
    return [effect for effect in effects if isinstance(effect, kind)]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_call_is_answered_when_its_audio_is_open_and_the_caller_known(order: tuple[int, int]) -> None:
    call, effects = drive(arrival(), m.CallArrived(b"o"))
    assert of(effects, m.AskCaller) == [m.AskCaller("+37255", "+2", NOW - 7 * DAY)]
    words = (m.CallerMediaOpened(b"a"), m.CallerKnown((Spoken("anna", NOW - 5),)))
    call, effects = drive(call, words[order[0]])
    assert (call.state, of(effects, m.AnswerCaller)) == (State.NEW, [])
    call, effects = drive(call, words[order[1]])
    assert (call.state, of(effects, m.AnswerCaller)) == (State.ANSWERING, [m.AnswerCaller(b"a")])
    assert (call.answer, call.asking) == (b"", False)


@pytest.mark.parametrize(
    "call", [arrival(caller="anonymous"), arrival(caller=""), arrival("1003", from_agent="anna")]
)
def test_nothing_is_asked_without_a_number_to_ask_by(call: Call) -> None:
    _, effects = drive(call, m.CallArrived(b"o"))
    assert of(effects, m.AskCaller) == []


def test_nothing_is_asked_where_it_makes_no_difference() -> None:
    queues = {"billing": replace(BILLING, last_agent=None)}
    context = replace(CONTEXT, directory=replace(DIRECTORY, queues=queues))
    call, effects = drive(arrival(), m.CallArrived(b"o"), m.CallerMediaOpened(b"a"), context=context)
    assert (call.state, of(effects, m.AskCaller)) == (State.ANSWERING, [])


def test_who_talked_to_the_caller_last_is_waited_for_and_then_anybody_as_if_never() -> None:
    call = waits(Spoken("anna", NOW - DAY), Spoken("bert", NOW - 2 * DAY))
    ticket = ticket_of(CONTEXT, call)
    assert ticket.requirement == Requirement("billing", strategy="linear", agent="anna")
    assert ticket.steps == (Step(40_000, ANYBODY[0]), Step(10_000, ANYBODY[1]), Step(60_000, ANYBODY[2]))
    at = {ms: in_force(ticket, ticket.enqueued_ms + ms) for ms in (0, 39_999, 40_000, 60_000)}
    assert [at[0].agent, at[39_999].agent, at[40_000], at[60_000]] == ["anna", "anna", *ANYBODY[1:]]
    assert call.attributes == {"last_agent": "anna"}


@pytest.mark.parametrize(
    "passed_over",
    [Spoken("cleo", NOW - 1), Spoken("gone", NOW - 1), Spoken("anna", NOW - 7 * DAY - 1)],
    ids=["cannot take the queue's calls", "not in the directory", "too long ago"],
)
def test_the_next_who_talked_to_the_caller_counts(passed_over: Spoken) -> None:
    assert waits(passed_over, Spoken("bert", NOW - 2)).attributes == {"last_agent": "bert"}
    call = waits(passed_over)
    assert (call.attributes, ticket_of(CONTEXT, call).requirement) == ({}, ANYBODY[0])


def test_the_agent_that_a_flow_names_comes_before_the_last_and_needs_no_skill() -> None:
    call = waits(Spoken("anna", NOW - 1), called="+1")
    ticket = ticket_of(CONTEXT, call)
    assert (ticket.requirement.agent, ticket.steps[0].after_ms) == ("cleo", 25_000)
    assert call.attributes == {"preferred_agent": "cleo"}


def test_an_agent_who_is_gone_from_the_directory_is_not_waited_for() -> None:
    context = replace(CONTEXT, directory=replace(DIRECTORY, agents={"anna": AGENTS["anna"]}))
    assert ticket_of(context, waits(called="+1", context=context)).requirement == ANYBODY[0]


def called_back(call: Call) -> Call:
    """What is made of the wish of this caller, when it is due."""
    order = callback_order(CALLS_BACK, call, "", call.caller, NOW + 30)
    assert order is not None
    made = call_back(read_order(entry_of(order).document), "c2", "n", NOW + 400)
    return step(CALLS_BACK, made, m.CallbackDue(), NOW + 400)[0]


def test_a_callback_is_for_the_same_agent_first_for_as_long_and_then_for_anybody() -> None:
    made = called_back(waits(Spoken("anna", NOW - DAY), context=CALLS_BACK))
    ticket = ticket_of(CALLS_BACK, made)
    assert (ticket.requirement.agent, ticket.enqueued_ms) == ("anna", round(NOW * 1000))
    assert ticket.steps[0] == Step(440_000, ANYBODY[0]), "40 s from when it is due"
    assert made.attributes == {"last_agent": "anna"}
    named = ticket_of(CALLS_BACK, called_back(waits(called="+1", context=CALLS_BACK)))
    assert (named.requirement.agent, named.steps[0].after_ms) == ("cleo", 425_000)
    assert ticket_of(CALLS_BACK, called_back(waits(context=CALLS_BACK))).requirement == ANYBODY[0]


def test_who_had_sent_the_caller_on_is_not_waited_for_by_the_callback() -> None:
    call = waits(Spoken("anna", NOW - 1), context=CALLS_BACK)
    answer = (
        m.OfferMade(Offer("c1", "anna", "billing", 7, 30_000)),
        m.AgentAnswered(b"a"),
        m.OfferConfirmed(7),
    )
    call, _ = drive(call, *answer, m.TransferAsked("billing", by_phone=True), context=CALLS_BACK)
    assert ticket_of(CALLS_BACK, called_back(call)).requirement == ANYBODY[0]


def test_who_sends_a_caller_on_is_not_waited_for() -> None:
    call = waits(Spoken("anna", NOW - 1))
    offer = Offer("c1", "anna", "billing", 7, 30_000)
    call, _ = drive(call, m.OfferMade(offer), m.AgentAnswered(b"a"), m.OfferConfirmed(7))
    call, _ = drive(call, m.TransferAsked("billing", by_phone=True))
    assert call.state is State.QUEUED
    assert ticket_of(CONTEXT, call).requirement == ANYBODY[0]


def test_a_supervisor_sends_a_caller_to_a_queue_and_one_agent_first_who_is_waited_for_from_then_on() -> None:
    context = replace(
        CONTEXT, directory=replace(DIRECTORY, queues={"billing": BILLING, "sales": Queue("sales")})
    )
    call = waits(context=context)
    order = m.TransferAsked("sales", by_phone=False, preferred="bert")
    call, _ = step(context, call, order, NOW + 300)
    ticket = ticket_of(context, call)
    assert (ticket.requirement.agent, ticket.enqueued_ms) == ("bert", round(NOW * 1000))
    # 20 s after it came here, though its age is 300 s more.
    assert ticket.steps == (Step(320_000, Requirement("sales")),)
    assert call.attributes == {"preferred_agent": "bert"}


def test_a_caller_who_hangs_up_before_being_known_is_gone() -> None:
    call, _ = drive(arrival(), m.CallArrived(b"o"), m.LegOver(Side.CALLER, "remote", 0))
    assert drive(call, m.CallerKnown()) == (call, [])


# What the records say.


def record(number: int, **changes: object) -> CallRecord:
    made = CallRecord(
        id=f"c{number}",
        node="a",
        caller="+1",
        called="+2",
        queue="billing",
        outcome="answered",
        started_at=float(number),
        answered_at=number + 1.0,
        ended_at=number + 9.0,
        hangup_side="caller",
        cause="normal",
        segments=(),
        attempts=(Attempt(number + 0.5, "billing", f"a{number}", "", "answered", 1.0),),
    )
    return msgspec.structs.replace(made, **changes)


@pytest.fixture
async def engine(tmp_path: Any) -> AsyncIterator[AsyncEngine]:
    opened = create_engine(f"sqlite+aiosqlite:///{tmp_path}/x.sqlite3")
    await migrate(opened)
    twice = (
        *record(3).attempts,
        Attempt(3.7, "billing", "bert", "", "busy", 1.0),
        Attempt(4.0, "sales", "cleo", "", "answered", 1.0),
        Attempt(5.0, "sales", "dora", "", "ended", 1.0),
    )
    rows = [record(1), record(2, caller="+9"), record(3, attempts=twice), record(4, answered_at=None)]
    async with opened.begin() as connection:
        await connection.execute(insert(records), [msgspec.to_builtins(row) for row in rows])
    yield opened
    await opened.dispose()


async def test_those_who_talked_to_a_number_are_told_the_newest_first(engine: AsyncEngine) -> None:
    reader = ContactReader(engine)
    known = (Spoken("cleo", 4.0), Spoken("a3", 3.5), Spoken("a1", 1.5))
    assert await reader.spoke_with("+1", 0.0) == known
    assert await reader.spoke_with("+1", 2.0) == known[:2]
    assert await reader.spoke_with("+7", 0.0) == ()


async def test_a_database_that_fails_or_hangs_leaves_a_stranger(
    tmp_path: Any, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = create_engine(f"sqlite+aiosqlite:///{tmp_path}/empty.sqlite3")
    assert await ContactReader(broken).spoke_with("+1", 0.0) == ()
    await broken.dispose()
    monkeypatch.setattr(contacts, "_SECONDS", 0.01)
    reader = ContactReader(engine)
    monkeypatch.setattr(reader, "_find", lambda *asked: asyncio.sleep(60))
    assert await reader.spoke_with("+1", 0.0) == ()
