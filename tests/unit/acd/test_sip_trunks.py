"""Trunks by source address, and who calls whom."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from acd.directory.model import Trunk
from acd.sip.core.message import Request
from acd.sip.trunks import LiveCalls, TrunkTable, called_number, caller_of, clean_number


def trunk(name: str, *networks: str) -> Trunk:
    return Trunk(name, tuple(ip_network(network) for network in networks))


TRUNKS = {
    "wide": trunk("wide", "10.0.0.0/8", "2001:db8::/32"),
    "narrow": trunk("narrow", "10.1.2.0/24"),
    "one": trunk("one", "10.1.2.3/32", "2001:db8::5/128"),
}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("10.9.9.9", "wide"),
        ("10.1.2.9", "narrow"),
        ("10.1.2.3", "one"),
        ("::ffff:10.1.2.3", "one"),
        ("2001:db8::5", "one"),
        ("2001:db8::6", "wide"),
        ("fe80::1%eth0", None),
        ("11.0.0.1", None),
        ("not an address", None),
        ("", None),
    ],
)
def test_longest_prefix_names_the_trunk(source: str, expected: str | None) -> None:
    table = TrunkTable(TRUNKS)
    for _ in range(2):  # the second time from memory
        found = table.find(source)
        assert (found.name if found else None) == expected


def test_memory_of_sources_is_bounded() -> None:
    table = TrunkTable(TRUNKS)
    for number in range(10_000):
        table.find(f"192.0.{number // 256}.{number % 256}")
    assert len(table._remembered) <= 4096


def test_live_calls_count_by_trunk_and_forget_ended_ones() -> None:
    calls = LiveCalls()
    calls.add("a", "one")
    calls.add("b", "one")
    calls.add("c", "")
    assert (len(calls), calls.on("one"), calls.on("wide")) == (3, 2, 0)
    for leg in ("a", "a", "b", "stranger"):
        calls.discard(leg)
    assert (len(calls), dict(calls.by_trunk())) == (1, {"": 1})


def invite(*headers: tuple[str, str], uri: str = "sip:100@acd.test") -> Request:
    base = [("From", '"Mallory" <sip:666@far.test>;tag=a'), ("To", "<sip:100@acd.test>"), ("Call-ID", "x")]
    return Request("INVITE", uri, [*base, *headers])


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("sip:+3726000100@acd.test", "+3726000100"),
        ("sip:%2B372-600.01(00)@acd.test", "+3726000100"),
        ("sip:+3726000100;phone-context=x@acd.test", "+3726000100"),
        ("tel:+372-6000100", "+3726000100"),
        ("sip:support-desk@acd.test", "support-desk"),
        ("sip:acd.test", ""),
    ],
)
def test_called_number_is_the_user_of_the_request_uri(uri: str, number: str) -> None:
    assert called_number(invite(uri=uri)) == number


def test_asserted_identity_of_a_trusted_peer_wins_over_from() -> None:
    request = invite(("P-Asserted-Identity", '"Alice" <sip:555@a.test>, <tel:+1555>'))
    assert caller_of(request, trusted=True).number == "555"
    assert caller_of(request, trusted=True).name == "Alice"
    assert caller_of(request, trusted=False).number == "666"


@pytest.mark.parametrize("value", ["", "<sip:broken", "<http://x>", "<sip:host-only.test>"])
def test_useless_asserted_identity_leaves_from(value: str) -> None:
    assert caller_of(invite(("P-Asserted-Identity", value)), trusted=True).number == "666"


@pytest.mark.parametrize("value", ["id", "user;id", "ID", "critical; user"])
def test_privacy_withholds_number_and_name(value: str) -> None:
    party = caller_of(invite(("Privacy", value)), trusted=True)
    assert (party.number, party.name) == ("anonymous", "")


def test_privacy_none_withholds_nothing() -> None:
    assert caller_of(invite(("Privacy", "none")), trusted=True).number == "666"


def test_numbers_and_names_are_short_and_without_control_characters() -> None:
    assert clean_number("1" * 500) == "1" * 64
    assert "\n" not in clean_number("12\n34")
    request = invite(("P-Asserted-Identity", f'"{"n" * 500}" <sip:1@a.test>'))
    assert len(caller_of(request, trusted=True).name) == 80
