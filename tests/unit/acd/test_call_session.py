"""A live call: effects reach SIP, media and the store, and nothing is left behind whatever goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import msgspec
import pytest

from acd.calls import facts
from acd.calls import model as m
from acd.calls.ports import Services
from acd.calls.steps.context import Context
from acd.calls.supervisor import CallSupervisor
from acd.calls.targets import TransferImpossible, UnknownTarget
from acd.directory.model import Agent, Directory, FeatureCode, Number, Queue, RefusalRule, Refusals, Srtp
from acd.errors import AcdError, NoCommonCodec
from acd.media.engine import DigitReceived, MediaFailed, PlaybackEnded
from acd.sip.core import events as sip
from acd.sip.core.message import Request, parse
from acd.sip.core.refer import ReferTo, Replaces
from acd.sip.identity import Identity, Party
from acd.sip.watching import PhoneState
from ivr.flow import FlowDefinition, Menu
from ivr.flow import Queue as QueueNode
from routing.model import AgentState, Offer, OfferWithdrawn, RejectReason, WrapupTaken
from routing.ports import StaleToken
from tests.support.call_fakes import (
    FakeDesk,
    FakeDoNotCall,
    FakeJournal,
    FakeLookout,
    FakeMedia,
    FakeMessages,
    FakeOutsideCalls,
    FakePrompts,
    FakeSip,
    FakeStore,
)
from tests.support.clock import FakeClock
from tests.support.net import patience
from tests.support.stack_peer import StackPeer

ANNA = Agent(id="anna", extension="1001")
BERT = Agent(id="bert", extension="1002", name="Bert")
CORA = Agent(id="cora", extension="1003")
TWICE = Refusals(no_answer=RefusalRule(not_answering_after=2))
CONTEXT = Context(
    directory=Directory(
        numbers={"+1": Number("+1", flow="main"), "+2": Number("+2", queue="billing")},
        queues={"billing": Queue("billing", refusals=TWICE)},
        codes={"*12": FeatureCode("*12", "sign-out")},
        agents={"anna": ANNA, "bert": BERT, "cora": CORA},
        agent_by_extension={"1001": ANNA, "1002": BERT, "1003": CORA},
    ),
    flows={
        "main": FlowDefinition(
            "main",
            "menu",
            {"menu": Menu(("choose",), {"1": "wait"}, otherwise="wait"), "wait": QueueNode("billing")},
        )
    },
)


@dataclass(frozen=True)
class Arrival:
    leg: str = "caller-leg"
    offer: bytes | None = b"offer"
    caller: str = "+37255"
    caller_name: str = ""
    called: str = "+2"
    trunk: str = "carrier"
    agent: str = ""
    replaces: Replaces | None = None
    srtp: Srtp = "off"

    @property
    def identity(self) -> Identity:
        return Identity(Party(self.caller, self.caller_name), self.called)


@dataclass
class Bench:
    """One supervisor with fakes around it."""

    sip: FakeSip = field(default_factory=FakeSip)
    media: FakeMedia = field(default_factory=FakeMedia)
    store: FakeStore = field(default_factory=FakeStore)
    journal: FakeJournal = field(default_factory=FakeJournal)
    clock: FakeClock = field(default_factory=FakeClock)
    told: list[facts.CallFact] = field(default_factory=list)
    desk: FakeDesk = field(default_factory=FakeDesk)
    do_not_call: FakeDoNotCall = field(default_factory=FakeDoNotCall)
    lookout: FakeLookout = field(default_factory=FakeLookout)
    messages: FakeMessages = field(default_factory=FakeMessages)
    outside: FakeOutsideCalls = field(default_factory=FakeOutsideCalls)
    context: Context = CONTEXT
    lamps: list[tuple[PhoneState, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        services = Services(
            sip=self.sip,
            media=self.media,
            store=self.store,
            journal=self.journal,
            prompts=FakePrompts(),
            clock=self.clock,
            context=lambda: self.context,
            observers=(self.told.append,),
            desk=self.desk,
            do_not_call=self.do_not_call,
            lookout=self.lookout,
            messages=self.messages,
            outside=self.outside,
            phones=lambda call_id, phones: self.lamps.append(phones),
        )
        self.calls = CallSupervisor("a", services)
        self.media.subscribe(self.calls.on_media)

    async def settle(self, reached: Callable[[], bool]) -> None:
        """Let tasks run until something is so."""
        async with asyncio.timeout(patience(5)):
            while not reached():
                await asyncio.sleep(0)

    async def told_store(self, verb: str) -> None:
        await self.settle(lambda: bool(self.store.said) and self.store.said[-1][0] == verb)

    def state(self) -> str:
        return self.calls.live()[0].state if self.calls.live_calls else "gone"

    async def until(self, state: str) -> None:
        await self.settle(lambda: self.state() == state)

    def offer(self, token: int = 1, unanswered: int = 0) -> Offer:
        return Offer(self.calls.live()[0].id, "anna", "billing", token, 0, unanswered)

    async def to_queue(self, called: str = "+2") -> None:
        self.calls.on_call(Arrival(called=called))
        await self.until("answering")
        self.calls.on_leg(sip.LegConfirmed("caller-leg", None))
        await self.until("queued" if called == "+2" else "ivr")

    async def to_offered(self, **offer: int) -> str:
        await self.to_queue()
        self.calls.on_routing(self.offer(**offer))
        await self.settle(lambda: any(said[0] == "invite" for said in self.sip.said))
        return next(said[1] for said in self.sip.said if said[0] == "invite")

    async def to_talking(self) -> str:
        agent_leg = await self.to_offered()
        self.calls.on_leg(sip.LegAnswered(agent_leg, b"answer"))
        await self.until("talking")
        return agent_leg


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    bench.store.away = False
    await bench.calls.drain(0)


async def test_a_call_is_connected_and_ends_with_one_record(bench: Bench) -> None:
    agent_leg = await bench.to_talking()
    assert bench.media.hears == {"caller-leg": agent_leg, agent_leg: "caller-leg"}
    bench.clock.advance(12)
    bench.calls.on_leg(sip.LegEnded("caller-leg", "remote", 0))
    await bench.until("gone")
    await bench.told_store("done")
    assert ("hangup", agent_leg) in bench.sip.said
    assert bench.media.open == set()
    (record,) = bench.journal.records
    assert (record.outcome, record.agent, record.talk_seconds, record.packets_lost) == (
        *("answered", "anna", 12.0),
        3,
    )
    assert bench.journal.live == {}
    assert [type(fact) for fact in bench.told] == [
        *(facts.CallStarted, facts.CallQueued, facts.AgentRung, facts.CallAnswered),
        *(facts.ConversationOver, facts.LegClosed, facts.LegClosed, facts.CallEnded),
    ]


async def test_a_caller_who_hangs_up_while_the_store_is_away_is_released_at_once(bench: Bench) -> None:
    await bench.to_queue()
    await bench.settle(lambda: bool(bench.store.said))
    bench.store.away = True
    bench.calls.on_leg(sip.LegEnded("caller-leg", "remote", 0))
    await bench.until("gone")
    assert bench.media.open == set()
    assert len(bench.journal.records) == 1
    bench.store.away = False
    await bench.told_store("cancel")


async def test_caller_hangs_up_while_agent_rings_cancels_agent(bench: Bench) -> None:
    agent_leg = await bench.to_offered()
    bench.calls.on_leg(sip.LegEnded("caller-leg", "remote", 0))
    await bench.until("gone")
    await bench.told_store("cancel")
    assert ("hangup", agent_leg) in bench.sip.said
    assert bench.media.open == set()
    assert bench.journal.records[0].outcome == "abandoned"


async def test_an_offer_that_was_withdrawn_lets_the_phone_go_and_the_caller_wait(bench: Bench) -> None:
    agent_leg = await bench.to_offered()
    call_id = bench.calls.live()[0].id
    bench.calls.on_routing(OfferWithdrawn(call_id, "anna", 1))
    await bench.until("queued")
    assert ("hangup", agent_leg) in bench.sip.said
    assert bench.media.open == {"caller-leg"}


async def test_a_late_word_of_a_released_phone_changes_nothing(bench: Bench) -> None:
    agent_leg = await bench.to_offered()
    bench.calls.on_routing(OfferWithdrawn(bench.calls.live()[0].id, "anna", 1))
    await bench.until("queued")
    bench.calls.on_leg(sip.LegAnswered(agent_leg, b"answer"))
    bench.calls.on_leg(sip.LegEnded(agent_leg, "local", 487))
    bench.calls.on_routing(bench.offer(token=2))
    await bench.until("offered")


@pytest.mark.parametrize(("unanswered", "then"), [(0, AgentState.AVAILABLE), (1, AgentState.NOT_ANSWERING)])
async def test_the_nth_unanswered_offer_sets_the_agent_to_not_answering(
    bench: Bench, unanswered: int, then: AgentState
) -> None:
    agent_leg = await bench.to_offered(unanswered=unanswered)
    bench.calls.on_leg(sip.LegEnded(agent_leg, "timeout", 408))
    await bench.until("queued")
    await bench.told_store("reject")
    refusal = bench.store.said[-1][4]
    assert (refusal.reason, refusal.then) == (RejectReason.NO_ANSWER, then)


async def test_a_busy_agent_is_not_taken_for_absent(bench: Bench) -> None:
    agent_leg = await bench.to_offered(unanswered=5)
    bench.calls.on_leg(sip.LegEnded(agent_leg, "remote", 486))
    await bench.told_store("reject")
    refusal = bench.store.said[-1][4]
    assert (refusal.reason, refusal.then) == (RejectReason.BUSY, AgentState.AVAILABLE)


async def test_a_phone_that_cannot_be_rung_is_given_back_as_unreachable(bench: Bench) -> None:
    bench.sip.unreachable = AcdError("no phone")
    await bench.to_queue()
    bench.calls.on_routing(bench.offer())
    await bench.told_store("reject")
    assert bench.store.said[-1][4].reason is RejectReason.UNREACHABLE
    assert bench.media.open == {"caller-leg"}


async def test_an_answer_without_a_common_codec_is_hung_up_and_the_caller_waits(bench: Bench) -> None:
    bench.media.bad_answer = NoCommonCodec("only G.729")
    agent_leg = await bench.to_offered()
    bench.calls.on_leg(sip.LegAnswered(agent_leg, b"answer"))
    await bench.until("queued")
    assert ("hangup", agent_leg) in bench.sip.said


async def test_a_stale_accept_puts_the_caller_back(bench: Bench) -> None:
    bench.store.raises["accept"] = StaleToken()
    agent_leg = await bench.to_offered()
    bench.calls.on_leg(sip.LegAnswered(agent_leg, b"answer"))
    await bench.until("queued")
    await bench.told_store("enqueue")
    assert ("hangup", agent_leg) in bench.sip.said


async def test_a_refusal_that_comes_too_late_says_the_callers_place_again(bench: Bench) -> None:
    """The node's lease may have run out while the phone rang: then the store has given up the call."""
    bench.store.raises["reject"] = StaleToken()
    agent_leg = await bench.to_offered()
    bench.store.said.clear()
    bench.calls.on_leg(sip.LegEnded(agent_leg, "remote", 486))
    await bench.told_store("enqueue")
    assert [word[0] for word in bench.store.said] == ["reject", "enqueue"]


