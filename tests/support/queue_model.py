"""The queue as a slow, obvious program: what the store must do, without any index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence

from routing import limits
from routing.model import AgentProfile, AgentState, AgentTerms, Refusal, Requirement, Ticket
from routing.ports import StaleToken, StoreUnavailable
from routing.requirement import class_name, eligible, eligible_while, in_force, lending_terms
from tests.support.callback_model import CallbackModel
from tests.support.queue_entries import SIGNED_IN, Agent, Call
from tests.support.queue_matching import Centre, Matching, position


class QueueModel:
    """Same operations as the store, at once and in memory. `offers` are those made by the last operation."""

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        self.agents: dict[str, Agent] = {}
        self.due: dict[str, int] = {}
        self.counters: dict[str, Counter[str]] = {}
        self.made: list[tuple[str, str]] = []
        self.withdrawn: list[tuple[str, str, str, int]] = []
        """Call, agent, node and token of each offer that was taken back."""
        self.wrapped: list[tuple[str, str, str, int]] = []
        """Node, agent, queue and length of each wrap-up that ended and that a living node is told of."""
        self.callbacks = CallbackModel()
        self.matching = Matching()
        self.doubt: set[str] = set()
        """Nodes that have not said their calls again since the store began anew."""
        self.run = ""
        """The server process that has this."""
        self._arrivals = 0
        self._clock = 0

    def centre(self, now: int) -> Centre:
        """Everybody, as they are."""
        return Centre(self.calls.values(), self.agents.values(), now)

    # What is asked of it.

    def enqueue(self, ticket: Ticket, now: int) -> None:
        if ticket.call_id in self.calls:
            return
        call = self._admit(ticket, now)
        if ticket.passes_over:
            call.refused[ticket.passes_over] = now + limits.EXCLUSION_MAX_MS
            self.due[f"x:{ticket.call_id}"] = now + limits.REFUSAL_PAUSE_MS
        self._place(call, now)

    def _admit(self, ticket: Ticket, now: int) -> Call:
        self._arrivals += 1
        call = self.calls[ticket.call_id] = Call(
            ticket, self._arrivals, requirement=ticket.requirement, steps=list(ticket.steps)
        )
        self._count(call, "entered")
        if f"n:{ticket.node}" not in self.due:
            self.due[f"o:{ticket.node}"] = now + limits.UNLEASED_MS
        self._await_step(call)
        if call.steps and ticket.enqueued_ms + call.steps[0].after_ms <= now:
            self._take_steps(call, now)
        if call.target_ahead and (at := ticket.enqueued_ms + ticket.target_ms) <= now:
            call.misses_target()
        elif call.target_ahead:
            self.due[f"d:{ticket.call_id}"] = at
        return call

    def change_needs(self, ticket: Ticket, now: int) -> bool:
        call = self.calls.get(ticket.call_id)
        if call is None or call.state == "talking" or call.ticket.own:
            return False
        asked = in_force(ticket, now)
        steps = [step for step in ticket.steps if ticket.enqueued_ms + step.after_ms > now]
        if (class_name(asked), steps) == (call.class_name, call.steps):
            return True
        call.asks(asked)
        call.steps = steps
        self._count(call, "relaxed")
        self._await_step(call)
        if call.state == "waiting":
            self._place(call, now)
        self._afterwards(now)
        return True

    def agent_available(
        self, agent_id: str, profile: AgentProfile, now: int, terms: AgentTerms
    ) -> AgentState:
        agent = self.agents.setdefault(agent_id, Agent(agent_id, profile))
        self._learn(agent, profile, terms, now)
        if agent.state in (AgentState.OFFERED, AgentState.TALKING):
            if agent.next:
                agent.next = None
                if agent.has_room:
                    self._seek(agent, now, now)
        elif agent.state is not AgentState.AVAILABLE:
            self._end_wrapup(agent, now)
            self.due.pop(f"a:{agent_id}", None)
            if agent.state not in SIGNED_IN:
                agent.unanswered = 0
                self._begin_presence(agent, now)
            self._set_free(agent, now, now)
        self._afterwards(now)
        return agent.state

    def agent_skills(self, agent_id: str, profile: AgentProfile, now: int, terms: AgentTerms) -> AgentState:
        agent = self.agents.get(agent_id)
        if agent is None or agent.state is AgentState.OFFLINE:
            return AgentState.OFFLINE
        self._learn(agent, profile, terms, now)
        self._afterwards(now)
        return agent.state

    def _learn(self, agent: Agent, profile: AgentProfile, terms: AgentTerms, now: int) -> None:
        if (agent.profile, agent.terms) == (profile, terms):
            return
        could, was_idle, agent.idle = agent.has_room, agent.idle, False
        agent.learns(profile, terms)
        if was_idle and (agent.state is AgentState.AVAILABLE or agent.has_room):
            self._seek(agent, agent.idle_since, now)
        elif agent.has_room and not could:
            self._seek(agent, now, now)

    @staticmethod
    def _begin_presence(agent: Agent, now: int) -> None:
        if agent.state is AgentState.OFFLINE or agent.signed_in is None:
            agent.signed_in, agent.calls, agent.busy = now, 0, 0
        else:
            agent.signed_in += now - agent.since

    def agent_away(self, agent_id: str, state: AgentState, why: str, now: int) -> AgentState:
        agent = self.agents.get(agent_id)
        known = agent.state if agent else AgentState.OFFLINE
        if known is AgentState.OFFLINE and state is not AgentState.PAUSED:
            return known
        if agent is None:
            agent = self.agents[agent_id] = Agent(agent_id, AgentProfile(()), came=False)
        if (agent.state, agent.why) == (state, why):
            return state
        if agent.state is AgentState.OFFLINE:
            agent.signed_in = None
        call = self.calls[agent.call] if agent.state is AgentState.OFFERED and agent.call else None
        if agent.state is AgentState.TALKING or (call and call.ticket.own):
            agent.next, agent.idle = (state, why), False
            return agent.state
        if call:
            self._withdraw(call, agent_id)
        self._end_wrapup(agent, now)
        self._put_away(agent, state, why, now)
        if call:
            self._give_back(call, agent_id, now)
        self._take_makers(now)
        return agent.state

    def accept(self, call_id: str, agent_id: str, token: int, now: int) -> None:
        call = self._reserved(call_id, agent_id, token)
        if call is None:
            raise self._not_in_force()
        if call.state == "offered":
            self._begin_talk(call, agent_id, now)
        self._afterwards(now)

    def _not_in_force(self) -> Exception:
        return StoreUnavailable("in doubt") if self.doubt else StaleToken()

    def reject(self, call_id: str, agent_id: str, token: int, refusal: Refusal, now: int) -> None:
        call = self._reserved(call_id, agent_id, token)
        agent = self.agents.get(agent_id)
        if call is None or agent is None or call.state != "offered":
            if agent and agent.last and agent.last[:2] == ("reject", token):
                return
            raise self._not_in_force()
        self._count(call, "rejected")
        self._exclude(call, agent, now, refusal.retry_ms, refusal.exclude_ms)
        agent.last = ("reject", token, 0)
        agent.unanswered += refusal.counts
        self._give_back(call, agent_id, now)
        if refusal.then is not AgentState.AVAILABLE and not (call.ticket.own and (agent.next or agent.owes)):
            why = refusal.why if refusal.then is AgentState.PAUSED else refusal.reason.value
            self._put_away(agent, refusal.then, why, now)
        elif refusal.rest_ms and (agent.talks or not (agent.owes or agent.next)):
            if agent.talks:
                self._back_to_talk(agent, now)
            else:
                self._set_state(agent, refusal.then, "", now)
            self.due[f"a:{agent_id}"] = now + refusal.rest_ms
        else:
            self._set_free(agent, now, now)
        self._afterwards(now)

    def cancel(self, call_id: str, now: int, how: str = "abandoned") -> bool:
        call = self.calls.get(call_id)
        if call is None:
            return False
        if call.state == "talking":
            self._part(call, now)
            self._afterwards(now)
            return True
        self._forget(call)
        self._count(call, how)
        self._let_go(call, list(call.held)[1:])
        for agent_id in call.held:
            agent = self.agents[agent_id]
            self._set_free(agent, agent.idle_since, now)
        self._afterwards(now)
        return True

    def done(self, call_id: str, agent_id: str, token: int, now: int, *, wrapup: bool = True) -> int | None:
        call = self._reserved(call_id, agent_id, token)
        if call is None:
            agent = self.agents.get(agent_id)
            if agent and agent.last and agent.last[:2] == ("done", token):
                return agent.last[2] or None
            raise self._not_in_force()
        if call.state == "offered":
            self._begin_talk(call, agent_id, now)
        until = self._part(call, now, wrapup)
        self._afterwards(now)
        return until or None

    def end_wrapup(self, agent_id: str, now: int) -> AgentState:
        agent = self.agents.get(agent_id)
        if agent is None:
            return AgentState.OFFLINE
        if agent.state is AgentState.WRAPUP:
            self._end_wrapup(agent, now)
            del self.due[f"a:{agent_id}"]
            self._go_on(agent, now)
            self._afterwards(now)
        return agent.state

    def extend_wrapup(self, agent_id: str, until: int, now: int) -> tuple[int, int] | None:
        agent = self.agents.get(agent_id)
        if agent is None or agent.state is not AgentState.WRAPUP:
            return None
        before = self.due[f"a:{agent_id}"]
        after = max(before, min(until, agent.wrapup_limit))
        if after > before:
            self.due[f"a:{agent_id}"] = after
            self.counters.setdefault(agent.wraps[0], Counter())["extended"] += 1
        return before, after

    def calls_of(self, node: str) -> list[str]:
        return sorted(call_id for call_id, call in self.calls.items() if call.ticket.node == node)

    def heartbeat(self, node: str, lease_ms: int, now: int) -> bool:
        lapsed = f"n:{node}" not in self.due
        self.due[f"n:{node}"] = max(now + lease_ms, self.due.get(f"n:{node}", 0))
        return lapsed

    def reset_node(self, node: str, now: int) -> set[str]:
        self.due.pop(f"n:{node}", None)
        self.callbacks.drop(node, now)
        dropped = self._drop(node, now)
        self._settled(node, now)
        self._afterwards(now)
        return dropped

    def tick(self, now: int) -> None:
        while batch := sorted((at, what) for what, at in self.due.items() if at <= now):
            for _, what in batch:
                if self.due.get(what, now + 1) > now:
                    continue
                del self.due[what]
                kind, _, name = what.partition(":")
                getattr(self, f"_due_{kind}")(name, now)
            self._afterwards(now)
        self._afterwards(now)
        self.callbacks.tick(now)

    def position(self, call_id: str) -> tuple[int, int] | None:
        call = self.calls.get(call_id)
        return position(call, self.calls.values()) if call else None

    def crowd(
        self, call_id: str, requirements: Sequence[Requirement], absent: Collection[AgentState]
    ) -> tuple[int, bool] | None:
        if self.doubt:
            return None
        call, others = self.calls.get(call_id), 0
        if call_id:
            if call is None or call.state != "waiting":
                return None
            others = sum(c.queue == call.queue and c.state == "waiting" for c in self.calls.values()) - 1
        there = [agent for agent in self.agents.values() if agent.came and agent.state not in absent]
        return others, any(
            agent.state is not AgentState.OFFLINE
            and (eligible(requirement, agent.profile) or eligible_while(requirement, agent.profile))
            for agent in there
            for requirement in requirements
        )

    # A conversation that is put back.

    def restore_talk(
        self, ticket: Ticket, agent_id: str, profile: AgentProfile, token: int, now: int, terms: AgentTerms
    ) -> None:
        call, agent = self.calls.get(ticket.call_id), self.agents.get(agent_id)
        if self._may_restore(call, agent, agent_id, token):
            return
        if call and self._reserved(ticket.call_id, agent_id, token):
            self._begin_talk(call, agent_id, now)
            self._afterwards(now)
            return
        agent = agent or self.agents.setdefault(agent_id, Agent(agent_id, profile))
        self._put_back(call, ticket, agent, token, None, now, lambda: agent.learns(profile, terms))
        self._afterwards(now)

    def restore_offer(
        self,
        ticket: Ticket,
        agent_id: str,
        profile: AgentProfile,
        token: int,
        deadline: int,
        now: int,
        terms: AgentTerms,
    ) -> None:
        call, agent = self.calls.get(ticket.call_id), self.agents.get(agent_id)
        if self._may_restore(call, agent, agent_id, token):
            return
        if call and self._reserved(ticket.call_id, agent_id, token):
            return
        agent = agent or self.agents.setdefault(agent_id, Agent(agent_id, profile))
        self._put_back(call, ticket, agent, token, deadline, now, lambda: agent.learns(profile, terms))
        self._afterwards(now)

    def _may_restore(self, call: Call | None, agent: Agent | None, agent_id: str, token: int) -> bool:
        """True where it is so already. Raises where one of them talks to another."""
        if call and call.state == "talking":
            if call.held != {agent_id: token}:
                raise self._not_in_force()
            return True
        if agent and agent.state is AgentState.TALKING and len(agent.talks) >= agent.terms.capacity:
            raise self._not_in_force()
        return False

    def restore_place(self, ticket: Ticket, now: int) -> None:
        call = self.calls.get(ticket.call_id)
        if call is None:
            self._place(self._admit(ticket, now), now)
        elif call.state == "offered" and self.doubt:
            rung = [self.agents[agent_id] for agent_id in call.held]
            for agent in rung:
                self._withdraw(call, agent.id)
            self._requeue(call, now)
            for agent in rung:
                self._set_free(agent, agent.idle_since, now)
            self._afterwards(now)

    # The store begins anew.

    def begin_doubt(self, nodes: Collection[str], now: int) -> None:
        """It may lack what it was told last."""
        lived = {what[2:] for what in self.due if what.startswith("n:")}
        for node in lived:
            self.due[f"n:{node}"] = max(self.due[f"n:{node}"], now + limits.DOUBT_MS)
        self.doubt |= lived | set(nodes)
        if self.doubt:
            self.due["g:"] = now + limits.DOUBT_MS

    def greet(self, node: str, run: str, known: str, others: Collection[str], now: int) -> bool:
        """The first word of a node on a connection to this run of the server; `known` is the run that it
        knew. Whether the store may lack something."""
        lost = bool(known) if not self.run else self.run != run or (known not in ("", run))
        if self.run != run:
            self.run = run
            if lost:
                self.begin_doubt(others, now)
        if lost and known:
            self.doubt.add(node)
        if lost and self.doubt:
            self.due["g:"] = now + limits.DOUBT_MS
        return lost

    def settled(self, node: str, now: int) -> None:
        self._settled(node, now)
        self._afterwards(now)

    def _settled(self, node: str, now: int) -> None:
        if node in self.doubt:
            self.doubt.remove(node)
            if not self.doubt:
                self._due_g("", now)

    def _due_g(self, _: str, now: int) -> None:
        """Who waits and who is free find each other."""
        self.doubt = set()
        self.due.pop("g:", None)
        idle = sorted(
            (agent for agent in self.agents.values() if agent.idle), key=lambda a: (a.idle_since, a.id)
        )
        for agent in idle:
            while agent.idle and (
                call := self.matching.best_call(agent, self.calls.values(), self.centre(now))
            ):
                self._place(call, now)

    def _put_back(
        self,
        call: Call | None,
        ticket: Ticket,
        agent: Agent,
        token: int,
        rung_until: int | None,
        now: int,
        learn: Callable[[], None],
    ) -> None:
        """What the two do otherwise is undone first, and found anew for the others last."""
        rung = agent.call if agent.state is AgentState.OFFERED else None
        left_call = self.calls[rung] if rung and rung != ticket.call_id else None
        left_agents = []
        if left_call:
            self._withdraw(left_call, agent.id)
        if call is None:
            call = self._admit(ticket, now)
        elif call.state == "offered" and (rung_until is None or ticket.ring_agents == 1):
            left_agents = [self.agents[left] for left in call.held if left != agent.id]
            for left in call.held:
                self._withdraw(call, left)
        elif call.state == "offered" and agent.id in call.held:
            self._withdraw(call, agent.id)
        learn()
        agent.call, agent.idle, agent.why = ticket.call_id, False, ""
        if not agent.talks:
            agent.next = agent.owes = None
        agent.idle_since = agent.last_rung = now
        agent.busy_from = now if agent.busy_from is None else agent.busy_from
        self.due.pop(f"a:{agent.id}", None)
        self._count(call, "offers")
        if left_call:
            self._give_back(left_call, agent.id, now)
        if rung_until is None:
            call.held = {agent.id: token}
            self._begin_talk(call, agent.id, now)
        else:
            call.held = {**(call.held if ticket.ring_agents > 1 else {}), agent.id: token}
            call.state, agent.state, agent.since = "offered", AgentState.OFFERED, now
            self.due[f"r:{ticket.call_id}"] = rung_until + limits.RING_GRACE_MS
        for other in left_agents:
            self._set_free(other, other.idle_since, now)

    # What falls due.

    def _due_r(self, call_id: str, now: int) -> None:
        call = self.calls[call_id]
        rung = [self.agents[agent_id] for agent_id in call.held]
        for agent in rung:
            self._withdraw(call, agent.id)
            self._exclude(call, agent, now, limits.REFUSAL_PAUSE_MS, limits.EXCLUSION_MAX_MS)
            agent.unanswered += 1
        self._requeue(call, now)
        for agent in rung:
            self._set_free(agent, now, now)

    def _due_a(self, agent_id: str, now: int) -> None:
        agent = self.agents[agent_id]
        if agent.state is AgentState.WRAPUP:
            self._end_wrapup(agent, now)
            self._go_on(agent, now)
        elif agent.state is AgentState.OFFLINE:
            del self.agents[agent_id]
        elif (agent.state is AgentState.AVAILABLE or agent.has_room) and not agent.idle:
            self._seek(agent, now, now)

    def _due_x(self, call_id: str, now: int) -> None:
        call = self.calls[call_id]
        kept = {}
        if self._others_could(call):
            kept = {agent: until for agent, until in call.refused.items() if until > now}
        lifted = len(kept) < len(call.refused)
        call.refused = kept
        if kept:
            self.due[f"x:{call_id}"] = now + limits.REFUSAL_PAUSE_MS
        if lifted and call.state == "waiting":
            self._place(call, now)

    def _due_l(self, call_id: str, now: int) -> None:
        call = self.calls[call_id]
        self._take_steps(call, now)
        if call.state == "waiting":
            self._place(call, now)

    def _due_d(self, call_id: str, now: int) -> None:
        self.calls[call_id].misses_target()

    def _take_steps(self, call: Call, now: int) -> None:
        """The next one, and those whose time is over already."""
        self._take_step(call)
        while call.steps and call.ticket.enqueued_ms + call.steps[0].after_ms <= now:
            self._take_step(call)

    def _take_step(self, call: Call) -> None:
        call.asks(call.steps.pop(0).requirement)
        self._count(call, "relaxed")
        self._await_step(call)

    def _await_step(self, call: Call) -> None:
        self.due.pop(f"l:{call.ticket.call_id}", None)
        if call.steps:
            self.due[f"l:{call.ticket.call_id}"] = call.ticket.enqueued_ms + call.steps[0].after_ms

    def _due_o(self, node: str, now: int) -> None:
        if f"n:{node}" not in self.due:
            self._due_n(node, now)

    def _due_n(self, node: str, now: int) -> None:
        self._drop(node, now)
        self.callbacks.drop(node, now)
        self._settled(node, now)

    # The moves.

    def _place(self, call: Call, now: int) -> None:
        if self.doubt or (call.ticket.own and self._take_maker(call, now)):
            return
        if call.requirement.agent and call.steps:
            named = self.agents.get(call.requirement.agent)
            if named is None or named.state not in SIGNED_IN or named.id in call.refused:
                self._take_steps(call, now)
        for _ in range(call.ticket.ring_agents):
            agent = self.matching.best_agent(call, self.centre(now))
            if agent is None:
                return
            if call.requirement.agent is None and call.requirement.strategy == "weighted-random":
                self._clock = max(self._clock, agent.score("weighted-random"))
            self._reserve(call, agent, now)

    def _take_maker(self, call: Call, now: int) -> bool:
        """The agent who made the call is in it: out of a pause, a wrap-up or a rest, which follow again."""
        agent = self.agents.get(call.requirement.agent or "")
        busy = (AgentState.OFFLINE, AgentState.OFFERED, AgentState.TALKING)
        if agent is None or not agent.came or agent.state in busy or agent.idle or agent.id in call.refused:
            return False
        follows = agent.next
        if agent.state is AgentState.WRAPUP:
            self._end_wrapup(agent, now)
            if (until := self.due[f"a:{agent.id}"]) > now:
                agent.owes = (until - now, max(until, agent.wrapup_limit) - now, *agent.wraps)
        elif agent.state is not AgentState.AVAILABLE:
            follows, agent.unanswered = (agent.state, agent.why), 0
            self._begin_presence(agent, now)
        self.due.pop(f"a:{agent.id}", None)
        self._set_state(agent, AgentState.AVAILABLE, "", now)
        self._reserve(call, agent, now)
        agent.next = follows
        return True

    def _seek(self, agent: Agent, idle_since: int, now: int) -> None:
        agent.idle_since, agent.clock = idle_since, self._clock
        call = None if self.doubt else self.matching.best_call(agent, self.calls.values(), self.centre(now))
        agent.idle = call is None
        if call:
            self._reserve(call, agent, now)

    def _reserve(self, call: Call, agent: Agent, now: int) -> None:
        assert call.state == "waiting" or len(call.held) < call.ticket.ring_agents
        assert agent.state is AgentState.AVAILABLE or agent.has_room
        call.state = "offered"
        call.held[agent.id] = 0
        agent.state, agent.since, agent.call, agent.idle = AgentState.OFFERED, now, call.ticket.call_id, False
        agent.last_rung = now
        agent.busy_from = now if agent.busy_from is None else agent.busy_from
        self.due[f"r:{call.ticket.call_id}"] = now + call.ticket.ring_ms + limits.RING_GRACE_MS
        self.made.append((call.ticket.call_id, agent.id))
        self._count(call, "offers")

    def _begin_talk(self, call: Call, agent_id: str, now: int) -> None:
        agent = self.agents[agent_id]
        rivals = [self.agents[other] for other in call.held if other != agent_id]
        call.held = {agent_id: call.held[agent_id]}
        call.state = "talking"
        call.refused = {}
        call.steps = []
        self._await_step(call)
        agent.state, agent.since, agent.unanswered = AgentState.TALKING, now, 0
        agent.talks[call.ticket.call_id] = call
        agent.calls += 1
        self.due.pop(f"r:{call.ticket.call_id}", None)
        self.due.pop(f"x:{call.ticket.call_id}", None)
        self.due.pop(f"d:{call.ticket.call_id}", None)
        self._count(call, "answered")
        self._let_go(call, rivals)
        for rival in rivals:
            self._set_free(rival, rival.idle_since, now)
        if agent.has_room:
            self._seek(agent, now, now)

    def _let_go(self, call: Call, agents: Sequence[object]) -> None:
        """Each of them was rung together with another."""
        for _ in agents:
            self._count(call, "let-go")

    def _part(self, call: Call, now: int, wrapup: bool = True) -> int:
        agent = self.agents[call.agent or ""]
        could, was_idle, agent.idle = agent.has_room, agent.idle, False
        self._forget(call)
        self._count(call, "completed")
        del agent.talks[call.ticket.call_id]
        if wrapup:
            self._owe(agent, call)
        until = 0
        if agent.talks and agent.state is AgentState.TALKING:
            agent.call = agent.newest_talk
            if agent.has_room and (was_idle or not could):
                self._seek(agent, agent.idle_since if was_idle else now, now)
        elif agent.state is AgentState.TALKING and agent.owes:
            until = self._begin_wrapup(agent, now)
        elif agent.state is AgentState.TALKING:
            self._go_on(agent, now)
        agent.last = ("done", call.held[agent.id], until)
        return until

    @staticmethod
    def _owe(agent: Agent, call: Call) -> None:
        ticket = call.ticket
        if ticket.wrapup_ms > (agent.owes[0] if agent.owes else 0):
            limit = max(ticket.wrapup_ms, ticket.wrapup_limit_ms)
            agent.owes = (ticket.wrapup_ms, limit, call.queue, ticket.node)

    def _begin_wrapup(self, agent: Agent, now: int) -> int:
        assert agent.owes
        length, limit, *agent.wraps = agent.owes
        agent.state, agent.since, agent.call, agent.owes = AgentState.WRAPUP, now, None, None
        agent.wrapup_limit = now + limit
        self.due[f"a:{agent.id}"] = now + length
        return now + length

    def _end_wrapup(self, agent: Agent, now: int) -> None:
        if agent.state is AgentState.WRAPUP:
            queue, node = agent.wraps
            self.counters.setdefault(queue, Counter())["wrapped"] += 1
            if f"n:{node}" in self.due:
                self.wrapped.append((node, agent.id, queue, now - agent.since))

    def _go_on(self, agent: Agent, now: int) -> None:
        if agent.next:
            self._put_away(agent, *agent.next, now)
        else:
            self._set_free(agent, now, now)

    def _back_to_talk(self, agent: Agent, now: int) -> None:
        agent.state, agent.since, agent.call, agent.idle = AgentState.TALKING, now, agent.newest_talk, False

    def _set_free(self, agent: Agent, idle_since: int, now: int) -> None:
        if agent.talks:
            self._back_to_talk(agent, now)
            if agent.has_room:
                self._seek(agent, idle_since, now)
            return
        if agent.owes:
            self._begin_wrapup(agent, now)
            return
        if agent.next:
            self._put_away(agent, *agent.next, now)
            return
        self._set_state(agent, AgentState.AVAILABLE, "", now)
        self._seek(agent, idle_since, now)

    def _put_away(self, agent: Agent, state: AgentState, why: str, now: int) -> None:
        if agent.talks:
            self._back_to_talk(agent, now)
            agent.next = (state, why)
            return
        agent.owes = None
        self._set_state(agent, state, why, now)
        for call in self.calls.values():
            if call.state == "waiting" and call.requirement.agent == agent.id and call.steps:
                self.due[f"l:{call.ticket.call_id}"] = now
        self.due.pop(f"a:{agent.id}", None)
        if state is AgentState.OFFLINE:
            self.due[f"a:{agent.id}"] = now + limits.FORGET_AGENT_MS

    @staticmethod
    def _set_state(agent: Agent, state: AgentState, why: str, now: int) -> None:
        agent.state, agent.why, agent.since = state, why, now
        agent.call, agent.next, agent.idle = None, None, False
        if agent.busy_from is not None:
            agent.busy += now - agent.busy_from
            agent.busy_from = None

    def _afterwards(self, now: int) -> None:
        self._take_makers(now)
        self._lend(now)

    def _take_makers(self, now: int) -> None:
        """Agents who were busy when they made their call, and are at something else by now."""
        own = [call for call in self.calls.values() if call.ticket.own and call.state == "waiting"]
        for call in sorted(own, key=lambda call: (call.score, call.arrival)):
            if not self.doubt:
                self._take_maker(call, now)

    def _lend(self, now: int) -> None:
        """A queue may have become well that lends its agents."""
        if self.doubt:
            return
        idle = [agent for agent in self.agents.values() if agent.idle and agent.profile.lent]
        terms = {terms for agent in idle for _, terms in agent.profile.lent}
        found = bool(terms)
        while found:
            found = False
            for lending in sorted(terms, key=lending_terms):
                if call := self.matching.lent_call(lending, self.centre(now)):
                    self._place(call, now)
                    found = True

    def _requeue(self, call: Call, now: int) -> None:
        call.state, call.held = "waiting", {}
        self.due.pop(f"r:{call.ticket.call_id}", None)
        self._place(call, now)

    def _give_back(self, call: Call, agent_id: str, now: int) -> None:
        """One who was rung for it is not any more; others may still be."""
        del call.held[agent_id]
        if not call.held:
            self._requeue(call, now)

    def _withdraw(self, call: Call, agent_id: str) -> None:
        self.withdrawn.append((call.ticket.call_id, agent_id, call.ticket.node, call.held[agent_id]))
        self._count(call, "withdrawn")

    def _exclude(self, call: Call, agent: Agent, now: int, retry_ms: int, longest_ms: int) -> None:
        call.refused[agent.id] = now + longest_ms
        what = f"x:{call.ticket.call_id}"
        self.due[what] = max(now + retry_ms, self.due.get(what, 0))

    def _others_could(self, call: Call) -> bool:
        return call.requirement.agent is None and any(
            agent.state in SIGNED_IN and self.matching.fits(call, agent) for agent in self.agents.values()
        )

    def _drop(self, node: str, now: int) -> set[str]:
        gone = [call for call in self.calls.values() if call.ticket.node == node]
        for call in gone:
            self._forget(call)
            self._count(call, "lost")
        for call in sorted(gone, key=lambda call: call.ticket.call_id):
            self._let_go(call, list(call.held)[1:])
            for agent in [self.agents[agent_id] for agent_id in call.held]:
                self._lose(agent, call, now)
        ids = {call.ticket.call_id for call in gone}
        # What the node had not read yet goes with it.
        self.made = [offer for offer in self.made if offer[0] not in ids]
        self.withdrawn = [word for word in self.withdrawn if word[0] not in ids]
        self.wrapped = [word for word in self.wrapped if word[0] != node]
        return ids

    def _lose(self, agent: Agent, call: Call, now: int) -> None:
        """A call of theirs went with its node."""
        if call.state == "offered":
            self._set_free(agent, agent.idle_since, now)
            return
        del agent.talks[call.ticket.call_id]
        if agent.state is AgentState.OFFERED:
            return  # their phone rings for another
        if agent.talks:
            self._set_free(agent, now, now)
        else:
            self._go_on(agent, now)

    def _forget(self, call: Call) -> None:
        del self.calls[call.ticket.call_id]
        for kind in "rxld":
            self.due.pop(f"{kind}:{call.ticket.call_id}", None)

    def _reserved(self, call_id: str, agent_id: str, token: int) -> Call | None:
        call = self.calls.get(call_id)
        return call if call and call.held.get(agent_id) == token else None

    def _count(self, call: Call, what: str) -> None:
        self.counters.setdefault(call.queue, Counter())[what] += 1
