"""Callers and agents, who do as they like. They are beyond all faults; only their nodes die."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from acd.agents.terms import profile_of, terms_of
from acd.calls import model as m
from acd.calls.callbacks import CallbackOrder
from acd.calls.model import Call, Side, State
from acd.directory.model import Agent
from routing.model import AgentState
from tests.sim.centre import CALLBACK_DIGIT
from tests.sim.link import Lane

if TYPE_CHECKING:
    from tests.sim.node import Node
    from tests.sim.session import Session
    from tests.sim.world import World

OTHERS = 12
"""How many people there are who call."""
_WAY_MS = 30
"""From a phone to its node."""


class Caller:
    """Dials a number, waits with more or less patience, talks, hangs up."""

    __slots__ = ("_node", "_world", "session")

    def __init__(self, world: World, node: Node, call_id: str, number: str) -> None:
        self._world = world
        self._node = node
        now = node.now / 1000
        source = world.source
        own = f"+37255500{source.randrange(OTHERS):02}"
        call = Call(call_id, node.name, own, "", number, "carrier", "", started_at=now)
        world.schedule.after(world.patience_ms(), self._has_enough)
        self.session = node.take(call, self)
        if source.random() < 0.3:
            node.later(source.randrange(2_000, 20_000), self._asks_to_be_called_back)

    def is_answered(self) -> None:
        self._node.later(_WAY_MS, self._confirms)

    def _confirms(self) -> None:
        self.session.post(m.CallerConfirmed(None))

    def is_let_go(self) -> None: ...

    def _asks_to_be_called_back(self) -> None:
        """And confirms the number."""
        self.session.post(m.DigitPressed(Side.CALLER, CALLBACK_DIGIT))
        self._node.later(1_000, self._confirms_number)

    def _confirms_number(self) -> None:
        self.session.post(m.DigitPressed(Side.CALLER, "1"))

    def _has_enough(self) -> None:
        if self.session.call.answered_at is None:
            self.hangs_up()

    def hangs_up(self) -> None:
        if self.session.call.state is not State.ENDED:
            self._node.later(_WAY_MS, self.session.post, m.LegOver(Side.CALLER, "remote", 0))


class Customer:
    """Somebody who asked for it is called."""

    def __init__(self, world: World, node: Node, order: CallbackOrder) -> None:
        self._world = world
        self._node = node
        self._order = order
        self._session: Session | None = None

    def is_called(self, session: Session) -> None:
        """The phone rings, is busy, or nobody hears it; the first way there may lead nowhere."""
        world, drawn = self._world, self._world.source.random()
        self._session = session
        world.wishes.rings(self._order, session.call.id)
        later, post = self._node.later, session.post
        if world.is_calm or drawn < 0.7:
            later(world.source.randrange(500, 6_000), self._answers)
        elif drawn < 0.8:
            later(200, post, m.LegOver(Side.CALLER, "remote", world.source.choice((486, 603, 480))))
        elif drawn < 0.9:
            later(100, post, m.NumberUnreachable("trunk-unavailable"))

    def _answers(self) -> None:
        if self._session is None:
            return
        self._session.post(m.NumberAnswered())
        if not self._world.is_calm and self._world.source.random() < 0.1:
            self._node.later(self._world.source.randrange(100, 5_000), self.hangs_up)

    def hangs_up(self) -> None:
        if self._session is not None:
            self._node.later(_WAY_MS, self._session.post, m.LegOver(Side.CALLER, "remote", 0))
            self.is_let_go()

    def is_let_go(self) -> None:
        if self._session is not None:
            self._world.wishes.let_go(self._order, self._session.call.id)
            self._session = None


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
            self._lane.say(verb, self.agent.id, *arguments, **words)

    def _node_now(self) -> Node | None:
        """The one that the phone is registered at; another where that does not answer."""
        node = self._node
        if node is None or not node.is_open or node.link.is_cut or node.life != self._life:
            node = self._node = self._world.open_node()
            if node:
                self._life, self._lane = node.life, Lane(node, may_be_late=False)
        return node
