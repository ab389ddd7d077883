"""The registry of live calls: makes their sessions, and speaks for all of them at once."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import msgspec
import structlog

from acd.calls import model as m
from acd.calls.beginning import Arrival, call_back, call_in, call_out
from acd.calls.callbacks import CallbackOrder
from acd.calls.facts import WrapupEnded
from acd.calls.legs import Legs
from acd.calls.lookout import WaitingPlace
from acd.calls.ports import Services
from acd.calls.session import CallSession, LegRegistry
from acd.calls.steps import ending
from acd.calls.targets import (
    AgentTarget,
    OutsideTarget,
    TransferImpossible,
    UnknownPreferred,
    target_of,
)
from acd.calls.view import CallView, Reasons, view_of
from acd.directory.model import Srtp
from acd.media.engine import MediaEvent
from acd.sip.core import events as sip
from routing.model import CallbackOver, NodeMessage, Offer, WrapupTaken

log = structlog.get_logger(__name__)


_END_SECONDS = 3.0
"""For calls that are ended as the node stops; the store may be away and never hear of it."""
_HEARD_SECONDS = 2.0
_TRANSFERABLE = frozenset({m.State.TALKING, m.State.QUEUED, m.State.IVR})


class CallSupervisor:
    """All live calls of this node."""

    def __init__(self, node: str, services: Services) -> None:
        self._node = node
        self._services = services
        self._sessions: dict[str, CallSession] = {}
        self._callbacks: dict[str, CallSession] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._legs = Legs(services.sip, self._spawn)
        self._registry = LegRegistry(
            add=self._legs.add,
            remove=self._legs.remove,
            spawn=self._spawn,
            find=self._find,
            make=self.make_callback,
        )

    # What happens.

    def on_call(self, arrival: Arrival) -> str:
        """A new call: give it a session and its first event.

        Its id, or that of an older call which goes on with this leg; empty for neither.
        """
        if arrival.replaces is not None:
            return self._legs.replace(arrival, arrival.replaces)
        now = self._services.clock.time()
        call = call_in(arrival, _new_id(now), self._node, now)
        near = self._leg_near(arrival.agent) if arrival.agent else None
        session = self._session(call, arrival.leg, near, arrival.srtp)
        lists = () if arrival.agent else self._services.callers.lists_of(call.caller)
        session.post(m.CallArrived(arrival.offer, lists))
        self._spawn(self._live(call.id, session))
        return call.id

    def make_callback(self, order: CallbackOrder) -> None:
        """Put somebody in line who is to be called; nothing where this node is at it already."""
        if order.id in self._callbacks:
            return
        now = self._services.clock.time()
        call = call_back(order, _new_id(now), self._node, now)
        session = self._callbacks[order.id] = self._session(call, f"{call.id}-customer")
        session.post(m.CallbackDue())
        self._spawn(self._live_callback(call.id, order.id, session))

    def dial(self, agent_id: str, to: str) -> str:
        """Call a number outside for an agent, whose phone rings first; the id of the call.

        Raises UnknownTarget, TransferImpossible (it is one of ours), acd.calls.outward.NotAllowed.
        """
        context, now = self._services.context(), self._services.clock.time()
        target = target_of(context.directory, to, by=agent_id)
        if not isinstance(target, OutsideTarget):
            raise TransferImpossible("only numbers outside are called for an agent; dial this on the phone")
        agent = context.directory.agents[agent_id]
        call = call_out(agent, target.outside, _new_id(now), self._node, now, context.default_language)
        session = self._session(call, f"{call.id}-outside")
        session.post(m.DialRequested())
        self._spawn(self._live(call.id, session))
        return call.id

    def _session(self, call: m.Call, leg: str, near: str | None = None, srtp: Srtp = "off") -> CallSession:
        session = self._sessions[call.id] = CallSession(
            self._services, self._services.context(), call, leg, self._registry, near, srtp=srtp
        )
        return session

    async def _live_callback(self, call_id: str, callback_id: str, session: CallSession) -> None:
        try:
            await self._live(call_id, session)
        finally:
            self._callbacks.pop(callback_id, None)

    async def _live(self, call_id: str, session: CallSession) -> None:
        try:
            await session.run()
        finally:
            self._sessions.pop(call_id, None)

    def _leg_near(self, agent: str) -> str | None:
        """The caller of the agent's other call, with whom this one may be joined later."""
        talks = (session for session in self._sessions.values() if session.call.agent == agent)
        return next((session.seats.leg_of(m.Side.CALLER) for session in talks), None)

    def on_leg(self, event: sip.LegEvent) -> None:
        """Something happened to a SIP leg."""
        self._legs.on_leg(event)

    def on_media(self, event: MediaEvent) -> None:
        """Something happened to the audio of a leg."""
        self._legs.on_media(event)

    def on_routing(self, message: NodeMessage) -> None:
        """The store reserved an agent for a call of ours, or took one back; or an agent's wrap-up ended."""
        if isinstance(message, WrapupTaken):
            fact = WrapupEnded(message.queue, message.agent_id, message.taken_ms / 1000)
            for observer in self._services.observers:
                observer(fact)
            return
        if isinstance(message, CallbackOver):
            if session := self._callbacks.get(message.callback_id):
                session.post(m.CallbackGone(message.how))
            return
        session = self._sessions.get(m.call_of_entry(message.call_id))
        if session is not None and message.call_id == m.entry_of_maker(session.call.id):
            if isinstance(message, Offer):
                session.post(m.MakerReserved(message))
            else:
                session.post(m.MakerLost(message.token))
            return
        if session is None or session.call.entry != message.call_id:
            if isinstance(message, Offer):
                self._spawn(self._let_go(message))
            return
        if isinstance(message, Offer):
            session.post(m.OfferMade(self._with_skipped(session, message)))
        else:
            session.post(m.OfferTakenBack(message.token))

    def _with_skipped(self, session: CallSession, offer: Offer) -> Offer:
        """With whom the choice passed over, beside those whom the store looked at."""
        needs = session.standing.needs()
        if offer.decision is None or needs is None:
            return offer
        skipped = self._services.attendance.skipped(needs, offer.agent_id)
        return replace(offer, decision=replace(offer.decision, skipped=skipped))

    async def _let_go(self, offer: Offer) -> None:
        """An offer for a call that is gone must not hold its agent."""
        await self._services.store.cancel(offer.call_id, round(self._services.clock.time() * 1000))

    def is_live(self, entry: str) -> bool:
        """Whether this entry of the store is one of a call that is here."""
        return m.call_of_entry(entry) in self._sessions

    def waiting_places(self) -> Iterable[WaitingPlace]:
        """The callers who may go elsewhere by the rules of their queues."""
        places = (session.standing.waiting_place() for session in self._sessions.values())
        return [place for place in places if place is not None]

    def reassert(self) -> Mapping[str, int]:
        """Say every call again to a store that may have lost it, first in line first; how many of what."""
        return _counted(session.standing.say_again() for session in self._in_order())

    async def correct(self) -> Mapping[str, int]:
        """The same to a store that has lost what it knew last. Returns once that was heard, or after 2 s."""
        said = [session.standing.correct() for session in self._in_order()]
        if pending := [heard for _, parts in said for heard in parts]:
            await asyncio.wait(pending, timeout=_HEARD_SECONDS)
        return _counted(word for word, _ in said)

    def _in_order(self) -> Sequence[CallSession]:
        return sorted(self._sessions.values(), key=lambda session: session.standing.rank())

    # What others ask.

    @property
    def live_calls(self) -> int:
        return len(self._sessions)

    def live(self) -> Sequence[CallView]:
        now = self._services.clock.time()
        return [view_of(session.call, now) for session in self._sessions.values()]

    def find(self, call_id: str) -> CallView | None:
        session = self._sessions.get(call_id)
        return view_of(session.call, self._services.clock.time()) if session else None

    def why(self, call_id: str) -> Reasons | None:
        session = self._sessions.get(call_id)
        if session is None:
            return None
        view = view_of(session.call, self._services.clock.time())
        call = session.call
        return Reasons(view, call.attempts, session.standing.needs(), call.segments, call.attributes)

    def hang_up(self, call_id: str, cause: str = "operator") -> bool:
        """End a call. False where there is none of that id."""
        session = self._sessions.get(call_id)
        if session is None:
            return False
        session.post(m.ClearRequested(cause))
        return True

    def transfer(self, call_id: str, to: str, preferred: str = "", by: str = "") -> bool:
        """Send a caller elsewhere, who talks, waits or is in a flow. False where there is no such call.

        `preferred` is the agent who should take the call there before others do; `by` the one who talks to
        the caller and asks for it, with whose rights. Raises UnknownTarget, UnknownPreferred,
        TransferImpossible, acd.calls.outward.NotAllowed.
        """
        session = self._sessions.get(call_id)
        if session is None:
            return False
        call = session.call
        directory = self._services.context().directory
        target = target_of(directory, to, by=by)
        if preferred and preferred not in directory.agents:
            raise UnknownPreferred(f"there is no agent {preferred!r}")
        if isinstance(target, AgentTarget) and target.agent == call.agent:
            raise TransferImpossible("an agent cannot transfer a call to themselves")
        if call.transferor is not None or call.state not in _TRANSFERABLE:
            raise TransferImpossible(f"the call is {call.state.value}; only who talks or waits can be moved")
        if by and (call.state is not m.State.TALKING or call.agent != by):
            raise TransferImpossible(f"agent {by!r} does not talk in this call")
        session.post(m.TransferAsked(to, by_phone=False, preferred=preferred, by=by))
        return True

    # Start and stop.

    def recover(self, documents: Mapping[str, bytes], died_at: float) -> Collection[str]:
        """Write the record of each call that a dead node left unfinished: a predecessor of this process, or
        another. Returns the ids of those that cannot be read."""
        unreadable = []
        for call_id, document in documents.items():
            try:
                call = msgspec.msgpack.decode(document, type=m.Call)
            except msgspec.MsgspecError:
                log.exception("lost-call-unreadable", call_id=call_id)
                unreadable.append(call_id)
                continue
            self._services.journal.finish(ending.record_of_lost(call, died_at))
            log.warning("call-lost", call_id=call_id, node=call.node, state=call.state.value)
        return unreadable

    async def drain(self, seconds: float) -> None:
        """Let live calls end by themselves for so long, then end those that are left."""
        for session in self._callbacks.values():
            # Nobody is on the line: another node may take it up, or we when we are back.
            if session.call.state is m.State.QUEUED and session.call.awaits_customer:
                session.post(m.ClearRequested("shutdown"))
        tasks = self._live_tasks()
        if tasks and seconds > 0:
            log.info("draining", calls=len(self._sessions), seconds=seconds)
            await asyncio.wait(tasks, timeout=seconds)
        for call_id in list(self._sessions):
            self.hang_up(call_id, "shutdown")
        tasks = self._live_tasks()
        if tasks:
            await asyncio.wait(tasks, timeout=_END_SECONDS)
        for task in self._live_tasks():
            task.cancel()

    def _live_tasks(self) -> Collection[asyncio.Task[None]]:
        return list(self._tasks)

    def _spawn(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("task-failed", exc_info=error)

    def _find(self, call_id: str) -> CallSession | None:
        return self._sessions.get(call_id)


def _new_id(now: float) -> str:
    return f"{round(now * 1000):x}-{secrets.token_hex(6)}"


def _counted(words: Iterable[str]) -> Mapping[str, int]:
    return Counter(word for word in words if word)
