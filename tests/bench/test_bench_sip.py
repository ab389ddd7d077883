"""What SIP costs: one message, all of one call, and one that is refused. Pinned workload; --benchmark-enable.

A call through the distributor has two legs: as many messages in and out as one call between two stacks.
"""

from __future__ import annotations

from ipaddress import ip_network
from itertools import count

from pytest_benchmark.fixture import BenchmarkFixture

from acd.config import OverloadSection, SecuritySection
from acd.directory.model import Directory, Trunk
from acd.sip.core.auth import DigestServer
from acd.sip.core.events import Flow, InviteReceived, LegEnded
from acd.sip.core.message import Request, parse
from acd.sip.core.stack import SipStack, StackConfig
from acd.sip.core.uri import NameAddr, Uri
from acd.sip.gate import Gate
from acd.sip.guard import Guard
from acd.sip.overload import OverloadLimits
from tests.support.clock import FakeClock

SDP = (
    b"v=0\r\no=- 3908189401 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    b"m=audio 20000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
)
HEAD = (
    b"INVITE sip:+3726000100@192.0.2.2:5060;transport=udp SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-524287-1---5d2f1c3e8b7a9f00;rport\r\n"
    b"Max-Forwards: 70\r\n"
    b"Contact: <sip:alice@192.0.2.1:5060;transport=udp>\r\n"
    b"To: <sip:+3726000100@192.0.2.2:5060>\r\n"
    b'From: "Alice Example" <sip:+3725550100@192.0.2.1:5060>;tag=1928301774abcdef\r\n'
    b"Call-ID: 84Y2NzUxZTBjYmE2ZTc5ZDk0ZGM4OWEwMTk4ZmQ@192.0.2.1\r\n"
    b"CSeq: 314159 INVITE\r\n"
    b"Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Supported: replaces, norefersub, extended-refer, timer\r\n"
    b"User-Agent: Example Phone 5.6.1 build 12345\r\n"
    b"Session-Expires: 1800\r\nOrganization: Example Telephony Ltd\r\n"
    b"Content-Length: %d\r\n\r\n" % len(SDP)
)
INVITE = HEAD + SDP
ALICE, BOB = ("192.0.2.1", 5060), ("192.0.2.2", 5060)


def understand(message: Request) -> None:
    """Read every typed field that a call needs."""
    _ = message.via, message.from_, message.to, message.call_id, message.cseq
    _ = message.uri, message.contacts, message.max_forwards


def test_bench_parse(benchmark: BenchmarkFixture) -> None:
    assert len(INVITE) == 929
    benchmark(parse, INVITE)


def test_bench_parse_with_typed_headers(benchmark: BenchmarkFixture) -> None:
    def parse_all() -> None:
        message = parse(INVITE)
        assert isinstance(message, Request)
        understand(message)

    benchmark(parse_all)


def test_bench_serialise(benchmark: BenchmarkFixture) -> None:
    message = parse(INVITE)
    assert message.to_bytes() == INVITE
    benchmark(message.to_bytes)


class Wire:
    """Two stacks that hear each other at once, in a time that goes on with each call."""

    def __init__(self) -> None:
        self.now = 0.0
        self.alice, self.bob = self._stack("a"), self._stack("b")
        self.out = Flow("udp", ALICE, BOB)
        self.back = Flow("udp", BOB, ALICE)
        self._names = count()

    def _stack(self, prefix: str) -> SipStack:
        numbers = count()
        return SipStack(StackConfig(), lambda: f"{prefix}{next(numbers):019x}")

    def carry(self) -> None:
        while True:
            there, back = self.alice.take_outgoing(), self.bob.take_outgoing()
            if not there and not back:
                return
            for _, data in there:
                self.bob.receive(data, self.back, self.now)
            for _, data in back:
                self.alice.receive(data, self.out, self.now)

    def call(self) -> None:
        """INVITE, 100, 180, 200, ACK, BYE, 200."""
        name = f"leg-{next(self._names)}"
        bob = Uri(host=BOB[0], user="bob")
        self.alice.invite(
            name,
            uri=bob,
            flow=self.out,
            from_=NameAddr(Uri(host=ALICE[0], user="alice"), "Alice"),
            to=NameAddr(bob),
            contact_user="acd",
            sdp=SDP,
            now=self.now,
        )
        self.carry()
        (invite,) = self.bob.take_events()
        assert isinstance(invite, InviteReceived)
        self.bob.ring(invite.leg, now=self.now)
        self.carry()
        self.bob.accept(invite.leg, SDP, now=self.now)
        self.carry()
        self.alice.hangup(name, now=self.now)
        self.carry()
        assert isinstance(self.alice.take_events()[-1], LegEnded)
        assert isinstance(self.bob.take_events()[-1], LegEnded)
        self.now += 0.02
        self.alice.handle_timeout(self.now)
        self.bob.handle_timeout(self.now)


def test_bench_all_stack_work_of_a_two_leg_call(benchmark: BenchmarkFixture) -> None:
    wire = Wire()
    benchmark.pedantic(wire.call, rounds=4000, warmup_rounds=2000)  # type: ignore[no-untyped-call]


class Door:
    """A stack whose owner has room for no more calls, and a trunk that sends them."""

    def __init__(self) -> None:
        clock = FakeClock()
        self.now = clock.monotonic()
        trunk = Trunk("carrier", (ip_network(ALICE[0]),))
        directory = Directory(trunks={trunk.name: trunk})
        self.guard = Guard(
            DigestServer("acd", b"secret"), lambda: directory, lambda host: False, clock, SecuritySection()
        )
        limits = OverloadLimits(**dict(OverloadSection(max_calls=1)))
        gate = Gate(self.guard, limits, lambda: 1, clock)
        numbers = count()
        self.stack = SipStack(StackConfig(screen=gate.screen), lambda: f"b{next(numbers):019x}")
        self.flow = Flow("udp", BOB, ALICE)
        self._calls = count()

    def refuse(self) -> None:
        """INVITE, 503, ACK."""
        name = b"z9hG4bK-%016d" % next(self._calls)
        invite = INVITE.replace(b"z9hG4bK-524287-1---5d2f1c3e8b7a9f00", name)
        for data in (invite, invite.replace(b"INVITE", b"ACK", 1).replace(b"314159 INVITE", b"314159 ACK")):
            assert self.guard.admits(self.flow)
            self.stack.receive(data, self.flow, self.now)
        ((_, answer),) = self.stack.take_outgoing()
        assert answer.startswith(b"SIP/2.0 503")


def test_bench_refuse_an_invite_for_overload(benchmark: BenchmarkFixture) -> None:
    door = Door()
    benchmark(door.refuse)
    assert door.stack.live == (0, 0, 0)
