"""One stack and a peer that writes its own SIP: what is answered, and what is taken in."""

from __future__ import annotations

import pytest

from acd.sip.core.events import (
    Flow,
    InviteReceived,
    LegAnswered,
    LegConfirmed,
    LegEnded,
    LegInfoReceived,
    LegProgressed,
    LegReofferAnswered,
    LegReoffered,
    LegReofferRefused,
    RequestReceived,
)
from acd.sip.core.framing import StreamFramer
from acd.sip.core.message import ParseError, Request, Response
from acd.sip.core.stack import StackConfig
from acd.sip.core.uri import NameAddr, Uri
from tests.support.stack_calls import called, confirmed, settle
from tests.support.stack_peer import OFFER, TCP, UDP, StackPeer, moved

# Responses and the way back.


def test_an_invite_gets_100_at_once() -> None:
    peer = StackPeer()
    (trying,) = peer.send(peer.request("INVITE", body=OFFER))
    assert isinstance(trying, Response)
    assert (trying.status, trying.reason) == (100, "Trying")
    (event,) = peer.events
    assert isinstance(event, InviteReceived)
    assert event.offer == OFFER


def test_a_response_goes_to_the_source_and_says_where_that_is() -> None:
    peer = StackPeer()
    flow = moved(UDP, 6666)
    peer.stack.receive(peer.request("INVITE", body=OFFER), flow, peer.now)
    ((to, data),) = peer.stack.take_outgoing()
    assert to == flow
    assert b"Via: SIP/2.0/UDP 10.0.0.9:5099;branch=z9hG4bKone;received=192.0.2.1;rport=6666\r\n" in data


def test_every_via_and_record_route_comes_back_in_order() -> None:
    peer = StackPeer()
    extra = [
        ("Via", "SIP/2.0/UDP 10.0.0.8;branch=z9hG4bKtwo, SIP/2.0/TCP 10.0.0.7;branch=z9hG4bKthree"),
        ("Record-Route", "<sip:p2;lr>, <sip:p1;lr>"),
    ]
    peer.send(peer.request("INVITE", body=OFFER, headers=extra))
    event = peer.events[-1]
    assert isinstance(event, InviteReceived)
    peer.stack.accept(event.leg, b"v=0", now=peer.now)
    (ok,) = peer.sent()
    assert ok.raw("Via")[1:] == [extra[0][1]]
    assert ok.values("Record-Route") == ["<sip:p2;lr>", "<sip:p1;lr>"]
    peer.send(peer.request("ACK", branch="z9hG4bKack", to_tag=ok.to_tag))
    peer.stack.hangup(event.leg, now=peer.now)
    (bye,) = peer.sent()
    assert bye.raw("Route") == ["<sip:p2;lr>", "<sip:p1;lr>"]


