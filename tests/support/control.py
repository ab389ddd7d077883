"""A centre that the control plane can be tried against: a directory and fakes of its ports."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import msgspec
from aiohttp.test_utils import TestClient, TestServer

from acd.agents.desk import StateNotAllowed, UnknownAgent
from acd.agents.notes import Note, Owed, RefusedCall
from acd.callers.members import ListedNumber, ListFull
from acd.calls.callbacks import CallbackOrder, entry_of
from acd.calls.outward import NotAllowed
from acd.calls.record import CallRecord, Segment
from acd.calls.targets import TransferImpossible, UnknownPreferred, UnknownTarget
from acd.calls.view import CallView, Reasons
from acd.control.app import build_app
from acd.control.once import Kept
from acd.control.orders import Order, carry_out
from acd.control.ports import ControlContext, RecordFilter
from acd.control.problems import Problem
from acd.control.tokens import Bearer, Role
from acd.directory.do_not_call import Listed
from acd.directory.model import Agent, CallerList, Directory, Gives, Lookup, Queue, Trunk
from acd.history.elsewhere import CallsUnseen
from acd.history.reader import RecordPage
from acd.sip.core.events import Flow
from acd.sip.trace.tracer import Rules, Tracer
from acd.sip.trunk_status import TrunkStatus
from acd.voicemail.model import BoxCount
from acd.voicemail.model import Message as VoiceMessage
from acd.voicemail.store import MessagePage
from routing.callbacks import Callback, CallbackState, CallbackStatus
from routing.model import AgentState, AgentStatus, QueueStatus
from routing.ports import StoreUnavailable
from routing.store.event_log import Begins, LoggedEvent

NOW = 1_800_000_000.0
TOKENS = {Role.VIEWER: "acd_v", Role.SUPERVISOR: "acd_s", Role.ADMIN: "acd_a", Role.AGENT: "acd_anna"}
"""That of the role agent is anna's; `acd_bert` is bert's."""


class FixedClock:
    """Stands still until told otherwise."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


def a_directory() -> Directory:
    queues = {
        "billing": Queue("billing", requires={"billing": 1}, service_level_seconds=20),
        "support": Queue("support", requires={"support": 3}, service_level_seconds=25),
    }
    agents = {
        "anna": Agent("anna", "1001", name="Anna", skills={"billing": 5, "support": 3}, team="day"),
        "bert": Agent("bert", "1002", name='<b onload="x">Bert</b>', skills={"billing": 1, "support": 2}),
        "cleo": Agent("cleo", "1003", skills={"support": 9}),
    }
    trunks = {"carrier": Trunk("carrier", (ip_network("127.0.0.2/32"),), max_calls=2)}
    lists = {
        "vips": CallerList("vips", 0, frozenset({"+3725550001"}), gives=Gives(priority=50)),
        "crm": CallerList("crm", 1, lookup=Lookup("https://crm.example/{number}")),
    }
    return Directory(revision=1, trunks=trunks, queues=queues, agents=agents, caller_lists=lists)


@dataclass
class FakeStore:
    """Live state as given; raises `failure` where set."""

    queue_statuses: dict[str, QueueStatus] = field(default_factory=dict)
    agent_statuses: dict[str, AgentStatus] = field(default_factory=dict)
    failure: Exception | None = None
    reads: int = 0

    async def queues(self, names: Sequence[str]) -> Sequence[QueueStatus]:
        self.reads += 1
        if self.failure:
            raise self.failure
        return [self.queue_statuses[name] for name in names if name in self.queue_statuses]

    async def agents(self, agent_ids: Sequence[str]) -> Mapping[str, AgentStatus]:
        if self.failure:
            raise self.failure
        return {agent: self.agent_statuses[agent] for agent in agent_ids if agent in self.agent_statuses}


