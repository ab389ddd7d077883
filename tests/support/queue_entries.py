"""The entries of the obvious queue: a call and an agent, with what is known of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from routing.model import AgentProfile, AgentState, AgentTerms, Requirement, Step, Ticket
from routing.requirement import PRIORITY_WIDTH, class_name, score
from routing.store.registry import profile_name
from routing.strategy import ORDERS, IdleAgent

SIGNED_IN = {AgentState.AVAILABLE, AgentState.OFFERED, AgentState.TALKING, AgentState.WRAPUP}


@dataclass
class Call:
    ticket: Ticket
    arrival: int
    requirement: Requirement
    state: str = "waiting"
    held: dict[str, int] = field(default_factory=dict)
    """Who is reserved for it, or talks, with the token of each."""
    refused: dict[str, int] = field(default_factory=dict)
    """From when on it may come again to whom, even while others could take it."""
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._counts_target(1)
        self.target_ahead = self.ticket.target_ms > 0
        self.asks(self.requirement)

    def misses_target(self) -> None:
        """It counts the target twice from now on."""
        self._counts_target(2)
        self.target_ahead = False

    def _counts_target(self, times: int) -> None:
        after = times * self.ticket.target_ms // self.ticket.requirement.weight
        self.score = score(self.ticket.priority, self.ticket.enqueued_ms + after)

    def points(self, now: int) -> int:
        """What was waited, times the weight of the queue, less the target: the most goes first."""
        return self.ticket.requirement.weight * (now - self.score % PRIORITY_WIDTH)

    def asks(self, requirement: Requirement) -> None:
        """This is what it needs from now on."""
        self.requirement, self.class_name = requirement, class_name(requirement)

    @property
    def agent(self) -> str | None:
        """Who talks, or was reserved first."""
        return next(iter(self.held), None)

    @property
    def queue(self) -> str:
        return self.ticket.requirement.queue


@dataclass
class Agent:
    id: str
    profile: AgentProfile
    state: AgentState = AgentState.OFFLINE
    since: int = 0
    why: str = ""
    call: str | None = None
    """The one that their phone rings for, else the newest that they talk to."""
    talks: dict[str, Call] = field(default_factory=dict)
    next: tuple[AgentState, str] | None = None
    idle: bool = False
    idle_since: int = 0
    terms: AgentTerms = field(default_factory=AgentTerms)
    last_rung: int = 0
    calls: int = 0
    busy: int = 0
    busy_from: int | None = None
    signed_in: int | None = None
    clock: int = 0
    unanswered: int = 0
    last: tuple[str, int, int] | None = None
    wraps: Sequence[str] = ("", "")
    """Queue and node of the call that the wrap-up is of."""
    wrapup_limit: int = 0
    came: bool = True
    """Has signed in before: what they can do is known."""
    owes: tuple[int, int, str, str] | None = None
    """A wrap-up for when the last conversation is over: its length and limit, queue and node."""

    def __post_init__(self) -> None:
        came = self.came
        self.learns(self.profile)
        self.came = came

    def learns(self, profile: AgentProfile, terms: AgentTerms | None = None) -> None:
        """The skills are these from now on."""
        in_talk = replace(profile, in_talk=True)
        self.profile, self.profile_name, self.came = profile, profile_name(profile), True
        self.terms = terms or self.terms
        self._found_as = (profile, self.profile_name), (in_talk, profile_name(in_talk))

    @property
    def found_as(self) -> tuple[AgentProfile, str]:
        """The profile under which a call finds them now, and its name."""
        return self._found_as[bool(self.talks)]

    @property
    def newest_talk(self) -> str:
        return max(self.talks, key=lambda call_id: self.talks[call_id].held[self.id])

    @property
    def has_room(self) -> bool:
        return (
            self.state is AgentState.TALKING
            and len(self.talks) < self.terms.capacity
            and not (self.next or self.owes)
        )

    def score(self, order: str) -> int:
        facts = IdleAgent(
            agent_id=self.id,
            idle_since_ms=self.idle_since,
            last_rung_ms=self.last_rung,
            calls=self.calls,
            busy_ms=self.busy,
            signed_in_ms=self.signed_in or 0,
            order=self.terms.order,
            weight=self.terms.weight,
            clock=self.clock,
        )
        return ORDERS[order](facts)
