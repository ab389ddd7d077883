"""One stack and a peer that writes its own SIP, within a dialog: its requests, re-INVITEs and their races."""

from __future__ import annotations

import pytest

from acd.sip.core.events import (
    InviteReceived,
    LegConfirmed,
    LegEnded,
    LegInfoReceived,
    LegReofferAnswered,
    LegReoffered,
    LegReofferRefused,
)
from acd.sip.core.message import Request, Response
from tests.support.stack_calls import confirmed, settle
from tests.support.stack_peer import OFFER, UDP, StackPeer, moved

# Within the dialog.


def test_info_options_and_an_empty_update_are_answered_within_the_dialog() -> None:
    peer = StackPeer()
    leg, tag = confirmed(peer)
    body = b"Signal=5\r\nDuration=160\r\n"
    info = peer.request(
        "INFO",
        branch="z9hG4bK2",
        cseq=2,
        to_tag=tag,
        body=body,
        headers=[("Content-Type", "application/dtmf-relay")],
    )
    assert peer.statuses(info) == [200]
    assert peer.events[-1] == LegInfoReceived(leg, "application/dtmf-relay", body)
    assert peer.statuses(peer.request("OPTIONS", branch="z9hG4bK3", cseq=3, to_tag=tag)) == [200]
    assert peer.statuses(peer.request("UPDATE", branch="z9hG4bK4", cseq=4, to_tag=tag)) == [200]


@pytest.mark.parametrize(("method", "status"), [("PUBLISH", 405), ("NOTIFY", 405), ("DANCE", 501)])
def test_other_methods_within_the_dialog_are_refused(method: str, status: int) -> None:
    peer = StackPeer()
    _, tag = confirmed(peer)
    (answer,) = peer.send(peer.request(method, branch="z9hG4bK2", cseq=2, to_tag=tag))
    assert isinstance(answer, Response)
    assert answer.status == status
    assert "INVITE" in answer.values("Allow")


def test_an_old_cseq_within_the_dialog_is_500() -> None:
    peer = StackPeer()
    leg, tag = confirmed(peer)
    assert peer.statuses(peer.request("INFO", branch="z9hG4bK2", cseq=9, to_tag=tag)) == [200]
    assert peer.statuses(peer.request("BYE", branch="z9hG4bK3", cseq=8, to_tag=tag)) == [500]
    assert LegEnded(leg, "remote", 0) not in peer.events


def test_a_bye_with_a_reason_ends_the_leg_and_says_it() -> None:
    peer = StackPeer()
    leg, tag = confirmed(peer)
    bye = peer.request(
        "BYE", branch="z9hG4bK2", cseq=2, to_tag=tag, headers=[("Reason", 'Q.850;cause=16;text="bye"')]
    )
    assert peer.statuses(bye) == [200]
    assert peer.events[-1] == LegEnded(leg, "remote", 0, 'Q.850;cause=16;text="bye"')
    assert peer.statuses(bye) == [200]
    again = peer.request("INVITE", branch="z9hG4bK3", cseq=3, to_tag=tag, body=OFFER)
    assert peer.statuses(again) == [481]
    settle(peer)


def test_a_bye_that_crosses_ours_is_200() -> None:
    peer = StackPeer()
    leg, tag = confirmed(peer)
    peer.stack.hangup(leg, now=peer.now)
    (bye,) = peer.sent()
    assert isinstance(bye, Request)
    assert peer.statuses(peer.request("BYE", branch="z9hG4bK2", cseq=2, to_tag=tag)) == [200]
    assert peer.statuses(peer.request("INFO", branch="z9hG4bK3", cseq=3, to_tag=tag)) == [481]
    peer.send(peer.answer(bye, 481))
    assert [event for event in peer.events if isinstance(event, LegEnded)] == [LegEnded(leg, "local", 0)]
    settle(peer)