@dataclass
class FakeCalls:
    views: dict[str, CallView] = field(default_factory=dict)
    reasons: dict[str, Reasons] = field(default_factory=dict)
    hung_up: list[str] = field(default_factory=list)
    transfers: list[tuple[str, str]] = field(default_factory=list)
    dialled: list[tuple[str, str]] = field(default_factory=list)
    preferred: list[str] = field(default_factory=list)
    transferred_by: list[str] = field(default_factory=list)

    def live(self) -> Sequence[CallView]:
        return list(self.views.values())

    def find(self, call_id: str) -> CallView | None:
        return self.views.get(call_id)

    def why(self, call_id: str) -> Reasons | None:
        if call_id in self.views:
            return self.reasons.get(call_id) or Reasons(self.views[call_id], (), None)
        return None

    def hang_up(self, call_id: str) -> bool:
        if call_id not in self.views:
            return False
        self.hung_up.append(call_id)
        return True

    def dial(self, agent_id: str, to: str) -> str:
        if to == "4711":
            raise NotAllowed("calls of class premium are not allowed")
        self.dialled.append((agent_id, to))
        return "c9"

    def transfer(self, call_id: str, to: str, preferred: str = "", by: str = "") -> bool:
        if call_id not in self.views:
            return False
        if preferred == "nobody":
            raise UnknownPreferred("there is no agent 'nobody'")
        self.preferred.append(preferred)
        self.transferred_by.append(by)
        if to == "4711":
            raise UnknownTarget("there is no such extension, number or queue")
        if to == "1001":
            raise TransferImpossible("the call is ended")
        self.transfers.append((call_id, to))
        return True


@dataclass
class FakeDoNotCall:
    listed: dict[str, Listed] = field(default_factory=dict)

    async def forbids(self, number: str) -> bool:
        return number in self.listed

    async def add(self, entries: Sequence[str], note: str) -> int:
        new = [entry for entry in dict.fromkeys(entries) if entry not in self.listed]
        self.listed.update({entry: Listed(entry, note, NOW) for entry in new})
        return len(new)

    async def remove(self, entry: str) -> bool:
        return self.listed.pop(entry, None) is not None

    async def entries(self, after: str, limit: int) -> Sequence[Listed]:
        return [self.listed[entry] for entry in sorted(self.listed) if entry > after][:limit]


@dataclass
class FakeAgents:
    known: frozenset[str] = frozenset({"anna", "bert", "cleo"})
    unregistered: frozenset[str] = frozenset({"cleo"})
    changes: list[tuple[str, AgentState, str]] = field(default_factory=list)
    wrapups: list[tuple[str, float | str]] = field(default_factory=list)
    forced: list[bool] = field(default_factory=list)
    refusal: Exception | None = None

    async def set_state(
        self, agent_id: str, state: AgentState, reason: str, *, force: bool = False
    ) -> AgentStatus:
        self.forced.append(force)
        if agent_id not in self.known:
            raise UnknownAgent(agent_id)
        if state is AgentState.AVAILABLE and agent_id in self.unregistered:
            raise StateNotAllowed("no registered phone; register it first")
        self.changes.append((agent_id, state, reason))
        return AgentStatus(agent_id, state, int(NOW * 1000), reason)

    async def end_wrapup(self, agent_id: str) -> AgentStatus:
        if self.refusal:
            raise self.refusal
        self.wrapups.append((agent_id, "end"))
        return AgentStatus(agent_id, AgentState.AVAILABLE, int(NOW * 1000))

    async def extend_wrapup(self, agent_id: str, seconds: float) -> AgentStatus:
        self.wrapups.append((agent_id, seconds))
        return AgentStatus(agent_id, AgentState.WRAPUP, int(NOW * 1000))


@dataclass
class FakeCallsElsewhere:
    kept: dict[str, CallView] = field(default_factory=dict)
    reasons: dict[str, Reasons] = field(default_factory=dict)
    unseen: bool = False

    async def live(self) -> list[CallView]:
        if self.unseen:
            raise CallsUnseen("away")
        return list(self.kept.values())

    async def find(self, call_id: str) -> CallView | None:
        return {view.id: view for view in await self.live()}.get(call_id)

    async def why(self, call_id: str) -> Reasons | None:
        view = await self.find(call_id)
        return None if view is None else self.reasons.get(call_id) or Reasons(view, (), None)


