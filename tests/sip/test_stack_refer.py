"""REFER within a leg and Replaces: reading them, answering them, and telling how the transfer goes."""

from __future__ import annotations

import pytest

from acd.sip.core.events import LegReferred
from acd.sip.core.grammar import SipSyntaxError
from acd.sip.core.message import Request, Response, parse
from acd.sip.core.refer import ReferTo, Replaces, refer_to, replaces_of
from tests.support.stack_peer import UDP, StackPeer

TO = "<sip:1002@acd.test>"


def refer_with(*headers: tuple[str, str]) -> Request:
    request = parse(StackPeer().request("REFER", headers=headers))
    assert isinstance(request, Request)
    return request


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        (TO, ReferTo("1002")),
        ("sip:1002@acd.test", ReferTo("1002")),
        ("<tel:+3726000100>", ReferTo("+3726000100")),
        ("<sip:1002@acd.test;method=INVITE>", ReferTo("1002")),
        (
            '"Bob" <sip:1002@acd.test?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2&Require=replaces>',
            ReferTo("1002", Replaces(("a@b", "1", "2"))),
        ),
        (
            "<sip:1002@acd.test?replaces=a%3Bfrom-tag%3D2%3Bto-tag%3D1%3Bearly-only>",
            ReferTo("1002", Replaces(("a", "1", "2"), early_only=True)),
        ),
    ],
)
def test_a_refer_to_is_read_with_its_replaces(written: str, wanted: ReferTo) -> None:
    assert refer_to(refer_with(("Refer-To", written))) == wanted


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("Refer-To", TO), ("Refer-To", TO)),
        (("Refer-To", f"{TO}, {TO}"),),
        (("Refer-To", "<http://acd.test/>"),),
        (("Refer-To", "<sip:1002@acd.test;method=BYE>"),),
        (("Refer-To", "<sip:1002@acd.test?Replaces=a%3Bto-tag%3D1>"),),
        (("Refer-To", "<sip:1@a?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2&Replaces=b>"),),
        (("Refer-To", f"<sip:1@a?Replaces={'x' * 2000}%3Bto-tag%3D1%3Bfrom-tag%3D2>"),),
    ],
)
def test_a_refer_that_cannot_be_followed_is_malformed(headers: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(SipSyntaxError):
        refer_to(refer_with(*headers))


def test_an_invite_has_one_replaces_at_most() -> None:
    assert replaces_of(refer_with()) is None
    assert replaces_of(refer_with(("Replaces", "a;to-tag=1;from-tag=2"))) == Replaces(("a", "1", "2"))
    with pytest.raises(SipSyntaxError):
        replaces_of(refer_with(("Replaces", "a;to-tag=1;from-tag=2"), ("Replaces", "b")))


class Line:
    """A peer in a call with the stack, which may transfer it."""

    def __init__(self) -> None:
        self.peer = StackPeer()
        self.leg = self.peer.invited()
        self.peer.stack.accept(self.leg, b"v=0", now=self.peer.now)
        (ok,) = [m for m in self.peer.sent() if isinstance(m, Response) and m.status == 200]
        self.to_tag = ok.to_tag
        self.peer.send(self.peer.request("ACK", branch="z9hG4bKack", to_tag=self.to_tag))
        self.cseq = 1

    def refer(self, *headers: tuple[str, str]) -> list[Response | Request]:
        self.cseq += 1
        return self.peer.send(
            self.peer.request(
                "REFER",
                branch=f"z9hG4bKr{self.cseq}",
                cseq=self.cseq,
                to_tag=self.to_tag,
                headers=headers or (("Refer-To", TO),),
            )
        )

    def answer(self, status: int) -> list[Response | Request]:
        self.peer.stack.answer_refer(self.leg, status, now=self.peer.now)
        return self.peer.sent()

    def report(self, status: int) -> list[Response | Request]:
        self.peer.stack.report_refer(self.leg, status, now=self.peer.now)
        return self.peer.sent()

    def taken(self, notify: Response | Request, status: int = 200) -> list[Response | Request]:
        assert isinstance(notify, Request)
        return self.peer.send(self.peer.answer(notify, status))


def told(message: Response | Request) -> tuple[str, str, bytes]:
    assert isinstance(message, Request)
    assert message.method == "NOTIFY"
    assert message.content_type == "message/sipfrag"
    return message.header("Event") or "", message.header("Subscription-State") or "", message.body


def test_a_transfer_is_accepted_and_told_of_until_its_end() -> None:
    line = Line()
    assert line.refer() == []
    event = line.peer.events[-1]
    assert isinstance(event, LegReferred)
    assert (event.leg, event.wanted, event.flow) == (line.leg, ReferTo("1002"), UDP)
    accepted, trying = line.answer(202)
    assert isinstance(accepted, Response)
    assert accepted.status == 202
    assert told(trying) == ("refer", "active;expires=180", b"SIP/2.0 100 Trying\r\n")
    (ringing,) = line.report(180)
    assert told(ringing)[1:] == ("active;expires=180", b"SIP/2.0 180 Ringing\r\n")
    (last,) = line.report(200)
    assert told(last) == ("refer", "terminated;reason=noresource", b"SIP/2.0 200 OK\r\n")
    assert line.taken(last) == []
    assert line.report(503) == []


def test_a_second_transfer_waits_for_the_end_of_the_first_and_has_an_id() -> None:
    line = Line()
    line.refer()
    _, trying = line.answer(202)
    (refused,) = line.refer()
    assert isinstance(refused, Response)
    assert refused.status == 491
    line.taken(trying)
    (last,) = line.report(503)
    assert told(last)[2] == b"SIP/2.0 503 Service Unavailable\r\n"
    line.taken(last)
    line.refer()
    _, trying = line.answer(202)
    assert told(trying)[0] == "refer;id=4"


def test_a_transfer_without_subscription_is_told_of_by_nobody() -> None:
    line = Line()
    line.refer(("Refer-To", TO), ("Refer-Sub", "false"))
    (accepted,) = line.answer(202)
    assert isinstance(accepted, Response)
    assert (accepted.status, accepted.header("Refer-Sub")) == (200, "false")
    assert line.report(200) == []


def test_a_refused_transfer_leaves_the_call_as_it_was() -> None:
    line = Line()
    line.refer()
    (refused,) = line.answer(403)
    assert isinstance(refused, Response)
    assert refused.status == 403
    (malformed,) = line.refer(("Refer-To", "nonsense"))
    assert isinstance(malformed, Response)
    assert malformed.status == 400
    assert line.peer.stack.live[0] == 1


def test_a_leg_that_ends_takes_its_transfer_along() -> None:
    line = Line()
    line.refer()
    peer = line.peer
    answers = peer.send(peer.request("BYE", branch="z9hG4bKb", cseq=9, to_tag=line.to_tag))
    assert sorted(m.status for m in answers if isinstance(m, Response)) == [200, 481]
    assert line.answer(202) == []
    peer.wait(100)
    assert peer.stack.live == (0, 0, 0)


def test_the_leg_of_a_dialog_is_found_by_what_a_replaces_names() -> None:
    line = Line()
    assert line.peer.stack.leg_of(("call-1", line.to_tag, "theirs")) == line.leg
    assert line.peer.stack.leg_of(("call-1", "theirs", line.to_tag)) is None