def test_a_strict_router_gets_the_request_uri() -> None:
    peer = StackPeer()
    peer.send(peer.request("INVITE", body=OFFER, headers=[("Record-Route", "<sip:strict>, <sip:loose;lr>")]))
    event = peer.events[-1]
    assert isinstance(event, InviteReceived)
    peer.stack.accept(event.leg, b"v=0", now=peer.now)
    (ok,) = peer.sent()
    peer.send(peer.request("ACK", branch="z9hG4bKack", to_tag=ok.to_tag))
    peer.stack.hangup(event.leg, now=peer.now)
    (bye,) = peer.sent()
    assert isinstance(bye, Request)
    assert bye.uri_text == "sip:strict"
    assert bye.raw("Route") == ["<sip:loose;lr>", "<sip:caller@192.0.2.1:5070>"]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (StackPeer().request("BYE", to_tag="none"), 481),
        (StackPeer().request("BYE"), 481),
        (StackPeer().request("INVITE", to_tag="none", body=OFFER), 481),
        (StackPeer().request("OPTIONS", to_tag="none"), 481),
        (StackPeer().request("CANCEL"), 481),
        (StackPeer().request("UPDATE"), 481),
        (StackPeer().request("DANCE"), 501),
        (StackPeer().request("INVITE", body=OFFER, headers=[("Require", "100rel, Magic")]), 420),
        (StackPeer().request("INVITE", body=b"x", headers=[("Content-Type", "text/plain")]), 415),
        (StackPeer().request("INVITE", body=OFFER, headers=[("Content-Encoding", "gzip")]), 415),
        (StackPeer().request("INVITE", uri="weird:100", body=OFFER), 416),
        (StackPeer().request("INVITE", version="3.0"), 505),
        (StackPeer().request("OPTIONS", cseq_method="INVITE"), 400),
        (StackPeer().request("OPTIONS", cseq=2**31), 400),
        (StackPeer().request("OPTIONS", uri="sip:@"), 400),
        (StackPeer().request("INVITE", body=OFFER, headers=[("Contact", "<sip:two@b>")]), 400),
        (StackPeer().request("INVITE", body=OFFER, headers=[("Record-Route", "<sip:a>, b <")]), 400),
        (StackPeer().request("INVITE").replace(b"Max-Forwards: 70", b"Max-Forwards: 0"), 483),
        (StackPeer().request("INVITE").replace(b"Max-Forwards: 70", b"Max-Forwards: 256"), 400),
        (StackPeer().request("OPTIONS").replace(b"Call-ID: call-1\r\n", b""), 400),
        (StackPeer().request("OPTIONS").replace(b"From: ", b"From: x, "), 400),
    ],
)
def test_what_cannot_be_served_is_answered_by_the_book(data: bytes, status: int) -> None:
    peer = StackPeer()
    assert peer.statuses(data) == [status]
    assert not peer.events
    settle(peer)


def test_unsupported_extensions_are_named() -> None:
    peer = StackPeer()
    (answer,) = peer.send(peer.request("INVITE", body=OFFER, headers=[("Require", "gruu, 100rel, magic")]))
    assert answer.header("Unsupported") == "gruu, magic"


def test_an_unknown_method_is_told_what_is_allowed() -> None:
    peer = StackPeer()
    (answer,) = peer.send(peer.request("DANCE"))
    assert "INVITE" in answer.values("Allow")


def test_the_same_bad_request_gets_the_same_answer_again() -> None:
    peer = StackPeer()
    data = peer.request("OPTIONS", cseq_method="INVITE")
    assert [m.to_bytes() for m in peer.send(data)] == [m.to_bytes() for m in peer.send(data)]


@pytest.mark.parametrize(
    "change",
    [
        (b"Max-Forwards: 70", b"X-Evil : 1"),
        (b"Max-Forwards: 70", b"X-E\x01vil: 1"),
        (b"Max-Forwards: 70", b"X: 1\nVia: SIP/2.0/UDP evil"),
        (b"Max-Forwards: 70", b"X: 1\rVia: SIP/2.0/UDP evil"),
        (b"Max-Forwards: 70", b"no colon"),
        (b"Content-Length: 0", b"Content-Length: 0\r\nl: 5"),
        (b"Content-Length: 0", b"Content-Length: -1"),
        (b"Content-Length: 0", b"Content-Length: 1"),
        (b"Content-Length: 0", "Content-Length: ٣".encode()),
    ],
)
def test_smuggled_and_broken_framing_is_dropped_and_counted(change: tuple[bytes, bytes]) -> None:
    peer = StackPeer()
    assert peer.send(peer.request("OPTIONS").replace(*change)) == []
    assert sum(peer.stack.counters.parse_errors.values()) == 1
    assert not peer.events


@pytest.mark.parametrize("number", [2**31, 2**32, 10**10])
def test_a_number_out_of_range_is_refused(number: int) -> None:
    peer = StackPeer()
    request = peer.request("OPTIONS")
    (line,) = [line for line in request.split(b"\r\n") if line.startswith(b"CSeq")]
    (answer,) = peer.send(request.replace(line, b"CSeq: %d OPTIONS" % number))
    assert answer.status == 400
    assert not peer.events


