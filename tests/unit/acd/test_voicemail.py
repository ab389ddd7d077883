"""A caller leaves a message, an agent listens: what the call does, and what reaches audio and keeper."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from acd.calls import model as m
from acd.calls.machine import step
from acd.calls.messages import BoxFull, MessageImpossible
from acd.calls.model import Call, Side, State, Timer
from acd.calls.steps.context import Context
from acd.calls.steps.guiding import leave_message
from acd.directory.model import (
    STANDARD_CODES,
    Agent,
    Box,
    Directory,
    Number,
    Queue,
    VoicemailRules,
)
from acd.media.engine import PlaybackEnded
from acd.sip.core import events as sip
from ivr.flow import FlowDefinition, HangUp, Transfer, Voicemail
from ivr.mailbox import Waiting
from routing.model import Offer
from tests.support.call_bench import Arrival, Bench

NOW = 1_800_000_000.0
RULES = VoicemailRules(max_seconds=60, silence_seconds=4, wait_seconds=8)
ANNA = Agent("anna", "1001", voicemail=RULES)
BERT = Agent("bert", "1002", team="desk")
CARL = Agent("carl", "1003")
CODES = {code.code: code for code in STANDARD_CODES}


def flow(name: str, **nodes: Any) -> FlowDefinition:
    return FlowDefinition(name, next(iter(nodes)), nodes)


CONTEXT = Context(
    directory=Directory(
        numbers={
            "+1": Number("+1", flow="box"),
            "+2": Number("+2", flow="none"),
            "+3": Number("+3", flow="anna"),
            "+4": Number("+4", flow="anna-or-bye"),
        },
        queues={"billing": Queue("billing", voicemail=VoicemailRules(greeting=("closed",), max_seconds=30))},
        codes=CODES,
        agents={"anna": ANNA, "bert": BERT, "carl": CARL},
        agent_by_extension={"1001": ANNA, "1002": BERT, "1003": CARL},
        boxes={"reception": Box("reception", "7", VoicemailRules(teams=("desk",)))},
    ),
    flows={
        "box": flow(
            "box", leave=Voicemail("queue:billing", next="bye", otherwise="bye"), bye=HangUp(("closed",))
        ),
        "none": flow("none", leave=Voicemail("agent:bert")),
        "anna": flow("anna", try_=Transfer("extension:1001")),
        "anna-or-bye": flow("anna-or-bye", try_=Transfer("extension:1001", otherwise="bye"), bye=HangUp()),
    },
)
TO_LINE = (m.CallArrived(b"o"), m.CallerMediaOpened(b"a"), m.CallerConfirmed(None))


def call_to(number: str, from_agent: str = "") -> Call:
    return Call("c1", "a", "+3725551", "Mari", number, "", from_agent, NOW)


def drive(call: Call, *events: m.Event, now: float = NOW) -> tuple[Call, list[m.Effect]]:
    effects: list[m.Effect] = []
    for event in events:
        call, more = step(CONTEXT, call, event, now)
        effects += more
    return call, effects


def of_type(effects: list[m.Effect], kind: type[Any]) -> list[Any]:
    return [effect for effect in effects if isinstance(effect, kind)]


def played(effects: list[m.Effect]) -> list[tuple[str, ...]]:
    return [effect.prompts for effect in of_type(effects, m.PlayToCaller)]


def to_recording(number: str = "+1", from_agent: str = "") -> tuple[Call, m.TakeMessage]:
    call, _ = drive(call_to(number, from_agent), *TO_LINE)
    assert call.run is not None
    call, effects = drive(call, m.PlaybackOver(call.run.step))
    (taken,) = of_type(effects, m.TakeMessage)
    return call, taken


# A message is left.


def test_after_greeting_and_tone_the_caller_is_recorded_as_the_box_says() -> None:
    call, effects = drive(call_to("+1"), *TO_LINE)
    assert played(effects) == [("closed", "beep")]
    call, taken = to_recording()
    message = taken.message
    assert (message.box, message.caller, message.called, message.call_id) == (
        "queue:billing",
        "+3725551",
        "+1",
        "c1",
    )
    assert (taken.limit_seconds, taken.silence_seconds, message.received_at) == (30, 8, NOW)
    call, effects = drive(call, m.DigitPressed(Side.CALLER, "5"))
    assert effects == []
    call, effects = drive(call, m.DigitPressed(Side.CALLER, "#"))
    assert effects == [m.EndMessage()]
    call, effects = drive(call, m.RecordingOver(message.id, 3.0, "stopped"), now=NOW + 5)
    assert played(effects) == [("voicemail-saved",)]
    assert call.run is not None
    call, effects = drive(call, m.PlaybackOver(call.run.step))
    assert played(effects) == [("closed",)]
    assert call.run is not None
    call, effects = drive(call, m.PlaybackOver(call.run.step))
    assert of_type(effects, m.Close) == [m.Close("voicemail", "system", "normal")]


def test_who_knows_the_greeting_passes_it_over_with_the_hash_key() -> None:
    call, _ = drive(call_to("+1"), *TO_LINE)
    call, effects = drive(call, m.DigitPressed(Side.CALLER, "#"))
    assert played(effects) == [("beep",)]
    assert call.run is not None
    assert of_type(drive(call, m.PlaybackOver(call.run.step))[1], m.TakeMessage)


@pytest.mark.parametrize(
    ("sound", "why", "said"),
    [
        (0.0, "silence", "voicemail-empty"),
        (0.3, "stopped", "voicemail-empty"),
        (0.0, "full", "voicemail-full"),
        (0.2, "failed", "not-possible"),
        (0.0, "disk-full", "not-possible"),
        (2.0, "disk-full", "voicemail-saved"),
        (2.0, "limit", "voicemail-saved"),
    ],
)
def test_the_caller_hears_what_became_of_the_message(sound: float, why: str, said: str) -> None:
    call, taken = to_recording()
    call, effects = drive(call, m.RecordingOver(taken.message.id, sound, why))
    assert played(effects) == [(said,)]
    assert (call.messages, call.recording) == (1 if said == "voicemail-saved" else 0, "")


@pytest.mark.parametrize(("seconds", "outcome"), [(0.2, "abandoned"), (6.0, "voicemail")])
def test_hanging_up_ends_a_message_and_at_the_tone_leaves_none(seconds: float, outcome: str) -> None:
    call, _ = to_recording()
    call, effects = drive(call, m.LegOver(Side.CALLER, "remote", 0), now=NOW + seconds)
    assert of_type(effects, m.Close)[0].outcome == outcome


def test_a_caller_who_is_moved_away_leaves_what_was_said_so_far() -> None:
    call, _ = to_recording()
    call, effects = drive(call, m.TransferAsked("billing", by_phone=False))
    assert call.state is State.QUEUED
    assert of_type(effects, m.EndMessage)
    assert drive(call, m.RecordingOver("c1-2", 3.0, "stopped"))[1] == []


def test_a_box_that_takes_no_messages_says_so_and_lets_the_caller_go() -> None:
    call, effects = drive(call_to("+2"), *TO_LINE)
    assert played(effects) == [("not-possible", "goodbye")]
    assert call.run is not None
    _, effects = drive(call, m.PlaybackOver(call.run.step))
    assert of_type(effects, m.Close) == [m.Close("completed", "system", "normal")]


def test_whoever_sends_a_call_to_a_box_needs_no_flow() -> None:
    call, _ = drive(call_to("+1"), *TO_LINE)
    call, effects = leave_message(CONTEXT, call, "box:reception", NOW)
    assert played(list(effects)) == [("voicemail-greeting", "beep")]
    assert call.run is not None
    call, _ = drive(call, m.PlaybackOver(call.run.step))
    call, effects = drive(call, m.RecordingOver(call.recording, 3.0, "silence"))
    assert played(effects) == [("voicemail-saved", "goodbye")]
    assert call.run is not None
    _, effects = drive(call, m.PlaybackOver(call.run.step))
    assert of_type(effects, m.Close)[0].outcome == "voicemail"


# An agent who does not answer.

OFFER = Offer("c1", "anna", "extension", 7, 0, 0)


@pytest.mark.parametrize(
    "then",
    [
        (m.OfferMade(OFFER), m.LegOver(Side.AGENT, "remote", 486)),
        (m.OfferMade(OFFER), m.LegOver(Side.AGENT, "remote", 603)),
        (m.OfferMade(OFFER), m.TimerFired(Timer.RING, 0)),
        (m.OfferMade(OFFER), m.AgentUnavailable("unreachable")),
        (m.TimerFired(Timer.LONGEST_WAIT, 0),),
    ],
    ids=["busy", "declined", "no answer", "unreachable", "away"],
)
def test_an_agent_who_does_not_take_a_call_to_the_extension_has_a_message_instead(
    then: tuple[m.Event, ...],
) -> None:
    call, effects = drive(call_to("1001", "bert"), *TO_LINE)
    assert m.StartTimer(Timer.LONGEST_WAIT, 8) in effects
    call, effects = drive(call, *then)
    assert call.state is State.IVR
    assert of_type(effects, m.LeaveQueue)
    assert played(effects) == [("voicemail-greeting", "beep")]
    assert call.run is not None
    call, effects = drive(call, m.PlaybackOver(call.run.step))
    (taken,) = of_type(effects, m.TakeMessage)
    assert (taken.message.box, taken.message.queue) == ("agent:anna", "")


def test_an_agent_without_a_box_is_waited_for_longer_and_rung_once() -> None:
    call, effects = drive(call_to("1003", "bert"), *TO_LINE)
    assert m.StartTimer(Timer.LONGEST_WAIT, 30.0) in effects
    call, effects = drive(
        call, m.OfferMade(replace(OFFER, agent_id="carl")), m.LegOver(Side.AGENT, "remote", 486)
    )
    assert call.state is State.ENDED
    assert not played(effects)


def test_a_flow_that_goes_on_by_itself_does_and_one_that_does_not_leads_to_the_box() -> None:
    for number, state in (("+3", State.IVR), ("+4", State.ENDED)):
        call, _ = drive(call_to(number), *TO_LINE)
        call, effects = drive(call, m.TimerFired(Timer.LONGEST_WAIT, 0))
        assert call.state is state
        assert bool(played(effects)) == (state is State.IVR)


# An agent listens.


def opened(*messages: Waiting) -> tuple[Call, list[m.Effect]]:
    call, effects = drive(call_to("*97", "anna"), *TO_LINE)
    assert of_type(effects, m.OpenMailbox) == [m.OpenMailbox("agent:anna")]
    return drive(call, m.MailboxOpened(messages))


def test_the_agent_hears_deletes_and_is_let_go() -> None:
    call, effects = opened(Waiting("m1", True), Waiting("m2", False))
    counts = ("mailbox-new", "digit-1", "mailbox-old", "digit-1")
    assert of_type(effects, m.PlayMessage) == [m.PlayMessage(1, (*counts, "mailbox-message-new"), "m1", "en")]
    call, effects = drive(call, m.PlaybackOver(1))
    assert m.MarkHeard("m1", "anna") in effects
    call, effects = drive(call, m.PlaybackOver(2))
    assert effects == [m.StartTimer(Timer.IVR, 6.0, 3)]
    call, effects = drive(call, m.DigitPressed(Side.CALLER, "3"))
    assert m.DeleteMessage("m1") in effects
    assert m.StopTimer(Timer.IVR) in effects
    call, effects = drive(call, m.TimerFired(Timer.IVR, 3))
    assert effects == [], "a wait that is over already"
    call, effects = drive(call, m.DigitPressed(Side.CALLER, "*"), m.PlaybackOver(5))
    assert (call.state, of_type(effects, m.Close)[0].outcome) == (State.ENDED, "completed")


def test_a_box_that_cannot_be_looked_into_is_told() -> None:
    call, _ = drive(call_to("*97", "anna"), *TO_LINE)
    call, effects = drive(call, m.MailboxOpened(None), m.PlaybackOver(0))
    assert played(effects) == [("not-possible",)]
    assert call.state is State.ENDED


def test_a_shared_box_opens_to_those_who_may_listen() -> None:
    _, effects = drive(call_to("*977", "bert"), *TO_LINE)
    assert of_type(effects, m.OpenMailbox) == [m.OpenMailbox("box:reception")]
    _, effects = drive(call_to("*977", "anna"), *TO_LINE)
    assert played(effects) == [("not-possible",)]
    _, effects = drive(call_to("*97", "bert"), *TO_LINE)
    assert played(effects) == [("no-messages",)]
    assert drive(call_to("*978", "bert"), TO_LINE[0])[0].state is State.ENDED


# The session.


@pytest.fixture
def bench() -> Bench:
    return Bench(context=CONTEXT)


async def to_line(bench: Bench, **arrival: str) -> None:
    bench.calls.on_call(Arrival(**arrival))  # type: ignore[arg-type]
    await bench.until("answering")
    bench.calls.on_leg(sip.LegConfirmed("caller-leg", None))


async def heard(bench: Bench, *prompts: str) -> None:
    await bench.settle(lambda: bench.media.hears.get("caller-leg") == [*prompts])


async def test_what_is_recorded_goes_where_the_keeper_says_and_a_hang_up_ends_it(bench: Bench) -> None:
    await to_line(bench, called="+1")
    await heard(bench, "closed", "beep")
    call = bench.calls.live()[0].id
    bench.calls.on_media(PlaybackEnded("caller-leg", "1"))
    await bench.settle(lambda: "caller-leg" in bench.media.recordings)
    recording, file, limit, silence = bench.media.recordings["caller-leg"]
    assert (recording, file.name, limit, silence) == (f"{call}-2", f"{call}-2.wav", 30, 8)
    assert bench.messages.said == [("begin", "queue:billing", "+37255")]
    bench.clock.now += 4
    bench.calls.on_leg(sip.LegEnded("caller-leg", "remote", 0))
    await bench.until("gone")
    assert bench.media.recordings == {}
    assert bench.journal.records[0].outcome == "voicemail"


@pytest.mark.parametrize(
    ("refusal", "said"), [(BoxFull("full"), "voicemail-full"), (MessageImpossible("no"), "not-possible")]
)
async def test_a_box_that_takes_no_more_is_told_to_the_caller(
    bench: Bench, refusal: Exception, said: str
) -> None:
    bench.messages.refusal = refusal  # type: ignore[assignment]
    await to_line(bench, called="+1")
    await heard(bench, "closed", "beep")
    bench.calls.on_media(PlaybackEnded("caller-leg", "1"))
    await heard(bench, said)
    assert bench.media.recordings == {}


async def test_an_agent_listens_to_what_is_there(bench: Bench, tmp_path: Any) -> None:
    audio = tmp_path / "m1.wav"
    audio.touch()
    bench.messages.audio = lambda message_id: tmp_path / f"{message_id}.wav"  # type: ignore[method-assign]
    bench.messages.boxes["agent:anna"] = [Waiting("m1", True), Waiting("gone", True)]
    await to_line(bench, called="*97", agent="anna", trunk="")
    await heard(bench, "mailbox-new", "digit-2", "mailbox-message-new", "m1")
    bench.calls.on_leg(sip.LegInfoReceived("caller-leg", "application/dtmf", b"3"))
    await heard(bench, "mailbox-deleted", "mailbox-message-new", "not-possible")
    bench.calls.on_media(PlaybackEnded("caller-leg", "2"))
    await bench.settle(lambda: len(bench.messages.said) == 2)
    assert bench.messages.said == [("deleted", "m1"), ("heard", "gone", "anna")]


async def test_a_database_that_is_away_is_no_end_of_the_call(bench: Bench) -> None:
    await to_line(bench, called="*97", agent="anna", trunk="")
    await heard(bench, "not-possible")
