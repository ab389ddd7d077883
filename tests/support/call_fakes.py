"""What a call session works with, without sockets, audio or Redis: each fake notes what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from acd.calls.lookout import WaitingPlace
from acd.calls.messages import NewMessage
from acd.calls.model import SituationKnown
from acd.calls.record import CallRecord
from acd.directory.model import Srtp
from acd.errors import AcdError
from acd.media.engine import Direction, LegStatistics, MediaEvent, RecordingEnd, RecordingEnded
from acd.sip.core.refer import DialogId
from ivr.mailbox import Waiting
from routing.callbacks import Callback
from routing.model import AgentState, AgentStatus, Position
from routing.overflow import Situation
from routing.ports import StoreUnavailable


class FakeSip:
    """Notes (verb, leg, ...) in order."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []
        self.unreachable: AcdError | None = None
        self.dialogs: dict[DialogId, str] = {}
        self.shown = ("", "")
        """Number and name of the caller, as the newest phone was told."""
        self.srtp: Srtp = "off"

    def invite_agent(self, leg: str, agent_id: str, **shown: Any) -> None:
        if self.unreachable:
            raise self.unreachable
        self.shown = (shown["caller"], shown["caller_name"])
        self.said.append(("invite", leg, agent_id))

    async def look_up(self, agent_id: str) -> None:
        return

    def srtp_toward(self, agent_id: str) -> Srtp:
        return self.srtp

    def invite_number(self, leg: str, trunk: str, number: str, **said: Any) -> None:
        if self.unreachable:
            raise self.unreachable
        self.said.append(("call", leg, trunk, number, said["caller"]))

    def srtp_toward_trunk(self, trunk: str) -> Srtp:
        return self.srtp

    def accept(self, leg: str, sdp: bytes) -> None:
        self.said.append(("accept", leg, sdp))

    def ring(self, leg: str, status: int, sdp: bytes | None) -> None:
        self.said.append(("ring", leg, status, sdp))

    def refuse(self, leg: str, status: int, why: str = "") -> None:
        self.said.append(("refuse", leg, status))

    def hangup(self, leg: str, reason: str = "") -> None:
        self.said.append(("hangup", leg))

    def accept_reoffer(self, leg: str, sdp: bytes) -> None:
        self.said.append(("accept-reoffer", leg, sdp))

    def refuse_reoffer(self, leg: str, status: int) -> None:
        self.said.append(("refuse-reoffer", leg, status))

    def answer_refer(self, leg: str, status: int) -> None:
        self.said.append(("answer-refer", leg, status))

    def report_refer(self, leg: str, status: int) -> None:
        self.said.append(("report-refer", leg, status))

    def leg_of(self, dialog: DialogId) -> str | None:
        return self.dialogs.get(dialog)


class FakeMedia:
    """Notes what each leg hears now, and which legs are open."""

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.srtp: dict[str, Srtp] = {}
        self.hears: dict[str, Any] = {}
        self.refusal: AcdError | None = None
        self.bad_answer: AcdError | None = None
        self.answers: dict[str, bytes] = {}
        self.direction: Direction = "sendrecv"
        self.recordings: dict[str, tuple[str, Path, float, float]] = {}
        """By leg: the recording, its file, limit and silence."""
        self.handler: Callable[[MediaEvent], None] = lambda event: None

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def subscribe(self, handler: Callable[[MediaEvent], None]) -> None:
        self.handler = handler

    async def answer(self, leg: str, offer: bytes, *, near: str | None = None, srtp: Srtp = "off") -> bytes:
        return await self.offer(leg, srtp=srtp)

    async def offer(self, leg: str, *, near: str | None = None, srtp: Srtp = "off") -> bytes:
        if self.refusal:
            raise self.refusal
        self.open.add(leg)
        self.srtp[leg] = srtp
        return b"sdp of " + leg.encode()

    def apply_answer(self, leg: str, answer: bytes, *, early: bool = False) -> Direction:
        if self.bad_answer:
            raise self.bad_answer
        self.answers[leg] = answer
        return self.direction

    def reanswer(self, leg: str, offer: bytes | None) -> tuple[bytes, Direction]:
        if self.refusal:
            raise self.refusal
        return b"again", self.direction

    def play(self, leg: str, playback: str, files: Sequence[Path]) -> None:
        self.hears[leg] = [file.stem for file in files]

    def music(self, leg: str, file: Path) -> None:
        self.hears[leg] = file.stem

    def echo(self, leg: str) -> None:
        self.hears[leg] = "echo"

    def silence(self, leg: str) -> None:
        self.hears[leg] = "silence"

    def bridge(self, leg: str, other: str) -> None:
        self.hears[leg], self.hears[other] = other, leg

    def send_digits(self, leg: str, digits: str) -> None: ...

    def record(
        self, leg: str, recording: str, file: Path, *, limit_seconds: float, silence_seconds: float = 0.0
    ) -> None:
        if leg not in self.open:
            self.handler(RecordingEnded(leg, recording, 0.0, 0.0, "failed"))
            return
        self.stop_recording(leg)
        self.recordings[leg] = (recording, file, limit_seconds, silence_seconds)

    def stop_recording(self, leg: str) -> None:
        self.end_recording(leg, "stopped")

    def end_recording(self, leg: str, why: RecordingEnd, seconds: float = 2.0) -> None:
        """So many seconds have been recorded, all of them sound."""
        if recorded := self.recordings.pop(leg, None):
            self.handler(RecordingEnded(leg, recorded[0], seconds, seconds, why))

    async def close(self, leg: str) -> LegStatistics:
        self.end_recording(leg, "closed")
        self.open.discard(leg)
        return LegStatistics(packets_lost=3, jitter_seconds=0.002)