@dataclass
class FakeOrders:
    """To calls of this node they are carried out; to others they are written down."""

    calls: FakeCalls
    tracer: Tracer
    given: list[tuple[str, Order]] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)

    async def give(self, node: str, order: Order) -> None:
        if node in self.silent:
            raise Problem(504, "node-silent", f"node {node!r} says nothing")
        if node == "a":
            carry_out(self.calls, self.tracer.follow, order)
        else:
            self.given.append((node, order))


@dataclass
class FakeOnces:
    kept: dict[str, Kept] = field(default_factory=dict)

    async def begin(self, name: str, request: str) -> Kept | None:
        before = self.kept.get(name)
        self.kept.setdefault(name, Kept(request))
        return before

    async def keep(self, name: str, kept: Kept) -> None:
        self.kept[name] = kept

    async def drop(self, name: str) -> None:
        del self.kept[name]


@dataclass
class FakeRecords:
    kept: list[CallRecord] = field(default_factory=list)
    asked: list[tuple[RecordFilter, str | None, int]] = field(default_factory=list)
    fails_after: int | None = None

    async def records(self, filters: RecordFilter, cursor: str | None, limit: int) -> RecordPage:
        if self.fails_after is not None and len(self.asked) >= self.fails_after:
            raise OSError("the disk is gone")
        self.asked.append((filters, cursor, limit))
        if cursor is not None and not cursor.isdigit():
            raise ValueError("not a cursor")
        start = int(cursor or 0)
        page = self.kept[start : start + limit]
        more = start + limit < len(self.kept)
        return RecordPage(tuple(page), str(start + limit) if more else None)

    async def record(self, call_id: str) -> CallRecord | None:
        return next((record for record in self.kept if record.id == call_id), None)


@dataclass
class FakeCallbacks:
    kept: dict[str, Callback] = field(default_factory=dict)
    making: set[str] = field(default_factory=set)

    async def of(self, queue: str, most: int) -> list[CallbackStatus]:
        return [
            CallbackStatus(c.id, CallbackState.WAITING, 0, c.due_ms or None, c.document)
            for c in list(self.kept.values())[:most]
            if c.queue == queue
        ]

    async def find(self, callback_id: str) -> CallbackStatus | None:
        listed = [each for c in self.kept.values() for each in await self.of(c.queue, 1000)]
        return next((each for each in listed if each.id == callback_id), None)

    async def add(self, callback: Callback, node: str, now_ms: int) -> str:
        self.kept[callback.id] = callback
        return callback.id

    async def cancel(self, callback_id: str, node: str, now_ms: int) -> bool | None:
        return None if callback_id in self.making else bool(self.kept.pop(callback_id, None))


@dataclass
class FakeMessages:
    """Messages as given; their audio lies in `folder`."""

    kept: dict[str, VoiceMessage] = field(default_factory=dict)
    folder: Path = Path("/nonexistent")

    @property
    def counts(self) -> dict[str, BoxCount]:
        found: dict[str, BoxCount] = {}
        for message in self.kept.values():
            count = found.get(message.box, BoxCount())
            heard = int(message.heard_at is not None)
            found[message.box] = BoxCount(count.new + 1 - heard, count.heard + heard)
        return found

    async def of(self, box: str, cursor: str | None, limit: int) -> MessagePage:
        if cursor is not None and not cursor.isdigit():
            raise ValueError("not a cursor")
        start = int(cursor or 0)
        found = [message for message in self.kept.values() if message.box == box]
        more = start + limit < len(found)
        return MessagePage(tuple(found[start : start + limit]), str(start + limit) if more else None)

    async def find(self, message_id: str) -> VoiceMessage | None:
        return self.kept.get(message_id)

    async def mark(self, message_id: str, heard: bool, by: str) -> bool:
        changes = {"heard_at": NOW, "heard_by": by} if heard else {"heard_at": None, "heard_by": ""}
        self.kept[message_id] = msgspec.structs.replace(self.kept[message_id], **changes)
        return True

    async def delete(self, message_id: str) -> bool:
        return self.kept.pop(message_id, None) is not None

    def audio(self, message_id: str) -> Path:
        return self.folder / f"{message_id}.wav"


