"""Hostile descriptions and packets: bounded, refused, dropped."""

from __future__ import annotations

import time

import pytest

from acd.errors import AcdError
from acd.media.embedded.incoming import Incoming
from acd.media.g711 import Law
from acd.media.negotiation import Negotiation

GOOD = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 8\r\na=ptime:20\r\n"
)
FAR, STRANGER = ("192.0.2.1", 4000), ("203.0.113.66", 4000)


def side() -> Negotiation:
    return Negotiation(1, "192.0.2.9", 4000, (Law.PCMA, Law.PCMU))


@pytest.mark.parametrize(
    "offer",
    [
        GOOD + b"m=audio 4000 RTP/AVP 8\r\n" * 500,
        GOOD + b"m=audio 4000 RTP/AVP " + b"8 " * 5000 + b"\r\n",
        GOOD + b"a=x\r\n" * 5000,
        GOOD + b"a=" + b"x" * 20_000 + b"\r\n",
        GOOD.replace(b"4000", b"99999"),
        GOOD.replace(b"192.0.2.1\r\nt", b"255.255.255.255\r\nt"),
        GOOD.replace(b"192.0.2.1\r\nt", b"224.0.0.1\r\nt"),
        GOOD.replace(b"192.0.2.1\r\nt", b"attacker.test\r\nt"),
        b"",
        b"\0" * 4000,
    ],
    ids=[
        "lines",
        "formats",
        "attributes",
        "long",
        "port",
        "broadcast",
        "multicast",
        "name",
        "empty",
        "zeros",
    ],
)
def test_description_that_costs_or_misleads_is_refused_at_once(offer: bytes) -> None:
    began = time.process_time()
    with pytest.raises(AcdError) as caught:
        side().answer(offer)
    assert caught.value.sip_status == 488
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    "line", [b"a=ptime:0", b"a=ptime:-1", b"a=ptime:999999999", b"a=fmtp:8 " + b"9" * 5000]
)
def test_odd_packet_times_and_parameters_change_nothing(line: bytes) -> None:
    answer = side().answer(GOOD.replace(b"a=ptime:20", line))
    assert b"a=ptime:20\r\n" in answer


def heard() -> Incoming:
    incoming = Incoming()
    incoming.expect(FAR, {8: int(Law.PCMA)}, None)
    return incoming


def test_audio_of_a_stranger_is_never_heard_once_the_far_end_spoke() -> None:
    incoming = heard()
    assert incoming.admit(FAR, 1, 100)
    assert not any(incoming.admit(STRANGER, 1, 101 + n) for n in range(1000))
    assert incoming.source == FAR


def test_stranger_who_guesses_a_port_needs_several_packets_in_a_row_and_yields_to_the_far_end() -> None:
    incoming = heard()
    assert not any(incoming.admit(STRANGER, 7, sequence) for sequence in (5, 900, 17, 4, 60_000))
    assert incoming.source is None
    assert incoming.admit(FAR, 1, 1)


def test_control_packets_of_a_stranger_are_not_believed() -> None:
    incoming = heard()
    assert incoming.knows(FAR[0])
    assert not incoming.knows(STRANGER[0])