def test_requests_follow_the_peer_to_its_new_contact_and_flow() -> None:
    peer = StackPeer()
    leg, tag = confirmed(peer)
    there = moved(UDP, 9999)
    data = peer.request("INVITE", branch="z9hG4bK2", cseq=2, to_tag=tag, body=OFFER)
    data = data.replace(b"Contact: <sip:caller@192.0.2.1:5070>", b"Contact: <sip:moved@192.0.2.1:9999>")
    peer.send(data, there)
    assert peer.events[-1] == LegReoffered(leg, OFFER)
    peer.stack.accept_reoffer(leg, b"v=0", now=peer.now)
    peer.sent()
    peer.send(peer.request("ACK", branch="z9hG4bK3", cseq=2, to_tag=tag), there)
    peer.stack.hangup(leg, now=peer.now)
    ((flow, bye),) = peer.stack.take_outgoing()
    assert flow == there
    assert bye.startswith(b"BYE sip:moved@192.0.2.1:9999 SIP/2.0\r\n")


# Re-INVITE.


def test_a_second_re_invite_while_one_is_pending_is_500_with_retry_after() -> None:
    peer = StackPeer()
    _, tag = confirmed(peer)
    peer.send(peer.request("INVITE", branch="z9hG4bK2", cseq=2, to_tag=tag, body=OFFER))
    (answer,) = peer.send(peer.request("INVITE", branch="z9hG4bK3", cseq=3, to_tag=tag, body=OFFER))
    assert isinstance(answer, Response)
    assert answer.status == 500
    assert 0 <= int(answer.header("Retry-After") or "x") <= 10


def test_a_re_invite_while_ours_is_pending_is_491() -> None:
    peer = StackPeer()
    leg, tag = confirmed(peer)
    peer.stack.reoffer(leg, b"v=0 hold", now=peer.now)
    peer.sent()
    assert peer.statuses(peer.request("INVITE", branch="z9hG4bK2", cseq=2, to_tag=tag, body=OFFER)) == [491]


def test_a_cancelled_re_invite_leaves_the_call_as_it_was() -> None:
    peer = StackPeer()
    leg, tag = confirmed(peer)
    peer.send(peer.request("INVITE", branch="z9hG4bK2", cseq=2, to_tag=tag, body=OFFER))
    assert peer.statuses(peer.request("CANCEL", branch="z9hG4bK2", cseq=2, to_tag=tag)) == [200, 487]
    peer.stack.accept_reoffer(leg, b"v=0", now=peer.now)
    assert peer.sent() == []
    assert peer.statuses(peer.request("BYE", branch="z9hG4bK3", cseq=3, to_tag=tag)) == [200]


def test_a_late_offer_is_ours_and_its_answer_comes_in_the_ack() -> None:
    peer = StackPeer()
    peer.send(peer.request("INVITE"))
    event = peer.events[-1]
    assert isinstance(event, InviteReceived)
    assert event.offer is None
    peer.stack.accept(event.leg, b"v=0 our offer", now=peer.now)
    (ok,) = peer.sent()
    assert ok.body == b"v=0 our offer"
    peer.send(peer.request("ACK", branch="z9hG4bKa", to_tag=ok.to_tag, body=b"v=0 their answer"))
    assert peer.events[-1:] == [LegConfirmed(event.leg, b"v=0 their answer")]
    peer.send(peer.request("INVITE", branch="z9hG4bK2", cseq=2, to_tag=ok.to_tag))
    assert peer.events[-1:] == [LegReoffered(event.leg, None)]
    peer.stack.accept_reoffer(event.leg, b"v=0 offer again", now=peer.now)
    peer.sent()
    peer.send(peer.request("ACK", branch="z9hG4bKb", cseq=2, to_tag=ok.to_tag, body=b"v=0 answer again"))
    assert peer.events[-1:] == [LegReofferAnswered(event.leg, b"v=0 answer again")]