async def ring_three(bench: Bench) -> dict[str, str]:
    """Three agents are rung together; the leg of each."""
    await bench.to_queue()
    call = bench.calls.live()[0].id
    for token, agent in enumerate(("anna", "bert", "carl"), 1):
        bench.calls.on_routing(Offer(call, agent, "billing", token, 0, together=1))
    await bench.settle(lambda: [said[0] for said in bench.sip.said].count("invite") == 3)
    return {said[2]: said[1] for said in bench.sip.said if said[0] == "invite"}


async def test_of_three_who_are_rung_the_first_who_answers_talks_and_the_others_stop(bench: Bench) -> None:
    legs = await ring_three(bench)
    bench.calls.on_leg(sip.LegAnswered(legs["carl"], b"answer"))
    bench.calls.on_leg(sip.LegAnswered(legs["anna"], b"too late"))
    await bench.until("talking")
    assert bench.media.hears["caller-leg"] == legs["carl"]
    assert [said for said in bench.sip.said if said[0] == "hangup"] == [
        ("hangup", legs["anna"]),
        ("hangup", legs["bert"]),
    ]
    assert bench.media.open == {"caller-leg", legs["carl"]}
    assert not any(said[0] == "reject" for said in bench.store.said)
    bench.calls.on_leg(sip.LegEnded(legs["bert"], "local", 487))
    bench.calls.on_leg(sip.LegEnded(legs["carl"], "remote", 0))
    await bench.until("gone")
    assert bench.media.open == set()
    assert bench.journal.records[0].agent == "carl"


