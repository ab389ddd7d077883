"""Queues, and all that holds for their callers and agents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from acd.directory.model.dialling import DialClass
from acd.directory.model.overflow import NOBODY_THERE, QUEUE_FULL, AbsentState, OverflowRule
from acd.directory.model.voicemail import VoicemailRules
from routing.overflow import Conditions

OWN_QUEUES = frozenset({"extension", "outbound", "skill"})
"""What calls wait in, or count under, that are in no queue of the directory: no queue may be called so."""


@dataclass(frozen=True, slots=True)
class Relaxation:
    """What a queue asks of agents from a waiting time on. Each step adds to the ones before."""

    after_seconds: float
    requires: Mapping[str, int] = field(default_factory=dict)
    """Least levels instead of the former ones; 0 asks no longer for the skill."""
    teams: tuple[str, ...] = ()
    """Teams that may take the call too."""
    any_language: bool = False
    """Any language of the queue's list will do."""
    languages: int = 0
    """So many languages of the caller will do, the best ones; 0: as many as before."""
    any_of: Mapping[str, int] = field(default_factory=dict)
    """Least levels in the groups instead of the former ones; 0 asks no longer for the whole group."""


WrapupMode = Literal["fixed", "until-ended", "extendable"]


@dataclass(frozen=True, slots=True)
class FormField:
    """One thing that an agent notes about a conversation."""

    name: str
    kind: Literal["text", "number", "choice"] = "text"
    label: str = ""
    required: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CallbackRules:
    """How callers of a queue are called back."""

    digit: str = ""
    """What a waiting caller presses to ask for it; empty: only flows offer it."""
    flow: str = "callback"
    """What who pressed it hears; it has a callback node."""
    first: Literal["agent", "customer"] = "agent"
    """Who is rung first when the place is due."""
    ring_seconds: float = 30.0
    """Of the customer's phone."""
    attempts: int = 3
    interval_seconds: float = 300.0
    expire_seconds: float = 28_800.0
    numbers: tuple[str, ...] = ()
    """What other numbers than the one that is called from begin with; none: no others may be entered."""
    dialling: tuple[DialClass, ...] = ("internal", "national", "international")
    """Who called from any other class of number is not called back."""


@dataclass(frozen=True, slots=True)
class RefusalRule:
    """What becomes of an agent who did not take a call in one way, and of the two."""

    rest_seconds: float = 5.0
    """Before any next call; a phone that refuses at once would otherwise refuse call after call."""
    not_answering_after: int = 0
    """So many refusals in a row set the agent to not-answering; 0: never, and this one is not counted."""
    exclude_seconds: float | None = 60.0
    """The call does not ring this agent again before while others could take it; None: while it waits."""
    pause: str = ""
    """The reason with which the agent is paused; empty: not paused."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """The rules of a queue, by the way in which a call is not taken."""

    rejected: RefusalRule = RefusalRule()
    busy: RefusalRule = RefusalRule()
    # It has taken its time already.
    no_answer: RefusalRule = RefusalRule(rest_seconds=0.0, not_answering_after=3)
    unreachable: RefusalRule = RefusalRule(not_answering_after=3)
    retry_seconds: float = 5.0
    """A call does not ring an agent again sooner who did not take it, though nobody else could take it."""


@dataclass(frozen=True, slots=True)
class LendsWhile:
    """A queue is well, and lends its agents, while all of this holds."""

    waiting_at_most: int = 0
    longest_wait_under_seconds: float | None = None
    """None: however long they wait."""
    free_agents_at_least: int = 0
    """Beside the one who is lent."""


@dataclass(frozen=True, slots=True)
class LastAgent:
    """Callers go first to who spoke to them last, of those who can still take the queue's calls."""

    days: float = 30.0
    """How long ago that may be."""
    timeout_seconds: float = 20.0
    """How long the caller waits for just that agent, from coming to the queue."""


AnnounceWait = Literal["never", "also", "instead"]


