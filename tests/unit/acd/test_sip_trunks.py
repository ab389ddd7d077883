"""Trunks by source address, and who calls whom."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from acd.directory.model import Trunk
from acd.sip.trunks import LiveCalls, TrunkTable


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
    assert (len(calls), calls.on(""), calls.on("one")) == (1, 1, 0)
