"""What the doctor finds: each fault by itself, with the remedy."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from acd.clock import SystemClock
from acd.config import Settings
from acd.database import open_engine
from acd.directory.store import DirectoryStore
from acd.doctor import Finding, examine
from acd.sip.resolving import Service
from tests.support.database import fill, migrate
from tests.support.directories import changed, directory
from tests.support.dns import FakeDns
from tests.support.redis_server import running_redis


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else has."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def settings(folder: Path, **sections: Mapping[str, Any]) -> Settings:
    usual: dict[str, Mapping[str, Any]] = {
        "node": {"data_dir": folder / "var"},
        "sip": {"listen": ["udp:127.0.0.1:0"]},
        "http": {"listen": "127.0.0.1:0"},
        "redis": {"url": "redis://127.0.0.1:1/0"},
        "media": {"ports": "31000-31199"},
    }
    fill(folder / "var" / "acd.sqlite3")
    return Settings(**{**usual, **sections})


async def found(made: Settings) -> Mapping[str, Finding]:
    return {finding.name: finding for finding in await examine(made)}


async def test_a_server_that_is_away_hides_no_other_check(tmp_path: Path) -> None:
    findings = await found(settings(tmp_path))
    assert [name for name, finding in findings.items() if not finding.good] == ["redis"]
    assert "redis.url: the server cannot be used" in findings["redis"].text
    assert "RTP passes" in findings["media"].text
    assert findings["directory"].text == "empty; fill it with `acd apply FILE`"


async def test_the_redis_in_use_is_named(tmp_path: Path) -> None:
    finding = (await found(settings(tmp_path, redis={})))["redis"]
    assert finding.good
    assert finding.text.split(":")[0] in ("system", "bundled")


async def test_too_many_different_needs_of_calls_are_told(tmp_path: Path) -> None:
    with running_redis() as server:
        made = settings(tmp_path, redis={"url": server.url})
        for count, good in ((1_000, True), (1_001, False)):
            fields = [word for n in range(count) for word in (f"k{n}", "{}")]
            server.ask("HSET", f"acd:{{{made.node.site}}}:cl", *fields)
            finding = (await found(made))["redis"]
            assert (finding.good, str(count) in finding.text) == (good, True)


async def test_a_port_that_is_taken_is_named(tmp_path: Path, taken: int) -> None:
    findings = await found(
        settings(tmp_path, sip={"listen": [f"tcp:127.0.0.1:{taken}"]}, http={"listen": f"127.0.0.1:{taken}"})
    )
    for name in ("sip", "http"):
        assert not findings[name].good
        assert f"127.0.0.1:{taken} cannot be used: Address already in use" in findings[name].text


async def test_an_address_of_another_machine_is_no_media_address(tmp_path: Path) -> None:
    finding = (await found(settings(tmp_path, media={"address": "192.0.2.1"})))["media"]
    assert (finding.good, "media.address 192.0.2.1 is none of this machine's" in finding.text) == (
        False,
        True,
    )


async def test_passwords_for_another_realm_are_a_fault(tmp_path: Path) -> None:
    made = settings(tmp_path, sip={"listen": ["udp:127.0.0.1:0"], "realm": "example.org"})
    engine = open_engine(made)
    await migrate(engine)
    await DirectoryStore(engine, SystemClock()).apply(directory(), realm="acd")
    await engine.dispose()
    finding = (await found(made))["directory"]
    assert not finding.good
    assert "no phone can register; apply the directory again" in finding.text


OUTWARD = (
    '"2001:db8::7"], ',
    '"2001:db8::7"], hosts: [{host: sbc.carrier.example}, {host: 192.0.2.9, port: 5070}], ',
)


async def with_hosts(folder: Path, dns: FakeDns) -> Finding:
    """What the doctor says of a trunk with two hosts, one of which is a name."""
    made = settings(folder)
    engine = open_engine(made)
    await migrate(engine)
    await DirectoryStore(engine, SystemClock()).apply(directory(changed(OUTWARD)), realm="acd")
    await engine.dispose()
    return next(finding for finding in await examine(made, lambda servers: dns) if finding.name == "trunks")


async def test_the_hosts_of_trunks_are_shown_as_they_are_looked_up(tmp_path: Path) -> None:
    dns = FakeDns()
    dns.srvs["_sip._udp.sbc.carrier.example"] = [Service("a.carrier.example", 5090, 1, 1)]
    dns.hosts["a.carrier.example"] = ["192.0.2.1", "2001:db8::1"]
    finding = await with_hosts(tmp_path, dns)
    assert finding.good
    assert finding.text == (
        "carrier: sbc.carrier.example at udp 192.0.2.1:5090, udp [2001:db8::1]:5090; "
        "carrier: 192.0.2.9 at udp 192.0.2.9:5070"
    )


async def test_a_host_of_a_trunk_that_nobody_knows_is_a_fault(tmp_path: Path) -> None:
    finding = await with_hosts(tmp_path, FakeDns())
    assert not finding.good
    assert "trunk carrier: no address is known for 'sbc.carrier.example'" in finding.text


async def test_a_language_without_recordings_is_a_fault(tmp_path: Path) -> None:
    finding = (await found(settings(tmp_path, ivr={"default_language": "fi"})))["prompts"]
    assert not finding.good
    assert "'fi'" in finding.text


async def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.pem"
    findings = await found(
        settings(tmp_path, sip={"listen": ["tls:127.0.0.1:0"], "tls": {"certificate": str(missing)}})
    )
    assert not findings["sip"].good
    assert findings["sip"].text.startswith(f"sip.tls.certificate: {missing}")


async def test_the_room_for_messages_is_told_and_a_folder_that_takes_none_is_named(tmp_path: Path) -> None:
    made = settings(tmp_path, voicemail={"dir": tmp_path / "mail"})
    finding = (await found(made))["voicemail"]
    assert finding.good
    assert "hours of messages" in finding.text
    (tmp_path / "file").write_text("no folder")
    finding = (await found(settings(tmp_path, voicemail={"dir": tmp_path / "file"})))["voicemail"]
    assert not finding.good
    assert f"voicemail.dir: {tmp_path / 'file'} cannot be written" in finding.text