async def test_phones_that_refuse_or_cannot_be_used_leave_the_others_ringing(bench: Bench) -> None:
    legs = await ring_three(bench)
    bench.calls.on_leg(sip.LegEnded(legs["anna"], "remote", 486))
    bench.media.bad_answer = NoCommonCodec("none")
    bench.calls.on_leg(sip.LegAnswered(legs["bert"], b"answer"))
    await bench.settle(lambda: [said[0] for said in bench.store.said].count("reject") == 2)
    bench.media.bad_answer = None
    assert bench.state() == "offered"
    assert bench.media.open == {"caller-leg", legs["carl"]}
    bench.calls.on_leg(sip.LegAnswered(legs["carl"], b"answer"))
    await bench.until("talking")


async def test_an_offer_for_a_call_that_is_gone_frees_its_agent(bench: Bench) -> None:
    bench.calls.on_routing(Offer("gone", "anna", "billing", 9, 0))
    await bench.settle(lambda: bool(bench.store.said))
    assert bench.store.said[0][:2] == ("cancel", "gone")


async def test_the_end_of_a_wrap_up_is_told_though_its_call_is_over(bench: Bench) -> None:
    bench.calls.on_routing(WrapupTaken("anna", "billing", 3_500, 1))
    assert bench.told == [facts.WrapupEnded("billing", "anna", 3.5)]


