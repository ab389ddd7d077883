"""Requests too large for a datagram (RFC 3261 section 18.1.1), in virtual time."""

from __future__ import annotations

from itertools import count

from acd.sip.core.events import Flow
from acd.sip.core.stack import SipStack, StackConfig
from acd.sip.core.uri import NameAddr, Uri

UDP = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.2", 5060))
TCP = Flow("tcp", UDP.local, UDP.remote)
BIG = b"v" * 1400


def stack() -> SipStack:
    numbers = count()
    return SipStack(StackConfig(large_bytes=1300), lambda: f"{next(numbers):016x}")


def call(made: SipStack, leg: str, now: float, sdp: bytes = BIG) -> list[tuple[Flow, bytes]]:
    me = NameAddr(Uri(host="192.0.2.1", user="acd"))
    made.invite(
        leg, uri=Uri(host="192.0.2.2"), flow=UDP, from_=me, to=me, contact_user="acd", sdp=sdp, now=now
    )
    return made.take_outgoing()


def via(data: bytes) -> tuple[bytes, bytes]:
    """Transport and branch."""
    line = data.split(b"\r\nVia: SIP/2.0/")[1].split(b"\r\n")[0]
    return line.split()[0], line.split(b"branch=")[1].split(b";")[0]


def test_large_request_goes_by_tcp_and_a_small_one_does_not() -> None:
    made = stack()
    ((flow, data),) = call(made, "big", 0.0)
    assert (flow, via(data)[0]) == (TCP, b"TCP")
    ((flow, data),) = call(made, "small", 0.0, b"v=0")
    assert (flow, via(data)[0]) == (UDP, b"UDP")


def test_refused_connection_sends_it_by_udp_and_is_remembered() -> None:
    made = stack()
    ((_, first),) = call(made, "one", 0.0)
    made.flow_failed(TCP, 0.1)
    ((flow, again),) = made.take_outgoing()
    assert (flow, via(again)[0]) == (UDP, b"UDP")
    assert via(again)[1] == via(first)[1], "the same transaction: a peer that had both sees a repetition"
    assert [flow for flow, _ in call(made, "two", 10.0)] == [UDP]
    assert [flow for flow, _ in call(made, "three", 1000.0)][-1] == TCP, "some day it is tried again"


def test_silence_over_tcp_sends_it_by_udp_where_it_is_repeated() -> None:
    made = stack()
    call(made, "one", 0.0)
    made.handle_timeout(1.9)
    assert made.take_outgoing() == []
    made.handle_timeout(2.0)
    assert [flow for flow, _ in made.take_outgoing()] == [UDP]
    made.handle_timeout(2.5)
    assert [flow for flow, _ in made.take_outgoing()] == [UDP]


def test_word_over_tcp_ends_the_wait_and_a_broken_connection_then_ends_the_leg() -> None:
    made = stack()
    opened = Flow("tcp", ("192.0.2.1", 40000), UDP.remote, 7)
    ((_, data),) = call(made, "one", 0.0)
    made.flow_opened(TCP, opened)
    head = [
        line for line in data.split(b"\r\n") if line.split(b":")[0] in (b"Via", b"From", b"Call-ID", b"CSeq")
    ]
    ringing = b"\r\n".join(
        [b"SIP/2.0 180 Ringing", *head, b"To: <sip:a@b>;tag=x", b"Content-Length: 0", b"", b""]
    )
    made.receive(ringing, opened, 1.0)
    made.handle_timeout(5.0)
    assert made.take_outgoing() == []
    made.flow_failed(opened, 6.0)
    assert [type(event).__name__ for event in made.take_events()] == ["LegProgressed", "LegEnded"]
