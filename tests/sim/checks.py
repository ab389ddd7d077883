"""The invariants: after each word those of whom it was about, now and then all of everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from acd.calls.model import State
from routing.model import AgentState
from tests.sim.node import LEASE_MS
from tests.sim.stores import InDoubt, Stale, subject_of
from tests.support.queue_entries import Agent, Call

if TYPE_CHECKING:
    from tests.sim.world import World

CHECK_EVERY = 400
"""Words to the store between two looks at everything that the model shows."""
AUDIT_EVERY = 2_000
"""The same of all keys of a real store."""
SAY_TWICE_EVERY = 400
"""Words between two that are said once more."""
SLACK_MS = 5_000
"""T of the invariants: a few ticks of any node."""
FENCED = ("accept", "reject", "done", "restore_talk", "restore_offer")


class Checks:
    """Raises AssertionError where one does not hold. The numbers are those of docs/simulation.md."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._model = world.store.model
        self._words = 0
        self._ghosts: dict[str, int] = {}
        self._lost_at = 0

    # After each word.

    def watch(
        self, node: str, verb: str, arguments: tuple[Any, ...], words: Mapping[str, Any], sent_at: int
    ) -> Any:
        """Let the store carry out one word, and see that it did what it may."""
        world, model = self._world, self._model
        before = self._everything() if verb in FENCED and not self._is_in_force(arguments) else None
        leases = [name for name in world.nodes if f"n:{name}" in model.due]
        answer = world.store.perform(verb, arguments, words, sent_at)
        world.log(node, verb, subject_of(arguments), sorted(answer) if isinstance(answer, set) else answer)
        if answer is InDoubt:
            world.counts["in doubt"] += 1
            assert self._everything() == before, f"7: {verb} in doubt changed something: {arguments}"
        if answer is Stale:
            world.counts["stale"] += 1
            assert self._everything() == before, f"7: a stale {verb} changed something: {arguments}"
        for name in leases:
            # What was in the stream of a node whose lease is over goes with it.
            if f"n:{name}" not in model.due:
                world.nodes[name].stream.clear()
        for call_id, agent_id in model.made:
            self._offer_is_right(verb, call_id, agent_id)
        if verb == "callback_add":
            world.wishes.taken(subject_of(arguments), answer)
        if verb.startswith("callback_") or verb == "reset_node":
            world.wishes.look()
        self._words += 1
        if self._words % CHECK_EVERY == 0:
            self.look_at_everything()
        if self._words % AUDIT_EVERY == 0:
            world.store.audit()
        return answer

    def said(self, verb: str, arguments: tuple[Any, ...], words: Mapping[str, Any], sent_at: int) -> None:
        """A word has been carried out, and what it made is told: now and then it is said once more."""
        if self._words % SAY_TWICE_EVERY:
            return
        before = self._everything()
        self._world.store.perform(verb, arguments, words, sent_at)
        assert self._everything() == before, f"9: {verb} said twice changed something: {arguments}"
        assert not self._world.store.messages(), f"9: {verb} said twice told somebody: {arguments}"

    def forget(self) -> None:
        """The store has gone back: what was counted of it begins anew, and what was past may be to come."""
        self._ghosts = {}
        self._lost_at = self._world.schedule.now

    def _everything(self) -> str:
        """All that the store knows, to be compared."""
        model = self._model
        callbacks = model.callbacks.noted, model.callbacks.ended
        queues = model.calls, model.agents, sorted(model.due.items()), model.counters, model.doubt
        return repr((queues, callbacks))

    def _is_in_force(self, arguments: tuple[Any, ...]) -> bool:
        """Whether the call and the agent of a word are each other's."""
        call = self._model.calls.get(subject_of(arguments))
        return call is not None and arguments[1] in call.held and call.held[arguments[1]] in arguments

    def _offer_is_right(self, verb: str, call_id: str, agent_id: str) -> None:
        call, agent = self._model.calls[call_id], self._model.agents[agent_id]
        if call.state == "offered" and agent_id in call.held:
            assert (agent.state, agent.call) == (AgentState.OFFERED, call_id), (
                f"3: {agent_id} has another call"
            )
        # A late word is judged by its own time, at which a lender may have been well that is not now.
        if verb == "tick" or call.queue in dict(agent.profile.lent):
            return
        for other in self._model.calls.values():
            if other.state == "waiting" and other.class_name == call.class_name:
                first = (call.score, call.arrival) <= (other.score, other.arrival)
                assert first or agent_id in other.refused, f"5: {call_id} goes before {other.ticket.call_id}"

    # Everything.

    def look_at_everything(self) -> None:
        model = self._model
        self._calls_are_counted()
        for call_id, call in model.calls.items():
            self._is_a_pair(call_id, call)
            self._lives(call_id, call)
        for agent in model.agents.values():
            self._follows_from_its_call(agent)
        self._nobody_waits_beside_a_free_agent()
        self._no_caller_is_forgotten()
        self._world.wishes.look()

    def _calls_are_counted(self) -> None:
        states = Counter((call.queue, call.state) for call in self._model.calls.values())
        for queue, n in self._model.counters.items():
            assert all(value >= 0 for value in n.values()), f"12: {queue} {n}"
            ended = n["abandoned"] + n["released"] + n["overflowed"] + n["completed"] + n["lost"]
            live = sum(states[queue, state] for state in ("waiting", "offered", "talking"))
            assert n["entered"] == live + ended, f"1: {queue} {n} with {live} live"

    def _is_a_pair(self, call_id: str, call: Call) -> None:
        if call.state == "waiting":
            assert not call.held, f"4: {call_id} waits and has an agent"
            return
        most = call.ticket.ring_agents if call.state == "offered" else 1
        assert 1 <= len(call.held) <= most, f"4: {call}"
        for agent_id in call.held:
            agent = self._model.agents[agent_id]
            if call.state == "talking":
                assert call_id in agent.talks, f"3: {call} {agent}"
            else:
                assert (agent.call, agent.state) == (call_id, AgentState.OFFERED), f"3, 4: {call} {agent}"

    def _follows_from_its_call(self, agent: Agent) -> None:
        now = self._world.now
        has_call = agent.state in (AgentState.OFFERED, AgentState.TALKING)
        assert (agent.call is not None) == has_call, f"11: {agent}"
        for call_id in {*agent.talks, agent.call} - {None}:
            assert agent.id in self._model.calls[call_id].held, f"3: {agent}"
        assert len(agent.talks) <= agent.terms.capacity, f"3: {agent}"
        if agent.state is AgentState.WRAPUP:
            assert self._model.due[f"a:{agent.id}"] + SLACK_MS > now or self._nothing_is_carried_out(), (
                f"11: {agent}"
            )
        if agent.state is AgentState.AVAILABLE:
            assert agent.idle or f"a:{agent.id}" in self._model.due, f"11: {agent} rests for ever"

    def _lives(self, call_id: str, call: Call) -> None:
        """Of each call its node is alive, or its lease has not run out for long, or the word of its end is on
        the way."""
        node = self._world.nodes[call.ticket.node]
        now, due = self._world.now, self._model.due
        if node.down or node.is_frozen:
            ends = max(due.get(f"{kind}:{node.name}", 0) for kind in "no")
            assert now < ends + SLACK_MS or self._nothing_is_carried_out(), f"8: {call_id} of a dead node"
            return
        if node.is_live(call_id) or not node.is_open or node.is_out_of_touch:
            self._ghosts.pop(call_id, None)
            return
        since = self._ghosts.setdefault(call_id, now)
        assert now < since + 4 * LEASE_MS + SLACK_MS, f"10: {call_id} has ended and stays in the queue"

    def _nobody_waits_beside_a_free_agent(self) -> None:
        if self._model.doubt:
            return
        idle = [agent for agent in self._model.agents.values() if agent.idle]
        centre = self._model.centre(self._world.now)
        for call in self._model.calls.values():
            if call.state == "waiting":
                fitting = [agent.id for agent in idle if self._model.matching.takes(call, agent, centre)]
                assert not fitting, f"6: {call} waits beside {fitting}"

    def _no_caller_is_forgotten(self) -> None:
        """Who waits in a node waits in the store, or is put back soon."""
        now = self._world.schedule.now
        for node in self._world.nodes.values():
            for session in node.sessions.values():
                known = session.call.state is not State.QUEUED or session.call.entry in self._model.calls
                if known or node.is_out_of_touch or node.away or not session.lane.is_empty:
                    session.forgotten_since = None
                elif session.forgotten_since is None:
                    session.forgotten_since = now
                else:
                    since = now - session.forgotten_since
                    assert since < LEASE_MS, f"6: the store has forgotten {session.call.id}"

    def _nothing_is_carried_out(self) -> bool:
        """Nobody ticks, or nobody can have since the store went back."""
        return self._nobody_ticks() or self._world.schedule.now < self._lost_at + SLACK_MS

    def _nobody_ticks(self) -> bool:
        return all(node.is_out_of_touch for node in self._world.nodes.values())

    # The end.

    def all_is_over(self) -> bool:
        """No call anywhere, nothing left to be said, and nobody is held by what is past."""
        if self._model.calls or self._model.callbacks.noted:
            return False
        return not self.what_is_left()

    def what_is_left(self) -> list[str]:
        left = [repr(call) for call in self._model.calls.values()]
        left += [repr(noted) for noted in self._model.callbacks.noted.values()]
        for node in self._world.nodes.values():
            left += [f"{node.name} is down"] if not node.is_open else []
            left += [repr(session.call) for session in node.sessions.values()]
        busy = (AgentState.OFFERED, AgentState.TALKING, AgentState.WRAPUP)
        left += [repr(agent) for agent in self._model.agents.values() if agent.state in busy]
        left += [f"the phone of {phone.agent_id}" for phone in self._world.phones.values() if phone.legs]
        return left
