"""The table of an agent's states and the scripts: the same changes, by every operation in every state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count, product

import pytest

from acd.agents.state import ALLOWED
from routing.limits import RING_GRACE_MS
from routing.model import AgentProfile, AgentState, Offer, Refusal, RejectReason, Requirement, Ticket
from routing.ports import StaleToken
from routing.store.redis_store import RedisQueueStore

pytestmark = pytest.mark.store

NOW = 1_790_000_000_000
RING_MS, WRAPUP_MS = 10_000, 3_000
AWAY = (AgentState.PAUSED, AgentState.OFFLINE, AgentState.NOT_ANSWERING)
ABLE, ABLER = AgentProfile.of({"billing": 1}), AgentProfile.of({"billing": 2})
_NAMES = count(1)


@dataclass
class Scene:
    """One agent, with calls that are for this agent only, on a node of its own."""

    store: RedisQueueStore
    wrapup_ms: int

    def __post_init__(self) -> None:
        name = next(_NAMES)
        self.agent, self.node = f"agent{name}", f"node{name}"
        self.calls = 0

    @property
    def call(self) -> str:
        """The first call, which the agent is offered."""
        return f"{self.agent}-call1"

    def ticket(self, call: str) -> Ticket:
        requirement = Requirement("direct", agent=self.agent)
        return Ticket(call, self.node, requirement, NOW, 0, RING_MS, self.wrapup_ms)

    async def call_arrives(self) -> None:
        self.calls += 1
        await self.store.enqueue(self.ticket(f"{self.agent}-call{self.calls}"), NOW)

    async def sign_in(self) -> None:
        await self.store.agent_available(self.agent, self.node, ABLE, NOW)

    async def token(self) -> int:
        """Of the newest offer; 0 where there was none."""
        messages = await self.store.messages(self.node, "0-0", 0)
        return max((message.token for _, message in messages if isinstance(message, Offer)), default=0)

    async def state(self) -> AgentState:
        return (await self.store.agents([self.agent]))[self.agent].state


Act = Callable[[Scene], Awaitable[object]]


async def offline(scene: Scene) -> None: ...


async def signed_out(scene: Scene) -> None:
    await scene.sign_in()
    await scene.store.agent_away(scene.agent, AgentState.OFFLINE, "", NOW)


async def available(scene: Scene) -> None:
    await scene.sign_in()


async def resting(scene: Scene) -> None:
    await offered(scene)
    word = (scene.call, scene.agent, await scene.token())
    await scene.store.reject(*word, Refusal(RejectReason.BUSY, rest_ms=5_000), NOW)


async def offered(scene: Scene) -> None:
    await scene.sign_in()
    await scene.call_arrives()


async def talking(scene: Scene) -> None:
    await offered(scene)
    await scene.store.accept(scene.call, scene.agent, await scene.token(), NOW)


async def wrapping_up(scene: Scene) -> None:
    await talking(scene)
    await scene.store.done(scene.call, scene.agent, await scene.token(), NOW)


def then(begin: Act, after: AgentState) -> Act:
    async def act(scene: Scene) -> None:
        await begin(scene)
        await scene.store.agent_away(scene.agent, after, "asked for", NOW)

    return act


def finishing(after: AgentState) -> Act:
    async def act(scene: Scene) -> None:
        await then(talking, after)(scene)
        await scene.store.done(scene.call, scene.agent, await scene.token(), NOW)

    return act


BEGINNINGS: Sequence[Act] = (
    *(offline, signed_out, available, resting, offered, talking, wrapping_up),
    *(then(available, state) for state in AWAY),
    *(then(talking, state) for state in AWAY),
    *(finishing(state) for state in AWAY),
)


def going_away(state: AgentState) -> Act:
    return lambda scene: scene.store.agent_away(scene.agent, state, "now", NOW)


def refusing(reason: RejectReason, after: AgentState) -> Act:
    async def act(scene: Scene) -> None:
        word = (scene.call, scene.agent, await scene.token())
        await scene.store.reject(*word, Refusal(reason, after, "missed a call", rest_ms=5_000), NOW)

    return act


async def accepting(scene: Scene) -> None:
    await scene.store.accept(scene.call, scene.agent, await scene.token(), NOW)


async def parting(scene: Scene) -> None:
    await scene.store.done(scene.call, scene.agent, await scene.token(), NOW)


async def restored(scene: Scene) -> None:
    await scene.store.restore_talk(
        scene.ticket(f"{scene.agent}-restored"), scene.agent, scene.node, ABLE, NOW * 1000, NOW
    )


async def lease_runs_out(scene: Scene) -> None:
    await scene.store.heartbeat(scene.node, 1_000, NOW)
    await scene.store.tick(NOW + 1_000)


def time_passes(ms: int) -> Act:
    return lambda scene: scene.store.tick(NOW + ms)


OPERATIONS: Sequence[Act] = (
    Scene.sign_in,
    lambda scene: scene.store.agent_skills(scene.agent, ABLER, NOW),
    *(going_away(state) for state in AWAY),
    Scene.call_arrives,
    accepting,
    *(
        refusing(reason, after)
        for reason, after in product(
            RejectReason, (AgentState.AVAILABLE, AgentState.NOT_ANSWERING, AgentState.PAUSED)
        )
    ),
    parting,
    lambda scene: scene.store.cancel(scene.call, NOW),
    restored,
    lambda scene: scene.store.reset_node(scene.node, NOW),
    lease_runs_out,
    *(time_passes(ms) for ms in (WRAPUP_MS, 5_000, RING_MS + RING_GRACE_MS)),
)


@pytest.fixture
async def changes(store: RedisQueueStore) -> set[tuple[AgentState, AgentState]]:
    """Every change that any operation makes of any state."""
    seen: set[tuple[AgentState, AgentState]] = set()
    for begin, operate in product(BEGINNINGS, OPERATIONS):
        for wrapup_ms, more_waiting in product((0, WRAPUP_MS), (False, True)):
            scene = Scene(store, wrapup_ms)
            await begin(scene)
            if more_waiting:
                await scene.call_arrives()
            before = await scene.state()
            with suppress(StaleToken):
                await operate(scene)
            seen.add((before, await scene.state()))
            await store.reset_node(scene.node, NOW)
            await store.agent_away(scene.agent, AgentState.OFFLINE, "", NOW)
    return seen


async def test_the_scripts_make_the_changes_of_the_table_and_no_other(
    changes: set[tuple[AgentState, AgentState]],
) -> None:
    made = {(old, new) for old, new in changes if old is not new}
    listed = {(old, new) for old, follow in ALLOWED.items() for new in follow}
    assert {old for old, _ in changes} == set(AgentState)
    assert made - listed == set(), "the scripts do what the table forbids"
    assert listed - made == set(), "the table allows what the scripts never do"
