"""One stack that calls a peer which writes its own SIP: answers, refusals, CANCEL, broken connections."""

from __future__ import annotations

from acd.sip.core.events import (
    Flow,
    LegAnswered,
    LegEnded,
    LegProgressed,
)
from acd.sip.core.message import Request
from tests.support.stack_calls import called, confirmed, settle
from tests.support.stack_peer import TCP, StackPeer

# Calls of ours.


def test_our_invite_tells_of_ringing_and_answer() -> None:
    peer = StackPeer()
    invite = called(peer)
    assert invite.uri_text == "sip:phone@192.0.2.1"
    assert invite.header("Contact") == "<sip:acd@192.0.2.2:5060>"
    peer.send(peer.answer(invite, 100, to_tag=""))
    peer.send(peer.answer(invite, 183, body=b"v=0 early"))
    (ack,) = peer.send(peer.answer(invite, 200, body=b"v=0 answer"))
    assert isinstance(ack, Request)
    assert (ack.method, ack.uri_text, ack.to_tag) == ("ACK", "sip:phone@192.0.2.1:5070", "phone")
    assert peer.events == [LegProgressed("out", 183, b"v=0 early"), LegAnswered("out", b"v=0 answer")]
    again = peer.send(peer.answer(invite, 200, body=b"v=0 answer"))
    assert [m.to_bytes() for m in again] == [ack.to_bytes()]


def test_a_failure_of_our_invite_is_acknowledged_each_time_and_told_once() -> None:
    peer = StackPeer()
    invite = called(peer)
    for _ in range(2):
        (ack,) = peer.send(peer.answer(invite, 486, headers=[("Reason", "Q.850;cause=17")]))
        assert isinstance(ack, Request)
        assert ack.method == "ACK"
        assert ack.via.branch == invite.via.branch
    assert peer.events == [LegEnded("out", "remote", 486, "Q.850;cause=17")]
    settle(peer)


def test_a_cancel_waits_for_the_first_word_and_is_sent_once() -> None:
    peer = StackPeer()
    invite = called(peer)
    peer.stack.hangup("out", now=peer.now, reason="answered elsewhere")
    assert peer.sent() == []
    (cancel,) = peer.send(peer.answer(invite, 100, to_tag=""))
    assert isinstance(cancel, Request)
    assert (cancel.method, cancel.via.branch, cancel.cseq.number) == ("CANCEL", invite.via.branch, 1)
    assert cancel.header("Reason") == 'SIP;cause=200;text="answered elsewhere"'
    assert peer.send(peer.answer(invite, 180)) == []
    peer.send(peer.answer(cancel, 200))
    peer.send(peer.answer(invite, 487))
    ended = peer.events[-1]
    assert isinstance(ended, LegEnded)
    assert (ended.by, ended.status) == ("local", 487)
    settle(peer)


def test_a_cancel_without_a_487_ends_after_64_t1() -> None:
    peer = StackPeer()
    invite = called(peer)
    peer.send(peer.answer(invite, 180))
    peer.stack.hangup("out", now=peer.now)
    (cancel,) = peer.sent()
    assert isinstance(cancel, Request)
    peer.send(peer.answer(cancel, 200))
    peer.wait(31.9)
    assert not [event for event in peer.events if isinstance(event, LegEnded)]
    peer.wait(0.2)
    peer.sent()
    assert peer.events[-1] == LegEnded("out", "local", 408)
    settle(peer)


def test_a_200_that_crosses_our_cancel_is_acknowledged_and_hung_up() -> None:
    peer = StackPeer()
    invite = called(peer)
    peer.send(peer.answer(invite, 180))
    peer.stack.hangup("out", now=peer.now)
    peer.sent()
    ack, bye = peer.send(peer.answer(invite, 200, body=b"v=0"))
    assert isinstance(ack, Request)
    assert isinstance(bye, Request)
    assert (ack.method, bye.method) == ("ACK", "BYE")
    assert peer.events[-1] == LegEnded("out", "local", 0)
    settle(peer)


