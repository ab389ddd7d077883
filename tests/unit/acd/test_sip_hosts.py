"""In which order a trunk's hosts are asked, and when a call goes on to the next one."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd.sip.core.events import LegAnswered, LegEnded, LegProgressed
from acd.sip.hosts import Peer, in_turn
from acd.sip.outgoing import OutgoingCall
from acd.sip.redirects import Target

peers = st.lists(
    st.builds(
        Peer,
        name=st.just("sbc"),
        transport=st.just("udp"),
        address=st.tuples(st.integers(1, 9).map(lambda n: f"192.0.2.{n}"), st.just(5060)),
        priority=st.tuples(st.integers(1, 3), st.integers(0, 1)),
        weight=st.integers(0, 5),
    ),
    max_size=8,
    unique_by=lambda peer: peer.address,
)


@given(peers, st.sets(st.integers(0, 7)), st.integers())
def test_every_host_is_tried_once_by_priority_and_those_down_come_last(
    found: list[Peer], down: set[int], seed: int
) -> None:
    is_down = {peer for n, peer in enumerate(found) if n in down}
    turn = in_turn(found, lambda peer: peer not in is_down, random.Random(seed).random)
    assert Counter(turn) == Counter(found)
    keys = [(peer in is_down, peer.priority) for peer in turn]
    assert keys == sorted(keys)


def test_equals_are_drawn_by_weight() -> None:
    light, heavy = Peer("a", "udp", ("192.0.2.1", 5060)), Peer("b", "udp", ("192.0.2.2", 5060), weight=3)
    dice = random.Random(7).random
    first = Counter(in_turn([light, heavy], lambda peer: True, dice)[0].name for _ in range(4_000))
    assert first["b"] / 4_000 == pytest.approx(0.75, abs=0.03)


HOSTS = [Peer(name, "udp", (f"192.0.2.{n}", 5060)) for n, name in enumerate("abc")]


def a_call(hosts: int = 3) -> OutgoingCall:
    call = OutgoingCall("leg", "carrier", [Target(host, "+3725551234") for host in HOSTS[:hosts]])
    call.next()
    return call


@pytest.mark.parametrize(
    ("ended", "goes_on"),
    [
        (LegEnded("leg", "remote", 503), True),
        (LegEnded("leg", "remote", 408), True),
        (LegEnded("leg", "timeout", 408), True),
        (LegEnded("leg", "transport", 503), True),
        (LegEnded("leg", "remote", 486), False),
        (LegEnded("leg", "remote", 404), False),
        (LegEnded("leg", "remote", 302), False),
        (LegEnded("leg", "remote", 603), False),
        (LegEnded("leg", "local", 487), False),
    ],
)
def test_another_host_is_asked_where_the_host_failed_and_not_where_the_called_person_did(
    ended: LegEnded, goes_on: bool
) -> None:
    assert (a_call().told(ended) is None) is goes_on


def test_each_attempt_has_its_own_leg_and_calls_hear_of_one() -> None:
    call = a_call()
    assert call.told(LegEnded("leg", "timeout", 408)) is None
    assert (call.next(), call.current) == (Target(HOSTS[1], "+3725551234"), "leg.2")
    assert call.told(LegEnded("leg", "remote", 200)) is None
    assert call.told(LegProgressed("leg.2", 180, None)) == LegProgressed("leg", 180, None)
    assert call.told(LegAnswered("leg.2", b"v=0")) == LegAnswered("leg", b"v=0")
    assert call.told(LegEnded("leg.2", "remote", 0)) == LegEnded("leg", "remote", 0)


def test_the_last_host_has_the_last_word() -> None:
    call = a_call(hosts=1)
    assert call.told(LegEnded("leg", "remote", 503)) == LegEnded("leg", "remote", 503)
    assert call.next() is None


def test_who_rings_already_or_was_given_up_is_not_called_twice() -> None:
    ringing = a_call()
    ringing.told(LegProgressed("leg", 180, None))
    assert ringing.told(LegEnded("leg", "remote", 503)) is not None
    given_up = a_call()
    given_up.settle()
    assert given_up.told(LegEnded("leg", "timeout", 408)) is not None
