"""The registry of live calls: makes sessions, and brings each event to the call that it is about."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec
import structlog

from acd.calls import model as m
from acd.calls.callbacks import CallbackOrder
from acd.calls.facts import WrapupEnded
from acd.calls.hands.live import LegRegistry
from acd.calls.lookout import WaitingPlace
from acd.calls.ports import Services
from acd.calls.record import NODE_DIED, CallRecord, Outcome
from acd.calls.session import CallSession, OfLeg
from acd.calls.steps import ending
from acd.calls.steps.times import WAITING
from acd.calls.targets import (
    AgentTarget,
    OutsideTarget,
    TransferImpossible,
    UnknownPreferred,
    target_of,
)
from acd.calls.view import CallView, Reasons
from acd.directory.model import Srtp
from acd.media.engine import (
    DigitReceived,
    MediaEvent,
    MediaFailed,
    MediaTimedOut,
    PlaybackEnded,
    RecordingEnded,
)
from acd.sip.core import events as sip
from acd.sip.core.refer import ReferTo, Replaces
from acd.sip.identity import Identity, clean_number
from routing.model import CallbackOver, NodeMessage, Offer, WrapupTaken

log = structlog.get_logger(__name__)


class Arrival(Protocol):
    """A call that the SIP side let in."""

    @property
    def leg(self) -> str: ...
    @property
    def offer(self) -> bytes | None: ...
    @property
    def identity(self) -> Identity: ...
    @property
    def trunk(self) -> str: ...
    @property
    def agent(self) -> str: ...
    @property
    def replaces(self) -> Replaces | None: ...
    @property
    def srtp(self) -> Srtp: ...


class CallSupervisor:
    """All live calls of this node."""

    def __init__(self, node: str, services: Services) -> None:
        self._node = node
        self._services = services
        self._sessions: dict[str, CallSession] = {}
        self._callbacks: dict[str, CallSession] = {}
        self._by_leg: dict[str, CallSession] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._legs = LegRegistry(
            add=self._add_leg,
            remove=self._remove_leg,
            spawn=self._spawn,
            find=self._find,
            make=self.make_callback,
            outside_calls=self._outside_calls,
        )

    # What happens.

    def on_call(self, arrival: Arrival) -> str:
        """A new call: give it a session and its first event; its id, empty where an older call goes on."""
        if arrival.replaces is not None:
            self._replace(arrival, arrival.replaces)
            return ""
        now, identity = self._services.clock.time(), arrival.identity
        call = m.Call(
            id=_new_id(now),
            node=self._node,
            caller=identity.caller.number,
            caller_name=identity.caller.name,
            called=identity.called,
            trunk=arrival.trunk,
            from_agent=arrival.agent,
            started_at=now,
            diverted_from=identity.diverted_from,
            verstat=identity.verstat,
            withheld=identity.withheld,
            attributes=identity.attributes,
            extension=identity.caller.number if arrival.agent else "",
        )
        near = self._leg_near(arrival.agent) if arrival.agent else None
        session = CallSession(
            self._services, self._services.context(), call, arrival.leg, self._legs, near, srtp=arrival.srtp
        )
        self._sessions[call.id] = session
        lists = () if arrival.agent else self._services.callers.lists_of(call.caller)
        session.post(m.CallArrived(arrival.offer, lists))
        self._spawn(self._live(call.id, session))
        return call.id

    def make_callback(self, order: CallbackOrder) -> None:
        """Put somebody in line who is to be called; nothing where this node is at it already."""
        if order.id in self._callbacks:
            return
        now = self._services.clock.time()
        call = m.Call(
            id=_new_id(now),
            node=self._node,
            caller=order.number,
            caller_name=order.caller_name,
            called=order.called,
            trunk=order.trunk,
            from_agent="",
            started_at=now,
            language=order.language,
            skills=order.skills,
            attributes=order.attributes,
            priority=order.priority,
            ranked_at=order.enqueued_at,
            callback=order,
        )
        session = CallSession(
            self._services, self._services.context(), call, f"{call.id}-customer", self._legs
        )
        self._sessions[call.id] = self._callbacks[order.id] = session
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
        number = target.outside.number
        call = m.Call(
            id=_new_id(now),
            node=self._node,
            caller=number,
            caller_name="",
            called=number,
            trunk="",
            from_agent=agent_id,
            extension=context.directory.agents[agent_id].extension,
            started_at=now,
            is_outgoing=True,
            is_summoned=True,
            outside=target.outside,
            language=context.default_language,
        )
        session = CallSession(self._services, context, call, f"{call.id}-outside", self._legs)
        self._sessions[call.id] = session
        session.post(m.DialRequested())
        self._spawn(self._live(call.id, session))
        return call.id

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

    def _replace(self, arrival: Arrival, replaces: Replaces) -> None:
        """An INVITE with Replaces: a person goes on with another phone (RFC 3891 section 3)."""
        leg = self._services.sip.leg_of(replaces.dialog)
        session = self._by_leg.get(leg) if leg else None
        side = session.seats.side_of(leg) if session and leg else None
        if session is None or side is None:
            self._services.sip.refuse(arrival.leg, 481)
        elif not arrival.agent or arrival.agent != _person(session.call, side):
            self._services.sip.refuse(arrival.leg, 403)
        elif replaces.early_only:
            self._services.sip.refuse(arrival.leg, 486)
        else:
            self._spawn(session.transfers.replace_phone(side, arrival.leg, arrival.offer, arrival.srtp))

    def on_leg(self, event: sip.LegEvent) -> None:
        """Something happened to a SIP leg."""
        session = self._by_leg.get(event.leg)
        side = session.seats.side_of(event.leg) if session else None
        if session is not None and (token := session.seats.rung_for(event.leg)) is not None:
            session.agent.rung(token, event)
            return
        if session is None or side is None:
            return
        match event:
            case sip.LegProgressed() | sip.LegAnswered() | sip.LegConfirmed():
                _on_setup(session, side, event)
            case sip.LegReoffered(offer=offer):
                session.audio.reoffered(side, offer)
            case sip.LegReofferAnswered(sdp=sdp):
                session.audio.reoffer_answered(side, sdp)
            case sip.LegEnded(by=by, status=status, reason=reason):
                session.post(OfLeg(event.leg, m.LegOver(side, by, status, reason)))
            case sip.LegReferred(leg=leg, wanted=wanted):
                self._refer(session, side, leg, wanted)
            case sip.LegInfoReceived(content_type=content_type, body=body):
                for digit in _digits_of_info(content_type, body):
                    session.post(m.DigitPressed(side, digit))

    def _refer(self, session: CallSession, side: m.Side, leg: str, wanted: ReferTo) -> None:
        """An agent's phone transfers: blind, or by joining its two calls."""
        if wanted.replaces is None:
            may = bool(_person(session.call, side)) and session.call.state in _REFERABLE
            if may:
                session.post(m.TransferAsked(clean_number(wanted.user), by_phone=True, side=side))
            else:
                self._services.sip.answer_refer(leg, 403)
            return
        named = self._services.sip.leg_of(wanted.replaces.dialog)
        other = self._by_leg.get(named) if named else None
        if other is None or named is None:
            self._services.sip.answer_refer(leg, 404)
        elif (call := _joinable(session, side, other, other.seats.side_of(named))) is None:
            self._services.sip.answer_refer(leg, 403)
        else:
            kept, given = call
            if kept is other:
                self._services.sip.answer_refer(leg, 202)
            kept.post(m.JoinAsked(given.call.id))

    def on_media(self, event: MediaEvent) -> None:
        """Something happened to the audio of a leg."""
        session = self._by_leg.get(event.leg)
        side = session.seats.side_of(event.leg) if session else None
        if session is None or side is None:
            return
        match event:
            case DigitReceived(digit=digit):
                session.post(m.DigitPressed(side, digit))
            case PlaybackEnded(playback=playback):
                session.post(m.PlaybackOver(int(playback)))
            case RecordingEnded(recording=recording, sound_seconds=sound, why=why):
                session.post(m.RecordingOver(recording, sound, why))
            case MediaTimedOut():
                session.post(OfLeg(event.leg, m.MediaLost(side, "rtp-timeout")))
            case MediaFailed():
                session.post(OfLeg(event.leg, m.MediaLost(side, "media-failed")))

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
        if session is None or session.call.entry != message.call_id:
            if isinstance(message, Offer):
                self._spawn(self._let_go(message))
            return
        if isinstance(message, Offer):
            session.post(m.OfferMade(message))
        else:
            session.post(m.OfferTakenBack(message.token))

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
        return [_view(session.call, now) for session in self._sessions.values()]

    def find(self, call_id: str) -> CallView | None:
        session = self._sessions.get(call_id)
        return _view(session.call, self._services.clock.time()) if session else None

    def why(self, call_id: str) -> Reasons | None:
        session = self._sessions.get(call_id)
        if session is None:
            return None
        view = _view(session.call, self._services.clock.time())
        call = session.call
        return Reasons(view, call.attempts, session.standing.needs(), call.segments, call.attributes)

    def hang_up(self, call_id: str, cause: str = "operator") -> bool:
        """End a call. False where there is none of that id."""
        session = self._sessions.get(call_id)
        if session is None:
            return False
        session.post(m.ClearRequested(cause))
        return True

    def transfer(self, call_id: str, to: str, preferred: str = "") -> bool:
        """Send a caller elsewhere, who talks, waits or is in a flow. False where there is no such call.

        `preferred` is the agent who should take the call there before others do. Raises UnknownTarget,
        UnknownPreferred, TransferImpossible, acd.calls.outward.NotAllowed.
        """
        session = self._sessions.get(call_id)
        if session is None:
            return False
        call = session.call
        directory = self._services.context().directory
        target = target_of(directory, to)
        if preferred and preferred not in directory.agents:
            raise UnknownPreferred(f"there is no agent {preferred!r}")
        if isinstance(target, AgentTarget) and target.agent == call.agent:
            raise TransferImpossible("an agent cannot transfer a call to themselves")
        if call.transferor is not None or call.state not in _TRANSFERABLE:
            raise TransferImpossible(f"the call is {call.state.value}; only who talks or waits can be moved")
        session.post(m.TransferAsked(to, by_phone=False, preferred=preferred))
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
            self._services.journal.finish(_record_of_lost(call, died_at))
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
            await asyncio.wait(tasks, timeout=5.0)
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

    def _outside_calls(self, agent: str) -> int:
        """Calls of this node in which the agent calls, or talks to, a number outside."""
        calls = (session.call for session in self._sessions.values())
        return sum(1 for call in calls if call.outside is not None and agent in _on_the_line(call))

    def _find(self, call_id: str) -> CallSession | None:
        return self._sessions.get(call_id)

    def _add_leg(self, leg: str, session: CallSession) -> None:
        self._by_leg[leg] = session

    def _remove_leg(self, leg: str) -> None:
        self._by_leg.pop(leg, None)