async def test_digits_from_rtp_and_from_info_choose_in_the_menu(bench: Bench) -> None:
    await bench.to_queue("+1")
    bench.calls.on_leg(sip.LegInfoReceived("caller-leg", "application/dtmf-relay", b"Signal=9\r\nDuration=1"))
    await bench.settle(lambda: bench.media.hears.get("caller-leg") == ["invalid-choice", "choose"])
    bench.calls.on_media(DigitReceived("caller-leg", "1"))
    await bench.until("queued")


async def test_a_playback_that_ends_after_its_menu_is_ignored(bench: Bench) -> None:
    await bench.to_queue("+1")
    bench.calls.on_media(DigitReceived("caller-leg", "1"))
    await bench.until("queued")
    bench.calls.on_media(PlaybackEnded("caller-leg", "0"))
    await bench.settle(lambda: bench.media.hears["caller-leg"] == "hold-music")


async def test_hold_by_the_agent_gives_the_caller_music(bench: Bench) -> None:
    agent_leg = await bench.to_talking()
    bench.media.direction = "sendonly"
    bench.calls.on_leg(sip.LegReoffered(agent_leg, b"hold"))
    await bench.settle(lambda: bench.media.hears["caller-leg"] == "hold-music")
    assert ("accept-reoffer", agent_leg, b"again") in bench.sip.said
    bench.media.direction = "sendrecv"
    bench.calls.on_leg(sip.LegReoffered(agent_leg, b"resume"))
    await bench.settle(lambda: bench.media.hears["caller-leg"] == agent_leg)


async def test_the_answer_in_an_ack_reaches_the_audio_and_may_hold_or_resume(bench: Bench) -> None:
    agent_leg = await bench.to_talking()
    bench.calls.on_leg(sip.LegReoffered(agent_leg, None))
    await bench.settle(lambda: ("accept-reoffer", agent_leg, b"again") in bench.sip.said)
    bench.media.direction = "sendonly"
    bench.calls.on_leg(sip.LegReofferAnswered(agent_leg, b"answer in the ACK"))
    await bench.settle(lambda: bench.media.hears["caller-leg"] == "hold-music")
    assert bench.media.answers[agent_leg] == b"answer in the ACK"
    bench.media.direction = "sendrecv"
    bench.calls.on_leg(sip.LegReofferAnswered(agent_leg, b"and back"))
    await bench.settle(lambda: bench.media.hears["caller-leg"] == agent_leg)