def test_a_header_without_end_on_a_stream_is_not_kept() -> None:
    framer = StreamFramer(max_message_bytes=1000)
    assert framer.feed(b"OPTIONS sip:acd.test SIP/2.0\r\n") == []
    with pytest.raises(ParseError, match="too-large"):
        framer.feed(b"X: y\r\n" * 200)


def test_too_much_is_dropped_unread() -> None:
    peer = StackPeer()
    assert peer.send(peer.request("OPTIONS", headers=[("X", "y" * 70_000)])) == []
    assert peer.send(peer.request("OPTIONS", headers=[("X", "y")] * 200)) == []
    assert peer.stack.counters.parse_errors == {"too-large": 1, "framing": 1}


@pytest.mark.parametrize("method", ["REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE", "PUBLISH", "REFER"])
def test_a_request_outside_dialogs_is_for_the_owner_to_answer(method: str) -> None:
    peer = StackPeer()
    assert peer.send(peer.request(method)) == []
    (event,) = peer.events
    assert isinstance(event, RequestReceived)
    peer.stack.respond(event.transaction, 200, now=peer.now, headers=[("X-Note", "yes")], body=b"hello")
    (answer,) = peer.sent()
    assert (answer.body, answer.header("X-Note")) == (b"hello", "yes")
    again = peer.send(peer.request(method))
    assert [m.to_bytes() for m in again] == [answer.to_bytes()]
    assert len(peer.events) == 1
    settle(peer)


def test_a_request_that_its_owner_never_answers_is_forgotten() -> None:
    peer = StackPeer()
    peer.send(peer.request("OPTIONS"))
    peer.wait(31)
    assert peer.stack.live == (0, 0, 1)
    peer.wait(2)
    assert peer.stack.live == (0, 0, 0)


def test_a_merged_request_is_482_but_a_register_is_not() -> None:
    peer = StackPeer()
    peer.invited()
    assert peer.statuses(peer.request("INVITE", branch="z9hG4bKother", body=OFFER)) == [482]
    assert peer.statuses(peer.request("REGISTER", call_id="r")) == []
    assert peer.statuses(peer.request("REGISTER", call_id="r", branch="z9hG4bKother")) == []
    assert [type(event) for event in peer.events] == [InviteReceived, RequestReceived, RequestReceived]


def test_the_same_branch_with_a_new_cseq_is_a_new_transaction() -> None:
    peer = StackPeer()
    leg = peer.invited()
    peer.stack.refuse(leg, 401, now=peer.now, headers=[("WWW-Authenticate", 'Digest realm="x"')])
    (challenge,) = peer.sent()
    assert challenge.header("WWW-Authenticate")
    peer.send(peer.request("ACK", to_tag=challenge.to_tag))
    assert peer.statuses(peer.request("INVITE", cseq=2, body=OFFER)) == [100]
    second = peer.events[-1]
    assert isinstance(second, InviteReceived)
    assert second.leg != leg


def test_a_caller_of_rfc_2543_is_served() -> None:
    peer = StackPeer()
    leg = peer.invited(branch="old", from_tag="")
    peer.stack.refuse(leg, 486, now=peer.now)
    (busy,) = peer.sent()
    peer.wait(0.6)
    assert [m.to_bytes() for m in peer.sent()] == [busy.to_bytes()]
    peer.send(peer.request("ACK", branch="old", from_tag="", to_tag=busy.to_tag))
    peer.wait(5)
    assert peer.sent() == []
    settle(peer)


def test_a_failure_is_repeated_until_its_ack() -> None:
    peer = StackPeer()
    leg = peer.invited()
    peer.stack.refuse(leg, 486, now=peer.now)
    (busy,) = peer.sent()
    peer.wait(1.6)
    assert len(peer.sent()) == 2
    peer.send(peer.request("ACK", to_tag=busy.to_tag))
    peer.wait(40)
    assert peer.sent() == []
    settle(peer)