def _on_setup(
    session: CallSession, side: m.Side, event: sip.LegProgressed | sip.LegAnswered | sip.LegConfirmed
) -> None:
    """A leg is on its way to be answered, or is."""
    match event:
        case sip.LegProgressed(status=status, sdp=sdp) if session.outside.is_called(event.leg):
            session.outside.progressed(status, sdp)
        case sip.LegAnswered(sdp=sdp) if session.outside.is_called(event.leg):
            session.outside.answered(sdp)
        case sip.LegAnswered(sdp=sdp) if side is m.Side.AGENT:
            session.agent.answered(sdp)
        case sip.LegConfirmed(sdp=sdp) if side is m.Side.CALLER:
            session.post(m.CallerConfirmed(sdp))
        case sip.LegConfirmed(sdp=sdp) if side is m.Side.AGENT:
            session.post(m.AgentConfirmed(sdp))


def _new_id(now: float) -> str:
    return f"{round(now * 1000):x}-{secrets.token_hex(6)}"


def _counted(words: Iterable[str]) -> Mapping[str, int]:
    return Counter(word for word in words if word)


_HEARD_SECONDS = 2.0
_REFERABLE = frozenset(
    {m.State.TALKING, m.State.QUEUED, m.State.IVR, m.State.OFFERED, m.State.CONNECTING, m.State.DIALLING}
)
_TRANSFERABLE = frozenset({m.State.TALKING, m.State.QUEUED, m.State.IVR})