@pytest.mark.parametrize("sdp", [None, b"nonsense"])
async def test_an_answer_in_an_ack_that_cannot_be_used_leaves_the_call_as_it_was(
    bench: Bench, sdp: bytes | None
) -> None:
    agent_leg = await bench.to_talking()
    bench.media.bad_answer = NoCommonCodec("none")
    bench.calls.on_leg(sip.LegReofferAnswered(agent_leg, sdp))
    for _ in range(10):
        await asyncio.sleep(0)
    assert bench.state() == "talking"
    assert bench.media.hears["caller-leg"] == agent_leg


async def test_an_unusable_re_invite_leaves_the_call_as_it_was(bench: Bench) -> None:
    agent_leg = await bench.to_talking()
    bench.media.refusal = NoCommonCodec("no")
    bench.calls.on_leg(sip.LegReoffered(agent_leg, b"bad"))
    await bench.settle(lambda: ("refuse-reoffer", agent_leg, 488) in bench.sip.said)
    assert bench.state() == "talking"


async def test_an_offer_that_media_cannot_take_is_refused_with_its_status(bench: Bench) -> None:
    bench.media.refusal = NoCommonCodec("only G.729")
    bench.calls.on_call(Arrival())
    await bench.settle(lambda: bool(bench.journal.records))
    assert ("refuse", "caller-leg", 488) in bench.sip.said
    assert (bench.journal.records[0].outcome, bench.journal.records[0].cause) == (
        "rejected",
        "no-common-codec",
    )


async def test_a_mistake_of_ours_ends_the_call_through_the_one_door(bench: Bench) -> None:
    await bench.to_queue()
    bench.calls.on_media(MediaFailed("caller-leg"))
    await bench.until("gone")
    assert (bench.journal.records[0].outcome, bench.journal.records[0].cause) == ("failed", "media-failed")
    await bench.to_queue()
    bench.sip.invite_agent = None  # type: ignore[assignment,method-assign]
    bench.calls.on_routing(bench.offer())
    await bench.until("gone")
    assert bench.journal.records[1].cause == "internal"
    assert bench.media.open == set()


async def test_a_supervisor_ends_a_call(bench: Bench) -> None:
    await bench.to_queue()
    call_id = bench.calls.live()[0].id
    assert bench.calls.hang_up(call_id)
    await bench.until("gone")
    assert bench.journal.records[0].outcome == "cleared"
    assert not bench.calls.hang_up(call_id)


async def test_a_stopping_node_ends_what_is_left_and_writes_it_down(bench: Bench) -> None:
    await bench.to_talking()
    await bench.calls.drain(0)
    assert bench.calls.live_calls == 0
    assert [record.cause for record in bench.journal.records] == ["shutdown"]
    assert bench.media.open == set()


async def test_a_predecessors_calls_get_their_records(bench: Bench) -> None:
    await bench.to_talking()
    successor = Bench()
    successor.calls.recover(bench.journal.live | {"broken": b"\xc1"}, bench.clock.now + 5)
    (record,) = successor.journal.records
    assert (record.outcome, record.cause, record.agent) == ("failed", "node-died", "anna")
    assert record.talk_seconds == 5


async def test_the_places_are_said_again_to_a_store_that_came_back(bench: Bench) -> None:
    await bench.to_queue()
    await bench.settle(lambda: bool(bench.store.said))
    first = bench.store.said[-1][:2]
    bench.calls.reassert()
    await bench.settle(lambda: len(bench.store.said) == 2)
    assert bench.store.said[-1][:2] == first


async def test_a_conversation_is_said_again_too(bench: Bench) -> None:
    await bench.to_talking()
    await bench.told_store("accept")
    bench.calls.reassert()
    await bench.told_store("restore_talk")
    assert bench.store.said[-1][2] == "anna"


async def test_what_is_written_down_can_be_read_again(bench: Bench) -> None:
    await bench.to_talking()
    (document,) = bench.journal.live.values()
    assert msgspec.msgpack.decode(document, type=m.Call).state is m.State.TALKING


# Transfers.