@dataclass
class FakeNotes:
    kept: list[Note] = field(default_factory=list)

    async def put(self, note: Note) -> None:
        self.kept.append(note)

    async def of(self, call_id: str) -> Sequence[Note]:
        return [note for note in self.kept if note.call_id == call_id]

    async def owed(self, agent: str, since: float) -> Owed | None:
        return None


@dataclass
class FakeRefusals:
    kept: dict[tuple[str, str], RefusedCall] = field(default_factory=dict)

    async def give(self, call: RefusedCall, reason: str) -> None:
        self.kept[call.call_id, call.agent] = replace(call, reason=reason)

    async def last(self, agent: str, since: float) -> RefusedCall | None:
        mine = [call for call in self.kept.values() if call.agent == agent and call.refused_at >= since]
        return max(mine, key=lambda call: call.refused_at, default=None)

    async def of(self, call_id: str) -> Mapping[str, RefusedCall]:
        return {agent: call for (of, agent), call in self.kept.items() if of == call_id}


@dataclass
class FakeCallerLists:
    kept: dict[tuple[str, str], ListedNumber] = field(default_factory=dict)
    full: bool = False

    async def put(self, name: str, number: str, note: str, by: str) -> None:
        if self.full:
            raise ListFull("list is full")
        self.kept[name, number] = ListedNumber(number, note, NOW, by)

    async def remove(self, name: str, number: str, by: str) -> bool:
        return self.kept.pop((name, number), None) is not None

    async def of(self, name: str, after: str, limit: int) -> Sequence[ListedNumber]:
        found = sorted((n, listed) for (of, n), listed in self.kept.items() if of == name and n > after)
        return [listed for _, listed in found[:limit]]


@dataclass
class FakeForecast:
    queues: dict[str, float] = field(default_factory=dict)
    calls: dict[str, float] = field(default_factory=dict)

    def of_queue(self, queue: str) -> float | None:
        return self.queues.get(queue)

    def of_call(self, entry: str) -> float | None:
        return self.calls.get(entry)


@dataclass
class FakeEvents:
    """Ends after what it has."""

    kept: list[Begins | list[LoggedEvent]] = field(default_factory=lambda: [Begins(0)])
    asked: list[int | None] = field(default_factory=list)
    away: bool = False

    async def follow(self, after: int | None) -> AsyncGenerator[Begins | Sequence[LoggedEvent], None]:
        self.asked.append(after)
        if self.away:
            raise StoreUnavailable("away")
        for what in self.kept:
            yield what


class FakeTokens:
    async def verify(self, token: str) -> Bearer | None:
        if token in ("acd_anna", "acd_bert"):
            return Bearer(Role.AGENT, token.removeprefix("acd_"))
        return next((Bearer(role) for role, value in TOKENS.items() if value == token), None)


class FakeMetrics:
    async def render(self) -> bytes:
        return b"acd_redis_up 1\n"


def a_call(call_id: str = "c1") -> CallView:
    return CallView(
        id=call_id,
        state="queued",
        queue="billing",
        agent="",
        caller="+37255512345",
        called="+3726000200",
        started_at=NOW - 30,
        waiting_seconds=12.5,
        language="et",
        node="a",
        entry=call_id,
    )


def a_callback(callback_id: str, **changes: Any) -> Callback:
    order = CallbackOrder(
        id=callback_id, queue="billing", number="+37255512345", created_at=NOW - 60, enqueued_at=NOW - 90
    )
    return entry_of(msgspec.structs.replace(order, **changes))


def a_message(message_id: str = "m1", box: str = "agent:anna", **changes: Any) -> VoiceMessage:
    message = VoiceMessage(
        id=message_id,
        box=box,
        call_id="c1",
        caller="+37255512345",
        caller_name="Mari",
        called="+3726000200",
        queue="billing",
        received_at=NOW - 60,
        node="a",
        seconds=12.5,
    )
    return msgspec.structs.replace(message, **changes)