def test_a_second_phone_that_answers_is_hung_up() -> None:
    peer = StackPeer()
    invite = called(peer)
    peer.send(peer.answer(invite, 200, body=b"v=0"))
    contact = [("Contact", "<sip:other@192.0.2.9>")]
    ack, bye = peer.send(peer.answer(invite, 200, to_tag="other", headers=contact))
    assert isinstance(ack, Request)
    assert isinstance(bye, Request)
    assert (ack.uri_text, ack.to_tag) == ("sip:other@192.0.2.9", "other")
    assert (bye.method, bye.uri_text, bye.to_tag) == ("BYE", "sip:other@192.0.2.9", "other")
    assert len(peer.send(peer.answer(invite, 200, to_tag="other", headers=contact))) == 1
    assert peer.events == [LegAnswered("out", b"v=0")]


def test_an_answer_that_makes_no_sense_is_dropped() -> None:
    peer = StackPeer()
    invite = called(peer)
    assert peer.send(peer.answer(invite, 200, headers=[("Contact", "<<")])) == []
    assert peer.send(peer.answer(invite, 200, headers=[("Record-Route", "nonsense <")])) == []
    assert peer.events == []
    peer.send(peer.answer(invite, 200, body=b"v=0"))
    assert peer.events == [LegAnswered("out", b"v=0")]


def test_a_stranger_cannot_answer_for_the_phone() -> None:
    peer = StackPeer()
    invite = called(peer)
    forged = peer.answer(invite, 200).replace(invite.via.branch.encode(), b"z9hG4bKguess")
    assert peer.send(forged) == []
    assert peer.events == []


# Connections.


def test_a_caller_whose_connection_breaks_before_the_answer_is_gone() -> None:
    peer = StackPeer(TCP)
    leg = peer.invited()
    peer.stack.flow_failed(TCP, peer.now)
    assert peer.sent() == []
    assert peer.events[-1] == LegEnded(leg, "transport", 503)
    settle(peer)


def test_an_answered_call_outlives_its_connection() -> None:
    peer = StackPeer(TCP)
    leg, tag = confirmed(peer)
    peer.stack.flow_failed(TCP, peer.now)
    peer.sent()
    assert not [event for event in peer.events if isinstance(event, LegEnded)]
    again = Flow("tcp", TCP.local, ("192.0.2.1", 40001), 8)
    assert peer.send(peer.request("INFO", branch="z9hG4bK2", cseq=2, to_tag=tag), again)
    peer.stack.hangup(leg, now=peer.now)
    ((flow, _),) = peer.stack.take_outgoing()
    assert flow == again


def test_a_connection_that_cannot_be_opened_fails_the_call() -> None:
    wanted = Flow("tcp", ("192.0.2.2", 5060), ("192.0.2.1", 5070), 0)
    peer = StackPeer(wanted)
    called(peer)
    peer.stack.flow_failed(wanted, peer.now)
    peer.sent()
    assert peer.events == [LegEnded("out", "transport", 503)]
    settle(peer)


def test_a_connection_that_opened_carries_the_rest_of_the_call() -> None:
    wanted = Flow("tcp", ("192.0.2.2", 5060), ("192.0.2.1", 5070), 0)
    opened = Flow("tcp", ("192.0.2.2", 33333), ("192.0.2.1", 5070), 4)
    peer = StackPeer(wanted)
    invite = called(peer)
    peer.stack.flow_opened(wanted, opened)
    peer.stack.receive(peer.answer(invite, 180), opened, peer.now)
    peer.stack.receive(peer.answer(invite, 200, body=b"v=0"), opened, peer.now)
    peer.stack.hangup("out", now=peer.now)
    sent = peer.stack.take_outgoing()
    assert [(flow, data[:3]) for flow, data in sent] == [(opened, b"ACK"), (opened, b"BYE")]
    peer.stack.flow_failed(opened, peer.now)
    settle(peer)