async def refer(bench: Bench, leg: str, wanted: ReferTo) -> None:
    flow = sip.Flow("udp", ("127.0.0.1", 5060), ("127.0.0.1", 5070))
    request = parse(StackPeer().request("REFER"))
    assert isinstance(request, Request)
    bench.calls.on_leg(sip.LegReferred(leg, wanted, request, flow))


async def to_consult(bench: Bench) -> tuple[str, str, str]:
    """Anna talks to a caller and, in a second call, to Bert: her leg, Bert's leg, the caller's call."""
    annas = await bench.to_talking()
    caller = bench.calls.live()[0].id
    bench.calls.on_call(Arrival(leg="consult-leg", caller="1001", called="1002", trunk="", agent="anna"))
    await bench.settle(lambda: ("accept", "consult-leg", b"sdp of consult-leg") in bench.sip.said)
    bench.calls.on_leg(sip.LegConfirmed("consult-leg", None))
    consult = next(call.id for call in bench.calls.live() if call.id != caller)
    await bench.settle(lambda: bench.calls.find(consult).state == "queued")  # type: ignore[union-attr]
    bench.calls.on_routing(Offer(consult, "bert", "extension", 2, 0))
    await bench.settle(lambda: bench.sip.said[-1][0] == "invite")
    berts = bench.sip.said[-1][1]
    bench.calls.on_leg(sip.LegAnswered(berts, b"answer"))
    await bench.settle(lambda: bench.calls.find(consult).state == "talking")  # type: ignore[union-attr]
    bench.sip.dialogs[CONSULT] = "consult-leg"
    return annas, berts, caller


CONSULT = ("call", "ours", "theirs")


async def test_an_agents_two_calls_are_joined_and_what_she_leaves_is_closed(bench: Bench) -> None:
    annas, berts, caller = await to_consult(bench)
    await refer(bench, annas, ReferTo("1002", Replaces(CONSULT)))
    # She hangs up both phones' legs at once, as some phones do.
    await bench.settle(lambda: bench.media.hears.get(berts) == "caller-leg")
    bench.calls.on_leg(sip.LegEnded(annas, "remote", 0))
    bench.calls.on_leg(sip.LegEnded("consult-leg", "remote", 0))
    await bench.settle(lambda: bench.media.open == {"caller-leg", berts})
    assert ("answer-refer", annas, 202) in bench.sip.said
    assert ("report-refer", annas, 200) in bench.sip.said
    (call,) = bench.calls.live()
    assert (call.id, call.agent, call.state) == (caller, "bert", "talking")
    assert [(record.caller, record.cause) for record in bench.journal.records] == [("1001", "transferred")]
    bench.calls.on_leg(sip.LegEnded(berts, "remote", 0))
    await bench.until("gone")
    assert bench.media.open == set()
    await bench.settle(lambda: len([said for said in bench.store.said if said[0] == "done"]) == 2)
    ended = [(said[1], said[2]) for said in bench.store.said if said[0] == "done"]
    assert ended == [(caller, "anna"), (call_of(bench, "1001"), "bert")]


def call_of(bench: Bench, caller: str) -> str:
    return next(record.id for record in bench.journal.records if record.caller == caller)


async def test_joining_from_the_second_calls_leg_does_the_same(bench: Bench) -> None:
    annas, berts, _ = await to_consult(bench)
    bench.sip.dialogs[CONSULT] = annas
    await refer(bench, "consult-leg", ReferTo("1002", Replaces(CONSULT)))
    await bench.settle(lambda: bench.media.open == {"caller-leg", berts})
    assert ("answer-refer", "consult-leg", 202) in bench.sip.said


async def test_a_caller_who_hangs_up_while_calls_are_joined_leaves_nobody_behind(bench: Bench) -> None:
    annas, berts, _ = await to_consult(bench)
    await refer(bench, annas, ReferTo("1002", Replaces(CONSULT)))
    bench.calls.on_leg(sip.LegEnded("caller-leg", "remote", 0))
    await bench.settle(lambda: bench.calls.live_calls == 0 or bench.media.open <= {"consult-leg", berts})
    await bench.calls.drain(0)
    assert bench.media.open == set()
    await bench.settle(lambda: len([said for said in bench.store.said if said[0] == "done"]) == 2)


