"""From a host of the directory to addresses, as RFC 3263 says."""

from __future__ import annotations

import pytest

from acd.directory.model import TrunkHost
from acd.sip.hosts import Peer
from acd.sip.resolving import NameNotFound, Service, peers_of
from tests.support.dns import FakeDns


@pytest.fixture
def dns() -> FakeDns:
    return FakeDns()


@pytest.mark.parametrize(
    ("host", "peer"),
    [
        (TrunkHost("192.0.2.1"), Peer("192.0.2.1", "udp", ("192.0.2.1", 5060))),
        (TrunkHost("192.0.2.1", 5070, "tcp"), Peer("192.0.2.1", "tcp", ("192.0.2.1", 5070))),
        (TrunkHost("2001:db8::1", transport="tls"), Peer("2001:db8::1", "tls", ("2001:db8::1", 5061))),
    ],
)
async def test_an_address_asks_nobody(dns: FakeDns, host: TrunkHost, peer: Peer) -> None:
    assert await peers_of(host, dns) == [peer]
    assert dns.asked == []


async def test_a_port_asks_for_addresses_only(dns: FakeDns) -> None:
    dns.hosts["sbc.example"] = ["192.0.2.1", "2001:db8::1"]
    found = await peers_of(TrunkHost("sbc.example", 5080), dns)
    assert [(peer.transport, peer.address) for peer in found] == [
        ("udp", ("192.0.2.1", 5080)),
        ("udp", ("2001:db8::1", 5080)),
    ]
    assert dns.asked == ["a sbc.example"]


async def test_the_preferred_service_decides_on_the_transport(dns: FakeDns) -> None:
    dns.naptrs["carrier.example"] = [
        (200, "SIP+D2U", "_sip._udp.carrier.example"),
        (100, "SIPS+D2T", "_sips._tcp.carrier.example"),
        (50, "smtp", "mail.carrier.example"),
    ]
    dns.srvs["_sips._tcp.carrier.example"] = [
        Service("b.carrier.example", 5061, 20, 0),
        Service("a.carrier.example", 5062, 10, 7),
    ]
    dns.hosts = {"a.carrier.example": ["192.0.2.1"], "b.carrier.example": ["192.0.2.2"]}
    assert await peers_of(TrunkHost("carrier.example", priority=3, weight=2), dns) == [
        Peer("carrier.example", "tls", ("192.0.2.1", 5062), (3, 10), 14, by_srv=True),
        Peer("carrier.example", "tls", ("192.0.2.2", 5061), (3, 20), 2, by_srv=True),
    ]


async def test_without_naptr_the_services_are_asked_for_in_turn(dns: FakeDns) -> None:
    dns.srvs["_sip._tcp.carrier.example"] = [Service("a.carrier.example", 5060, 1, 1)]
    dns.hosts["a.carrier.example"] = ["192.0.2.1"]
    (peer,) = await peers_of(TrunkHost("carrier.example"), dns)
    assert (peer.transport, peer.address) == ("tcp", ("192.0.2.1", 5060))
    assert dns.asked[:3] == [
        "naptr carrier.example",
        "srv _sip._udp.carrier.example",
        "srv _sip._tcp.carrier.example",
    ]


async def test_a_plain_name_is_udp_at_the_usual_port(dns: FakeDns) -> None:
    dns.hosts["sbc.example"] = ["192.0.2.1"]
    (peer,) = await peers_of(TrunkHost("sbc.example"), dns)
    assert (peer.transport, peer.address) == ("udp", ("192.0.2.1", 5060))


async def test_a_name_without_any_address_says_so(dns: FakeDns) -> None:
    with pytest.raises(NameNotFound, match=r"sbc\.example"):
        await peers_of(TrunkHost("sbc.example"), dns)


async def test_answers_of_a_hostile_name_server_are_bounded(dns: FakeDns) -> None:
    dns.srvs["_sip._udp.evil.example"] = [Service(f"h{n}.example", 5060, 1, 1) for n in range(1_000)]
    dns.hosts = {f"h{n}.example": [f"192.0.2.{m % 250}" for m in range(500)] for n in range(1_000)}
    found = await peers_of(TrunkHost("evil.example", transport="udp"), dns)
    assert len(found) == 16
    assert len(dns.asked) < 40
