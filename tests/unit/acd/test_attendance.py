"""Whom a choice passed over, as they were at the last look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from acd.agents.attendance import Attendance
from acd.directory.model import Agent, Directory
from routing.model import AgentState, AgentStatus, Lending, QueueStatus, Requirement, Skipped
from routing.ports import StoreUnavailable
from tests.support.clock import FakeClock

NEEDS = Requirement("billing", (("billing", 3),))
LENT = {"billing": Lending("sales")}


class Store:
    def __init__(self) -> None:
        self.statuses: dict[str, AgentStatus] = {}
        self.asked = 0
        self.away = False

    async def queues(self, names: Sequence[str]) -> Sequence[QueueStatus]:
        return ()

    async def agents(self, agent_ids: Sequence[str]) -> Mapping[str, AgentStatus]:
        if self.away:
            raise StoreUnavailable("away")
        self.asked += 1
        return {name: self.statuses[name] for name in agent_ids if name in self.statuses}


@pytest.fixture
def store() -> Store:
    return Store()


def attendance(store: Store, *agents: Agent) -> Attendance:
    directory = Directory(agents={agent.id: agent for agent in agents})
    return Attendance(store, FakeClock(), lambda: directory)


def able(name: str) -> Agent:
    return Agent(name, name, skills={"billing": 5})


async def test_each_who_could_not_take_the_call_is_counted_once_by_what_is_in_the_way(store: Store) -> None:
    states = ("available", "offered", "talking", "wrapup", "paused", "not-answering", "offline")
    agents = [able(state) for state in states]
    agents += [Agent("novice", "1", skills={"billing": 2}), Agent("away", "2", skills={"billing": 2})]
    agents += [Agent("other", "3", skills={"billing": 5}, queues={"sales": 1})]
    agents += [Agent("lent", "4", skills={"billing": 5}, queues={"sales": 1, "billing": 2}, lent=LENT)]
    store.statuses = {state: AgentStatus(state, AgentState(state), 0) for state in states}
    store.statuses |= {n: AgentStatus(n, AgentState.AVAILABLE, 0) for n in ("novice", "other", "lent")}
    store.statuses["paused"] = AgentStatus("paused", AgentState.PAUSED, 0, "lunch")
    found = attendance(store, *agents)
    await found.look()
    skipped = found.skipped(NEEDS, "available")
    assert skipped == Skipped(
        (
            ("lent", 1),
            ("not-answering", 1),
            ("offered", 1),
            ("offline", 2),
            ("paused", 1),
            ("queue", 1),
            ("skill", 1),
            ("talking", 1),
            ("wrapup", 1),
        ),
        (("wrapup", "wrapup"), ("talking", "talking"), ("offered", "offered")),
    )


async def test_who_lacks_least_comes_next_and_the_chosen_is_not_among_them(store: Store) -> None:
    store.statuses = {
        "anna": AgentStatus("anna", AgentState.WRAPUP, 0),
        "bert": AgentStatus("bert", AgentState.PAUSED, 0, "lunch"),
        "cleo": AgentStatus("cleo", AgentState.AVAILABLE, 0),
    }
    found = attendance(store, able("anna"), able("bert"), Agent("cleo", "1", skills={"billing": 2}))
    await found.look()
    # Came free since the look.
    assert found.skipped(NEEDS, "anna") == Skipped(
        (("paused", 1), ("skill", 1)), (("bert", "paused (lunch)"), ("cleo", "billing 2, asked 3"))
    )


async def test_however_many_agents_there_are_a_few_are_named_and_nobody_is_asked_anew(store: Store) -> None:
    agents = [able(f"a{n}") for n in range(500)]
    store.statuses = {agent.id: AgentStatus(agent.id, AgentState.TALKING, 0) for agent in agents}
    found = attendance(store, *agents)
    await found.look()
    for n in range(5):
        skipped = found.skipped(NEEDS, f"a{n}")
        assert skipped is not None
        assert skipped.counts == (("talking", 499),)
        assert len(skipped.nearest) == 3
        assert f"a{n}" not in dict(skipped.nearest)
    assert store.asked == 1


async def test_nothing_is_told_of_a_call_for_one_agent_and_before_the_first_look(store: Store) -> None:
    found = attendance(store, able("anna"))
    assert found.skipped(NEEDS, "anna") is None
    await found.look()
    assert found.skipped(Requirement("extension", agent="anna"), "anna") is None