def test_a_new_re_invite_tells_that_the_answer_to_the_last_one_arrived() -> None:
    peer = StackPeer()
    leg, tag = confirmed(peer)
    for number in (2, 3):
        peer.send(peer.request("INVITE", branch=f"z9hG4bK{number}", cseq=number, to_tag=tag, body=OFFER))
        peer.stack.accept_reoffer(leg, b"v=0", now=peer.now)
        peer.sent()
    peer.send(peer.request("ACK", branch="z9hG4bKa", cseq=3, to_tag=tag))
    peer.wait(60)
    assert peer.sent() == []
    assert not [event for event in peer.events if isinstance(event, LegEnded)]


def test_an_offer_of_ours_waits_for_the_ack_and_for_the_one_before() -> None:
    peer = StackPeer()
    leg = peer.invited()
    peer.stack.accept(leg, b"v=0", now=peer.now)
    (ok,) = peer.sent()
    peer.stack.reoffer(leg, b"v=0 first", now=peer.now)
    assert peer.sent() == []
    (first,) = peer.send(peer.request("ACK", branch="z9hG4bKa", to_tag=ok.to_tag))
    assert isinstance(first, Request)
    assert first.body == b"v=0 first"
    peer.stack.reoffer(leg, b"v=0 second", now=peer.now)
    peer.stack.reoffer(leg, b"v=0 third", now=peer.now)
    assert peer.sent() == []
    ack, third = peer.send(peer.answer(first, 200, body=b"v=0 yes"))
    assert isinstance(ack, Request)
    assert isinstance(third, Request)
    assert (ack.method, third.body) == ("ACK", b"v=0 third")
    assert peer.events[-1] == LegReofferAnswered(leg, b"v=0 yes")


def test_glare_without_end_is_a_refusal() -> None:
    peer = StackPeer()
    leg, _ = confirmed(peer)
    peer.stack.reoffer(leg, b"v=0 hold", now=peer.now)
    tries = 0
    while asked := [m for m in peer.sent() if isinstance(m, Request) and m.method == "INVITE"]:
        tries += 1
        peer.send(peer.answer(asked[0], 491))
        peer.wait(2.1)
    assert tries == 9
    assert peer.events[-1] == LegReofferRefused(leg, 491)


@pytest.mark.parametrize("status", [408, 481])
def test_a_re_invite_that_finds_no_dialog_ends_the_leg(status: int) -> None:
    peer = StackPeer()
    leg, _ = confirmed(peer)
    peer.stack.reoffer(leg, b"v=0 hold", now=peer.now)
    (asked,) = peer.sent()
    assert isinstance(asked, Request)
    peer.send(peer.answer(asked, status))
    ended = peer.events[-1]
    assert isinstance(ended, LegEnded)
    assert (ended.leg, ended.by, ended.status) == (leg, "remote", status)
    settle(peer)


def test_hanging_up_during_re_invites_leaves_nothing_behind() -> None:
    peer = StackPeer()
    leg, tag = confirmed(peer)
    peer.send(peer.request("INVITE", branch="z9hG4bK2", cseq=2, to_tag=tag, body=OFFER))
    peer.stack.hangup(leg, now=peer.now)
    assert [m.status if isinstance(m, Response) else m.method for m in peer.sent()] == [487, "BYE"]
    settle(peer)
    peer = StackPeer()
    leg, _ = confirmed(peer)
    peer.stack.reoffer(leg, b"v=0 hold", now=peer.now)
    (asked,) = peer.sent()
    assert isinstance(asked, Request)
    peer.send(peer.answer(asked, 100))
    peer.stack.hangup(leg, now=peer.now)
    peer.wait(1)
    peer.sent()
    (ack,) = peer.send(peer.answer(asked, 200, body=b"v=0"))
    assert isinstance(ack, Request)
    assert ack.method == "ACK"
    assert peer.events[-1] == LegEnded(leg, "local", 0)
    settle(peer)
