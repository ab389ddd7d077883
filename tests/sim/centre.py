"""The centre that is simulated: queues of every strategy, skills, languages, relaxation, and its agents."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from acd.calls.steps.context import Context
from acd.directory.model import (
    Agent,
    Box,
    CallbackRules,
    Directory,
    LastAgent,
    Number,
    OverflowRule,
    Queue,
    RefusalRule,
    Refusals,
    Relaxation,
    Route,
)
from ivr.flow import Callback, FlowDefinition, HangUp, Play, Set, Transfer
from ivr.flow import Queue as QueueNode
from routing.limits import RING_AGENTS_MAX
from routing.model import Lending
from routing.overflow import Conditions
from routing.strategy import STRATEGIES

AGENTS = 40
CALLBACK_DIGIT = "5"
DESK = "1000"
"""The extension of the first agent."""
_LANGUAGES = ("et", "en", "ru")
_LENT = {"either": Lending("billing", 1, 8_000), "support": Lending("billing", 0, 0, 1)}
"""Queues that some agents serve while billing is well; they serve all others too."""
_TRADES = ("billing", "support", "sales")

_LATE = {
    "linear": (OverflowRule(Conditions(after_seconds=15), extension=DESK),),
    "longest-idle": (OverflowRule(Conditions(after_seconds=15), voicemail="box:sales"),),
    "round-robin": (OverflowRule(Conditions(after_seconds=15), flow="gone"),),
    "least-skilled": (OverflowRule(Conditions(expected_wait_over_seconds=12), queue="either", place="last"),),
    "fewest-calls": (OverflowRule(Conditions(after_seconds=5), leads="a"),),
    "weighted-random": (
        OverflowRule(Conditions(after_seconds=5), leads="a", instead=True),
        OverflowRule(Conditions(after_seconds=9), leads="b"),
    ),
}
"""Of the sales queues of these strategies."""
_RUNG_TOGETHER = {"most-skilled": 2, "least-occupied": RING_AGENTS_MAX, "fewest-calls": 3}
"""How many agents are rung for one call of theirs."""


def _queues() -> dict[str, Queue]:
    billing = Queue(
        "billing",
        requires={"billing": 3},
        languages=_LANGUAGES,
        relax=(Relaxation(6, requires={"billing": 1}), Relaxation(15, any_language=True)),
        wrapup_seconds=3,
        announce_position_seconds=20,
        max_wait_seconds=120,
        callback=CallbackRules(CALLBACK_DIGIT, attempts=3, interval_seconds=20, ring_seconds=15),
        overflow=(
            OverflowRule(Conditions(no_agent=True), flow="nobody"),
            OverflowRule(Conditions(after_seconds=25), queue="either"),
        ),
        leave_when_empty=True,
    )
    support = Queue(
        "support",
        requires={"support": 5},
        languages=_LANGUAGES,
        relax=(Relaxation(8, requires={"support": 0}, any_language=True),),
        strategy="most-skilled",
        order_by="target",
        service_level_seconds=5,
        ring_seconds=6,
        wrapup_mode="extendable",
        wrapup_seconds=2,
        wrapup_limit_seconds=15,
        last_agent=LastAgent(days=1, timeout_seconds=9),
        callback=CallbackRules(
            CALLBACK_DIGIT, first="customer", attempts=2, interval_seconds=30, expire_seconds=45
        ),
        announce_position_seconds=0,
        overflow=(
            OverflowRule(Conditions(waiting_over=4), queue="either", place="last"),
            OverflowRule(Conditions("waiting", no_agent=True), number="spare"),
            OverflowRule(Conditions(after_seconds=10), message=("please-wait",), then="wait"),
        ),
        agents_count_as_absent=("paused", "not-answering", "busy", "wrap-up"),
    )
    either = Queue(
        "either",
        any_of=({"billing": 4, "support": 4},),
        strategy="least-skilled",
        ring_seconds=45,
        weight=3,
        wrapup_mode="until-ended",
        wrapup_limit_seconds=10,
        announce_position_seconds=0,
        refusals=Refusals(
            rejected=RefusalRule(pause="missed a call"),
            busy=RefusalRule(rest_seconds=0, not_answering_after=3, exclude_seconds=9),
            no_answer=RefusalRule(rest_seconds=0, not_answering_after=2),
            unreachable=RefusalRule(rest_seconds=2),
            retry_seconds=2,
        ),
        max_waiting=14,
        join_when_empty=False,
    )
    vip = replace(
        billing,
        name="vip",
        requires={"vip": 1},
        relax=(),
        agents_count_as_absent=("paused", "not-answering", "busy", "wrap-up"),
    )
    by_strategy = [
        Queue(
            f"sales-{name}",
            requires={"sales": 1},
            strategy=name,
            ring_seconds=5,
            announce_position_seconds=0,
            refusals=Refusals(
                rejected=RefusalRule(rest_seconds=12, exclude_seconds=None),
                no_answer=RefusalRule(rest_seconds=0),
                unreachable=RefusalRule(),
            ),
            overflow=_LATE.get(name, ()),
            ring_agents=_RUNG_TOGETHER.get(name, 1),
        )
        for name in sorted(STRATEGIES)
    ]
    return {queue.name: queue for queue in (billing, support, either, vip, *by_strategy)}


def _numbers(queues: dict[str, Queue]) -> dict[str, Number]:
    found = [
        Number(f"{name}-{priority}-{language}", queue=name, priority=priority, language=language)
        for name in queues
        if name != "vip"
        for priority in (0, 0, 7, 99)
        for language in _LANGUAGES
    ]
    found.append(Number("vip", queue="billing", priority=20, skills={"vip": 1}, language="en"))
    found += (Number(f"vip-{n}", queue="vip", language="en") for n in range(4))
    found.append(Number("spare", queue="either", language="en"))
    found.append(Number("desk", flow="desk", language="en"))
    found += [Number(f"manager-{n}", flow="manager", language="en") for n in range(3)]
    return {number.number: number for number in found}


class Centre:
    """The directory, made with the seed's draws."""

    def __init__(self, source: random.Random) -> None:
        self.agents = [self._agent(n, source) for n in range(AGENTS)]
        queues = _queues()
        numbers = _numbers(queues)
        named = self.agents[0]
        self.numbers: Sequence[str] = list(numbers)
        flow = FlowDefinition(
            "desk", "to", {"to": Transfer(f"extension:{named.extension}", otherwise="bye"), "bye": HangUp()}
        )
        nobody = FlowDefinition("nobody", "say", {"say": Play(("closed",), "in"), "in": QueueNode("support")})
        nodes = {"who": Set("wait", agent=self.agents[1].id), "wait": QueueNode("billing")}
        manager = FlowDefinition("manager", "who", nodes)
        callback = FlowDefinition("callback", "ask", {"ask": Callback()})
        self.context = Context(
            directory=Directory(
                numbers=numbers,
                skills=frozenset({*_TRADES, "vip", *(f"lang-{language}" for language in _LANGUAGES)}),
                queues=queues,
                agents={agent.id: agent for agent in self.agents},
                agent_by_extension={agent.extension: agent for agent in self.agents},
                boxes={"sales": Box("sales")},
                routes={"+": Route("+", "national", ("carrier", "reserve"))},
            ),
            flows={"desk": flow, "nobody": nobody, "manager": manager, "callback": callback},
        )

    def _agent(self, n: int, source: random.Random) -> Agent:
        queues, lent = (dict.fromkeys(_queues(), 1), _LENT) if n % 8 in (3, 6) else ({}, {})
        agent = Agent(
            id=f"a{n}",
            extension=str(1000 + n),
            leads=("a", "b") if n % 8 == 0 else ("a",) if n % 8 == 3 else (),
            order=n,
            weight=1 + n % 3,
            queues=queues,
            lent=lent,
            capacity=1 + n % 5 // 3,
        )
        return replace(agent, skills=self._skills(n, source))

    def _skills(self, n: int, source: random.Random) -> dict[str, int]:
        """Those of every eighth agent reach for anything, so that no caller waits for nobody."""
        if n % 8 == 0:
            able = (*_TRADES, "vip", *(f"lang-{language}" for language in _LANGUAGES))
            return dict.fromkeys(able, 5 + n % 5)
        trades = {trade: source.randint(1, 3) * 3 for trade in source.sample(_TRADES, 2)}
        return {**trades, f"lang-{source.choice(_LANGUAGES)}": 1}

    def retrained(self, agent: Agent, source: random.Random) -> Agent:
        """The same person with other skills."""
        return replace(agent, skills=self._skills(int(agent.id[1:]), source))
