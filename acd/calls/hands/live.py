"""What the hands of one session share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from acd.calls.callbacks import CallbackOrder
from acd.calls.facts import CallFact, LegClosed
from acd.calls.hands.seats import Seats
from acd.calls.model import Call, Event, HandOver, HandOverOutside, Side, State
from acd.calls.ports import Services
from acd.calls.steps.context import Context


class Adopter(Protocol):
    """Where another call takes over whom this one has reached."""

    def adopt(self, leg: str, given: HandOver) -> bool:
        """Take over an agent. False where that call cannot."""

    def adopt_outside(self, leg: str, given: HandOverOutside) -> bool:
        """The same with a number outside."""


class OtherCall(Protocol):
    """Another live call of this node."""

    @property
    def transfers(self) -> Adopter: ...

    def post(self, event: Event, /) -> None:
        """Hand in an event; never blocks."""


@dataclass(frozen=True, slots=True)
class Registry:
    """The live calls of this node, as one of them sees them."""

    remove: Callable[[str], None]
    """Nothing that happens to this leg is for any call from now on."""
    spawn: Callable[[Awaitable[None]], object]
    find: Callable[[str], OtherCall | None]
    """A live call by its id."""
    make: Callable[[CallbackOrder], None]
    """Put somebody in line who is to be called."""


@dataclass(slots=True)
class LiveCall:
    """The call as it is now, who sits in it, and the way back to its session."""

    call: Call
    seats: Seats
    services: Services
    context: Context
    registry: Registry
    claim: Callable[[str], None]
    """What happens to this leg is for this call to hear from now on."""
    post: Callable[[Event], None]

    def ask(self, question: Awaitable[Event]) -> None:
        """Go on at once; the answer comes back as an event."""

        async def ask() -> None:
            self.post(await question)

        self.registry.spawn(ask())

    def write_down(self) -> None:
        """What a crash would leave behind of a call that goes on."""
        if self.call.state is not State.ENDED:
            self.services.journal.put(self.call.id, msgspec.msgpack.encode(self.call))

    async def release(self, leg: str | None, reason: str, side: Side = Side.AGENT) -> None:
        """Hang up a leg, whatever it is doing, and close its media."""
        if leg is None:
            return
        self.registry.remove(leg)
        self.seats.forget(leg)
        self.services.sip.hangup(leg, reason)
        statistics = await self.services.media.close(leg)
        self.tell(LegClosed(self.call.id, side.value, statistics, leg))

    def tell(self, fact: CallFact) -> None:
        for observer in self.services.observers:
            observer(fact)
