"""Reliable provisional responses (RFC 3262), UPDATE with an offer (RFC 3311) and bodies of several parts."""

from __future__ import annotations

import time

import pytest

from acd.sip.core.events import InviteReceived, LegAnswered, LegEnded, LegProgressed, LegReoffered
from acd.sip.core.message import Request, Response
from tests.support.stack_calls import called, confirmed, settle
from tests.support.stack_peer import OFFER, StackPeer

RELIABLE = ("Require", "100rel")


def rseq(number: int) -> list[tuple[str, str]]:
    return [RELIABLE, ("RSeq", str(number))]


def asked_for_reliability(peer: StackPeer) -> str:
    peer.send(peer.request("INVITE", body=OFFER, headers=[RELIABLE]))
    event = peer.events[-1]
    assert isinstance(event, InviteReceived)
    return event.leg


def prack(peer: StackPeer, to: Response, *, cseq: int = 2, rack: str = "") -> bytes:
    value = rack or f"{to.header('RSeq')} 1 INVITE"
    headers = [("RAck", value)]
    return peer.request("PRACK", branch=f"z9hG4bKp{cseq}", cseq=cseq, to_tag=to.to_tag, headers=headers)


# Ours.


def test_a_reliable_ringing_of_ours_is_repeated_until_its_prack() -> None:
    peer = StackPeer()
    leg = asked_for_reliability(peer)
    peer.stack.ring(leg, now=peer.now)
    (ringing,) = peer.sent()
    assert isinstance(ringing, Response)
    assert (ringing.status, ringing.header("Require")) == (180, "100rel")
    peer.wait(3.4)
    assert [m.to_bytes() for m in peer.sent()] == [ringing.to_bytes()] * 2
    assert peer.statuses(prack(peer, ringing)) == [200]
    peer.wait(60)
    assert peer.sent() == []
    assert peer.statuses(prack(peer, ringing, cseq=3)) == [481]


def test_a_prack_for_something_else_is_481() -> None:
    peer = StackPeer()
    leg = asked_for_reliability(peer)
    peer.stack.ring(leg, now=peer.now)
    (ringing,) = peer.sent()
    assert isinstance(ringing, Response)
    for cseq, rack in enumerate(("1 1 INVITE", f"{ringing.header('RSeq')} 7 INVITE", "x", ""), 2):
        other = prack(peer, ringing, cseq=cseq, rack=rack) if rack else None
        assert other is None or peer.statuses(other) == [481]


def test_a_caller_who_sends_no_prack_is_refused() -> None:
    peer = StackPeer()
    leg = asked_for_reliability(peer)
    peer.stack.ring(leg, now=peer.now)
    peer.sent()
    peer.wait(33)
    assert 504 in [message.status for message in peer.sent() if isinstance(message, Response)]
    assert peer.events[-1] == LegEnded(leg, "local", 504, "No PRACK")


def test_the_answer_waits_for_the_prack() -> None:
    peer = StackPeer()
    leg = asked_for_reliability(peer)
    peer.stack.ring(leg, now=peer.now, status=183, sdp=b"v=0 early")
    (early,) = peer.sent()
    assert isinstance(early, Response)
    peer.stack.accept(leg, b"v=0 answer", now=peer.now)
    assert peer.sent() == []
    assert sorted(peer.statuses(prack(peer, early))) == [200, 200]


def test_a_second_ringing_waits_for_the_first_and_has_the_next_number() -> None:
    peer = StackPeer()
    leg = asked_for_reliability(peer)
    peer.stack.ring(leg, now=peer.now)
    peer.stack.ring(leg, now=peer.now, status=183)
    (first,) = peer.sent()
    assert isinstance(first, Response)
    later = peer.send(prack(peer, first))
    (second,) = [m for m in later if isinstance(m, Response) and m.status == 183]
    assert int(second.header("RSeq") or 0) == int(first.header("RSeq") or 0) + 1


def test_a_call_that_ends_while_a_prack_is_awaited_leaves_nothing() -> None:
    peer = StackPeer()
    leg = asked_for_reliability(peer)
    peer.stack.ring(leg, now=peer.now)
    peer.stack.hangup(leg, now=peer.now)
    settle(peer)


# Theirs.


def test_a_reliable_ringing_of_the_phone_is_acknowledged_once_and_in_order() -> None:
    peer = StackPeer()
    invite = called(peer)
    (first,) = peer.send(peer.answer(invite, 180, headers=rseq(7)))
    assert isinstance(first, Request)
    assert (first.method, first.header("RAck"), first.cseq.number) == ("PRACK", "7 1 INVITE", 2)
    assert (first.uri_text, first.to_tag) == ("sip:phone@192.0.2.1:5070", "phone")
    peer.send(peer.answer(first, 200))
    assert peer.send(peer.answer(invite, 180, headers=rseq(7))) == []
    assert peer.send(peer.answer(invite, 180, headers=rseq(9))) == []
    (second,) = peer.send(peer.answer(invite, 183, headers=rseq(8), body=b"v=0 early"))
    assert isinstance(second, Request)
    assert (second.header("RAck"), second.cseq.number) == ("8 1 INVITE", 3)
    assert peer.events == [LegProgressed("out", 180, None), LegProgressed("out", 183, b"v=0 early")]


def test_an_answer_given_early_holds_where_the_200_has_none() -> None:
    peer = StackPeer()
    invite = called(peer)
    peer.send(peer.answer(invite, 183, headers=rseq(1), body=b"v=0 early"))
    peer.send(peer.answer(invite, 200))
    assert peer.events[-1] == LegAnswered("out", b"v=0 early")
    peer.stack.hangup("out", now=peer.now)
    bye = peer.sent()[-1]
    assert isinstance(bye, Request)
    assert (bye.method, bye.cseq.number) == ("BYE", 3)