def test_a_2xx_is_repeated_until_its_ack_over_tcp_as_well() -> None:
    peer = StackPeer(TCP)
    leg = peer.invited()
    peer.stack.accept(leg, b"v=0", now=peer.now)
    (ok,) = peer.sent()
    peer.wait(1.6)
    assert [m.to_bytes() for m in peer.sent()] == [ok.to_bytes()] * 2
    assert ok.header("Contact") == "<sip:100@192.0.2.2:5060;transport=tcp>"


# Limits.


def test_over_the_limit_of_legs_a_call_is_503_with_retry_after() -> None:
    peer = StackPeer(config=StackConfig(max_legs=1))
    peer.invited()
    (answer,) = peer.send(peer.request("INVITE", branch="z9hG4bK2", call_id="call-2", body=OFFER))
    assert isinstance(answer, Response)
    assert (answer.status, answer.header("Retry-After")) == (503, "5")
    peer.stack.invite(
        "out",
        uri=Uri(host="a"),
        flow=UDP,
        from_=NameAddr(Uri(host="a")),
        to=NameAddr(Uri(host="a")),
        contact_user="",
        sdp=b"",
        now=peer.now,
    )
    assert peer.sent() == []
    assert peer.events[-1] == LegEnded("out", "local", 503)


def test_over_the_limit_of_transactions_a_live_call_can_still_end() -> None:
    peer = StackPeer(config=StackConfig(max_transactions=2))
    leg, tag = confirmed(peer)
    assert peer.statuses(peer.request("OPTIONS", branch="z9hG4bKo", call_id="o")) == []
    assert peer.statuses(peer.request("OPTIONS", branch="z9hG4bKp", call_id="p")) == [503]
    assert peer.statuses(peer.request("BYE", branch="z9hG4bKbye", cseq=2, to_tag=tag)) == [200]
    assert peer.events[-1] == LegEnded(leg, "remote", 0)


def test_a_leg_name_in_use_cannot_be_taken_twice() -> None:
    peer = StackPeer()
    called(peer)
    with pytest.raises(ValueError, match="in use"):
        called(peer)


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


# Header injection.


def test_line_breaks_in_arguments_make_no_headers() -> None:
    peer = StackPeer()
    leg = peer.invited()
    evil = "x\r\nX-Injected: 1\r\n\r\nbody"
    peer.stack.refuse(leg, 486, now=peer.now, reason=evil, headers=[("X-A", evil), ("X-B\r\nX-C", "1")])
    (answer,) = peer.sent()
    assert answer.raw("X-Injected") == []
    assert answer.raw("X-C") == []
    assert answer.body == b""
    peer.stack.invite(
        "out",
        uri=Uri(host="192.0.2.1", user=evil),
        flow=UDP,
        from_=NameAddr(Uri(host="a"), evil),
        to=NameAddr(Uri(host="b")),
        contact_user=evil,
        sdp=b"",
        now=peer.now,
        headers=[("X-Queue", evil)],
    )
    (invite,) = [m for m in peer.sent() if isinstance(m, Request)]
    assert invite.raw("X-Injected") == []


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


# Counting.


def test_messages_are_counted_by_method_and_status() -> None:
    peer = StackPeer()
    leg = peer.invited()
    peer.stack.refuse(leg, 486, now=peer.now)
    peer.send(peer.request("DANCE-1"))
    peer.send(peer.request("DANCE-2", branch="z9hG4bK2", call_id="2"))
    invite = called(peer)
    peer.send(peer.answer(invite, 404))
    counters = peer.stack.counters
    assert counters.requests_received == {"INVITE": 1, "OTHER": 2}
    assert counters.responses_sent == {("INVITE", 100): 1, ("INVITE", 486): 1, ("OTHER", 501): 2}
    assert counters.responses_received == {("INVITE", 404): 1}
