"""Session timers (RFC 4028) as both sides."""

from __future__ import annotations

import pytest

from acd.sip.core.events import LegConfirmed, LegEnded, LegReofferAnswered
from acd.sip.core.message import Request, Response
from acd.sip.core.stack import StackConfig
from tests.support.stack_calls import called, confirmed, settle
from tests.support.stack_peer import OFFER, StackPeer

Headers = list[tuple[str, str]]
KNOWS: Headers = [("Supported", "timer"), ("Allow", "INVITE, ACK, BYE, UPDATE")]


def answered(peer: StackPeer, headers: Headers) -> Response:
    """An INVITE with these headers, answered and acknowledged; our 200."""
    peer.send(peer.request("INVITE", body=OFFER, headers=headers))
    (leg,) = (event.leg for event in peer.events if hasattr(event, "leg"))
    peer.stack.accept(leg, b"v=0 answer", now=peer.now)
    (ok,) = (m for m in peer.sent() if isinstance(m, Response) and m.status == 200)
    peer.send(peer.request("ACK", branch="z9hG4bKack", to_tag=ok.to_tag))
    assert peer.events[-1] == LegConfirmed(leg, None)
    return ok


def taken(peer: StackPeer, headers: Headers) -> None:
    """An INVITE of ours, answered with these headers."""
    peer.send(peer.answer(called(peer), 200, body=b"v=0", headers=headers))
    peer.sent()


def methods(peer: StackPeer) -> list[str]:
    return [message.method for message in peer.sent() if isinstance(message, Request)]


@pytest.mark.parametrize(
    ("asked", "settled", "required"),
    [
        ("600;refresher=uac", "600;refresher=uac", "timer"),
        ("600;refresher=uas", "600;refresher=uas", None),
        ("600", "600;refresher=uas", None),
        ("7200", "1800;refresher=uas", None),
        ("90;refresher=uac", "90;refresher=uac", "timer"),
    ],
)
def test_the_caller_says_who_refreshes_and_we_how_often_at_least(
    asked: str, settled: str, required: str | None
) -> None:
    ok = answered(StackPeer(), [*KNOWS, ("Session-Expires", asked)])
    assert (ok.header("Session-Expires"), ok.header("Require")) == (settled, required)


def test_a_caller_who_knows_of_timers_gets_one_without_asking() -> None:
    assert answered(StackPeer(), KNOWS).header("Session-Expires") == "1800;refresher=uas"


def test_a_caller_who_knows_of_none_gets_none() -> None:
    peer = StackPeer()
    assert answered(peer, []).header("Session-Expires") is None
    peer.wait(7200)
    assert peer.sent() == []


def test_an_interval_that_is_too_small_is_422_with_what_is_not() -> None:
    peer = StackPeer()
    headers = [*KNOWS, ("Session-Expires", "60")]
    (refused,) = peer.send(peer.request("INVITE", body=OFFER, headers=headers))
    assert isinstance(refused, Response)
    assert (refused.status, refused.header("Min-SE")) == (422, "90")


@pytest.mark.parametrize("value", ["", "soon", "-1", "99999999999", "90 0"])
def test_an_interval_that_is_no_number_is_400(value: str) -> None:
    peer = StackPeer()
    headers = [*KNOWS, ("Session-Expires", value)]
    assert peer.statuses(peer.request("INVITE", body=OFFER, headers=headers)) == [400]


def test_we_refresh_by_update_at_half_time_and_the_answer_starts_it_anew() -> None:
    peer = StackPeer()
    answered(peer, [*KNOWS, ("Session-Expires", "600;refresher=uas")])
    for _ in range(3):
        peer.wait(299.9)
        assert peer.sent() == []
        peer.wait(0.2)
        (update,) = peer.sent()
        assert isinstance(update, Request)
        assert (update.method, update.body) == ("UPDATE", b"")
        assert update.header("Session-Expires") == "600;refresher=uac"
        peer.send(peer.answer(update, 200, headers=[("Session-Expires", "600;refresher=uac")]))


def test_we_refresh_sooner_where_that_is_wanted_and_expect_no_more_of_the_peer() -> None:
    config = StackConfig(session_refresh_seconds=20)
    peer = StackPeer(config=config)
    answered(peer, [*KNOWS, ("Session-Expires", "600;refresher=uas")])
    for _ in range(3):
        peer.wait(19.9)
        assert peer.sent() == []
        peer.wait(0.2)
        (update,) = peer.sent()
        assert isinstance(update, Request)
        assert update.header("Session-Expires") == "600;refresher=uac"
        peer.send(peer.answer(update, 200, headers=[("Session-Expires", "600;refresher=uac")]))
    theirs = StackPeer(config=config)
    answered(theirs, [*KNOWS, ("Session-Expires", "600;refresher=uac")])
    theirs.wait(500)
    assert theirs.sent() == []


