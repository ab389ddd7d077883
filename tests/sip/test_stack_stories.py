"""Calls between two stacks: each story ends once on both sides and leaves nothing behind."""

from __future__ import annotations

import random

import pytest

from acd.sip.core.events import (
    Flow,
    InviteReceived,
    LegAnswered,
    LegConfirmed,
    LegEnded,
    LegProgressed,
    LegReofferAnswered,
    LegReoffered,
)
from acd.sip.core.stack import SipStack
from tests.support.stack_pair import Faults, StackPair

BAD_LINE = Faults(loss=0.25, duplicate=0.2, longest_delay=0.4)


def answered(seed: int = 0, faults: Faults | None = None, within: float = 20.0) -> StackPair:
    pair = StackPair(seed, faults)
    pair.call()
    pair.run(within)
    if pair.bob.of(InviteReceived):
        pair.bob.stack.accept(pair.bob.leg, b"v=0 answer", now=pair.now)
        pair.run(within)
    return pair


def test_a_call_is_answered_and_hung_up_by_the_caller() -> None:
    pair = StackPair()
    pair.call()
    pair.run(0.1)
    pair.bob.stack.ring(pair.bob.leg, now=pair.now)
    pair.run(0.1)
    pair.bob.stack.accept(pair.bob.leg, b"v=0 answer", now=pair.now)
    pair.run(0.1)
    assert pair.alice.events == [LegProgressed("out", 180, None), LegAnswered("out", b"v=0 answer")]
    assert pair.bob.events[1:] == [LegConfirmed(pair.bob.leg, None)]
    pair.alice.stack.hangup("out", now=pair.now)
    pair.run(0.1)
    assert pair.alice.events[-1] == LegEnded("out", "local", 0)
    assert pair.bob.events[-1] == LegEnded(pair.bob.leg, "remote", 0)
    pair.assert_over()


def test_the_called_side_hangs_up() -> None:
    pair = answered()
    pair.bob.stack.hangup(pair.bob.leg, now=pair.now)
    pair.run(0.1)
    assert pair.alice.events[-1] == LegEnded("out", "remote", 0)
    pair.assert_over()


@pytest.mark.parametrize("status", [404, 486, 503, 603])
def test_a_refusal_ends_both_sides_with_its_status(status: int) -> None:
    pair = StackPair()
    pair.call()
    pair.run(0.1)
    pair.bob.stack.refuse(pair.bob.leg, status, now=pair.now)
    pair.run(0.1)
    (ended,) = pair.alice.of(LegEnded)
    assert (ended.by, ended.status) == ("remote", status)
    pair.assert_over()


@pytest.mark.parametrize("after", [0.0, 0.0005, 0.006, 0.012, 0.1, 1.0])
def test_a_call_cancelled_at_any_moment_ends_once(after: float) -> None:
    pair = StackPair()
    pair.call()
    pair.run(after)
    pair.alice.stack.hangup("out", now=pair.now)
    pair.run(0.2)
    if pair.bob.of(InviteReceived):
        (ended,) = pair.bob.of(LegEnded)
        assert (ended.by, ended.status) == ("remote", 487)
    pair.assert_over()


def test_a_cancel_that_crosses_the_200_ends_with_bye() -> None:
    pair = StackPair()
    pair.call()
    pair.run(0.1)
    pair.alice.stack.hangup("out", now=pair.now)
    pair.bob.stack.accept(pair.bob.leg, b"v=0 answer", now=pair.now)
    pair.run(1.0)
    assert not pair.alice.of(LegAnswered)
    assert pair.bob.of(LegConfirmed)
    assert pair.bob.events[-1] == LegEnded(pair.bob.leg, "remote", 0)
    pair.assert_over()


def test_an_invite_into_the_void_times_out_after_64_t1() -> None:
    pair = StackPair(faults=Faults(loss=1.0))
    pair.call()
    pair.run(31.9)
    assert not pair.alice.of(LegEnded)
    pair.run(0.2)
    assert pair.alice.of(LegEnded) == [LegEnded("out", "timeout", 408)]


def test_a_200_whose_ack_never_comes_ends_the_leg() -> None:
    pair = StackPair()
    pair.call()
    pair.run(0.1)
    pair.faults = Faults(loss=1.0)
    pair.bob.stack.accept(pair.bob.leg, b"v=0 answer", now=pair.now)
    pair.run(40)
    assert pair.bob.of(LegEnded) == [LegEnded(pair.bob.leg, "timeout", 0)]


