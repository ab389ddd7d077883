"""The store against the slow obvious model, in virtual time, with everything audited after every step."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from routing import limits
from routing.callbacks import Callback
from routing.model import (
    AgentProfile,
    AgentState,
    AgentTerms,
    CallbackOver,
    Departure,
    Lending,
    Offer,
    OfferWithdrawn,
    Refusal,
    RejectReason,
    Requirement,
    Step,
    Ticket,
    WrapupTaken,
)
from routing.ports import StaleToken, StoreUnavailable
from routing.store.generation import Acquaintance
from routing.store.redis_store import RedisQueueStore, connect
from routing.store.scripts import load_library
from routing.strategy import STRATEGIES
from tests.support.event_fold import Fold, assert_equal
from tests.support.queue_audit import CONSTANT, Snapshot, audit, hear_events, snapshot
from tests.support.queue_model import QueueModel

pytestmark = pytest.mark.store

START_MS = 1_790_000_000_000
LEASE_MS = 30_000
NODES = ("n1", "n2")
AGENTS = ("anna", "bert", "carl", "dora")
REQUIREMENTS = (
    Requirement("billing", (("billing", 1),)),
    Requirement("billing", (("billing", 5), ("et", 2))),
    Requirement("support"),
    Requirement("direct", agent="anna"),
    Requirement("sales", agent="bert"),
    Requirement("direct", agent="carl"),
    Requirement("own", agent="anna"),
    Requirement("own", agent="bert"),
    *(Requirement("sales", (("et", 1),), strategy) for strategy in sorted(STRATEGIES)),
    Requirement("either", any_of=((("billing", 5), ("et", 2)),)),
    Requirement("either", any_of=((("billing", 1), ("et", 1)),), prefers=("et", "billing")),
    Requirement("pressing", (("et", 1),), weight=3),
    Requirement("pressing", (("billing", 2),), weight=3),
    Requirement("urgent", weight=10),
    Requirement("support", (("billing", 9),), open_to=("lead:a",)),
    Requirement("pressing", (("lead:b", 1),), weight=3, open_to=("lead:a", "lead:b")),
    Requirement("urgent", agent="anna", weight=10),
)
PROFILES = (
    AgentProfile.of({"billing": 5, "et": 3}),
    AgentProfile.of({"billing": 2}),
    AgentProfile.of({"et": 1}),
    AgentProfile.of({"et": 2, "billing": 1}, {"sales": 1, "support": 2}),
    AgentProfile.of({"et": 9}, {"sales": 2}),
    AgentProfile.of(
        {"et": 4, "billing": 5},
        {"billing": 1, "support": 1, "sales": 2, "pressing": 1},
        {"support": Lending("billing", waiting_at_most=1), "pressing": Lending("sales", 0, 9_000, 1)},
    ),
    AgentProfile.of({"et": 3}, {"sales": 1, "support": 1}, {"support": Lending("sales", 0, 9_000, 1)}),
    AgentProfile.of({"et": 3, "lead:a": 1}, {"sales": 1}),
    AgentProfile.of(
        {"et": 4, "billing": 5, "lead:a": 1},
        {"billing": 2, "support": 1, "sales": 3, "pressing": 1, "urgent": 2},
        {"support": Lending("billing", waiting_at_most=1)},
        by_priority=True,
    ),
    AgentProfile.of({"et": 4, "billing": 9}, {"sales": 1, "either": 2, "billing": 99}, by_priority=True),
    AgentProfile.of({"lead:b": 1}, {"sales": 1, "pressing": 1}, {"pressing": Lending("sales")}),
)
STEPS = {
    Requirement("billing", (("billing", 5), ("et", 2))): (
        Step(12_000, Requirement("billing", (("billing", 2),))),
        Step(50_000, Requirement("billing")),
    ),
    Requirement("direct", agent="anna"): (
        Step(20_000, Requirement("direct", (("et", 9),))),
        Step(12_000, Requirement("direct", (("et", 1),))),
    ),
    Requirement("sales", agent="bert"): (Step(5_000, Requirement("sales")),),
    Requirement("urgent", agent="anna", weight=10): (Step(20_000, Requirement("urgent", weight=10)),),
    Requirement("sales", (("et", 1),), "most-skilled"): (
        Step(5_000, Requirement("sales", (), "most-skilled")),
    ),
}
ABSENT = (
    frozenset({AgentState.PAUSED, AgentState.NOT_ANSWERING}),
    frozenset({AgentState.NOT_ANSWERING, AgentState.TALKING, AgentState.OFFERED}),
    frozenset({AgentState.PAUSED, AgentState.WRAPUP}),
    frozenset(),
)
TERMS = (AgentTerms(), AgentTerms(order=2, weight=5), AgentTerms(capacity=2), AgentTerms(capacity=3))
_SITES = count(1)

agents = st.sampled_from(AGENTS)
nodes = st.sampled_from(NODES)
picks = st.integers(0, 1000)


class QueueMachine(RuleBasedStateMachine):
    """Every operation, in any order, on both; what each answers and leaves must be the same."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.site = f"machine{os.getpid()}-{next(_SITES)}"
        self.redis = connect(self.url)
        self.store = RedisQueueStore(self.redis, self.site)
        self.model = QueueModel()
        self.now = START_MS
        self.calls = 0
        self.fold = Fold()
        self.tickets: dict[str, Ticket] = {}
        self.read_after = dict.fromkeys(NODES, "0-0")
        self.last_token = 0
        self.old_words: list[tuple[str, str, int]] = []
        self.known_callbacks: list[str] = []
        self.runs = 0
        self.acquaintance = Acquaintance(load_library(), f"acd:{{{self.site}}}:")

    def run(self, work: Awaitable[Any]) -> Any:
        return self.loop.run_until_complete(work)  # type: ignore[arg-type]

    def both(self, real: Callable[[], Awaitable[Any]], modelled: Callable[[], Any]) -> Any:
        """The same answer from both; and saying it once more changes nothing in the store."""
        before = self.keys()
        answers = [self._answer_of(real)]
        expected: Any
        try:
            expected = modelled()
        except (StaleToken, StoreUnavailable) as refusal:
            expected = type(refusal)
            assert self.keys() == before
        assert answers[0] == expected
        self._learn_tokens()
        after = self.keys()
        self._answer_of(real)
        assert self.keys() == after
        return expected

    def _answer_of(self, real: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return self.run(real())
        except (StaleToken, StoreUnavailable) as refusal:
            return type(refusal)

    def keys(self) -> dict[str, Any]:
        state: Snapshot = self.run(snapshot(self.redis, self.site))
        return state.keys

    def _learn_tokens(self) -> None:
        """The messages are those that the model expects; their tokens rise."""
        offers: list[Offer] = []
        withdrawn: list[OfferWithdrawn] = []
        wrapped = []
        over = []
        for node in NODES:
            for entry, message in self.run(self.store.messages(node, self.read_after[node], 0)):
                self.read_after[node] = entry
                match message:
                    case Offer():
                        offers.append(message)
                    case OfferWithdrawn():
                        withdrawn.append(message)
                    case WrapupTaken(agent, queue, taken):
                        wrapped.append((node, agent, queue, taken))
                    case CallbackOver(callback, how):
                        over.append((node, callback, how))
        assert sorted(over) == sorted(self.model.callbacks.told)
        self.model.callbacks.told = []
        assert sorted(wrapped) == sorted(self.model.wrapped)
        self.model.wrapped = []
        offers.sort(key=lambda offer: offer.token)
        assert [(o.call_id, o.agent_id) for o in offers] == self.model.made
        expected = sorted(word[:2] for word in self.model.withdrawn)
        assert sorted((w.call_id, w.agent_id) for w in withdrawn) == expected
        self.model.made, self.model.withdrawn = [], []
        for offer in offers:
            assert offer.token > self.last_token
            self.last_token = offer.token
            self.old_words.append((offer.call_id, offer.agent_id, offer.token))
            call = self.model.calls[offer.call_id]
            if offer.agent_id in call.held:
                call.held[offer.agent_id] = offer.token

    def reserved(self, pick: int) -> tuple[str, str, int]:
        words = [(i, a, token) for i, c in self.model.calls.items() for a, token in c.held.items()]
        return words[pick % len(words)]

    # How it begins.

    @initialize(busy=st.booleans(), wrapup_ms=st.sampled_from((0, 3_000)))
    def an_agent_may_be_in_two_conversations(self, busy: bool, wrapup_ms: int) -> None:
        """Random words seldom lead there."""
        if not busy:
            return
        self.agent_signs_in("anna", PROFILES[0], AgentTerms(capacity=3))
        for _ in range(2):
            self.call_arrives(Requirement("support"), "n1", 0, wrapup_ms, 0, 0, 1)
            self.agent_answers(self.calls - 1)
        assert len(self.model.agents["anna"].talks) == 2

    # Time.

    @rule(ms=st.sampled_from((1, 700, 4_000, 5_000, 12_000, 40_000, 700_000)))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    @rule()
    def tick(self) -> None:
        self.both(lambda: self._tick(), lambda: self.model.tick(self.now))

    async def _tick(self) -> None:
        due = await self.store.tick(self.now)
        assert due is None or due > self.now

    @rule(node=nodes)
    def node_lives(self, node: str) -> None:
        lapsed = self.run(self.store.heartbeat(node, LEASE_MS, self.now))
        assert lapsed == self.model.heartbeat(node, LEASE_MS, self.now)

    @rule(node=nodes)
    def node_begins_anew(self, node: str) -> None:
        self.both(lambda: self._reset(node), lambda: self.model.reset_node(node, self.now))
        self.read_after[node] = "0-0"

    async def _reset(self, node: str) -> set[str]:
        return set(await self.store.reset_node(node, self.now))

    # Calls.

    @rule(
        requirement=st.sampled_from(REQUIREMENTS),
        node=nodes,
        priority=st.sampled_from((0, 0, 0, 5, 99)),
        wrapup_ms=st.sampled_from((0, 3_000)),
        more_ms=st.sampled_from((0, 9_000)),
        waited_ms=st.sampled_from((0, 0, 0, 35_000)),
        ring_agents=st.sampled_from((1, 1, 2, 50)),
    )
    def call_arrives(
        self,
        requirement: Requirement,
        node: str,
        priority: int,
        wrapup_ms: int,
        more_ms: int,
        waited_ms: int,
        ring_agents: int,
    ) -> None:
        self.calls += 1
        own = requirement.queue == "own"
        target_ms = 20_000 if requirement.queue in ("sales", "pressing") else 0
        ticket = Ticket(
            f"c{self.calls}",
            node,
            requirement,
            self.now - waited_ms,
            priority,
            10_000,
            wrapup_ms,
            more_ms,
            target_ms,
            STEPS.get(requirement, ()),
            1 if own else ring_agents,
            "bert" if priority == 5 else "",
            own,
        )
        self.tickets[ticket.call_id] = ticket
        self.both(lambda: self.store.enqueue(ticket, self.now), lambda: self.model.enqueue(ticket, self.now))

    @precondition(lambda self: self.model.calls)
    @rule(pick=picks, how=st.sampled_from(["abandoned", "released", "overflowed"]))
    def caller_waits_no_longer(self, pick: int, how: Departure) -> None:
        call_id = list(self.model.calls)[pick % len(self.model.calls)]
        self.both(
            lambda: self.store.cancel(call_id, self.now, how),
            lambda: self.model.cancel(call_id, self.now, how),
        )

    @precondition(lambda self: self.tickets)
    @rule(pick=picks, leads=st.sampled_from((("lead:a",), ("lead:a", "lead:b"))), alone=st.booleans())
    def call_asks_somebody_else(self, pick: int, leads: tuple[str, ...], alone: bool) -> None:
        ticket = list(self.tickets.values())[pick % len(self.tickets)]

        def asks(asked: Requirement) -> Requirement:
            skills = tuple((lead, 1) for lead in leads[:1]) if alone else asked.skills
            return replace(asked, skills=skills, agent=None, open_to=leads)

        steps = tuple(replace(step, requirement=asks(step.requirement)) for step in ticket.steps)
        if ticket.requirement.agent is not None:
            steps = steps[1:]
        changed = replace(ticket, requirement=asks(ticket.requirement), steps=steps, own=False)
        self.both(
            lambda: self.store.change_needs(changed, self.now),
            lambda: self.model.change_needs(changed, self.now),
        )

    @precondition(lambda self: any(c.agent for c in self.model.calls.values()))
    @rule(pick=picks)
    def agent_answers(self, pick: int) -> None:
        word = self.reserved(pick)
        self.both(lambda: self.store.accept(*word, self.now), lambda: self.model.accept(*word, self.now))

    @precondition(lambda self: any(c.agent for c in self.model.calls.values()))
    @rule(
        pick=picks,
        refusal=st.builds(
            Refusal,
            reason=st.sampled_from(list(RejectReason)),
            then=st.sampled_from((*(AgentState.AVAILABLE,) * 4, AgentState.NOT_ANSWERING, AgentState.PAUSED)),
            why=st.sampled_from(("", "missed a call")),
            rest_ms=st.sampled_from((0, 0, 700, 5_000, 30_000)),
            retry_ms=st.sampled_from((1_000, 5_000)),
            exclude_ms=st.sampled_from((5_000, 12_000, 60_000, limits.WHOLE_WAIT_MS)),
            counts=st.booleans(),
        ),
    )
    def agent_does_not_take_it(self, pick: int, refusal: Refusal) -> None:
        word = self.reserved(pick)
        self.both(
            lambda: self.store.reject(*word, refusal, self.now),
            lambda: self.model.reject(*word, refusal, self.now),
        )

    @precondition(lambda self: any(c.agent for c in self.model.calls.values()))
    @rule(pick=picks, wrapup=st.sampled_from((True, True, False)))
    def conversation_ends(self, pick: int, wrapup: bool) -> None:
        word = self.reserved(pick)
        self.both(
            lambda: self.store.done(*word, self.now, wrapup=wrapup),
            lambda: self.model.done(*word, self.now, wrapup=wrapup),
        )

    @precondition(lambda self: self.old_words)
    @rule(pick=picks, what=st.sampled_from(("accept", "done", "reject")))
    def something_old_is_said(self, pick: int, what: str) -> None:
        word = self.old_words[pick % len(self.old_words)]
        extra = (Refusal(RejectReason.NO_ANSWER),) if what == "reject" else ()
        self.both(
            lambda: getattr(self.store, what)(*word, *extra, self.now),
            lambda: getattr(self.model, what)(*word, *extra, self.now),
        )

    @precondition(lambda self: self.old_words)
    @rule(pick=picks, profile=st.sampled_from(PROFILES), terms=st.sampled_from(TERMS))
    def conversation_is_put_back(self, pick: int, profile: AgentProfile, terms: AgentTerms) -> None:
        call_id, agent, token = self.old_words[pick % len(self.old_words)]
        ticket = self.tickets[call_id]
        self.both(
            lambda: self.store.restore_talk(ticket, agent, "n1", profile, token, self.now, terms),
            lambda: self.model.restore_talk(ticket, agent, profile, token, self.now, terms),
        )

    @precondition(lambda self: self.old_words)
    @rule(
        pick=picks,
        profile=st.sampled_from(PROFILES),
        terms=st.sampled_from(TERMS),
        ring_ms=st.sampled_from((0, 10_000)),
    )
    def reservation_is_put_back(
        self, pick: int, profile: AgentProfile, terms: AgentTerms, ring_ms: int
    ) -> None:
        call_id, agent, token = self.old_words[pick % len(self.old_words)]
        ticket, until = self.tickets[call_id], self.now + ring_ms
        self.both(
            lambda: self.store.restore_offer(ticket, agent, "n1", profile, token, until, self.now, terms),
            lambda: self.model.restore_offer(ticket, agent, profile, token, until, self.now, terms),
        )

    @precondition(lambda self: self.tickets)
    @rule(pick=picks)
    def place_is_put_back(self, pick: int) -> None:
        ticket = list(self.tickets.values())[pick % len(self.tickets)]
        self.both(
            lambda: self.store.restore_place(ticket, self.now),
            lambda: self.model.restore_place(ticket, self.now),
        )

    # Another server has the data.

    @rule(others=st.sets(nodes, max_size=2))
    def store_begins_anew(self, others: set[str]) -> None:
        self.runs += 1
        node = self.acquaintance
        node.meet("n1", lambda: self.now, lambda: others)
        word = node.word(f"run{self.runs}")
        assert word is not None
        node.heard(self.run(self.store._ask(*word)))
        if node.take_trouble():
            self.model.begin_doubt({"n1", *others}, self.now)

    @rule(node=nodes)
    def node_has_said_everything(self, node: str) -> None:
        self.both(lambda: self.store.settled(node, self.now), lambda: self.model.settled(node, self.now))

    # Callbacks.

    @rule(
        queue=st.sampled_from(("billing", "support")),
        number=st.sampled_from(("", "+1", "+2")),
        node=st.sampled_from((*NODES, "")),
        due_ms=st.sampled_from((0, 0, 8_000)),
        lasts_ms=st.sampled_from((0, 30_000)),
        attempts=st.sampled_from((1, 2)),
    )
    def callback_is_wanted(
        self, queue: str, number: str, node: str, due_ms: int, lasts_ms: int, attempts: int
    ) -> None:
        self.calls += 1
        callback = Callback(
            f"b{self.calls}",
            queue,
            number,
            self.now - 1_000,
            "{}",
            self.now + due_ms if due_ms else 0,
            self.now + lasts_ms if lasts_ms else 0,
            attempts,
            5_000,
        )
        self.known_callbacks.append(callback.id)
        self.both(
            lambda: self.store.callbacks.add(callback, node, self.now),
            lambda: self.model.callbacks.add(callback, node, self.now),
        )

    @rule(node=nodes, most=st.sampled_from((1, 10)))
    def node_takes_up_callbacks(self, node: str, most: int) -> None:
        found = dict(self.run(self.store.callbacks.claim(node, most, self.now)))
        assert found == self.model.callbacks.claim(node, most, self.now)

    @precondition(lambda self: self.known_callbacks)
    @rule(pick=picks, node=nodes, what=st.sampled_from(("hold", "begin", "release", "done", "cancel")))
    def something_is_said_of_a_callback(self, pick: int, node: str, what: str) -> None:
        callback = self.known_callbacks[pick % len(self.known_callbacks)]
        self.both(
            lambda: getattr(self.store.callbacks, what)(callback, node, self.now),
            lambda: getattr(self.model.callbacks, what)(callback, node, self.now),
        )

    @precondition(lambda self: self.known_callbacks)
    @rule(pick=picks, node=nodes, attempt=st.sampled_from((1, 2)), failed=st.booleans())
    def attempt_that_may_be_forgotten_is_said_again(
        self, pick: int, node: str, attempt: int, failed: bool
    ) -> None:
        callback = self.known_callbacks[pick % len(self.known_callbacks)]
        if failed:
            self.both(
                lambda: self.store.callbacks.unreached(callback, node, attempt, "busy", self.now),
                lambda: self.model.callbacks.unreached(callback, node, attempt, "busy", self.now),
            )
            return
        self.both(
            lambda: self.store.callbacks.begin(callback, node, self.now, said=attempt),
            lambda: self.model.callbacks.begin(callback, node, self.now, said=attempt),
        )

    @precondition(lambda self: any(b.state == "making" for b in self.model.callbacks.noted.values()))
    @rule(pick=picks, beside=st.sampled_from((0, 0, -1, 1)))
    def customer_is_not_reached(self, pick: int, beside: int) -> None:
        made = [(i, b) for i, b in self.model.callbacks.noted.items() if b.state == "making"]
        callback, b = made[pick % len(made)]
        word = (callback, b.node, b.attempts + beside)
        self.both(
            lambda: self.store.callbacks.unreached(*word, "busy", self.now),
            lambda: self.model.callbacks.unreached(*word, "busy", self.now),
        )

    # Agents.

    @rule(agent=agents, profile=st.sampled_from(PROFILES), terms=st.sampled_from(TERMS))
    def agent_signs_in(self, agent: str, profile: AgentProfile, terms: AgentTerms) -> None:
        self.both(
            lambda: self.store.agent_available(agent, "n1", profile, self.now, terms),
            lambda: self.model.agent_available(agent, profile, self.now, terms),
        )

    @rule(agent=agents, profile=st.sampled_from(PROFILES), terms=st.sampled_from(TERMS))
    def agent_learns(self, agent: str, profile: AgentProfile, terms: AgentTerms) -> None:
        self.both(
            lambda: self.store.agent_skills(agent, profile, self.now, terms),
            lambda: self.model.agent_skills(agent, profile, self.now, terms),
        )

    @rule(
        agent=agents,
        state=st.sampled_from((AgentState.PAUSED, AgentState.OFFLINE, AgentState.NOT_ANSWERING)),
        why=st.sampled_from(("lunch", "")),
    )
    def agent_goes_away(self, agent: str, state: AgentState, why: str) -> None:
        self.both(
            lambda: self.store.agent_away(agent, state, why, self.now),
            lambda: self.model.agent_away(agent, state, why, self.now),
        )

    @rule(agent=agents, seconds=st.sampled_from((2, 7, 60)))
    def agent_needs_more_time(self, agent: str, seconds: int) -> None:
        until = self.now + seconds * 1000
        self.both(
            lambda: self.store.extend_wrapup(agent, until, self.now),
            lambda: self.model.extend_wrapup(agent, until, self.now),
        )

    @rule(agent=agents)
    def agent_is_done(self, agent: str) -> None:
        self.both(
            lambda: self.store.end_wrapup(agent, self.now), lambda: self.model.end_wrapup(agent, self.now)
        )

    # What holds at all times.

    @invariant()
    def keys_agree(self) -> None:
        state = self.run(snapshot(self.redis, self.site))
        audit(state)
        self.run(hear_events(self.redis, self.site, self.fold))
        assert_equal(self.fold, state.under("qs:"), state.under("a:"))

    @invariant()
    def shows_what_the_model_says(self) -> None:
        shown = self.run(self.store.agents(AGENTS))
        for agent_id, status in shown.items():
            agent = self.model.agents.get(agent_id)
            expected = (agent.state, agent.since, agent.why, agent.call, agent.unanswered) if agent else None
            found = (status.state, status.since_ms, status.reason, status.call_id, status.unanswered)
            assert found == (expected or (AgentState.OFFLINE, 0, "", None, 0))
            assert status.talks == (len(agent.talks) if agent else 0)
        for call_id in self.model.calls:
            place = self.run(self.store.position(call_id))
            assert (place and (place.position, place.waiting)) == self.model.position(call_id)

    @invariant()
    def who_else_is_there(self) -> None:
        """For a few of the calls, and each step with other agents who count as absent."""
        absent = ABSENT[self.now // 1000 % len(ABSENT)]
        open_calls = [c for c in self.model.calls.values() if c.requirement.agent is None]
        for call in open_calls[:2]:
            asked = (call.requirement, *(step.requirement for step in call.steps))
            seen = self.run(self.store.crowd(call.ticket.call_id, asked, absent))
            told = self.model.crowd(call.ticket.call_id, asked, absent)
            assert (seen and (seen.waiting, seen.agent_there)) == told

    @invariant()
    def queues_are_counted(self) -> None:
        names = sorted({requirement.queue for requirement in REQUIREMENTS})
        for status in self.run(self.store.queues(names)):
            noted = [b for b in self.model.callbacks.noted.values() if b.callback.queue == status.queue]
            assert status.callbacks == len(noted)
            calls = [c for c in self.model.calls.values() if c.ticket.requirement.queue == status.queue]
            states = [c.state for c in calls]
            waiting = [c.ticket.enqueued_ms for c in calls if c.state == "waiting"]
            assert status.waiting == len(waiting)
            assert status.oldest_ms == min(waiting, default=None)
            assert (status.offered, status.talking) == (states.count("offered"), states.count("talking"))
            expected = self.model.counters.get(status.queue, {})
            expected = {kind: n for kind, n in expected.items() if kind not in ("wrapped", "extended")}
            assert {
                k: v for k, v in status.counters.items() if v and k != "ended" and "callback" not in k
            } == expected
            assert status.counters["entered"] == len(calls) + status.counters["ended"]

    @invariant()
    def callbacks_are_listed(self) -> None:
        for ended in list(self.model.callbacks.ended)[:2]:
            assert self.run(self.store.callbacks.find(ended)) is None
        for queue in ("billing", "support"):
            found = self.run(self.store.callbacks.of(queue, 100))
            assert [self.run(self.store.callbacks.find(b.id)) for b in found] == found
            noted = {i: b for i, b in self.model.callbacks.noted.items() if b.callback.queue == queue}
            assert {b.id: (b.state.value, b.attempts) for b in found} == {
                i: (b.state, b.attempts) for i, b in noted.items()
            }
            assert {b.id: b.due_ms for b in found if b.due_ms is not None} == {
                i: b.due for i, b in noted.items() if b.state == "resting"
            }

    def teardown(self) -> None:
        self.run(self._end_everything())
        self.run(self.store.close())
        self.run(self.redis.aclose())
        self.loop.close()

    async def _end_everything(self) -> None:
        """When all is over no key is left but the constant ones."""
        for node in NODES:
            await self.store.reset_node(node, self.now)
        for callback in self.known_callbacks:
            await self.store.callbacks.cancel(callback, "", self.now)
        for agent in AGENTS:
            await self.store.agent_away(agent, AgentState.OFFLINE, "", self.now)
        for _ in range(3):
            self.now += limits.FORGET_AGENT_MS
            await self.store.tick(self.now)
        left = set((await snapshot(self.redis, self.site)).keys)
        assert {name for name in left - set(CONSTANT) if not name.startswith("qs:")} == set()


@pytest.fixture
def machine(redis_url: str) -> Iterator[type[QueueMachine]]:
    QueueMachine.url = redis_url
    yield QueueMachine
    QueueMachine.url = ""


@pytest.mark.timeout(600)
def test_store_does_what_the_model_does_in_any_order_of_operations(machine: type[QueueMachine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=int(os.environ.get("ACD_MACHINE_EXAMPLES", "40")),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
