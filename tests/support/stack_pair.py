"""Two stacks joined without a network, in virtual time, with seeded loss, duplication and reordering."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

from acd.sip.core.events import Flow, InviteReceived, LegEnded, LegReoffered, SipEvent
from acd.sip.core.stack import SipStack, StackConfig
from acd.sip.core.uri import NameAddr, Uri

ALICE, BOB = ("192.0.2.1", 5060), ("192.0.2.2", 5060)
Event = TypeVar("Event", bound=SipEvent)


@dataclass
class Faults:
    """Chances per datagram, and the longest delay in seconds."""

    loss: float = 0.0
    duplicate: float = 0.0
    longest_delay: float = 0.01


@dataclass
class Side:
    stack: SipStack
    flow: Flow
    events: list[SipEvent] = field(default_factory=list)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def leg(self) -> str:
        """The leg of the only INVITE received."""
        (event,) = self.of(InviteReceived)
        return event.leg

    @property
    def reoffered(self) -> list[str]:
        return [event.leg for event in self.of(LegReoffered)]


class StackPair:
    """Alice calls Bob as leg "out"."""

    def __init__(self, seed: int = 0, faults: Faults | None = None) -> None:
        self._dice = random.Random(seed)
        self.faults = faults or Faults()
        self.drop: tuple[bytes, ...] = ()
        """Messages that begin like this are lost, e.g. `ACK` or `SIP/2.0 200`."""
        self._line: list[tuple[float, int, Side, bytes]] = []
        self._numbers = count()
        self.now = 0.0
        self.alice = Side(self._stack(), Flow("udp", ALICE, BOB))
        self.bob = Side(self._stack(), Flow("udp", BOB, ALICE))

    def _stack(self) -> SipStack:
        return SipStack(StackConfig(), lambda: f"{self._dice.getrandbits(64):016x}")

    def call(self, sdp: bytes = b"v=0 offer") -> None:
        self.alice.stack.invite(
            "out",
            uri=Uri(host=BOB[0], user="bob"),
            flow=self.alice.flow,
            from_=NameAddr(Uri(host=ALICE[0], user="alice")),
            to=NameAddr(Uri(host=BOB[0], user="bob")),
            contact_user="alice",
            sdp=sdp,
            now=self.now,
        )

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        end = self.now + seconds
        while True:
            self._collect()
            due = [side.stack.next_timeout() for side in (self.alice, self.bob)]
            times = [time for time in due if time is not None] + [item[0] for item in self._line[:1]]
            if not times or min(times) > end:
                self.now = end
                return
            self.now = max(self.now, min(times))
            while self._line and self._line[0][0] <= self.now:
                _, _, side, data = heapq.heappop(self._line)
                side.stack.receive(data, side.flow, self.now)
                self._collect()
            for side in (self.alice, self.bob):
                side.stack.handle_timeout(self.now)

    def _collect(self) -> None:
        for side, other in ((self.alice, self.bob), (self.bob, self.alice)):
            side.events += side.stack.take_events()
            for _, data in side.stack.take_outgoing():
                self._send(other, data)

    def _send(self, to: Side, data: bytes) -> None:
        copies = 0 if self._dice.random() < self.faults.loss or data.startswith(self.drop) else 1
        copies += copies and self._dice.random() < self.faults.duplicate
        for _ in range(copies):
            arrival = self.now + self._dice.uniform(0.001, self.faults.longest_delay)
            heapq.heappush(self._line, (arrival, next(self._numbers), to, data))

    def accept_reoffers(self) -> None:
        for side in (self.alice, self.bob):
            for leg in side.reoffered:
                side.stack.accept_reoffer(leg, b"v=0 again", now=self.now)

    def assert_over(self) -> None:
        """One LegEnded a leg and nothing told after it; after the timers of RFC 3261 nothing is left."""
        self.run(700.0)
        for side in (self.alice, self.bob):
            legs = ["out"] if side is self.alice else [event.leg for event in side.of(InviteReceived)]
            assert sorted(event.leg for event in side.of(LegEnded)) == sorted(legs)
            for leg in legs:
                assert isinstance([e for e in side.events if getattr(e, "leg", "") == leg][-1], LegEnded)
            assert side.stack.live == (0, 0, 0)
            assert len(side.stack.wire.timers) == 0
