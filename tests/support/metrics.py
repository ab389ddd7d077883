"""Metrics with something to count: a seeded stream of the facts of calls."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from acd.calls.facts import (
    AgentRung,
    CallAnswered,
    CallEnded,
    CallFact,
    CallOverflowed,
    CallQueued,
    CallStarted,
    DialRefused,
    ExpectationMet,
    LegClosed,
    OfferFailed,
    WrapupEnded,
)
from acd.media.engine import LegStatistics
from acd.metrics import Metrics, NodeCounts
from acd.sip.trunk_status import HostStatus, TrunkStatus
from routing.model import AgentState, AgentStatus, QueueStatus
from routing.outages import Trouble
from tests.support.control import NOW, Centre, FixedClock, a_record

COUNTS = NodeCounts(
    calls={"queued": 3, "talking": 2},
    trunks={
        "carrier": TrunkStatus(
            (HostStatus("sbc", "udp", ("192.0.2.1", 5060), 1, 1, is_up=True),),
            only_brings=False,
            is_registered=True,
            calls=2,
        )
    },
    sip_responses={("INVITE", 200): 90, ("INVITE", 503): 1, ("EVIL\n", 200): 1, ("BYE", 99): 1},
    sip_rejected={"unknown-source": 4},
    sip_dropped=21,
    sip_retransmissions=7,
    sip_passed=12,
    nodes_up=2,
    clock_ahead=-3.5,
    redis_outages={Trouble.AWAY: 2},
    redis_scripts_reloaded=1,
    said_again={"waiting": 6, "agents": 8},
    media_worker_restarts=2,
    sip_connections={"tcp": 1, "wss": 1},
    sip_connections_broken={"slow-message": 3},
    sip_registrations=3,
    sip_subscriptions=4,
    webhook_outcomes={("crm", "delivered"): 8, ("crm", "dead"): 1},
    webhook_waiting={"crm": 2},
    media_legs=5,
    media_ports_free=90,
    media_ports=100,
)


@dataclass
class Bench:
    """A Metrics with fakes around it."""

    centre: Centre = field(default_factory=Centre)
    counts: NodeCounts = COUNTS
    clock: FixedClock = field(default_factory=FixedClock)

    def __post_init__(self) -> None:
        now_ms = int(NOW * 1000)
        store = self.centre.store
        store.queue_statuses["billing"] = QueueStatus("billing", 3, 1, now_ms - 42_500)
        store.agent_statuses["anna"] = AgentStatus("anna", AgentState.TALKING, now_ms)
        self.metrics = Metrics(
            node_id="a",
            clock=self.clock,
            directory=lambda: self.centre.directory,
            store=store,
            expected_waits=lambda: {"billing": 12.5},
            counts=lambda: self.counts,
        )

    async def scrape(self) -> Samples:
        return Samples((await self.metrics.render()).decode())


class Samples:
    """A parsed scrape."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self._values = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float | None:
        return self._values.get((name, tuple(sorted(labels.items()))))

    @property
    def names(self) -> set[str]:
        """Of every sample: what an expression may select."""
        return {name for name, _ in self._values}

    def labels(self, name: str) -> set[str]:
        return {label for sample, labels in self._values if sample == name for label, _ in labels}


def calls(seed: int, count: int) -> Iterator[CallFact]:
    """The facts of so many calls, of every kind and outcome; the same for the same seed."""
    chance = random.Random(seed)
    for index in range(count):
        yield from _call(chance, f"c{seed}-{index}")


def _call(chance: random.Random, call_id: str) -> Iterator[CallFact]:
    queue = chance.choice(["billing", "support"])
    agent = chance.choice(["anna", "bert"])
    wait, ring = chance.uniform(0, 40), chance.uniform(1, 10)
    yield CallStarted(call_id, "carrier")
    yield CallQueued(call_id, queue)
    if chance.random() < 0.3:
        yield AgentRung(call_id, queue, agent)
        yield OfferFailed(call_id, queue, agent, chance.choice(["no-answer", "busy", "rejected"]), ring)
    if wait > 30:
        yield CallOverflowed(call_id, queue, "message-then-wait", "waited")
    outcome = chance.choices(["answered", "abandoned", "timed-out"], [7, 2, 1])[0]
    if outcome == "answered":
        yield AgentRung(call_id, queue, agent)
        yield CallAnswered(call_id, queue, agent, wait, ring)
        yield ExpectationMet(queue, chance.uniform(0, 40), wait)
        yield LegClosed(call_id, "agent", _leg(chance))
    yield LegClosed(call_id, "caller", _leg(chance))
    outside: dict[str, object] = {}
    if chance.random() < 0.2:
        yield DialRefused(call_id, agent, chance.choice(["not-allowed", "do-not-call"]))
        outside = {"outside": "+37255512345", "trunk_out": "carrier"}
    ended = {"queue": queue, "outcome": outcome, "wait_seconds": wait, "cause": "normal", **outside}
    yield CallEnded(a_record(call_id, **ended))
    if outcome == "answered":
        yield WrapupEnded(queue, agent, chance.uniform(0, 20))


def _leg(chance: random.Random) -> LegStatistics:
    received = chance.choice([0, 500, 1500])
    return LegStatistics(
        packets_received=received,
        packets_sent=1500,
        packets_lost=received // 100,
        packets_dropped=chance.randrange(3),
        jitter_seconds=chance.uniform(0, 0.03),
    )