def trace_one(centre: Centre, call_id: str) -> None:
    """One message of this call is in the trace."""
    flow = Flow("udp", ("192.0.2.1", 5060), ("198.51.100.1", 5060))
    centre.tracer.belongs("leg", call_id)
    centre.tracer.follow(call_id)
    centre.tracer.saw(b"BYE sip:acd SIP/2.0\r\nCall-ID: leg\r\n\r\n", flow, sent=False)


def a_record(call_id: str = "r1", **changes: object) -> CallRecord:
    record = CallRecord(
        id=call_id,
        node="a",
        caller="+37255512345",
        called="+3726000200",
        trunk="carrier",
        language="et",
        queue="billing",
        agent="anna",
        outcome="answered",
        started_at=NOW - 100,
        answered_at=NOW - 80,
        ended_at=NOW - 20,
        wait_seconds=15.0,
        talk_seconds=60.0,
        hangup_side="caller",
        cause="normal",
        offers=1,
        segments=(Segment("queued", NOW - 95, "billing"), Segment("talking", NOW - 80, "billing", "anna")),
    )
    names = record.__struct_fields__
    return CallRecord(**{**{name: getattr(record, name) for name in names}, **changes})  # type: ignore[arg-type]


@dataclass
class Centre:
    """The fakes of one context, to arrange and to look at."""

    store: FakeStore = field(default_factory=FakeStore)
    calls: FakeCalls = field(default_factory=FakeCalls)
    calls_elsewhere: FakeCallsElsewhere = field(default_factory=FakeCallsElsewhere)
    onces: FakeOnces = field(default_factory=FakeOnces)
    agents: FakeAgents = field(default_factory=FakeAgents)
    records: FakeRecords = field(default_factory=FakeRecords)
    forecast: FakeForecast = field(default_factory=FakeForecast)
    events: FakeEvents = field(default_factory=FakeEvents)
    notes: FakeNotes = field(default_factory=FakeNotes)
    refusals: FakeRefusals = field(default_factory=FakeRefusals)
    callbacks: FakeCallbacks = field(default_factory=FakeCallbacks)
    caller_lists: FakeCallerLists = field(default_factory=FakeCallerLists)
    do_not_call: FakeDoNotCall = field(default_factory=FakeDoNotCall)
    messages: FakeMessages = field(default_factory=FakeMessages)
    orders: FakeOrders = field(init=False)
    trunks: dict[str, TrunkStatus] = field(default_factory=dict)
    ready: dict[str, bool] = field(default_factory=lambda: {"redis": True, "sip": True})
    directory: Directory = field(default_factory=a_directory)
    clock: FixedClock = field(default_factory=FixedClock)
    tracer: Tracer = field(default_factory=lambda: Tracer(Rules(), 100_000, FixedClock()))

    def __post_init__(self) -> None:
        self.orders = FakeOrders(self.calls, self.tracer)

    def context(self, **changes: object) -> ControlContext:
        context = ControlContext(
            directory=lambda: self.directory,
            store=self.store,
            calls=self.calls,
            calls_elsewhere=self.calls_elsewhere,
            orders=self.orders,
            onces=self.onces,
            agents=self.agents,
            records=self.records,
            notes=self.notes,
            refusals=self.refusals,
            do_not_call=self.do_not_call,
            callbacks=self.callbacks,  # type: ignore[arg-type]
            caller_lists=self.caller_lists,
            messages=self.messages,
            tokens=FakeTokens(),
            metrics=FakeMetrics(),
            ready=lambda: self.ready,
            clock=self.clock,
            tracer=self.tracer,
            forecast=self.forecast,
            events=self.events,
            trunks=lambda: self.trunks,
        )
        return replace(context, **changes)  # type: ignore[arg-type]


@asynccontextmanager
async def serving(centre: Centre, **options: object) -> AsyncIterator[TestClient]:
    """The application on a free port of loopback, and a client of it."""
    app = build_app(centre.context(), **options)  # type: ignore[arg-type]
    async with TestClient(TestServer(app)) as client:
        yield client


def bearer(role: Role | str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[Role(role)]}"}
