"""What we ask of a provider: registration, proof of who we are in calls, and whether it is there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from acd.sip.core.auth import parse_fields
from acd.sip.core.events import (
    LegAnswered,
    LegEnded,
    PeerProbed,
    RegistrationDue,
    RegistrationFailed,
    RegistrationMade,
    SipEvent,
)
from acd.sip.core.message import Request, Response
from acd.sip.core.registrant import Account
from acd.sip.core.uri import NameAddr, Uri
from tests.support.credentials import credentials_of
from tests.support.stack_calls import settle
from tests.support.stack_peer import TCP, StackPeer

REALM = "carrier.example"
CREDENTIALS = credentials_of("line1", REALM, "secret")
ACCOUNT = Account(Uri(host=REALM, user="line1"), "line1", 600, CREDENTIALS)
WWW = ("WWW-Authenticate", f'Digest realm="{REALM}", nonce="one", qop="auth"')
Headers = list[tuple[str, str]]


def fresh(nonce: str, *, stale: bool = False, status: int = 401) -> tuple[str, str]:
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    tail = ", stale=true" if stale else ""
    return name, f'Digest realm="{REALM}", nonce="{nonce}", qop="auth"{tail}'


def enrolled(account: Account = ACCOUNT) -> StackPeer:
    peer = StackPeer()
    peer.stack.outward.enrol("carrier", account, peer.now)
    peer.stack.outward.register("carrier", peer.flow, peer.now)
    return peer


def only(peer: StackPeer) -> Request:
    (request,) = peer.sent()
    assert isinstance(request, Request)
    return request


def reply(peer: StackPeer, request: Request, status: int, *headers: tuple[str, str]) -> list[Request]:
    sent = peer.send(peer.answer(request, status, headers=list(headers)))
    return [message for message in sent if isinstance(message, Request)]


def proof(request: Request, name: str = "Authorization") -> dict[str, str]:
    return parse_fields((request.header(name) or "").partition(" ")[2])


def registered(peer: StackPeer) -> Request:
    """Challenged once, then bound for ten minutes; the second REGISTER."""
    (second,) = reply(peer, only(peer), 401, WWW)
    reply(peer, second, 200, ("Expires", "600"))
    assert peer.events[-1] == RegistrationMade("carrier", 600)
    return second


def last(peer: StackPeer) -> SipEvent:
    peer.sent()
    return peer.events[-1]


def test_first_register_says_who_and_where_and_proves_nothing() -> None:
    request = only(enrolled())
    assert (request.method, request.uri_text) == ("REGISTER", f"sip:{REALM}")
    assert (str(request.to.uri), request.from_.uri.user) == (f"sip:line1@{REALM}", "line1")
    assert request.contacts[0].uri.user == "line1"
    assert request.header("Expires") == "600"
    assert request.header("Authorization") is None


@pytest.mark.parametrize("status", [401, 407])
def test_a_challenge_is_answered_in_the_same_call_id_with_the_next_number(status: int) -> None:
    peer = enrolled()
    first = only(peer)
    (second,) = reply(peer, first, status, fresh("one", status=status))
    header = "Authorization" if status == 401 else "Proxy-Authorization"
    assert proof(second, header)["username"] == "line1"
    assert (second.call_id, second.from_tag) == (first.call_id, first.from_tag)
    assert second.cseq.number == first.cseq.number + 1
    reply(peer, second, 200)
    assert peer.events == [RegistrationMade("carrier", 600)]


def test_it_is_renewed_in_time_and_with_the_nonce_that_was_good() -> None:
    peer = enrolled()
    registered(peer)
    peer.wait(0.79 * 600)
    assert RegistrationDue("carrier") not in [*peer.events, last(peer)]
    peer.wait(0.12 * 600)
    assert last(peer) == RegistrationDue("carrier")
    peer.stack.outward.register("carrier", peer.flow, peer.now)
    again = only(peer)
    assert (proof(again)["nonce"], proof(again)["nc"]) == ("one", "00000002")
    (third,) = reply(peer, again, 401, fresh("two", stale=True))
    assert (proof(third)["nonce"], proof(third)["nc"]) == ("two", "00000001")
    reply(peer, third, 200)
    assert peer.events[-1] == RegistrationMade("carrier", 600)


def test_a_wrong_password_is_tried_once_and_then_not_for_long() -> None:
    peer = enrolled()
    (second,) = reply(peer, only(peer), 401, WWW)
    assert reply(peer, second, 401, fresh("two")) == []
    failed = peer.events[-1]
    assert isinstance(failed, RegistrationFailed)
    assert (failed.status, failed.why) == (401, "credentials")
    assert failed.retry_seconds >= 300


def test_a_challenge_of_another_realm_is_not_answered_and_told() -> None:
    peer = enrolled()
    assert reply(peer, only(peer), 401, ("WWW-Authenticate", 'Digest realm="evil", nonce="x"')) == []
    failed = peer.events[-1]
    assert isinstance(failed, RegistrationFailed)
    assert (failed.why, failed.realm) == ("credentials", "evil")


def test_too_short_a_time_is_asked_for_longer() -> None:
    """423 with Min-Expires (RFC 3261 section 10.2.8)."""
    peer = enrolled()
    (second,) = reply(peer, only(peer), 423, ("Min-Expires", "1800"))
    assert second.header("Expires") == "1800"
    reply(peer, second, 200)
    assert peer.events[-1] == RegistrationMade("carrier", 1800)


@pytest.mark.parametrize("least", ["", "0", "600", "nonsense", "9" * 12, "-5"])
def test_a_423_that_asks_for_nothing_longer_is_a_failure(least: str) -> None:
    peer = enrolled()
    assert reply(peer, only(peer), 423, ("Min-Expires", least)) == []
    assert isinstance(peer.events[-1], RegistrationFailed)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([("Expires", "120")], 120),
        ([("Contact", "<sip:line1@192.0.2.2>;expires=90"), ("Expires", "120")], 90),
        ([("Contact", "<sip:other@192.0.2.9>;expires=60, <sip:line1@192.0.2.2>;expires=90")], 90),
        ([("Expires", "1")], 10),
        ([("Expires", "999999999")], 86_400),
        ([("Expires", "soon")], 600),
        ([("Contact", "<<<broken")], 600),
        ([], 600),
    ],
)
def test_the_provider_says_for_how_long_within_reason(headers: Headers, seconds: int) -> None:
    peer = enrolled()
    reply(peer, only(peer), 200, *headers)
    assert peer.events[-1] == RegistrationMade("carrier", seconds)


def test_a_silent_provider_is_asked_less_and_less_often_and_never_given_up() -> None:
    peer = enrolled()
    pauses = []
    for _ in range(12):
        peer.wait(40)
        failed = next(event for event in [last(peer), *reversed(peer.events)] if _is_failure(event))
        assert isinstance(failed, RegistrationFailed)
        assert (failed.status, failed.why) == (408, "timeout")
        pauses.append(failed.retry_seconds)
        peer.wait(failed.retry_seconds)
        assert last(peer) == RegistrationDue("carrier")
        peer.stack.outward.register("carrier", peer.flow, peer.now)
    for earlier, later in zip(pauses, pauses[2:], strict=False):
        assert later >= earlier or later >= 300
    assert max(pauses) <= 600


def _is_failure(event: SipEvent) -> bool:
    return isinstance(event, RegistrationFailed)


def test_a_provider_that_says_when_is_asked_then() -> None:
    peer = enrolled()
    reply(peer, only(peer), 503, ("Retry-After", "120 (maintenance);duration=60"))
    failed = peer.events[-1]
    assert isinstance(failed, RegistrationFailed)
    assert (failed.retry_seconds, failed.retry_after) == (120, 120)


def test_another_way_is_taken_at_once_and_the_old_one_has_no_say_any_more() -> None:
    peer = enrolled()
    first = only(peer)
    other = replace(peer.flow, remote=("192.0.2.99", 5060))
    peer.stack.outward.register("carrier", other, peer.now)
    second = only(peer)
    assert second.cseq.number == first.cseq.number + 1
    assert reply(peer, first, 403) == []
    assert peer.events == []
    reply(peer, second, 200, ("Expires", "600"))
    assert peer.events == [RegistrationMade("carrier", 600)]


def test_the_same_way_twice_is_one_attempt() -> None:
    peer = enrolled()
    only(peer)
    peer.stack.outward.register("carrier", peer.flow, peer.now)
    assert peer.sent() == []


def test_success_forgets_the_failures_before() -> None:
    peer = enrolled()
    for _ in range(6):
        reply(peer, only(peer), 500)
        peer.stack.outward.register("carrier", peer.flow, peer.now)
    reply(peer, only(peer), 200)
    peer.stack.outward.register("carrier", peer.flow, peer.now)
    reply(peer, only(peer), 500)
    failed = peer.events[-1]
    assert isinstance(failed, RegistrationFailed)
    assert failed.retry_seconds <= 5


def test_a_connection_that_breaks_is_registered_over_again_at_once() -> None:
    peer = StackPeer(TCP)
    peer.stack.outward.enrol("carrier", ACCOUNT, peer.now)
    peer.stack.outward.register("carrier", TCP, peer.now)
    registered(peer)
    peer.stack.flow_failed(TCP, peer.now)
    peer.wait(0)
    assert last(peer) == RegistrationDue("carrier")


def test_a_flow_that_cannot_be_used_is_a_failure_with_a_pause_and_no_busy_loop() -> None:
    peer = StackPeer(TCP)
    peer.stack.outward.enrol("carrier", ACCOUNT, peer.now)
    peer.stack.outward.register("carrier", TCP, peer.now)
    only(peer)
    peer.stack.flow_failed(TCP, peer.now)
    peer.wait(0)
    failed = last(peer)
    assert isinstance(failed, RegistrationFailed)
    assert (failed.status, failed.why) == (503, "transport")
    assert failed.retry_seconds > 1


def test_who_is_withdrawn_is_bound_no_longer_and_leaves_nothing_behind() -> None:
    peer = enrolled()
    registered(peer)
    peer.stack.outward.withdraw("carrier", peer.now)
    farewell = only(peer)
    assert (farewell.method, farewell.header("Expires")) == ("REGISTER", "0")
    assert proof(farewell)["nc"] == "00000002"
    settle(peer)


def test_a_farewell_with_a_proof_that_is_too_old_is_proven_anew_and_once() -> None:
    peer = enrolled()
    registered(peer)
    peer.stack.outward.withdraw("carrier", peer.now)
    (again,) = reply(peer, only(peer), 401, fresh("two", stale=True))
    assert (again.header("Expires"), proof(again)["nonce"]) == ("0", "two")
    assert reply(peer, again, 401, fresh("three")) == []
    assert [event for event in peer.events if not isinstance(event, RegistrationMade)] == []
    settle(peer)


def test_who_is_bound_after_the_farewell_all_the_same_says_it_again() -> None:
    peer = enrolled()
    first = only(peer)
    peer.stack.outward.withdraw("carrier", peer.now)
    (farewell,) = reply(peer, first, 200, ("Expires", "600"))
    assert farewell.header("Expires") == "0"
    assert reply(peer, farewell, 200) == []
    assert peer.events == []
    settle(peer)


def test_who_was_never_bound_says_nothing_when_withdrawn() -> None:
    peer = enrolled()
    only(peer)
    peer.stack.outward.withdraw("carrier", peer.now)
    assert peer.sent() == []
    settle(peer)


# Calls.


def dialled(peer: StackPeer, patience: float | None = None) -> Request:
    peer.stack.invite(
        "out",
        uri=Uri(host=REALM, user="+3725550001"),
        flow=peer.flow,
        from_=NameAddr(Uri(host=REALM, user="+3726000100")),
        to=NameAddr(Uri(host=REALM, user="+3725550001")),
        contact_user="line1",
        sdp=b"v=0 ours",
        credentials=CREDENTIALS,
        patience=patience,
        now=peer.now,
    )
    return only(peer)


def challenged(peer: StackPeer) -> tuple[Request, Request]:
    """An INVITE that a proxy challenges: the ACK to that, and the INVITE with the proof."""
    invite = dialled(peer)
    peer.send(peer.answer(invite, 100, to_tag=""))
    ack, again = reply(peer, invite, 407, fresh("one", status=407))
    return ack, again


def answered(peer: StackPeer) -> Request:
    """The challenged INVITE is taken; the ACK to its 200."""
    _, again = challenged(peer)
    (ack,) = peer.send(peer.answer(again, 200, body=b"v=0 theirs"))
    assert isinstance(ack, Request)
    assert peer.events == [LegAnswered("out", b"v=0 theirs")]
    return ack


def test_a_challenged_invite_is_sent_again_with_proof_and_the_call_goes_on() -> None:
    peer = StackPeer()
    ack, again = challenged(peer)
    assert (ack.method, ack.header("Proxy-Authorization")) == ("ACK", None)
    assert (again.method, proof(again, "Proxy-Authorization")["uri"]) == (
        "INVITE",
        f"sip:+3725550001@{REALM}",
    )
    assert again.cseq.number == ack.cseq.number + 1
    assert (again.call_id, again.from_tag, again.body) == (ack.call_id, ack.from_tag, b"v=0 ours")
    assert peer.events == []


def test_the_ack_to_a_proven_invite_carries_the_same_proof() -> None:
    peer = StackPeer()
    _, again = challenged(peer)
    (ack,) = peer.send(peer.answer(again, 200, body=b"v=0 theirs"))
    assert ack.header("Proxy-Authorization") == again.header("Proxy-Authorization")


def test_a_bye_is_proven_unasked_and_again_where_the_nonce_is_too_old() -> None:
    peer = StackPeer()
    answered(peer)
    peer.stack.hangup("out", now=peer.now)
    bye = only(peer)
    assert proof(bye, "Proxy-Authorization")["nc"] == "00000002"
    (again,) = reply(peer, bye, 407, fresh("two", stale=True, status=407))
    assert (again.method, proof(again, "Proxy-Authorization")["nonce"]) == ("BYE", "two")
    assert again.cseq.number == bye.cseq.number + 1
    reply(peer, again, 200)
    settle(peer)


def test_a_challenged_offer_within_the_call_is_made_again() -> None:
    peer = StackPeer()
    answered(peer)
    peer.stack.reoffer("out", b"v=0 hold", now=peer.now)
    offer = only(peer)
    ack, again = reply(peer, offer, 401, fresh("far"))
    assert (ack.method, again.method, again.body) == ("ACK", "INVITE", b"v=0 hold")
    assert proof(again)["nonce"] == "far"
    assert proof(again, "Proxy-Authorization")["nonce"] == "one"
    (confirmed,) = peer.send(peer.answer(again, 200, body=b"v=0 held"))
    assert isinstance(confirmed, Request)
    assert confirmed.cseq.number == again.cseq.number


def test_a_wrong_password_ends_the_call_after_one_attempt() -> None:
    peer = StackPeer()
    _, again = challenged(peer)
    (ack,) = reply(peer, again, 407, fresh("two", status=407))
    assert ack.method == "ACK"
    assert peer.events == [LegEnded("out", "remote", 407, "Reason")]
    settle(peer)


def test_a_phone_that_challenges_a_call_of_ours_is_told_nothing() -> None:
    """A challenge from whom we have no credentials for (CVE-2021-41158)."""
    peer = StackPeer()
    peer.stack.invite(
        "out",
        uri=Uri(host="192.0.2.1", user="phone"),
        flow=peer.flow,
        from_=NameAddr(Uri(host="192.0.2.2", user="acd")),
        to=NameAddr(Uri(host="192.0.2.1", user="phone")),
        contact_user="acd",
        sdp=b"v=0 ours",
        now=peer.now,
    )
    (ack,) = reply(peer, only(peer), 401, WWW)
    assert ack.method == "ACK"
    assert peer.events == [LegEnded("out", "remote", 401, "Reason")]


def test_a_hang_up_between_challenge_and_ringing_waits_for_a_word_before_it_cancels() -> None:
    peer = StackPeer()
    _, again = challenged(peer)
    peer.stack.hangup("out", now=peer.now)
    assert peer.sent() == []
    (cancel,) = peer.send(peer.answer(again, 100, to_tag=""))
    assert isinstance(cancel, Request)
    assert (cancel.method, cancel.cseq.number) == ("CANCEL", again.cseq.number)


def test_a_host_that_says_nothing_is_given_up_when_patience_ends() -> None:
    peer = StackPeer()
    dialled(peer, patience=3.0)
    peer.wait(2.9)
    assert [message for message in peer.sent() if isinstance(message, Response)] == []
    assert peer.events == []
    peer.wait(0.2)
    peer.sent()
    assert peer.events == [LegEnded("out", "timeout", 408)]
    settle(peer)


def test_a_host_that_says_trying_has_all_the_time_to_ring() -> None:
    peer = StackPeer()
    peer.send(peer.answer(dialled(peer, patience=3.0), 100, to_tag=""))
    peer.wait(60)
    assert peer.events == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120), ("18000;duration=3600", 3600), ("5 (busy)", 5), ("-1", 0), ("soon", 0), ("9" * 500, 0)],
)
def test_a_503_tells_for_how_long_within_reason(text: str, seconds: float) -> None:
    peer = StackPeer()
    reply(peer, dialled(peer), 503, ("Retry-After", text))
    assert peer.events == [LegEnded("out", "remote", 503, "Reason", seconds)]


def test_a_redirect_is_told_with_its_contacts_the_best_first_and_none_is_called() -> None:
    peer = StackPeer()
    contacts = ("Contact", '<sip:b@x.example>;q=0.2, "C, D" <sip:c@x.example>;q=nan, sip:a@x.example;q=0.7')
    sent = reply(peer, dialled(peer), 302, contacts)
    assert [request.method for request in sent] == ["ACK"]
    (ended,) = peer.events
    assert isinstance(ended, LegEnded)
    assert [str(uri) for uri in ended.contacts] == ["sip:c@x.example", "sip:a@x.example", "sip:b@x.example"]


@pytest.mark.parametrize(
    "contact", ["*", "<sip:x", ", ".join(f"<sip:{n}@x.example>" for n in range(1000)), "<tel:+3725551>"]
)
def test_a_redirect_to_nonsense_or_to_very_many_is_bounded(contact: str) -> None:
    peer = StackPeer()
    reply(peer, dialled(peer), 302, ("Contact", contact))
    (ended,) = peer.events
    assert isinstance(ended, LegEnded)
    assert len(ended.contacts) <= 8


# Who is there.


@pytest.mark.parametrize("status", [200, 404, 405, 503])
def test_any_answer_to_a_probe_is_told(status: int) -> None:
    peer = StackPeer()
    peer.stack.outward.probe("carrier/0", Uri(host=REALM), peer.flow, 4.0, peer.now)
    request = only(peer)
    assert (request.method, request.uri_text) == ("OPTIONS", f"sip:{REALM}")
    reply(peer, request, status)
    assert peer.events == [PeerProbed("carrier/0", status)]
    settle(peer)


def test_a_probe_without_an_answer_is_told_in_time() -> None:
    peer = StackPeer()
    peer.stack.outward.probe("carrier/0", Uri(host=REALM), peer.flow, 4.0, peer.now)
    peer.wait(4.1)
    peer.sent()
    assert peer.events == [PeerProbed("carrier/0", 0)]
    settle(peer)