def test_hanging_up_before_the_ack_waits_with_the_bye() -> None:
    pair = StackPair()
    pair.call()
    pair.run(0.1)
    pair.bob.stack.accept(pair.bob.leg, b"v=0 answer", now=pair.now)
    pair.bob.stack.hangup(pair.bob.leg, now=pair.now)
    pair.run(0.5)
    assert pair.alice.events[-1] == LegEnded("out", "remote", 0)
    pair.assert_over()


def test_a_phone_that_rings_for_ever_is_given_up() -> None:
    pair = StackPair()
    pair.call()
    pair.run(0.1)
    pair.bob.stack.ring(pair.bob.leg, now=pair.now)
    pair.run(610.0)
    (ended,) = pair.alice.of(LegEnded)
    assert (ended.by, ended.status) == ("timeout", 408)
    pair.assert_over()


def test_a_re_invite_is_answered_from_either_side() -> None:
    for of in ("alice", "bob"):
        pair = answered()
        side = getattr(pair, of)
        leg = "out" if of == "alice" else pair.bob.leg
        side.stack.reoffer(leg, b"v=0 hold", now=pair.now)
        pair.run(0.1)
        pair.accept_reoffers()
        pair.run(0.1)
        assert side.of(LegReofferAnswered) == [LegReofferAnswered(leg, b"v=0 again")]
        pair.alice.stack.hangup("out", now=pair.now)
        pair.assert_over()


def test_glare_is_solved_by_trying_again() -> None:
    pair = answered()
    pair.alice.stack.reoffer("out", b"v=0 a", now=pair.now)
    pair.bob.stack.reoffer(pair.bob.leg, b"v=0 b", now=pair.now)
    for _ in range(100):
        pair.run(0.1)
        pair.accept_reoffers()
    assert pair.alice.of(LegReofferAnswered)
    assert pair.bob.of(LegReofferAnswered)
    pair.alice.stack.hangup("out", now=pair.now)
    pair.assert_over()


def test_a_bye_that_crosses_a_re_invite_ends_both() -> None:
    pair = answered()
    pair.alice.stack.reoffer("out", b"v=0 hold", now=pair.now)
    pair.bob.stack.hangup(pair.bob.leg, now=pair.now)
    pair.run(1.0)
    pair.assert_over()


def test_a_bye_while_a_re_invite_waits_for_its_answer_ends_it() -> None:
    pair = answered()
    pair.alice.stack.reoffer("out", b"v=0 hold", now=pair.now)
    pair.run(0.1)
    assert pair.bob.of(LegReoffered)
    pair.alice.stack.hangup("out", now=pair.now)
    pair.run(1.0)
    pair.assert_over()


@pytest.mark.parametrize("seed", range(40))
def test_a_bad_line_loses_no_story(seed: int) -> None:
    pair = answered(seed, BAD_LINE)
    pair.alice.stack.hangup("out", now=pair.now)
    pair.run(60)
    if pair.bob.of(InviteReceived):
        # Where even the last word was lost, the other side hangs up in its own time.
        pair.bob.stack.hangup(pair.bob.leg, now=pair.now)
    pair.assert_over()


def test_a_repeated_invite_is_one_call() -> None:
    pair = StackPair(faults=Faults(duplicate=1.0))
    pair.call()
    pair.run(5)
    assert len(pair.bob.of(InviteReceived)) == 1
    pair.alice.stack.hangup("out", now=pair.now)
    pair.assert_over()


def test_an_ack_with_a_random_to_tag_is_understood() -> None:
    pair = StackPair()
    pair.call()
    pair.run(0.1)
    pair.bob.stack.accept(pair.bob.leg, b"v=0 answer", now=pair.now)
    (_, data), *_ = pair.bob.stack.take_outgoing()
    from_ = next(line for line in data.decode().split("\r\n") if line.startswith("From"))
    call_id = next(line for line in data.decode().split("\r\n") if line.startswith("Call-ID"))
    ack = (
        f"ACK sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n{from_}\r\n"
        f"To: <sip:bob@192.0.2.2>;tag=whatever\r\n{call_id}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"
    )
    pair.bob.stack.receive(ack.encode(), Flow("udp", ("192.0.2.2", 5060), ("192.0.2.1", 5060)), pair.now)
    pair.run(0.1)
    assert pair.bob.of(LegConfirmed)


