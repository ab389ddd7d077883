"""What `acd doctor` looks at before a node is started: each check says what it found."""

from __future__ import annotations

import platform
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from acd import app as service
from acd.config import Listen, Settings
from acd.database import open_engine
from acd.errors import AcdError
from acd.history.migrate import migrate
from acd.redis_server import EmbeddedRedis

_EARLIEST_SANE_TIME = 1_700_000_000
_LOOP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    good: bool
    text: str


async def examine(settings: Settings) -> list[Finding]:
    """Every check, each by itself: one that fails does not hide the next."""
    checks: list[tuple[str, Callable[[Settings], Awaitable[str]]]] = [
        ("python", _python),
        ("clock", _clock),
        ("redis", _redis),
        ("database", _database),
        ("prompts", _prompts),
        ("sip", _sip),
        ("http", _http),
        ("rtp", _rtp),
    ]
    findings = []
    for name, check in checks:
        try:
            findings.append(Finding(name, True, await check(settings)))
        except (AcdError, OSError, TimeoutError) as error:
            findings.append(Finding(name, False, str(error) or type(error).__name__))
    return findings


async def _python(settings: Settings) -> str:
    return platform.python_version()


async def _clock(settings: Settings) -> str:
    if time.time() < _EARLIEST_SANE_TIME:
        raise AcdError("the clock is far in the past; set it (NTP)")
    return time.strftime("%Y-%m-%d %H:%M:%S %Z")


async def _redis(settings: Settings) -> str:
    server = EmbeddedRedis(settings.redis.url, settings.node.data_dir)
    found = await server.start()
    await server.stop()
    return f"{found.kind.value}: {found.version}"


async def _database(settings: Settings) -> str:
    engine = open_engine(settings)
    try:
        await migrate(engine)
    finally:
        await engine.dispose()
    return engine.url.render_as_string()


async def _prompts(settings: Settings) -> str:
    prompts = service.load_prompts(settings)
    flows = service.load_all_flows(settings, prompts)
    return f"languages {', '.join(sorted(prompts.languages))}; flows {', '.join(sorted(flows))}"


async def _sip(settings: Settings) -> str:
    for listen in settings.sip.listen:
        _bind(listen)
    return ", ".join(f"{listen.transport}:{listen.host}:{listen.port}" for listen in settings.sip.listen)


def _bind(listen: Listen) -> None:
    kind = socket.SOCK_DGRAM if listen.transport == "udp" else socket.SOCK_STREAM
    _try_port(listen.host, listen.port, kind)


async def _http(settings: Settings) -> str:
    _try_port(*settings.http.address, socket.SOCK_STREAM)
    return settings.http.listen


def _try_port(host: str, port: int, kind: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise AcdError(f"{host}:{port} cannot be used: {error.strerror}") from error


async def _rtp(settings: Settings) -> str:
    """Send one datagram from the media address to itself."""
    address, (first, last) = settings.media.address, settings.media.port_range
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.settimeout(_LOOP_SECONDS)
        try:
            probe.bind((address, 0))
        except OSError as error:
            raise AcdError(f"media.address {address} is not of this machine: {error.strerror}") from error
        probe.sendto(b"loop", probe.getsockname())
        probe.recv(16)
    return f"{address}, ports {first}-{last}"
