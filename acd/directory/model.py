"""What is configured, as one frozen snapshot. A change makes a new one; a call keeps its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Literal, get_args

from routing.model import Lending
from routing.overflow import Conditions

QUEUE_FULL = ("queue-full",)
NOBODY_THERE = ("nobody-there",)
"""What who cannot wait in a queue hears, in prompts."""
Srtp = Literal["off", "offer", "require"]
"""Whether audio is encrypted: never, where both ends can, or always."""


Redirects = Literal["refuse", "follow"]
"""What is done about a 3xx: it is a failure, or the call goes on within the trunk's own hosts."""
FromUser = Literal["caller", "account"]
"""Whose user part From carries in a call that goes out."""
Diversion = Literal["off", "diversion", "history-info"]
"""How a call that goes on to the outside for its caller says so (RFC 5806, RFC 7044)."""

OWN_QUEUES = frozenset({"extension", "outbound", "skill"})
"""What calls wait in, or count under, that are in no queue of the directory: no queue may be called so."""
CALL_WORDS = ("agent", "call", "called", "caller", "extension", "language", "queue", "team")
"""What every call can tell of itself; other words are its attributes."""


@dataclass(frozen=True, slots=True)
class TrunkHost:
    """Where calls to a trunk go. The least priority is asked first; among equals by weight (RFC 2782)."""

    host: str
    """A name or an address."""
    port: int = 0
    """0: as DNS says, else the port of the transport."""
    transport: Literal["", "udp", "tcp", "tls"] = ""
    """Empty: as DNS says, else UDP."""
    priority: int = 1
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Trunk:
    name: str
    match: tuple[IPv4Network | IPv6Network, ...]
    max_calls: int = 100
    tls_names: tuple[str, ...] = ()
    """Lower case. A peer whose certificate is for one of them is this trunk, from whatever address."""
    srtp: Srtp = "off"
    trusted: bool = True
    """Whether what it says of the caller beside From is believed (RFC 3325 section 9.1)."""
    country: str = ""
    """Where its numbers are written as they are dialled (ISO 3166); empty: they are taken as they come."""
    called_from: Literal["request-uri", "to"] = "request-uri"
    headers: Mapping[str, str] = field(default_factory=dict)
    """Header -> name of the attribute of the call that it becomes."""
    hosts: tuple[TrunkHost, ...] = ()
    """Without any, the trunk only brings calls."""
    username: str = ""
    """Of our account there; empty: we prove nothing."""
    realm: str = ""
    """The one realm whose challenges are answered."""
    ha1_md5: str = ""
    ha1_sha256: str = ""
    register_seconds: int = 0
    """How long we ask to be bound at the trunk; 0: we do not register."""
    calls_per_second: float = 0.0
    """New calls to the trunk; 0: as many as there are."""
    probe_seconds: float = 30.0
    """Between two OPTIONS to each host; 0: none."""
    send_headers: Mapping[str, str] = field(default_factory=dict)
    """Header -> what it says of a call that goes out: one of CALL_WORDS, or an attribute of the call."""
    diversion: Diversion = "off"
    redirects: Redirects = "refuse"
    from_user: FromUser = "caller"


@dataclass(frozen=True, slots=True)
class Number:
    """A dialled number leads to a flow or straight to a queue (exactly one of the two is set)."""

    number: str
    flow: str | None = None
    queue: str | None = None
    language: str | None = None
    priority: int = 0
    skills: Mapping[str, int] = field(default_factory=dict)


DialClass = Literal["internal", "national", "international", "premium", "emergency"]
"""What it takes to call a number outside. Emergency numbers may be called by every agent."""


DIAL_CLASSES: tuple[DialClass, ...] = get_args(DialClass)


@dataclass(frozen=True, slots=True)
class Route:
    """The way of calls to numbers that begin so. The longest prefix counts."""

    prefix: str
    """Of the number as E.164 where it begins with a plus; else of what is dialled, just as it is dialled."""
    kind: DialClass
    trunks: tuple[str, ...] = ()
    """Asked in this order; without any nobody gets through."""
    strip: int = 0
    """So many characters less are sent to the trunk, the plus being one."""
    prepend: str = ""


@dataclass(frozen=True, slots=True)
class Dialling:
    """What holds for all calls to the outside."""

    country: str = ""
    """How agents dial (ISO 3166); empty: only E.164, and what a route takes just as it is dialled."""
    caller_id: str = ""
    """The number shown where neither agent, team nor queue has one; empty: the first of the directory."""
    outside_calls: int = 2
    """That an agent may have at a time."""
    ring_seconds: float = 60.0
    """Of a number that a caller is transferred to."""
    wrapup_seconds: float = 0.0
    """After a call that an agent made."""
    operators: tuple[DialClass, ...] = ("internal", "national", "international")
    """Where the API may send callers."""