@pytest.mark.parametrize("agent", ["", "bert"])
async def test_only_the_agents_own_calls_are_joined(bench: Bench, agent: str) -> None:
    annas = await bench.to_talking()
    bench.calls.on_call(Arrival(leg="other-leg", caller="x", called="+2", trunk="", agent=agent))
    bench.sip.dialogs[CONSULT] = "other-leg"
    await refer(bench, annas, ReferTo("1002", Replaces(CONSULT)))
    await refer(bench, annas, ReferTo("1002", Replaces(("no", "such", "dialog"))))
    assert bench.sip.said[-2:] == [("answer-refer", annas, 403), ("answer-refer", annas, 404)]


async def test_a_blind_transfer_that_fails_gives_the_agent_the_caller_back(bench: Bench) -> None:
    annas = await bench.to_talking()
    call_id = bench.calls.live()[0].id
    await refer(bench, annas, ReferTo("1002"))
    await bench.until("queued")
    assert bench.media.hears == {"caller-leg": "hold-music", annas: "silence"}
    bench.calls.on_routing(Offer(f"{call_id}~1", "bert", "extension", 2, 0))
    await bench.until("offered")
    berts = bench.sip.said[-1][1]
    bench.calls.on_leg(sip.LegEnded(berts, "remote", 486))
    await bench.until("talking")
    await bench.told_store("cancel")
    assert bench.store.said[-1][1] == f"{call_id}~1"
    assert bench.media.hears["caller-leg"] == annas
    assert ("report-refer", annas, 486) in bench.sip.said
    assert not [said for said in bench.store.said if said[0] == "done"]


async def test_a_caller_cannot_transfer_themselves(bench: Bench) -> None:
    await bench.to_talking()
    await refer(bench, "caller-leg", ReferTo("1001"))
    assert bench.sip.said[-1] == ("answer-refer", "caller-leg", 403)


async def test_an_agent_who_dialled_a_colleague_sends_them_on_or_has_them_back(bench: Bench) -> None:
    bench.calls.on_call(Arrival(leg="annas", caller="1001", called="1002", trunk="", agent="anna"))
    await bench.settle(lambda: ("accept", "annas", b"sdp of annas") in bench.sip.said)
    bench.calls.on_leg(sip.LegConfirmed("annas", None))
    await bench.until("queued")
    call_id = bench.calls.live()[0].id
    bench.calls.on_routing(Offer(call_id, "bert", "extension", 1, 0))
    await bench.settle(lambda: bench.sip.said[-1][0] == "invite")
    assert bench.sip.shown == ("1001", "")
    berts = bench.sip.said[-1][1]
    bench.calls.on_leg(sip.LegAnswered(berts, b"answer"))
    await bench.until("talking")

    async def rings(attempt: int) -> str:
        await refer(bench, "annas", ReferTo("1003"))
        await bench.until("queued")
        assert (bench.media.hears[berts], bench.media.hears["annas"]) == ("hold-music", "silence")
        bench.calls.on_routing(Offer(f"{call_id}~{attempt}", "cora", "extension", 1 + attempt, 0))
        await bench.settle(lambda: bench.sip.said[-1][0] == "invite")
        return str(bench.sip.said[-1][1])

    refused = await rings(1)
    assert bench.sip.shown == ("1002", "Bert")
    bench.calls.on_leg(sip.LegEnded(refused, "remote", 486))
    await bench.until("talking")
    assert bench.media.hears == {"annas": berts, berts: "annas"}
    assert ("report-refer", "annas", 486) in bench.sip.said

    coras = await rings(2)
    bench.calls.on_leg(sip.LegAnswered(coras, b"answer"))
    await bench.settle(lambda: bench.media.open == {berts, coras})
    assert (bench.media.hears[berts], bench.media.hears[coras]) == (coras, berts)
    assert ("hangup", "annas") in bench.sip.said
    bench.calls.on_leg(sip.LegEnded(berts, "remote", 0))
    await bench.until("gone")
    await bench.settle(lambda: len([said for said in bench.store.said if said[0] == "done"]) == 2)
    assert bench.media.open == set()
    (record,) = bench.journal.records
    assert (record.caller, record.agent) == ("1001", "cora")


