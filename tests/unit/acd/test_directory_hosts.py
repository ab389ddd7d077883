"""Where calls to a trunk go, and who we are there: from the file into the tables and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from acd.directory.diff import compare
from acd.directory.loader import DirectoryError, parse_directory
from acd.directory.model import Directory, TrunkHost
from acd.directory.store import DirectoryStore
from acd.history.migrate import migrate
from acd.sip.core.credentials import credentials_of
from tests.support.clock import FakeClock

FILE = """
trunks:
  - name: carrier
    hosts:
      - {host: sbc1.carrier.example, priority: 1, weight: 5}
      - {host: 192.0.2.7, port: 5070, transport: tcp, priority: 2}
    account: {username: line1, password: very-secret, realm: carrier.example, register_seconds: 600}
    calls_per_second: 10
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