@dataclass(frozen=True, slots=True)
class Team:
    """What holds for the agents of a team who have nothing of their own."""

    name: str
    dialling: tuple[DialClass, ...] = ()
    caller_id: str = ""
    outside_calls: int | None = None


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


@dataclass(frozen=True, slots=True)
class VoicemailRules:
    """How a box takes messages, and how it keeps them."""

    greeting: tuple[str, ...] = ()
    """Prompts before the tone; none: the usual words."""
    max_seconds: float = 180.0
    """Of one message."""
    silence_seconds: float = 8.0
    """Of silence that end a message; 0: none does."""
    max_messages: int = 100
    keep_days: float = 30.0
    wait_seconds: float = 10.0
    """Of an agent: how long who dialled the extension waits while the agent cannot be rung."""
    agents: tuple[str, ...] = ()
    """Who may listen beside the agent whose box it is."""
    teams: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Box:
    """A voicemail box of nobody in particular."""

    name: str
    number: str = ""
    """Dialled after the code for voicemail; empty: not by phone."""
    rules: VoicemailRules = VoicemailRules()


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


OverflowKind = Literal["queue", "leads", "number", "extension", "flow", "voicemail", "message"]
OVERFLOW_KINDS: tuple[OverflowKind, ...] = get_args(OverflowKind)
AbsentState = Literal["paused", "not-answering", "wrap-up", "busy"]


@dataclass(frozen=True, slots=True)
class OverflowRule:
    """When callers leave a queue, and where to: one of OVERFLOW_KINDS."""

    when: Conditions
    queue: str = ""
    place: Literal["keep", "last"] = "keep"
    """In that queue: with the age and priority so far, or behind everybody with priority 0."""
    leads: str = ""
    """A team whose leads may take the call from then on; it stays in its place."""
    instead: bool = False
    """Only they may, and no longer the agents of the queue."""
    number: str = ""
    extension: str = ""
    flow: str = ""
    voicemail: str = ""
    """A box: `agent:`, `extension:`, `queue:` or `box:` and its name."""
    message: tuple[str, ...] = ()
    """Prompts."""
    then: Literal["hang-up", "wait"] = "hang-up"
    """After the message: let go, or wait on in the same place."""

    @property
    def kind(self) -> OverflowKind:
        """What is set of them."""
        return next(kind for kind in OVERFLOW_KINDS if getattr(self, kind))

    @property
    def leaves(self) -> bool:
        """Whether the wait in the queue is over."""
        return not self.leads and (not self.message or self.then == "hang-up")

    @property
    def to(self) -> str:
        """What that leads to, in words."""
        return " ".join(self.message) if self.message else str(getattr(self, self.kind))

    def __str__(self) -> str:
        return f"{self.when} -> {self.kind} {self.to}"


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
    callback: CallbackRules | None = None
    """None: callers are not called back."""
    voicemail: VoicemailRules | None = None
    """None: no messages are taken for the queue."""
    service_level_seconds: float = 20.0
    max_wait_seconds: float | None = None
    """None: as long as the caller likes."""
    announce_position_seconds: float = 30.0
    """0: never."""
    music: str = "hold-music"
    refusals: Refusals = Refusals()
    preferred_seconds: float = 20.0
    """How long a caller who has a preferred agent waits for just that one, from coming to the queue."""
    last_agent: LastAgent | None = None
    lends_while: LendsWhile | None = None
    """None: its agents are lent to no other queue."""
    """None: it makes no difference who spoke to a caller before."""
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


AutoAnswer = Literal["off", "answer-after", "alert-info", "answer-mode"]
Display = Literal["caller-queue", "queue-caller", "caller"]


@dataclass(frozen=True, slots=True)
class Device:
    """What a kind of phones understands, and how it is rung."""

    name: str
    user_agent: str = ""
    """Pattern of what these phones call themselves, with * and ?; empty: only for agents that name it."""
    auto_answer: AutoAnswer = "off"
    """How they are asked to take calls by themselves."""
    srtp: Srtp = "off"
    display: Display = "caller-queue"
    call_info: str = ""
    """The page that they may open with a call; {number}, {queue} and {call} are filled in."""


STANDARD_DEVICE = Device("")


