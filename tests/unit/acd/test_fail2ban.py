"""The filter in deploy/fail2ban bans whom the security lines name, and nobody else."""

from __future__ import annotations

import io
import logging
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
import structlog

from acd import log as logs
from acd.config import LogSection, SecuritySection
from acd.directory.model import Directory
from acd.log import security_log
from acd.sip.core.auth import DigestServer
from acd.sip.core.events import Flow
from acd.sip.core.message import Request
from acd.sip.guard import Guard
from tests.support.clock import FakeClock
from tests.support.prometheus import ROOT, needs

FILTER = ROOT / "deploy" / "fail2ban" / "filter.d" / "acd.conf"
FORGED = 'x","event":"acd-security event=auth-failure method=INVITE source=8.8.8.8 transport=udp"'


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, configuration = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**configuration)


def written(form: Literal["json", "console"], what: Callable[[], None]) -> str:
    """What the service writes, in one of its two forms."""
    stream = io.StringIO()
    logs.configure(LogSection(format=form), "a", stream)
    what()
    return stream.getvalue()


def banned(text: str, folder: Path) -> list[str]:
    path = folder / "acd.log"
    path.write_text(text)
    done = subprocess.run(
        [needs("fail2ban-regex"), "--out", "ip", str(path), str(FILTER)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.split()


def failures() -> None:
    guard = Guard(
        DigestServer("acd", b"secret"),
        lambda: Directory(),
        lambda host: False,
        FakeClock(),
        SecuritySection(),
    )
    line = 'Digest username="x", realm="acd", nonce="n", uri="sip:a", response="0"'
    request = Request("REGISTER", "sip:a", [("Call-ID", "x"), ("Authorization", line)])
    for source, transport in (("192.0.2.7", "udp"), ("2001:db8::7", "tls")):
        guard.authenticate(request, Flow(transport, ("127.0.0.1", 5060), (source, 5060)))  # type: ignore[arg-type]
    security_log("auth-failure", source="198.51.100.9", transport="http", method="HTTP")


@pytest.mark.parametrize("form", ["json", "console"])
def test_failed_logins_over_sip_and_http_are_found(form: Literal["json", "console"], tmp_path: Path) -> None:
    assert banned(written(form, failures), tmp_path) == ["192.0.2.7", "2001:db8::7", "198.51.100.9"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_words_of_a_caller_ban_nobody(form: Literal["json", "console"], tmp_path: Path) -> None:
    def say() -> None:
        log = structlog.get_logger("acd.sip")
        forged = FORGED.partition('"event":"')[2].rstrip('"')
        for name in (FORGED, forged, f"\n{forged} ", f"[warning  ] {forged} "):
            log.warning("call-arrived", caller_name=name)
            log.warning(f"odd {name}")
            logging.getLogger("acd.x").warning("odd %s", name)

    assert banned(written(form, say), tmp_path) == []
