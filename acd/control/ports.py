"""What the control plane needs of the rest of the service."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from acd.agents.notes import Note, RefusedCall
from acd.agents.staffing import LiveStore, Staffing
from acd.callers.members import ListedNumber
from acd.calls.record import CallRecord
from acd.calls.view import CallView, Reasons
from acd.clock import Clock
from acd.control.once import Onces
from acd.control.orders import Orders
from acd.control.tokens import Bearer
from acd.directory.do_not_call import Listed
from acd.directory.model import Directory
from acd.history.reader import RecordPage
from acd.sip.trace.tracer import Tracer
from acd.sip.trunk_status import TrunkStatus
from acd.voicemail.model import BoxCount, Message
from acd.voicemail.store import MessagePage
from routing.callbacks import CallbackStore
from routing.model import AgentState, AgentStatus
from routing.store.event_log import Begins, LoggedEvent


class Calls(Protocol):
    """The live calls of this node."""

    def live(self) -> Sequence[CallView]: ...

    def find(self, call_id: str) -> CallView | None: ...

    def why(self, call_id: str) -> Reasons | None: ...

    def dial(self, agent_id: str, to: str) -> str:
        """Ring an agent and then call a number outside; the id of the call.

        Raises acd.calls.targets.UnknownTarget, acd.calls.targets.TransferImpossible,
        acd.calls.outward.DialRefused.
        """
        ...


class CallsElsewhere(Protocol):
    """The live calls of the other nodes: to look at. acd.history.elsewhere.CallsUnseen where nobody can."""

    async def live(self) -> Sequence[CallView]: ...

    async def find(self, call_id: str) -> CallView | None: ...

    async def why(self, call_id: str) -> Reasons | None: ...


class Agents(Protocol):
    async def set_state(self, agent_id: str, state: AgentState, reason: str, *, force: bool) -> AgentStatus:
        """`force` ends a wrap-up although its note is missing.

        Raises acd.agents.desk.UnknownAgent, acd.agents.desk.StateNotAllowed, acd.agents.notes.NoteMissing.
        """
        ...

    async def end_wrapup(self, agent_id: str) -> AgentStatus:
        """Raises as `set_state` does."""
        ...

    async def extend_wrapup(self, agent_id: str, seconds: float) -> AgentStatus:
        """Raises as `set_state` does."""
        ...


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """Which records; None matches all. Times in seconds since the epoch, by the start of the call."""

    queue: str | None = None
    agent: str | None = None
    outcome: str | None = None
    note_missing: bool | None = None
    since: float | None = None
    until: float | None = None


class Records(Protocol):
    async def records(self, filters: RecordFilter, cursor: str | None, limit: int) -> RecordPage:
        """Newest first. Raises ValueError for a cursor that is none of ours."""
        ...

    async def record(self, call_id: str) -> CallRecord | None:
        """The record of one call."""
        ...


class Notes(Protocol):
    """What agents noted about calls."""

    async def put(self, note: Note) -> None:
        """Keep a note; it replaces an earlier one of the same agent and call."""
        ...

    async def of(self, call_id: str) -> Sequence[Note]: ...


class Refusals(Protocol):
    """Why agents did not take calls."""

    async def give(self, call: RefusedCall, reason: str) -> None: ...

    async def last(self, agent: str, since: float) -> RefusedCall | None:
        """What the agent did not take last, since then."""
        ...

    async def of(self, call_id: str) -> Mapping[str, RefusedCall]:
        """By agent."""
        ...


class CallerLists(Protocol):
    """Numbers that are put on caller lists while the service runs. `by` is the role of who does so."""

    async def put(self, name: str, number: str, note: str, by: str) -> None:
        """Raises acd.callers.members.ListFull."""
        ...

    async def remove(self, name: str, number: str, by: str) -> bool:
        """False where the number is not on the list."""
        ...

    async def of(self, name: str, after: str, limit: int) -> Sequence[ListedNumber]: ...


class DoNotCall(Protocol):
    """Numbers that no agent is to call."""

    async def forbids(self, number: str) -> bool: ...

    async def add(self, entries: Sequence[str], note: str) -> int: ...

    async def remove(self, entry: str) -> bool: ...

    async def entries(self, after: str, limit: int) -> Sequence[Listed]: ...


class Messages(Protocol):
    """Voice messages."""

    @property
    def counts(self) -> Mapping[str, BoxCount]:
        """Of the boxes that have any."""
        ...

    async def of(self, box: str, cursor: str | None, limit: int) -> MessagePage:
        """Newest first. Raises ValueError for a cursor that is none of ours."""
        ...

    async def find(self, message_id: str) -> Message | None: ...

    async def mark(self, message_id: str, heard: bool, by: str) -> bool:
        """Heard or new; False where there is no such message."""
        ...

    async def delete(self, message_id: str) -> bool: ...

    def audio(self, message_id: str) -> Path:
        """Where the file is, if it is here."""
        ...


class Forecast(Protocol):
    """The expected wait in seconds; None where nobody is there to serve it."""

    def of_queue(self, queue: str) -> float | None: ...

    def of_call(self, entry: str) -> float | None: ...


class Tokens(Protocol):
    async def verify(self, token: str) -> Bearer | None:
        """Who has a token that is in force, or None."""
        ...


class MetricsText(Protocol):
    async def render(self) -> bytes:
        """The Prometheus text format, version 0.0.4."""
        ...


class Events(Protocol):
    """The numbered events of the site."""

    def follow(self, after: int | None) -> AsyncGenerator[Begins | Sequence[LoggedEvent], None]:
        """All after this number, None for those to come. Raises routing.ports.StoreUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class ControlContext:
    """Everything that a handler may touch."""

    directory: Callable[[], Directory]
    store: LiveStore
    calls: Calls
    calls_elsewhere: CallsElsewhere
    orders: Orders
    onces: Onces
    agents: Agents
    records: Records
    notes: Notes
    refusals: Refusals
    callbacks: CallbackStore
    caller_lists: CallerLists
    do_not_call: DoNotCall
    messages: Messages
    tokens: Tokens
    metrics: MetricsText
    ready: Callable[[], Mapping[str, bool]]
    """Part of the node -> whether it can do its work; the node is ready when all can."""
    clock: Clock
    tracer: Tracer
    forecast: Forecast
    events: Events
    trunks: Callable[[], Mapping[str, TrunkStatus]]
    """As this node sees them, by name."""
    staffing: Staffing = field(default_factory=Staffing)