def test_each_phone_behind_a_proxy_is_acknowledged_in_its_own_dialog() -> None:
    peer = StackPeer()
    invite = called(peer)
    pracks = [peer.send(peer.answer(invite, 180, to_tag=tag, headers=rseq(1)))[0] for tag in ("one", "two")]
    assert [message.to_tag for message in pracks] == ["one", "two"]
    assert [message.cseq.number for message in pracks] == [2, 2]


def test_more_phones_than_are_allowed_are_not_heard() -> None:
    peer = StackPeer()
    invite = called(peer)
    sent = [peer.send(peer.answer(invite, 180, to_tag=f"t{n}", headers=rseq(1))) for n in range(40)]
    assert sum(map(bool, sent)) == peer.stack.wire.config.max_forks


# UPDATE.


def test_an_update_with_an_offer_is_answered_like_a_re_invite_but_without_ack() -> None:
    peer = StackPeer()
    leg, tag = confirmed(peer)
    update = peer.request("UPDATE", branch="z9hG4bK2", cseq=2, to_tag=tag, body=OFFER)
    assert peer.send(update) == []
    assert peer.events[-1] == LegReoffered(leg, OFFER)
    peer.stack.accept_reoffer(leg, b"v=0 new", now=peer.now)
    (ok,) = peer.sent()
    assert isinstance(ok, Response)
    assert (ok.status, ok.body) == (200, b"v=0 new")
    peer.wait(60)
    assert peer.sent() == []


def test_an_update_with_an_offer_before_the_answer_is_491() -> None:
    peer = StackPeer()
    leg = peer.invited()
    peer.stack.ring(leg, now=peer.now)
    (ringing,) = (m for m in peer.sent() if isinstance(m, Response) and m.status == 180)
    update = peer.request("UPDATE", branch="z9hG4bK2", cseq=2, to_tag=ringing.to_tag, body=OFFER)
    assert peer.statuses(update) == [491]


# Bodies.

PARTS = (
    b"--b1\r\nContent-Type: application/isup;version=itu-t92+\r\n\r\n\x01\x02\r\n"
    b"--b1\r\nContent-Type: application/sdp\r\n\r\nv=0 within\r\n--b1--\r\n"
)


def test_sdp_is_found_beside_other_parts() -> None:
    peer = StackPeer()
    headers = [("Content-Type", 'multipart/mixed;boundary="b1"')]
    peer.send(peer.request("INVITE", body=PARTS, headers=headers))
    event = peer.events[-1]
    assert isinstance(event, InviteReceived)
    assert event.offer == b"v=0 within"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/mixed", PARTS),
        ("multipart/mixed;boundary=other", PARTS),
        ("multipart/mixed;boundary=b1", b"--b1\r\n" * 200),
        ("multipart/mixed;boundary=b1", b"--b1\r\nContent-Type: multipart/mixed;boundary=b1\r\n\r\n" * 50),
    ],
)
def test_parts_that_cannot_be_read_are_an_invite_without_offer(kind: str, body: bytes) -> None:
    peer = StackPeer()
    peer.send(peer.request("INVITE", body=body, headers=[("Content-Type", kind)]))
    event = peer.events[-1]
    assert isinstance(event, InviteReceived)
    assert event.offer is None


def test_sdp_is_found_in_parts_of_a_part_and_behind_folded_headers() -> None:
    inner = b"--in\nContent-Type: application/sdp\nContent-Transfer-Encoding: 8bit\n\nv=0 deep\n--in--"
    body = b"preamble\r\n--b1\r\nContent-Type: multipart/alternative;\r\n boundary=in\r\n\r\n" + inner
    peer = StackPeer()
    headers = [("Content-Type", "multipart/mixed;boundary=b1")]
    peer.send(peer.request("INVITE", body=body + b"\r\n--b1--", headers=headers))
    event = peer.events[-1]
    assert isinstance(event, InviteReceived)
    assert event.offer == b"v=0 deep"


def _nested(level: int) -> bytes:
    return b"--%x\nContent-Type:multipart/mixed;boundary=%x\n\n" % (level, level + 1)


@pytest.mark.parametrize(
    "body",
    [
        b"".join(map(_nested, range(1200))),
        b"".join(map(_nested, range(40))) + b"\n" * 58_000,
        b"--0\n" * 16_000,
        b"--0\nContent-Type: text/plain\n\nx\n" * 1800,
        b"--0" + b" " * 60_000,
    ],
    ids=["nested", "nested-lines", "delimiters", "parts", "padding"],
)
def test_a_body_of_many_parts_costs_nothing(body: bytes) -> None:
    peer = StackPeer()
    headers = [("Content-Type", "multipart/mixed;boundary=0")]
    data = peer.request("INVITE", body=body, headers=headers)
    began = time.process_time()
    peer.send(data)
    assert time.process_time() - began < 0.25
    event = peer.events[-1]
    assert isinstance(event, InviteReceived)
    assert event.offer is None


def test_a_body_that_may_be_ignored_is() -> None:
    peer = StackPeer()
    headers = [("Content-Type", "text/html"), ("Content-Disposition", "render; handling=optional")]
    peer.send(peer.request("INVITE", body=b"<b>", headers=headers))
    event = peer.events[-1]
    assert isinstance(event, InviteReceived)
    assert event.offer is None


@pytest.mark.parametrize(("accept", "status"), [("text/plain", 406), ("application/sdp", 100), ("*/*", 100)])
def test_a_caller_who_takes_no_sdp_is_406(accept: str, status: int) -> None:
    peer = StackPeer()
    headers = [("Accept", accept)]
    assert peer.statuses(peer.request("INVITE", body=OFFER, headers=headers)) == [status]