def test_a_peer_without_update_is_refreshed_by_the_same_offer_again() -> None:
    peer = StackPeer()
    taken(peer, [("Session-Expires", "600;refresher=uac"), ("Allow", "INVITE, ACK, BYE")])
    peer.wait(301)
    again = peer.sent()[0]
    assert isinstance(again, Request)
    assert (again.method, again.body) == ("INVITE", b"v=0 ours")
    peer.send(peer.answer(again, 200, body=b"v=0", headers=[("Session-Expires", "600;refresher=uac")]))
    assert peer.events[-1] == LegReofferAnswered("out", b"v=0")


def test_a_peer_that_refuses_update_is_asked_by_re_invite() -> None:
    peer = StackPeer()
    answered(peer, [*KNOWS, ("Session-Expires", "600;refresher=uas")])
    peer.wait(301)
    update = peer.sent()[0]
    assert isinstance(update, Request)
    (invite,) = peer.send(peer.answer(update, 501))
    assert isinstance(invite, Request)
    assert (invite.method, invite.body) == ("INVITE", b"v=0 answer")


def test_a_refresh_that_finds_no_dialog_ends_the_leg() -> None:
    peer = StackPeer()
    answered(peer, [*KNOWS, ("Session-Expires", "600;refresher=uas")])
    peer.wait(301)
    update = peer.sent()[0]
    assert isinstance(update, Request)
    peer.send(peer.answer(update, 481))
    assert isinstance(peer.events[-1], LegEnded)


def test_a_peer_that_does_not_refresh_gets_a_bye_before_the_end() -> None:
    peer = StackPeer()
    taken(peer, [("Session-Expires", "600;refresher=uas")])
    peer.wait(567)
    assert peer.sent() == []
    peer.wait(2)
    assert methods(peer)[:1] == ["BYE"]
    assert peer.events[-1] == LegEnded("out", "timeout", 0, "Session expired")
    settle(peer)


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_a_peer_that_refreshes_keeps_its_call(method: str) -> None:
    peer = StackPeer()
    headers = [*KNOWS, ("Session-Expires", "600;refresher=uac")]
    tag = answered(peer, headers).to_tag
    leg = next(event.leg for event in peer.events if isinstance(event, LegConfirmed))
    for number in (2, 3):
        peer.wait(500)
        body = OFFER if method == "INVITE" else b""
        ask = peer.request(
            method, branch=f"z9hG4bK{number}", cseq=number, to_tag=tag, headers=headers, body=body
        )
        sent = peer.send(ask)
        if method == "INVITE":
            peer.stack.accept_reoffer(leg, b"v=0", now=peer.now)
            sent = peer.sent()
            peer.send(peer.request("ACK", branch=f"z9hG4bKa{number}", cseq=number, to_tag=tag))
        assert [m.header("Session-Expires") for m in sent][-1] == "600;refresher=uac"
    assert not [event for event in peer.events if isinstance(event, LegEnded)]


def test_our_invite_refused_as_too_small_is_sent_again_with_more() -> None:
    peer = StackPeer()
    invite = called(peer)
    assert invite.header("Session-Expires") == "1800"
    _, again = peer.send(peer.answer(invite, 422, headers=[("Min-SE", "3600")]))
    assert isinstance(again, Request)
    assert (again.header("Session-Expires"), again.header("Min-SE")) == ("3600", "3600")
    assert (again.cseq.number, again.call_id, again.body) == (2, invite.call_id, invite.body)
    (ack, *_) = peer.send(peer.answer(again, 200, to_tag="phone2", body=b"v=0"))
    assert isinstance(ack, Request)
    assert (ack.method, ack.cseq.number) == ("ACK", 2)


def test_a_phone_that_is_never_content_with_the_interval_ends_the_call() -> None:
    peer = StackPeer()
    peer.send(peer.answer(called(peer), 422))
    assert isinstance(peer.events[-1], LegEnded)


def test_a_call_that_ended_is_not_refreshed() -> None:
    peer = StackPeer()
    leg, _ = confirmed(peer)
    peer.stack.hangup(leg, now=peer.now)
    settle(peer)
