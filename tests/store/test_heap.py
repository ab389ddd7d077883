"""The service's own memory: days of calls, agents and queues that come and go leave nothing behind in it."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import acd
import routing
from acd.calls.lookout import Lookout
from acd.calls.ports import Services
from acd.calls.steps.context import Context
from acd.calls.supervisor import CallSupervisor
from acd.directory.model import Agent, Directory, Number, OverflowRule, Queue, Relaxation
from acd.forecast import Forecast
from acd.metrics.counts import NodeCounts
from acd.metrics.registry import Metrics
from acd.sip.core import events as sip
from routing import engine as routing_engine
from routing.callbacks import Callback
from routing.engine import RoutingEngine
from routing.model import AgentProfile, AgentState, AgentTerms, NodeMessage, Offer
from routing.overflow import Conditions
from routing.store.redis_store import RedisQueueStore
from tests.support.call_bench import Arrival
from tests.support.call_fakes import (
    FakeDesk,
    FakeDoNotCall,
    FakeJournal,
    FakeMedia,
    FakeMessages,
    FakeOutsideCalls,
    FakePrompts,
    FakeSip,
)
from tests.support.clock import FakeClock

pytestmark = pytest.mark.store

DAY = 86_400.0
DAYS, CALLS = 6, 24
LEASE_MS = round(10 * DAY * 1000)
WITHIN = 40_000
"""Bytes: a tenth of what a call takes while it lives, for each call of four days."""


class House:
    """The parts of a node that know of calls, agents and queues, over a real store, in virtual time."""

    def __init__(self, store: RedisQueueStore) -> None:
        self.store, self.clock = store, FakeClock(1_790_000_000.0)
        self.day = 0
        self.made = 0
        self.directory = self._directory()
        self.sip, self.media, self.journal = FakeSip(), FakeMedia(), FakeJournal()
        self.messages, self.desk = FakeMessages(), FakeDesk()
        self.metrics = Metrics(
            node_id="n1",
            clock=self.clock,
            directory=lambda: self.directory,
            store=store,
            counts=NodeCounts,
            expected_waits=lambda: self.forecast.of_queues(),
        )
        self.forecast = Forecast(store, self.clock, lambda: self.directory, self.metrics)
        self.lookout = Lookout(store, self.clock, self.forecast, lambda: self.calls.waiting_places())
        self.calls = CallSupervisor("n1", self._services())
        self.engine = RoutingEngine(
            store,
            "n1",
            self.now_ms,
            LEASE_MS,
            on_message=self._hear,
            on_store_back=self._nothing_was_lost,
            is_live=self.calls.is_live,
            queues=lambda: self.directory.queues.keys(),
        )
        self.offered: asyncio.Queue[Offer] = asyncio.Queue()

    def _services(self) -> Services:
        return Services(
            sip=self.sip,
            media=self.media,
            store=self.store,
            journal=self.journal,
            prompts=FakePrompts(),
            clock=self.clock,
            context=lambda: Context(self.directory, {}),
            observers=(self.metrics, self.forecast),
            desk=self.desk,
            do_not_call=FakeDoNotCall(),
            lookout=self.lookout,
            messages=self.messages,
            outside=FakeOutsideCalls(),
        )

    def _directory(self) -> Directory:
        """Of this day: its own queues, agents, skills, and numbers."""
        names = [f"day{self.day}-{n}" for n in range(3)]
        skill = f"skill{self.day}"
        queues = {
            name: Queue(
                name,
                requires={skill: 1 + n},
                relax=(Relaxation(5, requires={skill: 1}),),
                overflow=(OverflowRule(Conditions(expected_wait_over_seconds=9_000), queue=names[0]),),
                ring_agents=1 + n,
                weight=1 + n,
            )
            for n, name in enumerate(names)
        }
        agents = {f"a{self.day}-{n}": Agent(f"a{self.day}-{n}", extension=f"{n}") for n in range(3)}
        return Directory(
            numbers={f"+{n}": Number(f"+{n}", queue=name) for n, name in enumerate(names)},
            queues=queues,
            agents=agents,
        )

    def now_ms(self) -> int:
        return round(self.clock.time() * 1000)

    async def _nothing_was_lost(self, lost: bool) -> Mapping[str, int]:
        assert not lost

        return self.calls.reassert()

    def _hear(self, message: NodeMessage) -> None:
        self.calls.on_routing(message)
        if isinstance(message, Offer):
            self.offered.put_nowait(message)

    # A day.

    async def lives(self) -> None:
        for agent in self.directory.agents:
            profile = AgentProfile.of({f"skill{self.day}": 9})
            await self.store.agent_available(agent, "n1", profile, self.now_ms(), AgentTerms())
        for n in range(CALLS):
            await (self._is_answered if n % 4 else self._gives_up)(f"+{n % 3}")
            if n % 10 == 0:
                await self._wishes_a_callback()
        await self.lookout.look()
        await self.forecast.look()
        assert f'queue="day{self.day}-0"'.encode() in await self.metrics.render()
        for agent in self.directory.agents:
            await self.store.agent_away(agent, AgentState.OFFLINE, "", self.now_ms())
        self.day += 1
        self.directory = self._directory()
        self.clock.advance(DAY)
        await self.store.heartbeat("n1", LEASE_MS, self.now_ms())
        await self.store.tick(self.now_ms())
        await self.store.forget_queues(self.directory.queues, self.now_ms())
        await self.forecast.look()
        await self.metrics.render()

    async def _arrives(self, number: str) -> str:
        self.made += 1
        leg = f"caller{self.made}"
        call_id = self.calls.on_call(Arrival(leg=leg, caller=f"+3725{self.made}", called=number))
        await self._until(lambda: self._state(call_id) == "answering")
        self.calls.on_leg(sip.LegConfirmed(leg, None))
        return call_id

    async def _is_answered(self, number: str) -> None:
        call_id = await self._arrives(number)
        offer = await asyncio.wait_for(self.offered.get(), 20)
        assert offer.call_id == call_id
        await self._until(lambda: any(said[0] == "invite" for said in self.sip.said))
        rung = next(said[1] for said in self.sip.said if said[0] == "invite")
        self.clock.advance(3)
        self.calls.on_leg(sip.LegAnswered(rung, b"answer"))
        await self._until(lambda: self._state(call_id) == "talking")
        self.clock.advance(60)
        self.calls.on_leg(sip.LegEnded(f"caller{self.made}", "remote", 0))
        await self._is_over()

    async def _gives_up(self, number: str) -> None:
        """While the phone rings."""
        await self._arrives(number)
        await asyncio.wait_for(self.offered.get(), 20)
        self.clock.advance(2)
        self.calls.on_leg(sip.LegEnded(f"caller{self.made}", "remote", 0))
        await self._is_over()

    async def _wishes_a_callback(self) -> None:
        queue, back = f"day{self.day}-0", f"back{self.made}"
        await self.store.callbacks.add(
            Callback(back, queue, f"+{self.made}", self.now_ms(), "{}"), "n1", self.now_ms()
        )
        await self.store.callbacks.cancel(back, "n1", self.now_ms())

    async def _is_over(self) -> None:
        await self._until(lambda: self.calls.live_calls == 0)
        for agent in self.directory.agents:
            await self._until_free(agent)
        while not self.offered.empty():
            self.offered.get_nowait()
        assert len(self.journal.records) == 1
        assert not self.media.open
        # What the fakes noted is no memory of the service.
        self.sip.said.clear()
        self.journal.records.clear()
        self.media.__init__()  # type: ignore[misc]

    async def _until_free(self, agent: str) -> None:
        async with asyncio.timeout(20):
            while (await self.store.agents([agent]))[agent].state is not AgentState.AVAILABLE:
                await asyncio.sleep(0.001)

    def _state(self, call_id: str) -> str:
        found = self.calls.find(call_id)
        return found.state if found else "gone"

    async def _until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not reached():
                await asyncio.sleep(0.001)


def _own_bytes() -> int:
    """What code of the service has allocated and not freed."""
    gc.collect()
    folders = [f"{Path(str(package.__file__)).parent}/*" for package in (acd, routing)]
    only = [tracemalloc.Filter(True, folder) for folder in folders]
    found = tracemalloc.take_snapshot().filter_traces(only)
    return sum(statistic.size for statistic in found.statistics("filename"))


async def test_days_of_calls_leave_the_service_as_large_as_the_third(
    store: RedisQueueStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A bound that a few days of this small house reach too.
    monkeypatch.setattr(routing_engine, "MESSAGES_KEPT", 20)
    tracemalloc.start()
    try:
        house = House(store)
        await house.engine.start()
        sizes = []
        for _ in range(DAYS):
            await house.lives()
            sizes.append(_own_bytes())
        await house.engine.stop()
    finally:
        tracemalloc.stop()
    assert house.made == DAYS * CALLS
    assert max(sizes[3:]) - sizes[2] < WITHIN, sizes
