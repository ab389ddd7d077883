"""A supervisor of calls with fakes around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from acd.calls import facts
from acd.calls.ports import Services
from acd.calls.steps.context import Context
from acd.calls.supervisor import CallSupervisor
from acd.directory.model import Agent, Directory, FeatureCode, Number, Queue, RefusalRule, Refusals, Srtp
from acd.sip.core import events as sip
from acd.sip.core.refer import Replaces
from acd.sip.identity import Identity, Party
from acd.sip.watching import PhoneState
from ivr.flow import FlowDefinition, Menu
from ivr.flow import Queue as QueueNode
from routing.model import Offer
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
