"""Who may send what, and what is written about the others."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

import pytest

from acd.config import SecuritySection
from acd.directory.model import Agent, Trunk, TrunkHost
from acd.sip.core.auth import DigestServer
from acd.sip.core.events import Flow
from acd.sip.core.message import Request
from acd.sip.guard import Guard, Refused
from acd.sip.lines import line_of
from tests.support.caller import Message
from tests.support.clock import FakeClock
from tests.support.sip_client import credentials
from tests.support.sip_shell import PASSWORD, REALM, agent, directory


class Bench:
    """A guard with one trunk, two agents, and a phone registered from 192.0.2.50."""

    def __init__(
        self, limits: SecuritySection | None = None, trunks_at: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        self.clock = FakeClock()
        self.directory = directory()
        self.guard = Guard(
            DigestServer(REALM, b"secret"),
            lambda: self.directory,
            lambda host: host == "192.0.2.50",
            self.clock,
            limits or SecuritySection(),
            trunks_at=lambda host: (trunks_at or {}).get(host, ()),
        )

    def ask(self, method: str, source: str, line: str = "") -> Trunk | Agent | Refused:
        headers = [("Call-ID", "x"), ("Authorization", line.partition(": ")[2])]
        request = Request(method, "sip:a", headers)
        return self.guard.identify_caller(request, flow(source))

    def prove(self, method: str, source: str, user: str, password: str) -> Trunk | Agent | Refused:
        refused = self.ask(method, source)
        assert isinstance(refused, Refused)
        challenge = Message("", {"www-authenticate": [value for _, value in refused.headers]})
        return self.ask(method, source, credentials(challenge, method, "sip:a", user, password))


def flow(source: str) -> Flow:
    return Flow("udp", ("127.0.0.1", 5060), (source, 5060))


def test_trunk_is_known_by_its_source_and_an_agent_by_the_password() -> None:
    bench = Bench()
    assert bench.ask("INVITE", "127.0.0.2") is bench.directory.trunks["carrier"]
    assert bench.prove("INVITE", "192.0.2.1", "1001", PASSWORD) is bench.directory.agents["anna"]


def account(name: str, username: str) -> Trunk:
    return Trunk(
        name, (), hosts=(TrunkHost("192.0.2.9"),), username=username, realm="example", register_seconds=600
    )


ONE, TWO = account("one", "line1"), account("two", "line2")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (f"sip:line1@127.0.0.1:5060;line={line_of(ONE)}", "one"),
        (f"sip:line2@127.0.0.1:5060;line={line_of(TWO)}", "two"),
        (f"sip:+3726100001@127.0.0.1;line={line_of(TWO)}", "two"),
        ("sip:line2@127.0.0.1:5060", "two"),
        ("sip:+3726100001@127.0.0.1;line=another", "one"),
        ("sip:carrier@127.0.0.1", "one"),
        ("tel:+3726100001", "one"),
    ],
    ids=["first", "second", "number for user", "no parameter", "neither", "not registered", "tel"],
)
def test_of_two_accounts_at_one_provider_a_call_is_for_the_one_it_was_sent_to(
    uri: str, expected: str
) -> None:
    static = Trunk("carrier", (), hosts=(TrunkHost("192.0.2.9"),))
    bench = Bench(trunks_at={"192.0.2.9": ("one", "two", "carrier")})
    bench.directory = replace(bench.directory, trunks={"one": ONE, "two": TWO, "carrier": static})
    trunk = bench.guard.identify_caller(Request("INVITE", uri, []), flow("192.0.2.9"))
    assert isinstance(trunk, Trunk)
    assert trunk.name == expected


def test_a_stranger_who_names_a_line_is_a_stranger() -> None:
    bench = Bench(trunks_at={"192.0.2.9": ("one", "two")})
    bench.directory = replace(bench.directory, trunks={"one": ONE, "two": TWO})
    request = Request("INVITE", f"sip:line1@127.0.0.1;line={line_of(ONE)}", [("Call-ID", "x")])
    assert isinstance(bench.guard.identify_caller(request, flow("192.0.2.10")), Refused)


def test_changed_directory_counts_at_once() -> None:
    bench = Bench()
    assert isinstance(bench.ask("INVITE", "127.0.0.2"), Trunk)
    bench.directory = directory(agent("cara", "1003", "another one"))
    bench.directory = type(bench.directory)(agents=bench.directory.agents)
    assert isinstance(bench.ask("INVITE", "127.0.0.2"), Refused)
    assert isinstance(bench.prove("INVITE", "192.0.2.1", "1001", PASSWORD), Refused)


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "x y\r\nevil", "A" * 900, "acd-security"])
def test_security_line_holds_nothing_of_the_message(method: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "acd.security")
    bench = Bench()
    bench.prove(method, "192.0.2.1", "1001 source=8.8.8.8", "guess")
    shown = method if method in ("INVITE", "MESSAGE") else "OTHER"
    assert [record.getMessage() for record in caplog.records] == [
        f"acd-security event=auth-failure method={shown} source=192.0.2.1 transport=udp"
    ]


def test_missing_credentials_are_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    refused = bench.ask("INVITE", "192.0.2.1")
    assert isinstance(refused, Refused)
    assert (refused.status, refused.cause) == (401, "challenged")
    assert not [record for record in caplog.records if record.name == "acd.security"]


def test_guesses_run_dry_and_come_back_slowly() -> None:
    bench = Bench(SecuritySection(failures_per_second=0.5, failures_burst=3))
    answers = [bench.prove("INVITE", "192.0.2.1", "1001", f"guess {n}") for n in range(3)]
    assert [answer.status for answer in answers if isinstance(answer, Refused)] == [401] * 3
    refused = bench.ask("INVITE", "192.0.2.1")
    assert refused == Refused(503, "rate-limited", (("Retry-After", "2"),))
    assert isinstance(bench.prove("INVITE", "192.0.2.2", "1001", PASSWORD), Agent)
    bench.clock.advance(2)
    assert isinstance(bench.prove("INVITE", "192.0.2.1", "1001", PASSWORD), Agent)


def test_requests_without_credentials_run_dry_but_not_those_of_agents() -> None:
    bench = Bench(SecuritySection(requests_per_second=1, requests_burst=5))
    for _ in range(50):
        assert isinstance(bench.prove("INVITE", "192.0.2.1", "1001", PASSWORD), Agent)
    statuses = [bench.ask("INVITE", "192.0.2.1") for _ in range(6)]
    assert [one.status for one in statuses if isinstance(one, Refused)] == [401] * 5 + [503]


def test_strangers_are_limited_in_packets_and_options_trunks_and_phones_are_not() -> None:
    bench = Bench(
        SecuritySection(packets_per_second=1, packets_burst=3, requests_per_second=1, requests_burst=3)
    )
    for source, admitted in (("192.0.2.1", 3), ("127.0.0.2", 10), ("192.0.2.50", 10)):
        assert sum(bench.guard.admits(flow(source)) for _ in range(10)) == admitted
        free = [bench.guard.admits_unauthenticated(flow(source)) for _ in range(10)]
        assert free.count(None) == admitted
    assert bench.guard.rejected["rate-limited"] == 7


@pytest.mark.parametrize("user", ["1001", "nobody"])
def test_many_addresses_cannot_try_one_user_and_the_users_own_phone_goes_on(user: str) -> None:
    bench = Bench(SecuritySection(user_failures_per_second=0.5, user_failures_burst=10))
    answers = [bench.prove("INVITE", f"198.51.100.{n}", user, f"guess {n}") for n in range(12)]
    assert [one.status for one in answers if isinstance(one, Refused)] == [401] * 10 + [503] * 2
    known = bench.prove("INVITE", "198.51.100.99", user, PASSWORD)
    assert isinstance(known, Refused)
    assert (known.status, known.headers) == (503, (("Retry-After", "2"),))
    assert isinstance(bench.prove("INVITE", "198.51.100.99", "1002", PASSWORD), Agent)
    assert isinstance(bench.prove("INVITE", "192.0.2.50", "1001", PASSWORD), Agent)
