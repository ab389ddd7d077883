"""Where calls to a trunk go, and who we are there: from the file into the tables and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from acd.directory.diff import compare
from acd.directory.loader import DirectoryError, parse_directory
from acd.directory.model import Directory, TrunkHost
from acd.directory.store import DirectoryStore
from tests.support.clock import FakeClock
from tests.support.credentials import credentials_of
from tests.support.database import migrate

FILE = """
trunks:
  - name: carrier
    hosts:
      - {host: sbc1.carrier.example, priority: 1, weight: 5}
      - {host: 192.0.2.7, port: 5070, transport: tcp, priority: 2}
    account: {username: line1, password: very-secret, realm: carrier.example, register_seconds: 600}
    calls_per_second: 10
    calls_per_second_in: 20
    probe_seconds: 15
"""


def read(text: str) -> Directory:
    return parse_directory(text, "x.yaml", ()).build("acd")


async def test_hosts_and_account_come_back_from_the_database_without_the_password(tmp_path: Path) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/acd.db")
    await migrate(engine)
    store = DirectoryStore(engine, FakeClock())
    await store.apply(read(FILE), realm="acd")
    trunk = (await store.load()).trunks["carrier"]
    await engine.dispose()
    assert trunk.hosts == (
        TrunkHost("sbc1.carrier.example", weight=5),
        TrunkHost("192.0.2.7", 5070, "tcp", priority=2),
    )
    assert trunk.calls_per_second_in == 20.0
    assert (trunk.calls_per_second, trunk.probe_seconds, trunk.register_seconds) == (10.0, 15.0, 600)
    known = credentials_of("line1", "carrier.example", "very-secret")
    assert (trunk.username, trunk.realm) == (known.username, known.realm)
    assert (trunk.ha1_md5, trunk.ha1_sha256) == (known.ha1_md5, known.ha1_sha256)
    assert b"very-secret" not in (tmp_path / "acd.db").read_bytes()


def test_a_changed_password_is_a_change_that_shows_nothing_of_it() -> None:
    (change,) = compare(read(FILE), read(FILE.replace("very-secret", "other-secret")))
    assert str(change) == "~ trunk carrier  (password changed)"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("transport: tcp", "transport: sctp", "trunks[0].hosts[1].transport: "),
        ("host: 192.0.2.7", "host: 'sbc carrier'", "trunks[0].hosts[1].host: "),
        ("realm: carrier.example", "realm: ''", "username and realm must not be empty"),
        ("register_seconds: 600", "register_seconds: 5", "register_seconds is 60 at least"),
        ("calls_per_second: 10", "calls_per_second: -1", "trunks[0].calls_per_second: "),
    ],
)
def test_what_cannot_be_called_is_an_error_that_names_the_field(old: str, new: str, complaint: str) -> None:
    with pytest.raises(DirectoryError) as wrong:
        read(FILE.replace(old, new))
    assert complaint in str(wrong.value)


def test_an_account_without_a_host_is_an_error() -> None:
    account = "account: {username: u, password: secret-1, realm: r}"
    with pytest.raises(DirectoryError, match="an account needs hosts"):
        read("trunks:\n  - {name: a, match: [192.0.2.1/32], " + account + "}\n")


# What calls over it say, and where they may be sent.

OUTWARD = (
    FILE
    + """
    headers: {X-Customer: customer}
    send_headers: {X-Customer: customer, X-Queue: queue, User-to-User: call}
    diversion: history-info
    redirects: follow
    from_user: account
"""
)


async def test_headers_diversion_and_redirects_come_back_from_the_database(tmp_path: Path) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/acd.db")
    await migrate(engine)
    store = DirectoryStore(engine, FakeClock())
    wanted = read(OUTWARD)
    await store.apply(wanted, realm="acd")
    assert (await store.load()).trunks == wanted.trunks
    await engine.dispose()
    trunk = wanted.trunks["carrier"]
    assert trunk.send_headers == {"X-Customer": "customer", "X-Queue": "queue", "User-to-User": "call"}
    assert (trunk.diversion, trunk.redirects, trunk.from_user) == ("history-info", "follow", "account")


def test_without_a_word_nothing_is_sent_diverted_or_followed() -> None:
    trunk = read(FILE.replace("probe_seconds: 15", "diversion: off")).trunks["carrier"]
    assert (dict(trunk.send_headers), trunk.diversion, trunk.redirects) == ({}, "off", "refuse")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("X-Queue: queue", "X-Queue: quue", "trunks[0].send_headers.X-Queue: no trunk has 'quue'"),
        ("X-Queue: queue", "From: queue", "'From' has a meaning of its own in SIP"),
        ("X-Queue: queue", "P-Asserted-Identity: queue", "has a meaning of its own in SIP"),
        ("X-Queue: queue", "content-length: queue", "has a meaning of its own in SIP"),
        ("X-Queue: queue", "v: queue", "'v' has a meaning of its own in SIP"),
        ("X-Queue: queue", "'X-Queue: 1\\r\\nFrom': queue", "is not the name of a SIP header"),
        ("redirects: follow", "redirects: anywhere", "trunks[0].redirects: "),
        ("diversion: history-info", "diversion: both", "trunks[0].diversion: "),
    ],
)
def test_what_cannot_be_said_is_an_error_that_names_the_field(old: str, new: str, complaint: str) -> None:
    with pytest.raises(DirectoryError) as wrong:
        read(OUTWARD.replace(old, new))
    assert complaint in str(wrong.value)


def test_the_error_names_the_word_that_was_perhaps_meant() -> None:
    with pytest.raises(DirectoryError, match="did you mean 'queue'"):
        read(OUTWARD.replace("X-Queue: queue", "X-Queue: quue"))


def test_an_account_in_from_needs_an_account() -> None:
    with pytest.raises(DirectoryError, match="from_user is account, and there is no account"):
        read("trunks:\n  - {name: a, hosts: [{host: a.example}], from_user: account}\n")


def test_headers_of_a_trunk_that_nothing_goes_out_over_are_an_error() -> None:
    with pytest.raises(DirectoryError, match="send_headers needs hosts"):
        read("trunks:\n  - {name: a, match: [192.0.2.1/32], send_headers: {X-A: queue}}\n")


def test_the_number_of_the_caller_is_for_trusted_trunks_only() -> None:
    told = OUTWARD.replace("X-Queue: queue", "X-From: caller")
    assert read(told).trunks["carrier"].send_headers["X-From"] == "caller"
    with pytest.raises(DirectoryError, match="only a trusted trunk may be told"):
        read(told.replace("redirects: follow", "trusted: false"))
