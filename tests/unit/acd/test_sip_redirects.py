"""Where a 3xx of a trunk may lead a call, and where not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd.sip.core.events import LegEnded, LegProgressed
from acd.sip.core.uri import Uri
from acd.sip.hosts import Peer
from acd.sip.outgoing import OutgoingCall
from acd.sip.redirects import MOST_REDIRECTS, Target, targets_of

FIRST = Peer("sbc1.carrier.example", "udp", ("192.0.2.1", 5060))
SECOND = Peer("sbc2.carrier.example", "tcp", ("192.0.2.2", 5070))
SECRET = Peer("sbc3.carrier.example", "tls", ("192.0.2.3", 5061))
HOSTS = (FIRST, SECOND, SECRET)


def a_call(*, follows: bool = True) -> OutgoingCall:
    targets = [Target(FIRST, "100"), Target(SECOND, "100")]
    call = OutgoingCall("leg", "carrier", targets, HOSTS if follows else ())
    call.next()
    return call


def sent_to(call: OutgoingCall, *contacts: str, status: int = 302) -> LegEnded:
    return LegEnded(call.current, "remote", status, contacts=tuple(map(Uri.parse, contacts)))


@pytest.mark.parametrize(
    ("contact", "peer"),
    [
        ("sip:200@sbc1.carrier.example", FIRST),
        ("sip:200@SBC1.carrier.example:5060", FIRST),
        ("sip:200@192.0.2.1", FIRST),
        ("sip:200@192.0.2.2:5070;transport=tcp", SECOND),
        ("sip:200@sbc2.carrier.example", SECOND),
        ("sips:200@sbc3.carrier.example", SECRET),
    ],
)
def test_a_contact_at_a_host_of_the_trunk_is_that_host(contact: str, peer: Peer) -> None:
    assert targets_of([Uri.parse(contact)], HOSTS) == (Target(peer, "200"),)


@pytest.mark.parametrize(
    "contact",
    [
        "sip:200@attacker.example",
        "sip:200@198.51.100.9",
        "sip:200@sbc1.carrier.example.attacker.example",
        "sip:200@192.0.2.1:5099",
        "sip:200@192.0.2.2",
        "sip:200@sbc1.carrier.example;transport=tcp",
        "sip:200@sbc1.carrier.example;transport=ws",
        "sips:200@sbc1.carrier.example",
        "sip:sbc1.carrier.example",
        "sip:200%0d%0aEvil@sbc1.carrier.example",
        f"sip:{'9' * 129}@sbc1.carrier.example",
        "tel:+37290099999",
        "https://sbc1.carrier.example/",
    ],
)
def test_a_contact_anywhere_else_is_nowhere(contact: str) -> None:
    assert targets_of([Uri.parse(contact)], HOSTS) == ()
    call = a_call()
    assert call.told(sent_to(call, contact)) is not None


def test_a_redirect_is_a_failure_where_the_trunk_does_not_say_otherwise() -> None:
    call = a_call(follows=False)
    ended = sent_to(call, "sip:200@sbc1.carrier.example")
    assert call.told(ended) == ended


def test_a_redirect_is_followed_before_the_other_hosts_and_the_best_contact_first() -> None:
    call = a_call()
    assert call.told(sent_to(call, "sip:200@sbc2.carrier.example", "sip:300@192.0.2.1")) is None
    assert call.next() == Target(SECOND, "200")
    assert call.told(LegEnded(call.current, "remote", 503)) is None
    assert call.next() == Target(FIRST, "300")
    assert call.told(LegEnded(call.current, "remote", 486)) == LegEnded("leg", "remote", 486)


def test_a_phone_that_rang_may_still_be_diverted_to_another_number() -> None:
    call = a_call()
    assert call.told(LegProgressed("leg", 180, None)) is not None
    assert call.told(sent_to(call, "sip:voicemail@sbc1.carrier.example")) is None
    assert call.next() == Target(FIRST, "voicemail")


@pytest.mark.parametrize("status", [305, 380, 399])
def test_a_proxy_of_their_choice_or_another_service_is_not_taken_up(status: int) -> None:
    call = a_call()
    assert call.told(sent_to(call, "sip:200@sbc1.carrier.example", status=status)) is not None


def test_who_is_sent_round_in_a_circle_stops_where_the_circle_closes() -> None:
    call = a_call()
    assert call.told(sent_to(call, "sip:200@sbc1.carrier.example")) is None
    call.next()
    ended = sent_to(call, "sip:100@sbc1.carrier.example", "sip:200@sbc1.carrier.example")
    assert call.told(ended) is not None


def test_who_is_sent_on_and_on_stops_after_five_times() -> None:
    call = a_call()
    for number in range(MOST_REDIRECTS):
        assert call.told(sent_to(call, f"sip:2{number}@sbc1.carrier.example")) is None
        call.next()
    assert call.told(sent_to(call, "sip:299@sbc1.carrier.example")) is not None


def test_a_caller_who_hung_up_is_not_followed_for() -> None:
    call = a_call()
    call.settle()
    assert call.told(sent_to(call, "sip:200@sbc1.carrier.example")) is not None


contacts = st.lists(
    st.builds(
        Uri,
        host=st.sampled_from(["192.0.2.1", "192.0.2.2", "sbc1.carrier.example", "attacker.example"]),
        user=st.sampled_from(["", "100", "200", "300"]),
        port=st.sampled_from([None, 5060, 5070, 1]),
    ).map(lambda uri: Uri.parse(str(uri))),
    max_size=4,
)


@given(st.lists(st.tuples(st.sampled_from([300, 301, 302, 305, 503, 404]), contacts), max_size=40))
def test_whatever_is_answered_no_attempt_is_made_twice_or_elsewhere_and_the_call_ends(
    answers: list[tuple[int, list[Uri]]],
) -> None:
    call = a_call()
    tried = [call.at]
    for status, where in answers:
        if call.told(LegEnded(call.current, "remote", status, contacts=tuple(where))) is not None:
            break
        tried.append(call.next())
    assert None not in tried
    assert len(set(tried)) == len(tried)
    assert {target.peer for target in tried if target} <= set(HOSTS)
    assert call.redirects <= MOST_REDIRECTS