def _person(call: m.Call, side: m.Side) -> str:
    """The agent who is on this side; empty for anybody else."""
    if side is m.Side.CALLER:
        return "" if call.is_outgoing else call.from_agent
    return call.agent if side is m.Side.AGENT else ""


def _on_the_line(call: m.Call) -> set[str]:
    """Agents who are in the call, or about to be."""
    agents = {call.agent, call.transferor.agent if call.transferor else ""}
    return agents | ({call.from_agent} if call.state is m.State.NEW else set())


def _joinable(
    session: CallSession, side: m.Side, other: CallSession, other_side: m.Side | None
) -> tuple[CallSession, CallSession] | None:
    """The call whose caller stays, and the one that the same agent made to ask a colleague."""
    if session is other or other_side is None:
        return None
    if _person(session.call, side) != _person(other.call, other_side):
        return None
    if (side, other_side) == (m.Side.AGENT, m.Side.CALLER):
        return session, other
    if (side, other_side) == (m.Side.CALLER, m.Side.AGENT):
        return other, session
    if (side, other_side) == (m.Side.AGENT, m.Side.AGENT):
        # The agent asked somebody outside, or has two calls to the outside.
        if other.call.is_outgoing:
            return session, other
        return (other, session) if session.call.is_outgoing else None
    return None


