"""The words of routing: requirement, ticket, profile, offer, outcome. Facts only, no behaviour with I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from routing.limits import EXCLUSION_MAX_MS, REFUSAL_PAUSE_MS

HIGHEST_PRIORITY = 99


class AgentState(StrEnum):
    """The states of an agent, as the API shows them and as the scripts keep them."""

    OFFLINE = "offline"
    AVAILABLE = "available"
    OFFERED = "offered"
    TALKING = "talking"
    WRAPUP = "wrapup"
    PAUSED = "paused"
    NOT_ANSWERING = "not-answering"


Departure = Literal["abandoned", "released", "overflowed"]
"""How a wait ends without an agent: given up, or it goes on in another way (a callback), or elsewhere by a
rule of the queue."""


class RejectReason(StrEnum):
    """Why an offered agent did not take the call."""

    REJECTED = "rejected"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An agent did not take a call, and what becomes of the two. Times in milliseconds."""

    reason: RejectReason
    then: AgentState = AgentState.AVAILABLE
    """Or NOT_ANSWERING, or PAUSED."""
    why: str = ""
    """Of a pause; the others have the reason."""
    rest_ms: int = 0
    """How long an agent who is available then gets no call at all."""
    retry_ms: int = REFUSAL_PAUSE_MS
    """The call does not come again to this agent before, though nobody else could take it."""
    exclude_ms: int = EXCLUSION_MAX_MS
    """Nor before this while others could; at least `retry_ms`."""
    counts: bool = False
    """Whether it is one more of those in a row that an Offer tells of as `unanswered`."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a call needs. Equal requirements are one class (design H).

    `skills` maps a skill to its least level (1-10). `agent` narrows it to one named agent, whose skills
    are then not asked (a call to an extension goes the same way: a reservation precedes every INVITE).
    """

    queue: str
    skills: tuple[tuple[str, int], ...] = ()
    strategy: str = "longest-idle"
    agent: str | None = None
    any_of: tuple[tuple[tuple[str, int], ...], ...] = ()
    """Groups of skills with their least levels: of each group one is enough."""
    weight: int = 1
    """Of the queue (1-QUEUE_WEIGHT_MAX): what its calls have waited counts so many times."""
    open_to: tuple[str, ...] = ()
    """Skills: who has one of them may take the call too, whatever else they can do and queues they serve."""

    prefers: tuple[str, ...] = ()
    """Skills: agents who have the first are asked before those who only have the second, and so on."""

    def is_open_to(self, profile: AgentProfile) -> bool:
        """Whether agents of this profile may take the call by that alone."""
        return self.agent is None and any(skill in self.open_to for skill, _ in profile.skills)


@dataclass(frozen=True, slots=True)
class Lending:
    """While `lender`, a queue of the agent's own, is well, the agent takes calls of another queue too.

    It is well while all of this holds: at most so many callers wait there, none of them for as long as
    `longest_wait_ms`, and so many agents who serve it by name are free beside the one who is lent.
    """

    lender: str
    waiting_at_most: int = 0
    longest_wait_ms: int = 0
    """0: however long they wait."""
    free_agents_at_least: int = 0


@dataclass(frozen=True, slots=True)
class AgentProfile:
    """What an agent can do: skill to level (1-10), in sorted order.

    `queues` maps the queues that the agent serves to their priority (1-99, 1 is asked first); without any
    the skills alone decide.
    """

    skills: tuple[tuple[str, int], ...]
    queues: tuple[tuple[str, int], ...] = ()
    in_talk: bool = False
    """Of agents who talk and have room for another call: they come behind those who do not talk."""
    lent: tuple[tuple[str, Lending], ...] = ()
    """Those of `queues` that the agent is lent to, and on what terms."""
    by_priority: bool = False
    """Of calls with the same priority, those of the queue of the least priority here come first."""

    @classmethod
    def of(
        cls,
        skills: Mapping[str, int],
        queues: Mapping[str, int] | None = None,
        lent: Mapping[str, Lending] | None = None,
        *,
        by_priority: bool = False,
    ) -> AgentProfile:
        return cls(
            tuple(sorted(skills.items())),
            tuple(sorted((queues or {}).items())),
            lent=tuple(sorted((lent or {}).items(), key=lambda pair: pair[0])),
            by_priority=by_priority,
        )


@dataclass(frozen=True, slots=True)
class AgentTerms:
    """What tells agents of one profile apart: the place in a fixed order, and the weight in a draw."""

    order: int = 0
    weight: int = 1
    capacity: int = 1
    """How many conversations the agent may have at a time (1-CAPACITY_MAX)."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a call needs instead, so many milliseconds after it was enqueued."""

    after_ms: int
    requirement: Requirement