class FakePrompts:
    def resolve(self, prompt: str, language: str) -> Path:
        return Path(f"/{language}/{prompt}.wav")

    def music(self, name: str) -> Path:
        return Path(f"/music/{name}.wav")


class FakeMessages:
    """Notes (verb, ...) in order; `boxes` are what agents find in them."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []
        self.boxes: dict[str, list[Waiting]] = {}
        self.refusal: AcdError | None = None

    async def begin(self, message: NewMessage) -> Path:
        if self.refusal:
            raise self.refusal
        self.said.append(("begin", message.box, message.caller))
        return Path(f"/incoming/{message.id}.wav")

    async def waiting(self, box: str) -> list[Waiting]:
        return self.boxes[box]

    def audio(self, message_id: str) -> Path:
        return Path(f"/messages/{message_id}.wav")

    def heard(self, message_id: str, by: str) -> None:
        self.said.append(("heard", message_id, by))

    def deleted(self, message_id: str) -> None:
        self.said.append(("deleted", message_id))


class FakeJournal:
    def __init__(self) -> None:
        self.live: dict[str, bytes] = {}
        self.records: list[CallRecord] = []

    def put(self, call_id: str, document: bytes) -> None:
        self.live[call_id] = document

    async def begun(self, call_id: str) -> None:
        pass

    def finish(self, record: CallRecord) -> None:
        self.live.pop(record.id, None)
        self.records.append(record)


class FakeCallbacks:
    """Notes (verb, id, ...) in order; answers as `answers` says."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []
        self.answers: dict[str, Any] = {"begin": 1, "done": True, "cancel": True, "hold": True}
        self.documents: dict[str, str] = {}

    async def add(self, callback: Callback, node: str, now_ms: int) -> str:
        self.said.append(("add", callback.id, callback.number))
        self.documents[callback.id] = callback.document
        return self.answers.get("add", callback.id)

    async def claim(self, node: str, most: int, now_ms: int) -> list[tuple[str, str]]:
        return list(self.documents.items())

    def __getattr__(self, verb: str) -> Any:
        async def operation(callback_id: str, *arguments: Any, **words: Any) -> Any:
            self.said.append((verb, callback_id, *arguments[1:-1], *words.values()))
            return self.answers.get(verb)

        return operation


class FakeStore:
    """Notes (verb, ...) in order; away while `away`; what `raises` names is raised once by that verb."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []
        self.away = False
        self.raises: dict[str, Exception] = {}
        self.noted = FakeCallbacks()

    @property
    def callbacks(self) -> FakeCallbacks:
        return self.noted

    def __getattr__(self, verb: str) -> Any:
        async def operation(*arguments: Any, **words: Any) -> Any:
            if self.away:
                raise StoreUnavailable("away")
            self.said.append((verb, *arguments, *(name for name, value in words.items() if value)))
            if error := self.raises.pop(verb, None):
                raise error
            return Position(2, 5) if verb == "position" else None

        return operation


class FakeDoNotCall:
    """Forbids what is listed; raises `failure` where there is one."""

    def __init__(self) -> None:
        self.listed: set[str] = set()
        self.failure: Exception | None = None

    async def forbids(self, number: str) -> bool:
        if self.failure:
            raise self.failure
        return number in self.listed


class FakeOutsideCalls:
    """Counts like the real one; `elsewhere` are calls of other nodes."""

    def __init__(self) -> None:
        self.held: dict[str, frozenset[str]] = {}
        self.elsewhere = 0

    def changed(self, call_id: str, agents: Collection[str]) -> None:
        self.held[call_id] = frozenset(agents)

    async def of(self, agent: str) -> int:
        return self.elsewhere + sum(1 for agents in self.held.values() if agent in agents)


class FakeLookout:
    """Notes who joined, and tells them what it is set to."""

    def __init__(self) -> None:
        self.joined: list[WaitingPlace] = []
        self.situation: Situation | None = None
        self.waits: dict[str, float] = {}

    def expected(self, entry: str) -> float | None:
        return self.waits.get(entry)

    async def joining(self, place: WaitingPlace) -> None:
        self.joined.append(place)
        if self.situation:
            place.post(SituationKnown(place.entry, self.situation))


class FakeDesk:
    """Does what codes ask for; `state` is what it says of everybody."""

    def __init__(self, state: AgentState = AgentState.AVAILABLE) -> None:
        self.asked: list[tuple[str, AgentState, str]] = []
        self.state = state
        self.then = AgentState.AVAILABLE
        self.refusal: Exception | None = None

    async def set_state(self, agent_id: str, state: AgentState, reason: str = "") -> AgentStatus:
        if self.refusal:
            raise self.refusal
        self.asked.append((agent_id, state, reason))
        return AgentStatus(agent_id, state, 0, reason)

    async def status(self, agent_id: str) -> AgentStatus:
        return AgentStatus(agent_id, self.state, 0)

    async def end_wrapup(self, agent_id: str) -> AgentStatus:
        return await self.set_state(agent_id, self.then)

    async def extend_wrapup(self, agent_id: str, seconds: float) -> AgentStatus:
        return await self.set_state(agent_id, AgentState.WRAPUP, str(seconds))

    async def give_reason(self, agent_id: str, number: str) -> None:
        await self.set_state(agent_id, self.state, number)

    async def give_code(self, agent_id: str, number: str) -> None:
        await self.set_state(agent_id, self.state, number)
