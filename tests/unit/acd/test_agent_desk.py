"""What phones, supervisors and a changed directory ask of the store about an agent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from acd.agents.desk import AgentDesk, StateNotAllowed, UnknownAgent
from acd.agents.notebook import Notebook
from acd.directory.model import Agent, Directory
from routing.model import AgentProfile, AgentState, AgentStatus, AgentTerms
from routing.ports import StoreUnavailable
from tests.support.clock import FakeClock
from tests.support.control import FakeNotes, FakeRefusals
from tests.support.net import patience

ABLE = {"billing": 5}
NOW_MS = 1_000_000_000


@dataclass
class Store:
    """Notes what it is told; knows the states that it is given."""

    states: dict[str, AgentState] = field(default_factory=dict)
    said: list[tuple[object, ...]] = field(default_factory=list)
    nodes: dict[str, str] = field(default_factory=dict)
    away: bool = False

    async def agents(self, ids: list[str]) -> dict[str, AgentStatus]:
        if self.away:
            raise StoreUnavailable("away")
        return {
            i: AgentStatus(i, self.states[i], 0, node=self.nodes.get(i, "")) for i in ids if i in self.states
        }

    async def known_agents(self) -> list[str]:
        return sorted(self.states)

    async def agent_available(
        self, agent: str, node: str, profile: AgentProfile, now_ms: int, terms: AgentTerms
    ) -> AgentState:
        self.said.append(("available", agent, dict(profile.skills)))
        self.states[agent] = AgentState.AVAILABLE
        return AgentState.AVAILABLE

    async def agent_skills(
        self, agent: str, profile: AgentProfile, now_ms: int, terms: AgentTerms
    ) -> AgentState:
        self.said.append(("skills", agent, dict(profile.skills)))
        return self.states[agent]

    async def agent_away(self, agent: str, state: AgentState, reason: str, now_ms: int) -> AgentState:
        assert now_ms == NOW_MS
        self.said.append((state.value, agent, reason))
        self.states[agent] = state
        return state


class Bench:
    """A desk with one agent who signs in by registering (anna) and one who does not (bert)."""

    def __init__(self) -> None:
        self.store = Store()
        self.phones = {"anna", "bert"}
        self.elsewhere: set[str] = set()
        """Of those, who is registered with another node."""
        self.up: set[str] = set()
        self.directory = _directory(ABLE)
        self.desk = AgentDesk(
            "a",
            self.store,  # type: ignore[arg-type]
            FakeClock(1_000_000.0),
            lambda: self.directory,
            self,
            Notebook(FakeNotes(), FakeRefusals(), FakeClock(1_000_000.0), lambda: self.directory),
        )

    def registered(self, agent_id: str) -> bool:
        return agent_id in self.phones

    def registered_here(self, agent_id: str) -> bool:
        return agent_id in self.phones - self.elsewhere

    def is_up(self, node: str) -> bool:
        return node in self.up

    async def written(self) -> None:
        return

    async def carried_out(self, *said: tuple[object, ...]) -> None:
        """Let the desk work until the store has been told just this."""
        self.desk.start()
        async with asyncio.timeout(patience(5)):
            while len(self.store.said) < len(said):
                await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        await self.desk.stop()
        assert self.store.said == list(said)


def _directory(skills: dict[str, int]) -> Directory:
    agents = {
        "anna": Agent("anna", "1001", skills=skills),
        "bert": Agent("bert", "1002", skills=skills, sign_in="api"),
    }
    return Directory(agents=agents)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_phone_that_comes_signs_in_those_who_sign_in_that_way(bench: Bench) -> None:
    bench.desk.phone_changed("anna", True)
    bench.desk.phone_changed("bert", True)
    bench.desk.phone_changed("nobody", True)
    await bench.carried_out(("available", "anna", ABLE))


async def test_a_phone_that_comes_back_ends_no_pause(bench: Bench) -> None:
    bench.store.states["anna"] = AgentState.PAUSED
    bench.desk.phone_changed("anna", True)
    await bench.carried_out()


async def test_a_phone_that_goes_signs_its_agent_out(bench: Bench) -> None:
    bench.store.states |= {"anna": AgentState.AVAILABLE, "bert": AgentState.PAUSED}
    bench.phones.clear()
    bench.desk.phone_changed("anna", False)
    bench.desk.phone_changed("bert", False)
    await bench.carried_out(("offline", "anna", "phone-gone"), ("offline", "bert", "phone-gone"))


@pytest.mark.parametrize(
    "state",
    [
        AgentState.AVAILABLE,
        AgentState.OFFERED,
        AgentState.TALKING,
        AgentState.WRAPUP,
        AgentState.PAUSED,
        AgentState.NOT_ANSWERING,
    ],
)
async def test_changed_skills_reach_the_store_at_once_whatever_the_agent_does(
    bench: Bench, state: AgentState
) -> None:
    bench.store.states["bert"] = state
    bench.store.states["anna"] = AgentState.PAUSED
    bench.directory = _directory({"support": 2})
    bench.desk.directory_changed()
    await bench.carried_out(("skills", "anna", {"support": 2}), ("skills", "bert", {"support": 2}))
    assert bench.store.states["bert"] is state


async def test_an_agent_who_is_removed_is_signed_out(bench: Bench) -> None:
    bench.store.states |= {"anna": AgentState.AVAILABLE, "bert": AgentState.OFFLINE}
    bench.directory = Directory(agents={"bert": bench.directory.agents["bert"]})
    bench.desk.directory_changed()
    await bench.carried_out(("offline", "anna", "removed"))


async def test_an_agent_who_was_removed_while_no_node_ran_is_signed_out_at_the_start(bench: Bench) -> None:
    bench.store.states |= {"carl": AgentState.PAUSED, "anna": AgentState.PAUSED}
    await bench.desk.sign_out_removed()
    assert bench.store.said == [("offline", "carl", "removed")]


async def test_who_has_no_phone_is_signed_out_when_all_is_said_again(bench: Bench) -> None:
    bench.store.states |= {"anna": AgentState.AVAILABLE, "bert": AgentState.PAUSED}
    bench.phones = {"anna"}
    await bench.desk.settle()
    assert bench.store.said == [("skills", "anna", ABLE), ("offline", "bert", "phone-gone")]


async def test_after_a_start_those_who_sign_in_by_registering_are_signed_in(bench: Bench) -> None:
    await bench.desk.settle()
    assert bench.store.said == [("available", "anna", ABLE)]


async def test_agents_of_another_node_are_left_to_it_while_it_lives(bench: Bench) -> None:
    bench.store.states |= {"anna": AgentState.AVAILABLE, "bert": AgentState.PAUSED}
    bench.store.nodes |= {"anna": "b", "bert": "b"}
    bench.phones, bench.up = set(), {"b"}
    await bench.desk.settle()
    assert bench.store.said == []
    bench.up = set()
    await bench.desk.settle()
    assert bench.store.said == [("offline", "anna", "phone-gone"), ("offline", "bert", "phone-gone")]


async def test_who_is_registered_with_another_node_is_signed_in_by_it(bench: Bench) -> None:
    bench.elsewhere = {"anna"}
    await bench.desk.settle()
    assert bench.store.said == []


async def test_a_phone_that_has_moved_to_another_node_signs_nobody_out(bench: Bench) -> None:
    bench.store.states["anna"] = AgentState.AVAILABLE
    bench.desk.phone_changed("anna", False)
    await bench.carried_out()


async def test_a_store_that_is_away_ends_no_work(bench: Bench) -> None:
    bench.store.away = True
    bench.desk.phone_changed("anna", True)
    bench.desk.start()
    await asyncio.sleep(0.01)
    bench.store.away = False
    bench.desk.phone_changed("anna", True)
    await bench.carried_out(("available", "anna", ABLE))


async def test_only_states_that_people_choose_can_be_set(bench: Bench) -> None:
    for state in (AgentState.AVAILABLE, AgentState.PAUSED, AgentState.OFFLINE):
        assert (await bench.desk.set_state("bert", state, "lunch")).state is state
    for state in (AgentState.OFFERED, AgentState.TALKING, AgentState.WRAPUP, AgentState.NOT_ANSWERING):
        with pytest.raises(StateNotAllowed, match="set available, paused or offline"):
            await bench.desk.set_state("bert", state)
    with pytest.raises(UnknownAgent, match="no agent 'nobody'"):
        await bench.desk.set_state("nobody", AgentState.PAUSED)


async def test_nobody_is_available_without_a_phone(bench: Bench) -> None:
    bench.phones.clear()
    with pytest.raises(StateNotAllowed, match="no registered phone; register it first"):
        await bench.desk.set_state("anna", AgentState.AVAILABLE)
    assert (await bench.desk.set_state("anna", AgentState.PAUSED, "ill")).state is AgentState.PAUSED
