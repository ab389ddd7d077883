"""What a call needs of the rest of the service. The shells of SIP, routing and history satisfy it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from acd.agents.codes import Desk
from acd.calls.facts import Observer
from acd.calls.leave import DoNotCall
from acd.calls.lookout import WaitingPlace
from acd.calls.messages import NewMessage
from acd.calls.model import AskCaller, CallerKnown
from acd.calls.record import CallRecord
from acd.calls.steps.context import Context
from acd.clock import Clock
from acd.directory.model import Srtp
from acd.media.engine import MediaEngine
from acd.sip.core.refer import DialogId
from acd.sip.identity import Diverted
from acd.sip.watching import PhoneState
from ivr.mailbox import Waiting
from routing.model import Requirement, Skipped
from routing.ports import QueueStore


class SipPort(Protocol):
    """Legs by name. A command for a leg that is over does nothing."""

    def invite_agent(
        self,
        leg: str,
        agent_id: str,
        *,
        offer: bytes,
        caller: str,
        caller_name: str,
        queue: str,
        call_id: str,
    ) -> None:
        """Ring the agent's phone. Raises AgentUnreachable where none is registered."""

    async def look_up(self, agent_id: str) -> None:
        """Ask the other nodes for an agent of whom no phone is known here."""

    def srtp_toward(self, agent_id: str) -> Srtp:
        """Whether the offer to this agent is to be encrypted."""

    def invite_number(
        self,
        leg: str,
        trunk: str,
        number: str,
        *,
        offer: bytes,
        caller: str,
        caller_name: str,
        withheld: bool = False,
        diversions: tuple[Diverted, ...] = (),
        about: Mapping[str, str] = MappingProxyType({}),
        call_id: str,
    ) -> None:
        """Call a number over a trunk. Raises acd.sip.providers.TrunkUnavailable.

        `withheld`: the called are not to see the caller's number. `diversions` are the numbers that the call
        was diverted from, ours last, where it goes on to the outside; `about` is what headers may tell.
        """

    def srtp_toward_trunk(self, trunk: str) -> Srtp:
        """Whether the offer to this trunk is to be encrypted."""

    def accept(self, leg: str, sdp: bytes) -> None: ...

    def ring(self, leg: str, status: int, sdp: bytes | None) -> None:
        """Say that it rings; with `sdp` the caller hears us before anybody answers."""

    def refuse(self, leg: str, status: int, why: str = "") -> None:
        """`why` is a fixed word, told in a Reason header."""

    def hangup(self, leg: str, reason: str = "") -> None: ...

    def accept_reoffer(self, leg: str, sdp: bytes) -> None: ...

    def refuse_reoffer(self, leg: str, status: int) -> None: ...

    def answer_refer(self, leg: str, status: int) -> None:
        """Answer the REFER of a phone; 202 begins to tell it of the progress."""

    def report_refer(self, leg: str, status: int) -> None:
        """Tell how the transfer goes; a final status is the last word."""

    def leg_of(self, dialog: DialogId) -> str | None:
        """The live leg that a Replaces names."""


class JournalPort(Protocol):
    """Live calls written down, and the one record of each ended call."""

    def put(self, call_id: str, document: bytes) -> None: ...

    async def begun(self, call_id: str) -> None:
        """Return once other nodes would know of this live call, should this one die; or it is over."""
        ...

    def finish(self, record: CallRecord) -> None: ...


class PromptPort(Protocol):
    """Where the audio of a prompt lies."""

    def resolve(self, prompt: str, language: str) -> Path: ...

    def music(self, name: str) -> Path: ...


class LookoutPort(Protocol):
    """Finds out what the rules of a queue want to know."""

    async def joining(self, place: WaitingPlace) -> None:
        """Tell the call of who has just joined. Raises StoreUnavailable."""

    def expected(self, entry: str) -> float | None:
        """Seconds until an agent answers who waits under this entry; None where that is not known."""


class MessagePort(Protocol):
    """Where voice messages are kept."""

    async def begin(self, message: NewMessage) -> Path:
        """The file to record one into. Raises BoxFull, MessageImpossible."""

    async def waiting(self, box: str) -> Sequence[Waiting]:
        """What is in a box, new ones first. Raises what the database raises."""

    def audio(self, message_id: str) -> Path: ...

    def heard(self, message_id: str, by: str) -> None: ...

    def deleted(self, message_id: str) -> None: ...


class OutsidePort(Protocol):
    """Counts the calls to the outside that agents have at all nodes."""

    def changed(self, call_id: str, agents: Collection[str]) -> None:
        """These agents have the call to the outside now; none where it is over, or leads nowhere outside."""

    async def of(self, agent: str) -> int:
        """How many the agent has. Never raises, and takes no longer than a caller may be kept waiting."""


class CallerPort(Protocol):
    """What is known of callers."""

    def lists_of(self, number: str) -> tuple[str, ...]:
        """The caller lists that the caller is on by number, in the order in which they count."""

    async def ask(self, question: AskCaller) -> CallerKnown:
        """Never raises, and takes no longer than a caller may be kept waiting for the answer."""


class AttendancePort(Protocol):
    """Knows what the agents are at."""

    def skipped(self, needs: Requirement, chosen: str) -> Skipped | None:
        """Who could not take a call that needs this, for which `chosen` was found; None where unknown."""


class _Unattended:
    """Knows of nobody."""

    def skipped(self, needs: Requirement, chosen: str) -> Skipped | None:
        return None


class Strangers:
    """Callers of whom nothing is known."""

    def lists_of(self, number: str) -> tuple[str, ...]:
        return ()

    async def ask(self, question: AskCaller) -> CallerKnown:
        return CallerKnown()


STRANGERS = Strangers()
UNATTENDED = _Unattended()


PhoneWatcher = Callable[[str, tuple[PhoneState, ...]], None]
"""Hears what agents' phones do in a call (by its id), whenever that changes; nothing once it is over."""


def _nobody_watches(call_id: str, phones: tuple[PhoneState, ...]) -> None:
    """The watcher until there is one."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a call works with; wired once."""

    sip: SipPort
    media: MediaEngine
    store: QueueStore
    journal: JournalPort
    prompts: PromptPort
    clock: Clock
    context: Callable[[], Context]
    observers: Sequence[Observer]
    desk: Desk
    do_not_call: DoNotCall
    lookout: LookoutPort
    messages: MessagePort
    outside: OutsidePort
    phones: PhoneWatcher = _nobody_watches
    callers: CallerPort = STRANGERS
    attendance: AttendancePort = UNATTENDED
