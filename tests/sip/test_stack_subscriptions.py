"""SUBSCRIBE dialogs: made, told, renewed, ended by time, by the watcher and by silence."""

from __future__ import annotations

import pytest

from acd.sip.core.events import RequestReceived, SubscriptionAsked, SubscriptionOver
from acd.sip.core.grammar import SipSyntaxError
from acd.sip.core.message import Request, Response
from tests.support.stack_peer import StackPeer

XML = "application/dialog-info+xml"


class Watcher:
    def __init__(self, seconds: int = 60) -> None:
        self.peer = StackPeer()
        self.peer.send(self.peer.request("SUBSCRIBE", headers=(("Event", "dialog"),)))
        event = self.peer.events[-1]
        assert isinstance(event, RequestReceived)
        name = self.peer.stack.accept_subscription(event.transaction, seconds, now=self.peer.now)
        assert name is not None
        self.name = name
        (self.ok,) = self.peer.sent()
        assert isinstance(self.ok, Response)
        self.to_tag = self.ok.to_tag
        self.cseq = 1

    def tell(self, body: bytes) -> list[Request]:
        self.peer.stack.notify(self.name, XML, body, now=self.peer.now)
        return [message for message in self.peer.sent() if isinstance(message, Request)]

    def end(self, reason: str) -> list[Request]:
        self.peer.stack.end_subscription(self.name, reason, XML, b"last", now=self.peer.now)
        return [message for message in self.peer.sent() if isinstance(message, Request)]

    def taken(self, notify: Request, status: int = 200) -> list[Response | Request]:
        return self.peer.send(self.peer.answer(notify, status))

    def ask(self, method: str = "SUBSCRIBE") -> list[Response | Request]:
        self.cseq += 1
        return self.peer.send(
            self.peer.request(method, branch=f"z9hG4bK{self.cseq}", cseq=self.cseq, to_tag=self.to_tag)
        )

    def assert_gone(self) -> None:
        self.peer.wait(100)
        assert self.peer.stack.live[2] == 0
        (answer,) = self.ask()
        assert isinstance(answer, Response)
        assert answer.status == 481


def test_a_watcher_is_told_within_its_dialog_how_long_is_left() -> None:
    watcher = Watcher()
    assert isinstance(watcher.ok, Response)
    assert (watcher.ok.status, watcher.ok.header("Expires")) == (200, "60")
    watcher.peer.wait(10)
    (notify,) = watcher.tell(b"state")
    assert (notify.method, notify.header("Event")) == ("NOTIFY", "dialog")
    assert notify.header("Subscription-State") == "active;expires=50"
    assert (notify.content_type, notify.body) == (XML, b"state")
    assert (notify.from_tag, notify.to_tag) == (watcher.to_tag, "theirs")


def test_of_what_waits_for_an_answer_only_the_newest_is_told() -> None:
    watcher = Watcher()
    (first,) = watcher.tell(b"1")
    assert watcher.tell(b"2") == []
    assert watcher.tell(b"3") == []
    (second,) = watcher.taken(first)
    assert second.body == b"3"


def test_a_renewal_moves_the_end_and_the_end_is_told_once() -> None:
    watcher = Watcher(60)
    watcher.peer.wait(50)
    assert watcher.ask() == []
    asked = watcher.peer.events[-1]
    assert isinstance(asked, SubscriptionAsked)
    watcher.peer.stack.renew_subscription(watcher.name, asked.transaction, 60, now=watcher.peer.now)
    (renewed,) = watcher.peer.sent()
    assert (renewed.status, renewed.header("Expires")) == (200, "60")  # type: ignore[union-attr]
    watcher.peer.wait(50)
    watcher.peer.sent()
    assert watcher.peer.events[-1] is asked
    watcher.peer.wait(11)
    watcher.peer.sent()
    assert watcher.peer.events[-1] == SubscriptionOver(watcher.name, "timeout")
    (last,) = watcher.end("timeout")
    assert last.header("Subscription-State") == "terminated;reason=timeout"
    assert watcher.end("timeout") == []
    watcher.taken(last)
    watcher.assert_gone()


@pytest.mark.parametrize("status", [481, 404, 603])
def test_a_watcher_that_takes_no_notify_is_gone(status: int) -> None:
    watcher = Watcher()
    (notify,) = watcher.tell(b"1")
    watcher.taken(notify, status)
    assert watcher.peer.events[-1] == SubscriptionOver(watcher.name, "gone")
    assert watcher.tell(b"2") == []
    watcher.assert_gone()


def test_a_watcher_that_is_busy_stays() -> None:
    watcher = Watcher()
    (notify,) = watcher.tell(b"1")
    watcher.peer.send(watcher.peer.answer(notify, 503, headers=(("Retry-After", "5"),)))
    assert len(watcher.tell(b"2")) == 1


def test_a_watcher_that_is_silent_is_gone() -> None:
    watcher = Watcher(3600)
    watcher.tell(b"1")
    watcher.peer.wait(40)
    watcher.peer.sent()
    assert watcher.peer.events[-1] == SubscriptionOver(watcher.name, "gone")
    watcher.assert_gone()


def test_other_requests_and_old_ones_within_the_dialog_are_turned_away() -> None:
    watcher = Watcher()
    (other,) = watcher.ask("MESSAGE")
    assert other.status == 405  # type: ignore[union-attr]
    watcher.ask()
    watcher.cseq = 1
    (old,) = watcher.peer.send(
        watcher.peer.request("SUBSCRIBE", branch="z9hG4bKold", cseq=2, to_tag=watcher.to_tag)
    )
    assert old.status == 500  # type: ignore[union-attr]


def test_a_subscribe_without_a_contact_makes_no_watcher() -> None:
    peer = StackPeer()
    text = peer.request("SUBSCRIBE", headers=(("Event", "dialog"),)).replace(
        b"Contact: <sip:caller@192.0.2.1:5070>\r\n", b""
    )
    peer.send(text)
    event = peer.events[-1]
    assert isinstance(event, RequestReceived)
    with pytest.raises(SipSyntaxError):
        peer.stack.accept_subscription(event.transaction, 60, now=peer.now)
    assert peer.sent() == []