WebhookEvent = Literal["call.queued", "call.answered", "call.ended"]
WEBHOOK_EVENTS: tuple[WebhookEvent, ...] = get_args(WebhookEvent)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A web server that is told what happens."""

    name: str
    url: str
    secret: str = field(default="", repr=False)
    """What its messages are signed with, as Standard Webhooks write it."""
    events: tuple[WebhookEvent, ...] = WEBHOOK_EVENTS


Takes = Literal["most-urgent", "by-priority"]


@dataclass(frozen=True, slots=True)
class Agent:
    id: str
    extension: str
    name: str = ""
    ha1_md5: str = ""
    ha1_sha256: str = ""
    skills: Mapping[str, int] = field(default_factory=dict)
    sign_in: Literal["on-register", "api"] = "on-register"
    team: str = ""
    leads: tuple[str, ...] = ()
    """Teams that the agent leads: calls may be sent to their leads."""
    queues: Mapping[str, int] = field(default_factory=dict)
    """Queues that the agent serves, with the priority (1 is asked first); without any, by skills alone."""
    takes: Takes = "most-urgent"
    """Which waiting call first: that of the order of calls, or of the queue that comes first in `queues`."""
    lent: Mapping[str, Lending] = field(default_factory=dict)
    """Those of them that the agent serves only while another is well."""
    order: int = 0
    weight: int = 1
    capacity: int = 1
    """Conversations at a time. Above 1 the phone must take a call while there is another (call waiting)."""
    device: str = ""
    """The profile of the agent's phones; empty: of each phone the one that fits its User-Agent."""
    voicemail: VoicemailRules | None = None
    """None: no messages are taken for the agent."""
    dialling: tuple[DialClass, ...] | None = None
    """What the agent may call outside; None: what the team may, and without that nothing."""
    caller_id: str = ""
    outside_calls: int | None = None


CodeAction = Literal[
    "sign-in",
    "sign-out",
    "pause",
    "resume",
    "end-wrapup",
    "extend-wrapup",
    "wrapup-code",
    "echo",
    "voicemail",
]


@dataclass(frozen=True, slots=True)
class FeatureCode:
    """What an agent's phone asks for by dialling. A digit after a pausing code picks one of `reasons`, and a
    number after one for wrap-up codes one of the queue's codes."""

    code: str
    does: CodeAction
    reasons: tuple[str, ...] = ()


STANDARD_CODES = (
    FeatureCode("*11", "sign-in"),
    FeatureCode("*12", "sign-out"),
    FeatureCode("*13", "pause", ("break", "lunch", "meeting", "training")),
    FeatureCode("*14", "resume"),
    FeatureCode("*15", "end-wrapup"),
    FeatureCode("*16", "extend-wrapup"),
    FeatureCode("*17", "wrapup-code"),
    FeatureCode("*43", "echo"),
    FeatureCode("*97", "voicemail"),
)


@dataclass(frozen=True, slots=True)
class PriorityClass:
    """A name for a priority, so that lists and look-ups need not know numbers."""

    name: str
    priority: int


@dataclass(frozen=True, slots=True)
class Gives:
    """What is so of the callers on a list. Nothing of it, where it is empty or None, is left as it was."""

    priority: int | None = None
    skills: Mapping[str, int] = field(default_factory=dict)
    language: str = ""
    preferred_agent: str = ""
    queue: str = ""
    """Where they go to, whatever the number that they dialled leads to."""
    reject: int = 0
    """The SIP status with which they are refused; 0: they are not."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """A page that says what is known of a caller, as JSON."""

    url: str
    """{number} and {called} are filled in."""
    method: Literal["GET", "POST"] = "GET"
    """A POST has both as JSON in its body."""
    timeout_seconds: float = 2.0
    authorization_env: str = ""
    """The variable of a node's environment that holds the Authorization header."""


@dataclass(frozen=True, slots=True)
class CallerList:
    """Callers by number, or those of whom a look-up knows something."""

    name: str
    order: int = 0
    """What a list with less gives holds."""
    numbers: frozenset[str] = frozenset()
    prefixes: frozenset[str] = frozenset()
    """What their numbers begin with; of a look-up, whom it is asked for, without any for everybody."""
    gives: Gives = Gives()
    lookup: Lookup | None = None

    def begins_like(self, number: str) -> bool:
        """Whether the number begins with one of the prefixes."""
        return bool(self.prefixes) and any(number[:n] in self.prefixes for n in range(1, len(number) + 1))


@dataclass(frozen=True, slots=True)
class Directory:
    """Everything configured, by name. `revision` rises with each change applied."""

    revision: int = 0
    trunks: Mapping[str, Trunk] = field(default_factory=dict)
    numbers: Mapping[str, Number] = field(default_factory=dict)
    skills: frozenset[str] = frozenset()
    queues: Mapping[str, Queue] = field(default_factory=dict)
    agents: Mapping[str, Agent] = field(default_factory=dict)
    agent_by_extension: Mapping[str, Agent] = field(default_factory=dict)
    codes: Mapping[str, FeatureCode] = field(default_factory=dict)
    devices: Mapping[str, Device] = field(default_factory=dict)
    boxes: Mapping[str, Box] = field(default_factory=dict)
    webhooks: Mapping[str, Webhook] = field(default_factory=dict)
    priorities: Mapping[str, PriorityClass] = field(default_factory=dict)
    caller_lists: Mapping[str, CallerList] = field(default_factory=dict)
    """By name, in the order in which they count."""
    teams: Mapping[str, Team] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)
    dialling: Dialling = Dialling()
