"""Callers and agents, who do as they like. They are beyond all faults; only their nodes die."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from acd.agents.terms import profile_of, terms_of
from acd.calls import model as m
from acd.calls.model import Call, Side, State
from acd.directory.model import Agent
from routing.model import AgentState
from tests.sim.link import Lane

if TYPE_CHECKING:
    from tests.sim.node import Node
    from tests.sim.session import Session
    from tests.sim.world import World

_WAY_MS = 30
"""From a phone to its node."""


class Caller:
    """Dials a number, waits with more or less patience, talks, hangs up."""

    __slots__ = ("_node", "_world", "session")

    def __init__(self, world: World, node: Node, call_id: str, number: str) -> None:
        self._world = world
        self._node = node
        now = node.now / 1000
        call = Call(call_id, node.name, "+3725550000", "", number, "carrier", "", started_at=now)
        world.schedule.after(world.patience_ms(), self._has_enough)
        self.session = node.take(call, self)

    def is_answered(self) -> None:
        self._node.later(_WAY_MS, self._confirms)

    def _confirms(self) -> None:
        self.session.post(m.CallerConfirmed(None))

    def is_let_go(self) -> None: ...

    def _has_enough(self) -> None:
        if self.session.call.answered_at is None:
            self.hangs_up()

    def hangs_up(self) -> None:
        if self.session.call.state is not State.ENDED:
            self._node.later(_WAY_MS, self.session.post, m.LegOver(Side.CALLER, "remote", 0))


class Phone:
    """An agent's phone: it has as many calls as the agent may have, whoever asks."""

    def __init__(self, world: World, agent: Agent) -> None:
        self.agent_id = agent.id
        self.legs: set[str] = set()
        self._lines = agent.capacity
        self._world = world

    def ring(self, node: Node, session: Session, leg: str) -> None:
        node.later(_WAY_MS, self._invited, node, session, leg)

    def _invited(self, node: Node, session: Session, leg: str) -> None:
        if not session.rings(leg):
            return
        drawn, world = self._world.source.random(), self._world
        if len(self.legs) >= self._lines:
            world.log("busy", self.agent_id, leg)
            world.counts["busy"] += 1
            node.later(_WAY_MS, session.agent_leg_over, leg, "remote", 486)
            return
        self.legs.add(leg)
        if world.is_calm or drawn < 0.86:
            node.later(world.source.randrange(300, 4_000), self._answers, session, leg)
        elif drawn < 0.88:
            node.later(world.source.randrange(5_000, 60_000), self._answers, session, leg)
        elif drawn < 0.92:
            status = world.source.choice((486, 603, 408, 480))
            node.later(world.source.randrange(100, 3_000), self._refuses, session, leg, status)
        elif drawn < 0.95:
            node.later(2_000, session.agent_leg_over, leg, "timeout", 408)

    def _answers(self, session: Session, leg: str) -> None:
        if leg in self.legs:
            session.agent_answered(leg)

    def _refuses(self, session: Session, leg: str, status: int) -> None:
        if leg in self.legs:
            self.let_go(leg)
            session.agent_leg_over(leg, "remote", status)

    def hangs_up(self, session: Session, leg: str) -> None:
        """After the conversation."""
        if leg in self.legs:
            self.let_go(leg)
            session.agent_leg_over(leg, "remote", 0)

    def let_go(self, leg: str) -> None:
        self.legs.discard(leg)


class Worker:
    """An agent who signs in, takes breaks, learns, and comes back."""

    def __init__(self, world: World, agent: Agent) -> None:
        self.agent = agent
        self._world = world
        self._node: Node | None = None
        self._lane: Lane | None = None
        self._life = 0
        world.schedule.after(world.source.randrange(1, 2_000), self._lives, True)

    def _lives(self, begins: bool) -> None:
        world = self._world
        if begins or world.is_calm:
            self.comes()
        else:
            self._does_something(world.source.random())
        world.schedule.after(world.source.randrange(10_000, 60_000), self._lives, False)

    def comes(self) -> None:
        if node := self._node_now():
            terms = terms_of(self.agent)
            self._say("agent_available", node.name, profile_of(self.agent), terms=terms)

    def _does_something(self, drawn: float) -> None:
        world = self._world
        if drawn < 0.55:
            self.comes()
        elif drawn < 0.67:
            self._say("agent_away", AgentState.PAUSED, world.source.choice(("lunch", "")))
        elif drawn < 0.72:
            self._say("agent_away", AgentState.OFFLINE, "")
        elif drawn < 0.82:
            self._say("end_wrapup")
        elif drawn < 0.92:
            longer = world.source.randrange(1_000, 20_000)
            if node := self._node_now():
                self._say("extend_wrapup", node.now + longer)
        else:
            self.agent = world.centre.retrained(self.agent, world.source)
            self._say("agent_skills", profile_of(self.agent), terms=terms_of(self.agent))

    def _say(self, verb: str, *arguments: Any, **words: Any) -> None:
        if self._node_now() and self._lane:
            self._lane.put(verb, self.agent.id, *arguments, **words)

    def _node_now(self) -> Node | None:
        """The one that the phone is registered at; another where that does not answer."""
        node = self._node
        if node is None or not node.is_open or node.link.is_cut or node.life != self._life:
            node = self._node = self._world.open_node()
            if node:
                self._life, self._lane = node.life, Lane(node, may_be_late=False)
        return node