def _view(call: m.Call, now: float) -> CallView:
    waiting = call.enqueued_at is not None and call.state in WAITING
    return CallView(
        id=call.id,
        state=call.state.value,
        queue=call.queue,
        agent=call.agent,
        caller=call.extension if call.is_outgoing else call.caller,
        called=call.called,
        started_at=call.started_at,
        waiting_seconds=max(0.0, now - (call.enqueued_at or now)) if waiting else 0.0,
        language=call.language,
        node=call.node,
        direction=ending.direction_of(call),
        entry=call.entry,
    )


def _record_of_lost(call: m.Call, died_at: float) -> CallRecord:
    # A callback that waited goes on elsewhere: nobody was cut off.
    waited = call.awaits_customer and call.state is m.State.QUEUED
    outcome: Outcome = "cleared" if waited else "failed"
    verdict = m.Close(outcome=outcome, hangup_side="system", cause=NODE_DIED)
    last_known = max((call.started_at, *(segment.at for segment in call.segments)))
    return ending.record_of(call, verdict, max(died_at, last_known))


_INFO_TYPES = ("application/dtmf-relay", "application/dtmf")


def _digits_of_info(content_type: str, body: bytes) -> str:
    """The key of a DTMF INFO (`Signal=5` or the bare key), or nothing."""
    if content_type.partition(";")[0].strip().lower() not in _INFO_TYPES:
        return ""
    for line in body.decode("ascii", "replace").splitlines():
        name, equals, value = line.partition("=")
        key = (
            (value if equals and name.strip().lower() == "signal" else "" if equals else name).strip().upper()
        )
        if len(key) == 1 and key in "0123456789*#ABCD":
            return key
    return ""
