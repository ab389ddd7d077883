"""Calls over a trunk's hosts, with what keeps them in bounds; hosts that come and go; our registration."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from acd.directory.model import Directory, Trunk, TrunkHost
from acd.sip.core.events import (
    Flow,
    LegAnswered,
    LegEnded,
    LegProgressed,
    PeerProbed,
    RegistrationDue,
    RegistrationFailed,
    RegistrationMade,
)
from acd.sip.core.uri import Uri
from acd.sip.presenting import Presented
from acd.sip.providers import Providers, TrunkUnavailable
from acd.sip.trunk_calls import TrunkCalls
from acd.sip.trunks import LiveCalls
from tests.support.clock import FakeClock
from tests.support.dns import FakeDns
from tests.support.net import patience

FIRST, SECOND = ("192.0.2.1", 5060), ("192.0.2.2", 5060)
CARRIER = Trunk(
    "carrier",
    (),
    max_calls=2,
    hosts=(TrunkHost("192.0.2.1", priority=1), TrunkHost("192.0.2.2", priority=2)),
    username="line1",
    realm="carrier.example",
    ha1_md5="m",
    ha1_sha256="s",
    register_seconds=600,
)


class FakeEndpoint:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.invites: list[dict[str, Any]] = []
        self.registered: list[tuple[str, tuple[str, int]]] = []
        self.withdrawn: list[str] = []
        self.probes: dict[tuple[str, int], str] = {}
        self.network = SimpleNamespace(
            way_to=lambda transport, remote: Flow(transport, ("127.0.0.1", 5060), remote)
        )

    def invite(self, leg: str, **said: Any) -> None:
        self.invites.append({"leg": leg, **said})

    def enrol(self, name: str, account: Any) -> None:
        pass

    def withdraw(self, name: str) -> None:
        self.withdrawn.append(name)

    def register(self, name: str, flow: Flow) -> None:
        self.registered.append((name, flow.remote))

    def probe(self, name: str, uri: Any, flow: Flow, seconds: float) -> None:
        self.probes[flow.remote] = name

    def host_for(self, flow: Flow) -> str:
        return "127.0.0.1"


class Bench:
    def __init__(self) -> None:
        self.endpoint: Any = FakeEndpoint()
        self.clock = FakeClock()
        self.directory = Directory(revision=1, trunks={"carrier": CARRIER})
        self.live = LiveCalls()
        self.providers = Providers(self.endpoint, lambda: self.directory, self.clock, FakeDns)
        self.calls = TrunkCalls(self.endpoint, self.providers, self.live, self.clock, srtp_without_tls=False)

    async def until(self, reached: Any) -> None:
        async with asyncio.timeout(patience(5)):
            while not reached():
                self.providers.care(self.clock.monotonic())
                await asyncio.sleep(0)

    def call(self, leg: str = "leg", **about: str) -> None:
        self.calls.call(
            leg, "carrier", "+3725551234", offer=b"v=0", caller=Presented("+3726000100"), about=about
        )

    async def changed(self, **changes: Any) -> None:
        """The trunk is configured anew, and known anew."""
        self.endpoint.withdrawn.clear()
        self.change(**changes)
        await self.until(lambda: self.endpoint.withdrawn and self.providers.hosts_of("carrier"))

    @property
    def asked(self) -> list[tuple[str, int]]:
        return [invite["flow"].remote for invite in self.endpoint.invites]

    def change(self, **changes: Any) -> None:
        self.directory = replace(self.directory, trunks={"carrier": replace(CARRIER, **changes)})


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    bench.providers.start()
    await bench.until(lambda: len(bench.providers.hosts_of("carrier")) == 2)
    yield bench
    await bench.providers.stop()


async def test_a_call_goes_to_the_first_host_with_our_account_and_the_caller_it_is_made_for(bench: Bench):
    bench.call()
    (invite,) = bench.endpoint.invites
    assert (invite["leg"], invite["flow"].remote, str(invite["uri"])) == (
        *("leg", FIRST),
        "sip:+3725551234@192.0.2.1",
    )
    assert str(invite["from_"]) == "<sip:+3726000100@carrier.example>"
    assert invite["headers"] == (("P-Asserted-Identity", "<sip:+3726000100@carrier.example>"),)
    assert (invite["credentials"].username, invite["credentials"].realm) == ("line1", "carrier.example")
    assert bench.live.on("carrier") == 1


async def test_a_silent_host_is_passed_over_for_this_call_and_the_next(bench: Bench):
    bench.call()
    assert bench.calls.take(LegEnded("leg", "timeout", 408)) is None
    assert [invite["flow"].remote for invite in bench.endpoint.invites] == [FIRST, SECOND]
    assert bench.endpoint.invites[1]["leg"] == bench.calls.current("leg") == "leg.2"
    assert bench.calls.known_as("leg.2") == "leg"
    assert bench.calls.failovers["carrier"] == 1
    bench.call("other")
    assert bench.endpoint.invites[2]["flow"].remote == SECOND
    assert bench.calls.take(LegEnded("leg.2", "remote", 486)) == LegEnded("leg", "remote", 486)
    assert (bench.live.on("carrier"), bench.calls.has("leg"), bench.calls.has("leg.2")) == (1, False, False)


async def test_a_caller_who_hangs_up_is_not_called_for_at_another_host(bench: Bench):
    bench.call()
    assert bench.calls.hang_up("leg") == "leg"
    assert bench.calls.take(LegEnded("leg", "timeout", 408)) is not None
    assert len(bench.endpoint.invites) == 1
    assert len(bench.live) == 0


async def test_the_trunks_limits_hold_for_calls_of_ours(bench: Bench):
    bench.call("one")
    bench.call("two")
    with pytest.raises(TrunkUnavailable) as refused:
        bench.call("three")
    assert refused.value.why == "trunk-full"
    bench.change(max_calls=50, calls_per_second=2.0)
    bench.clock.advance(1)
    await bench.until(lambda: bench.endpoint.withdrawn and bench.providers.hosts_of("carrier"))
    bench.call("four")
    bench.call("five")
    with pytest.raises(TrunkUnavailable) as refused:
        bench.call("six")
    assert refused.value.why == "trunk-rate"
    bench.clock.advance(0.5)
    bench.call("seven")
    assert bench.calls.refused == {("carrier", "trunk-full"): 1, ("carrier", "trunk-rate"): 1}
    assert bench.calls.made["carrier"] == 5


async def test_a_trunk_that_only_brings_calls_cannot_be_called(bench: Bench):
    with pytest.raises(TrunkUnavailable) as refused:
        bench.calls.call("l", "elsewhere", "1", offer=b"", caller=Presented(), about={})
    assert refused.value.why == "no-host"
    assert bench.calls.refused["elsewhere", "no-host"] == 1


async def test_secret_audio_goes_to_no_host_that_cannot_be_told_in_secret(bench: Bench):
    bench.change(srtp="require")
    await bench.until(lambda: bench.endpoint.withdrawn and bench.providers.hosts_of("carrier"))
    with pytest.raises(TrunkUnavailable):
        bench.call()
    assert bench.endpoint.invites == []


@pytest.mark.parametrize(
    ("status", "is_up"), [(0, False), (503, False), (200, True), (404, True), (405, True)]
)
async def test_a_probe_tells_whether_a_host_is_there(bench: Bench, status: int, is_up: bool):
    await bench.until(lambda: FIRST in bench.endpoint.probes)
    bench.providers.take_outward(PeerProbed(bench.endpoint.probes[FIRST], status))
    assert [host.is_up for host in bench.providers.hosts_of("carrier")] == [is_up, True]
    bench.call()
    assert bench.endpoint.invites[0]["flow"].remote == (FIRST if is_up else SECOND)


async def test_a_registration_goes_on_at_another_host_when_the_first_is_silent(bench: Bench):
    await bench.until(lambda: bench.endpoint.registered)
    assert bench.endpoint.registered == [("carrier", FIRST)]
    assert bench.providers.is_registered("carrier") is False
    bench.providers.take_outward(RegistrationFailed("carrier", 408, "timeout", 5.0))
    assert bench.endpoint.registered == [("carrier", FIRST), ("carrier", SECOND)]
    bench.providers.take_outward(RegistrationDue("carrier"))
    assert bench.endpoint.registered[-1] == ("carrier", SECOND)
    bench.providers.take_outward(RegistrationMade("carrier", 600))
    assert bench.providers.is_registered("carrier") is True


async def test_the_hosts_of_a_trunk_may_call_us_too(bench: Bench):
    assert bench.providers.trunks_at("192.0.2.2") == ("carrier",)
    assert bench.providers.trunks_at("192.0.2.3") == ()


async def test_a_trunk_that_is_taken_out_is_registered_no_longer(bench: Bench):
    bench.directory = replace(bench.directory, trunks={})
    await bench.until(lambda: bench.endpoint.withdrawn == ["carrier"])
    assert bench.providers.hosts_of("carrier") == ()
    assert bench.providers.trunks_at("192.0.2.1") == ()


async def test_a_registration_waits_where_no_other_host_is_left(bench: Bench):
    await bench.until(lambda: bench.endpoint.registered)
    for _ in range(5):
        bench.providers.take_outward(RegistrationFailed("carrier", 503, "transport", 5.0))
    assert bench.endpoint.registered == [("carrier", FIRST), ("carrier", SECOND)]


async def test_a_wrong_password_is_not_tried_at_the_next_host(bench: Bench):
    await bench.until(lambda: bench.endpoint.registered)
    bench.providers.take_outward(RegistrationFailed("carrier", 401, "credentials", 300.0))
    assert bench.endpoint.registered == [("carrier", FIRST)]


# A host that asks to be left alone.


def up(bench: Bench) -> list[bool]:
    return [host.is_up for host in bench.providers.hosts_of("carrier")]


async def test_a_host_that_says_when_to_come_back_is_asked_no_sooner(bench: Bench):
    bench.call("one")
    assert bench.calls.take(LegEnded("one", "remote", 503, retry_after=120.0)) is None
    assert bench.asked == [FIRST, SECOND]
    first, second = bench.providers.hosts_of("carrier")
    assert (first.is_up, first.out_seconds, second.is_up, second.out_seconds) == (False, 120.0, True, None)
    bench.call("two")
    assert bench.asked[-1] == SECOND
    bench.clock.advance(119)
    bench.endpoint.probes.clear()
    await bench.until(lambda: SECOND in bench.endpoint.probes)
    assert FIRST not in bench.endpoint.probes
    assert up(bench) == [False, True]
    bench.clock.advance(1)
    bench.providers.care(bench.clock.monotonic())
    assert up(bench) == [True, True]


async def test_nothing_but_the_time_ends_what_a_host_has_asked_for(bench: Bench):
    await bench.until(lambda: FIRST in bench.endpoint.probes)
    bench.call()
    bench.calls.take(LegEnded("leg", "remote", 503, retry_after=120.0))
    bench.providers.take_outward(PeerProbed(bench.endpoint.probes[FIRST], 200))
    assert up(bench) == [False, True]


async def test_a_503_that_says_no_time_is_of_this_call_alone(bench: Bench):
    bench.call("one")
    assert bench.calls.take(LegEnded("one", "remote", 503)) is None
    assert up(bench) == [True, True]
    bench.call("two")
    assert bench.asked == [FIRST, SECOND, FIRST]


async def test_a_probe_that_is_told_to_come_back_later_is_believed(bench: Bench):
    await bench.until(lambda: FIRST in bench.endpoint.probes)
    bench.providers.take_outward(PeerProbed(bench.endpoint.probes[FIRST], 503, 60.0))
    assert bench.providers.hosts_of("carrier")[0].out_seconds == 60.0


async def test_a_host_that_answers_a_call_is_up_again(bench: Bench):
    for leg in ("one", "two"):
        bench.call(leg)
    bench.calls.take(LegEnded("one", "timeout", 408))
    assert up(bench) == [False, True]
    bench.calls.take(LegProgressed("two", 180, None))
    assert up(bench) == [True, True]


async def test_a_phone_that_rings_for_too_long_is_no_silent_host(bench: Bench):
    bench.call()
    bench.calls.take(LegProgressed("leg", 180, None))
    assert bench.calls.take(LegEnded("leg", "timeout", 408)) == LegEnded("leg", "timeout", 408)
    assert up(bench) == [True, True]


async def test_without_probes_a_silent_host_is_tried_again_after_a_while(bench: Bench):
    await bench.changed(probe_seconds=0.0)
    bench.call()
    bench.calls.take(LegEnded("leg", "timeout", 408))
    assert bench.providers.hosts_of("carrier")[0].out_seconds == 30.0
    bench.clock.advance(30)
    bench.providers.care(bench.clock.monotonic())
    assert up(bench) == [True, True]


# What calls say and where they are sent.


async def test_calls_out_are_counted_with_those_that_were_answered(bench: Bench):
    bench.call("one")
    bench.call("two")
    bench.calls.take(LegAnswered("one", b"v=0"))
    bench.calls.take(LegEnded("two", "remote", 486))
    assert (bench.calls.made["carrier"], bench.calls.answered["carrier"]) == (2, 1)


async def test_headers_of_the_trunk_go_with_the_call(bench: Bench):
    await bench.changed(send_headers={"X-Customer": "customer", "X-Queue": "queue"}, trusted=False)
    bench.call(customer="4711", queue="")
    assert bench.endpoint.invites[0]["headers"] == (("X-Customer", "4711"),)


async def test_a_redirect_is_followed_to_a_host_of_the_trunk_with_our_account(bench: Bench):
    await bench.changed(redirects="follow")
    bench.call()
    elsewhere = Uri.parse("sip:+37255599999@192.0.2.2")
    assert bench.calls.take(LegEnded("leg", "remote", 302, contacts=(elsewhere,))) is None
    first, second = bench.endpoint.invites
    assert (second["flow"].remote, str(second["uri"])) == (SECOND, "sip:+37255599999@192.0.2.2")
    assert str(second["to"]) == "<sip:+3725551234@192.0.2.2>"
    assert second["credentials"] == first["credentials"]
    assert bench.calls.failovers["carrier"] == 0
    assert bench.live.on("carrier") == 1


@pytest.mark.parametrize("redirects", ["refuse", "follow"])
async def test_nobody_is_told_of_our_account_by_a_redirect_to_a_stranger(bench: Bench, redirects: str):
    await bench.changed(redirects=redirects, max_calls=3)
    bench.call()
    stranger = Uri.parse("sip:+3725551234@203.0.113.66")
    ended = bench.calls.take(LegEnded("leg", "remote", 302, contacts=(stranger,)))
    assert ended is not None
    assert ended.leg == "leg"
    assert bench.asked == [FIRST]
    assert len(bench.live) == 0


# Where we are registered, as hosts go and come.


async def bound(bench: Bench) -> None:
    """Registered at the first host, and each host was probed."""
    await bench.until(lambda: bench.endpoint.registered and len(bench.endpoint.probes) == 2)
    bench.providers.take_outward(RegistrationMade("carrier", 600))


def probed(bench: Bench, host: tuple[str, int], status: int) -> None:
    """The newest probe of a host is answered."""
    bench.providers.take_outward(PeerProbed(bench.endpoint.probes[host], status))


async def test_we_register_at_another_host_when_ours_falls_silent(bench: Bench):
    await bound(bench)
    probed(bench, FIRST, 0)
    assert bench.endpoint.registered == [("carrier", FIRST), ("carrier", SECOND)]


async def test_a_host_that_has_forgotten_us_is_told_again_when_it_is_back(bench: Bench):
    await bound(bench)
    probed(bench, SECOND, 0)
    probed(bench, FIRST, 0)
    assert bench.endpoint.registered == [("carrier", FIRST)]
    bench.clock.advance(30)
    bench.endpoint.probes.clear()
    await bench.until(lambda: len(bench.endpoint.probes) == 2)
    probed(bench, FIRST, 200)
    assert bench.endpoint.registered == [("carrier", FIRST), ("carrier", FIRST)]


async def test_the_first_host_that_is_back_has_us_where_ours_is_not(bench: Bench):
    await bound(bench)
    probed(bench, SECOND, 0)
    probed(bench, FIRST, 0)
    bench.clock.advance(30)
    bench.endpoint.probes.clear()
    await bench.until(lambda: len(bench.endpoint.probes) == 2)
    probed(bench, SECOND, 200)
    assert bench.endpoint.registered == [("carrier", FIRST), ("carrier", SECOND)]


async def test_when_every_host_has_asked_to_be_left_alone_nobody_is_asked(bench: Bench):
    bench.call("one")
    assert bench.calls.take(LegEnded("one", "remote", 503, retry_after=120.0)) is None
    assert bench.calls.take(LegEnded("one.2", "remote", 503, retry_after=60.0)) is not None
    with pytest.raises(TrunkUnavailable) as refused:
        bench.call("two")
    assert refused.value.why == "no-host"
    bench.clock.advance(60)
    bench.providers.care(bench.clock.monotonic())
    bench.call("three")
    assert bench.asked == [FIRST, SECOND, SECOND]


async def test_the_last_host_has_a_little_longer_but_not_for_ever(bench: Bench):
    bench.call()
    bench.calls.take(LegEnded("leg", "timeout", 408))
    assert [invite["patience"] for invite in bench.endpoint.invites] == [4.0, 8.0]


async def test_a_node_that_drains_is_bound_no_longer_and_calls_still_go_out(bench: Bench):
    await bound(bench)
    bench.providers.withdraw()
    assert bench.endpoint.withdrawn == ["carrier"]
    assert bench.providers.is_registered("carrier") is False
    probed(bench, FIRST, 0)
    assert bench.endpoint.registered == [("carrier", FIRST)]
    bench.call()
    assert bench.asked == [SECOND]