@dataclass(frozen=True, slots=True)
class Ticket:
    """One caller in a queue. Times in milliseconds since the epoch.

    A requeue keeps `enqueued_ms` and so the place. Higher `priority` (0-99) goes first; within one,
    whose wait times the queue's weight, less `target_ms`, is the most. One that still waits when its target
    has passed counts it twice from then on, so that those who can still be served in time go before it, and
    (where weights are equal) nobody who comes later than that. `steps` relax the requirement while the call
    waits; where it names an agent, the first step comes at once when that agent is away or did not take the
    call.
    """

    call_id: str
    node: str
    requirement: Requirement
    enqueued_ms: int
    priority: int = 0
    ring_ms: int = 15_000
    wrapup_ms: int = 0
    wrapup_limit_ms: int = 0
    """How far the agent may extend the wrap-up, from its beginning; below `wrapup_ms`: not at all."""
    target_ms: int = 0
    steps: tuple[Step, ...] = ()
    ring_agents: int = 1
    """Of those who are free, so many are rung together (1-RING_AGENTS_MAX); the first who accepts has it."""
    passes_over: str = ""
    """An agent who has just sent the caller on: as one who did not take the call."""
    own: bool = False
    """The call is the agent's own whom the requirement names: they made it, or their extension was dialled.
    They are reserved also where paused, not answering or in wrap-up, which follows it."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An agent, or a call, that a decision looked at. The least rank and then the least score wins."""

    name: str
    rank: int
    score: int
    passed_over: bool = False
    """It has just not worked out between the two."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Who could not take a call when an agent was found for it, as seen by its node shortly before."""

    counts: tuple[tuple[str, int], ...]
    """Reasons, each with how many: `offline`, `paused`, `not-answering`, `offered`, `talking`, `wrapup`,
    `lent` (to the queue, and not now), `queue` (they do not serve it), `skill`."""
    nearest: tuple[tuple[str, str], ...] = ()
    """A few of them who come next, each with what is in the way, in words."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Why just these two: an agent was sought for a call, or a call for an agent who came free.

    `candidates` are those that were looked at before the choice was sure and the next few, at most
    CANDIDATES_NOTED; none where the call names its agent. `class_name` is what the call needed then.
    """

    sought: Literal["agent", "call"]
    class_name: str
    candidates: tuple[Candidate, ...] = ()
    skipped: Skipped | None = None
    """Not by the store, which looks at nobody who could not take the call."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A reservation of one agent for one call, to be acted on by the node that owns the call."""

    call_id: str
    agent_id: str
    queue: str
    token: int
    """Fence: rises with each reservation; every later word about the offer carries it."""
    deadline_ms: int
    unanswered: int = 0
    """Offers in a row that this agent did not take before this one, those of whom the refusal counts."""
    decision: Decision | None = None
    together: int = 0
    """Of several agents who are rung together for the call, the token of the first; 0 of one alone."""


@dataclass(frozen=True, slots=True)
class OfferWithdrawn:
    """The reservation is gone (deadline passed, agent away). The call, where it has no other, is back in its
    old place."""

    call_id: str
    agent_id: str
    token: int


@dataclass(frozen=True, slots=True)
class WrapupTaken:
    """An agent is done with what was to do after a conversation of this node."""

    agent_id: str
    queue: str
    taken_ms: int
    token: int
    """Rises, so that one that is read again is known."""


@dataclass(frozen=True, slots=True)
class CallbackOver:
    """A callback that this node looks after was cancelled or done, is another node's, or its time is over."""

    callback_id: str
    how: str


NodeMessage = Offer | OfferWithdrawn | WrapupTaken | CallbackOver


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who else is there, seen from one waiting call or a class of calls."""

    waiting: int
    """Others in the line of the call's queue."""
    agent_there: bool
    """Somebody who may take such calls is signed in, and not in a state that counts as absent."""


@dataclass(frozen=True, slots=True)
class Position:
    """A caller's place: 1 is next. `waiting` counts the whole queue."""

    position: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Wrapup:
    """What an agent still does after a conversation. It ends at `until_ms`, extended at `limit_ms`."""

    call_id: str
    queue: str
    until_ms: int
    limit_ms: int


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """What the store knows of one agent; `since_ms` is when the state began."""

    agent_id: str
    state: AgentState
    since_ms: int
    reason: str = ""
    call_id: str | None = None
    node: str = ""
    unanswered: int = 0
    wrapup: Wrapup | None = None
    talks: int = 0
    """Conversations now; `call_id` is the one that rings, else the newest of them."""


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """What the store knows of one queue. `oldest_ms` is the enqueue time of the longest waiting call.

    Always: entered = waiting + offered + talking + ended.
    """

    queue: str
    waiting: int = 0
    offered: int = 0
    oldest_ms: int | None = None
    counters: Mapping[str, int] = field(default_factory=dict)
    """Equal to the fold of the events, never negative, never reset while the queue is in use: `entered`,
    `offers`, `rejected`, `withdrawn`, `let-go` (rung for a call that another has), `answered`, `abandoned`,
    `completed`, `lost` (its node died), `released` (goes on in another way, as a callback), `overflowed`
    (goes on elsewhere by a rule of the queue), `relaxed` (steps taken), `callback-added`,
    `callback-attempts`, `callback-done`, `callback-failed`, `callback-cancelled`, `callback-expired`,
    `ended` (abandoned, completed, lost, released, overflowed)."""
    talking: int = 0
    callbacks: int = 0
    """Callers who are to be called back, whether their place is in the line now or not."""
