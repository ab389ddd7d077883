"""One stack and a peer that writes its own SIP: what is answered, and what is taken in."""

from __future__ import annotations

import pytest

from acd.sip.core.events import (
    InviteReceived,
    LegEnded,
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