@dataclass(frozen=True, slots=True)
class Queue:
    name: str
    requires: Mapping[str, int] = field(default_factory=dict)
    any_of: tuple[Mapping[str, int], ...] = ()
    """Groups of skills: of each group one is enough."""
    teams: tuple[str, ...] = ()
    """Teams whose agents serve the queue; without any, all."""
    languages: tuple[str, ...] = ()
    """Languages that callers of this queue can be served in, where a step says so."""
    language_levels: Mapping[str, int] = field(default_factory=dict)
    """How well agents must speak a language to be found by it, of those where that is more than 1."""
    relax: tuple[Relaxation, ...] = ()
    order_by: Literal["arrival", "target"] = "arrival"
    """By `target`, service_level_seconds are added to the arrival: who misses the target first goes first."""
    weight: int = 1
    """What its callers have waited counts so many times beside callers of other queues."""
    strategy: str = "longest-idle"
    ring_seconds: float = 15.0
    ring_agents: int = 1
    """How many free agents are rung together for one call; the first who answers has it."""
    wrapup_seconds: float = 0.0
    wrapup_mode: WrapupMode = "fixed"
    wrapup_limit_seconds: float = 300.0
    """The longest that a wrap-up takes which the agent ends or extends."""
    wrapup_codes: tuple[str, ...] = ()
    """What a conversation was about or came to; one may be given with its note."""
    wrapup_code_required: bool = False
    wrapup_form: tuple[FormField, ...] = ()
    refusal_reasons: tuple[str, ...] = ()
    """What an agent may say of a call that they did not take."""
    refusal_reason_required: bool = False
    """Whether they have to, who rejected it or were busy."""
    callback: CallbackRules | None = None
    """None: callers are not called back."""
    voicemail: VoicemailRules | None = None
    """None: no messages are taken for the queue."""
    service_level_seconds: float = 20.0
    max_wait_seconds: float | None = None
    """None: as long as the caller likes."""
    announce_position_seconds: float = 30.0
    """0: never."""
    announce_wait: AnnounceWait = "never"
    """Whether callers are told the expected wait beside their place, or instead of it."""
    music: str = "hold-music"
    refusals: Refusals = Refusals()
    preferred_seconds: float = 20.0
    """How long a caller who has a preferred agent waits for just that one, from coming to the queue."""
    last_agent: LastAgent | None = None
    """None: it makes no difference who spoke to a caller before."""
    lends_while: LendsWhile | None = None
    """None: its agents are lent to no other queue."""
    caller_id: str = ""
    """Shown by calls to the outside for its callers; empty: the number that they dialled."""
    transfer_place: Literal["keep", "last"] = "keep"
    """Of a caller transferred into this queue: keeps priority and age, or stands last with priority 0."""
    overflow: tuple[OverflowRule, ...] = ()
    """The first that holds decides."""
    max_waiting: int | None = None
    """Who comes when so many wait, and by no rule goes elsewhere, hears that the line is full."""
    join_when_empty: bool = True
    """False: likewise who comes when nobody is there who could take the call."""
    leave_when_empty: bool = False
    """True: likewise who waits when the last such agent goes."""
    agents_count_as_absent: tuple[AbsentState, ...] = ("paused", "not-answering")
    """Beside those who are signed out."""

    @property
    def note_required(self) -> bool:
        """Whether agents have to note something about every conversation."""
        return self.wrapup_code_required or any(field.required for field in self.wrapup_form)

    @property
    def rules(self) -> tuple[OverflowRule, ...]:
        """Those of `overflow`, and after them what the three keys about joining and leaving come to."""
        last = []
        if self.max_waiting is not None:
            full = Conditions("joining", waiting_over=self.max_waiting - 1)
            last.append(OverflowRule(full, message=QUEUE_FULL))
        if not self.join_when_empty:
            last.append(OverflowRule(Conditions("joining", no_agent=True), message=NOBODY_THERE))
        if self.leave_when_empty:
            last.append(OverflowRule(Conditions("waiting", no_agent=True), message=NOBODY_THERE))
        return (*self.overflow, *last)