def test_a_call_survives_when_its_first_copies_are_lost() -> None:
    for lost in (b"INVITE", b"SIP/2.0 180", b"SIP/2.0 200", b"ACK", b"BYE"):
        pair = StackPair()
        pair.drop = (lost,)
        pair.call()
        pair.run(1.0)
        pair.drop = () if lost == b"INVITE" else pair.drop
        pair.run(5.0)
        pair.bob.stack.ring(pair.bob.leg, now=pair.now)
        pair.bob.stack.accept(pair.bob.leg, b"v=0 answer", now=pair.now)
        pair.run(5.0)
        pair.drop = () if lost != b"BYE" else pair.drop
        pair.run(5.0)
        assert pair.alice.of(LegAnswered)
        assert pair.bob.of(LegConfirmed)
        pair.alice.stack.hangup("out", now=pair.now)
        pair.run(3.0)
        pair.drop = ()
        pair.assert_over()
        assert pair.bob.of(LegEnded) == [LegEnded(pair.bob.leg, "remote", 0)]


def test_a_lost_bye_ends_our_side_and_the_peer_hears_it_when_it_speaks() -> None:
    pair = answered()
    pair.drop = (b"BYE",)
    pair.alice.stack.hangup("out", now=pair.now)
    pair.run(60)
    pair.drop = ()
    assert pair.alice.of(LegEnded) == [LegEnded("out", "local", 0)]
    pair.bob.stack.reoffer(pair.bob.leg, b"v=0 still there?", now=pair.now)
    pair.run(1)
    (ended,) = pair.bob.of(LegEnded)
    assert (ended.by, ended.status) == ("remote", 481)
    pair.assert_over()


def test_byes_that_cross_end_both_sides_by_themselves() -> None:
    pair = answered()
    pair.alice.stack.hangup("out", now=pair.now)
    pair.bob.stack.hangup(pair.bob.leg, now=pair.now)
    pair.run(1.0)
    assert pair.alice.of(LegEnded) == [LegEnded("out", "local", 0)]
    assert pair.bob.of(LegEnded) == [LegEnded(pair.bob.leg, "local", 0)]
    pair.assert_over()


def say_something(dice: random.Random, stack: SipStack, leg: str, now: float) -> None:
    dice.choice(
        (
            lambda: stack.ring(leg, now=now),
            lambda: stack.accept(leg, b"v=0 answer", now=now),
            lambda: stack.accept(leg, b"v=0 answer", now=now),
            lambda: stack.refuse(leg, 486, now=now),
            lambda: stack.reoffer(leg, b"v=0 hold", now=now),
            lambda: stack.reoffer(leg, b"v=0 resume", now=now),
            lambda: stack.accept_reoffer(leg, b"v=0 again", now=now),
            lambda: stack.refuse_reoffer(leg, 488, now=now),
            lambda: stack.hangup(leg, now=now, reason="enough"),
        )
    )()


@pytest.mark.parametrize("seed", range(150))
def test_whatever_both_sides_do_on_a_bad_line_every_leg_ends_once(seed: int) -> None:
    """Random commands at random moments, many of them senseless; then both hang up."""
    dice = random.Random(seed)
    pair = StackPair(seed, Faults(loss=0.2, duplicate=0.2, longest_delay=0.6) if seed % 3 else None)
    pair.call()
    for _ in range(dice.randint(1, 12)):
        pair.run(dice.choice((0.0, 0.002, 0.01, 0.3, 2.0, 8.0)))
        side = dice.choice((pair.alice, pair.bob))
        leg = "out" if side is pair.alice else next((e.leg for e in side.of(InviteReceived)), "none")
        say_something(dice, side.stack, leg, pair.now)
    pair.run(dice.choice((0.0, 1.0, 40.0)))
    pair.alice.stack.hangup("out", now=pair.now)
    pair.run(dice.choice((0.0, 0.01, 40.0)))
    for event in pair.bob.of(InviteReceived):
        pair.bob.stack.hangup(event.leg, now=pair.now)
    pair.assert_over()