async def test_whom_an_agent_reached_and_who_hangs_up_as_they_are_sent_on_is_no_ghost(bench: Bench) -> None:
    bench.calls.on_call(Arrival(leg="annas", caller="1001", called="1002", trunk="", agent="anna"))
    await bench.settle(lambda: ("accept", "annas", b"sdp of annas") in bench.sip.said)
    bench.calls.on_leg(sip.LegConfirmed("annas", None))
    await bench.until("queued")
    bench.calls.on_routing(Offer(bench.calls.live()[0].id, "bert", "extension", 1, 0))
    await bench.settle(lambda: bench.sip.said[-1][0] == "invite")
    berts = bench.sip.said[-1][1]
    bench.calls.on_leg(sip.LegAnswered(berts, b"answer"))
    await bench.until("talking")
    await refer(bench, "annas", ReferTo("1003"))
    bench.calls.on_leg(sip.LegEnded(berts, "remote", 0))  # before the transfer is taken up
    await bench.until("gone")
    assert bench.media.open == set()


async def test_another_phone_of_the_agent_takes_the_call_over(bench: Bench) -> None:
    annas = await bench.to_talking()
    bench.sip.dialogs[CONSULT] = annas
    replaces = Replaces(CONSULT)
    bench.calls.on_call(Arrival(leg="bert-leg", agent="bert", replaces=replaces))
    bench.calls.on_call(Arrival(leg="lost-leg", agent="anna", replaces=Replaces(("a", "b", "c"))))
    bench.calls.on_call(Arrival(leg="early-leg", agent="anna", replaces=Replaces(CONSULT, early_only=True)))
    refusals = [("refuse", "bert-leg", 403), ("refuse", "lost-leg", 481), ("refuse", "early-leg", 486)]
    assert bench.sip.said[-3:] == refusals
    bench.calls.on_call(Arrival(leg="desk-leg", agent="anna", replaces=replaces))
    await bench.settle(lambda: bench.media.open == {"caller-leg", "desk-leg"})
    assert bench.media.hears["caller-leg"] == "desk-leg"
    assert ("hangup", annas) in bench.sip.said
    assert bench.state() == "talking"


async def test_a_supervisor_is_told_what_cannot_be_transferred(bench: Bench) -> None:
    assert not bench.calls.transfer("gone", "1002")
    await bench.to_offered()
    call_id = bench.calls.live()[0].id
    with pytest.raises(UnknownTarget):
        bench.calls.transfer(call_id, "4711")
    with pytest.raises(TransferImpossible):
        bench.calls.transfer(call_id, "1002")


async def test_a_feature_code_reaches_the_desk_and_is_confirmed(bench: Bench) -> None:
    bench.calls.on_call(Arrival(called="*12", trunk="", agent="anna"))
    await bench.until("answering")
    bench.calls.on_leg(sip.LegConfirmed("caller-leg", None))
    await bench.settle(lambda: bench.media.hears.get("caller-leg") == ["signed-out"])
    assert bench.desk.asked == [("anna", AgentState.OFFLINE, "signed-out")]
    bench.calls.on_media(PlaybackEnded("caller-leg", "0"))
    await bench.until("gone")
    assert ("hangup", "caller-leg") in bench.sip.said
    assert [phones[0].state if phones else "" for phones in bench.lamps] == ["trying", "confirmed", ""]


async def test_lamps_follow_an_agent_through_a_call(bench: Bench) -> None:
    await bench.to_talking()
    bench.calls.on_leg(sip.LegEnded("caller-leg", "remote", 0))
    await bench.until("gone")
    assert [[(phone.agent, phone.state) for phone in phones] for phones in bench.lamps] == [
        [("anna", "early")],
        [("anna", "confirmed")],
        [],
    ]


async def test_a_transfer_under_way_is_said_again_with_the_conversation_it_left(bench: Bench) -> None:
    annas = await bench.to_talking()
    call_id = bench.calls.live()[0].id
    await refer(bench, annas, ReferTo("1002"))
    await bench.until("queued")
    await bench.told_store("enqueue")
    bench.store.said.clear()
    bench.calls.reassert()
    await bench.told_store("enqueue")
    restored, entered = bench.store.said
    assert (restored[0], restored[1].call_id, restored[2]) == ("restore_talk", call_id, "anna")
    assert entered[1].call_id == f"{call_id}~1"
