"""What `acd doctor` looks at before a node is started, or beside one that runs."""

from __future__ import annotations

import asyncio
import platform
import secrets
import shutil
import socket
import struct
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

import aiohttp
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from acd.clock import SystemClock
from acd.config import Settings
from acd.directory.store import DirectoryStore
from acd.errors import AcdError
from acd.flows import find_loose_ends, load_flows, load_prompts
from acd.history.journal import reply
from acd.history.migrate import migrated
from acd.media.wav import BYTES_A_SECOND
from acd.redis_server import MIN_VERSION, EmbeddedRedis
from acd.sip.core.uri import format_host
from acd.sip.resolving import Dns, NameNotFound, NameServers, peers_of
from acd.sip.tls import TlsContexts
from acd.voicemail.files import MessageFiles
from routing.limits import CLASSES_WARNED_OF

_EARLIEST_SANE_TIME = 1_700_000_000
_SKEW_SECONDS = 1.0
_PROBE_SECONDS = 2.0
_PROBED_PORTS = 64
_LEAST_FREE_BYTES = 50 * 2**20


class Ailment(AcdError):
    """Something that a node could not run with; says what to do."""

    cause = "doctor"


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    good: bool
    text: str


async def examine(settings: Settings, dns: Callable[[Sequence[str]], Dns] = NameServers) -> list[Finding]:
    """Every check, each by itself: one that fails does not hide the next."""
    running = await _answers(settings)
    checks: list[tuple[str, Callable[[], Awaitable[str]]]] = [
        ("python", _python),
        ("clock", _clock),
        ("redis", lambda: _redis(settings)),
        ("database", lambda: _database(settings)),
        ("directory", lambda: _directory(settings)),
        ("trunks", lambda: _trunks(settings, dns(settings.sip.name_servers))),
        ("prompts", lambda: _prompts(settings)),
        ("sip", lambda: _sip(settings, running)),
        ("http", lambda: _http(settings, running)),
        ("media", lambda: _media(settings)),
        ("voicemail", lambda: _voicemail(settings)),
    ]
    findings = []
    for name, check in checks:
        try:
            findings.append(Finding(name, True, await check()))
        except (AcdError, OSError, RedisError, SQLAlchemyError) as error:
            findings.append(Finding(name, False, str(error) or type(error).__name__))
    return findings


async def _voicemail(settings: Settings) -> str:
    """Messages can be written down, and there is room for them."""
    folder = settings.voicemail_dir
    try:
        await asyncio.to_thread(MessageFiles(folder, settings.node.id).prepare)
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        raise Ailment(f"voicemail.dir: {folder} cannot be written: {error.strerror or error}") from error
    if free < _LEAST_FREE_BYTES:
        raise Ailment(f"voicemail.dir: {folder} has {free // 2**20} MB left; make room for messages")
    return f"{folder}: room for {free / BYTES_A_SECOND / 3600:.0f} hours of messages"


async def _python() -> str:
    return platform.python_version()


async def _clock() -> str:
    if time.time() < _EARLIEST_SANE_TIME:
        raise Ailment("the clock is far in the past; set it (NTP)")
    return time.strftime("%Y-%m-%d %H:%M:%S %Z")


async def _redis(settings: Settings) -> str:
    server = EmbeddedRedis(settings.redis.url, settings.node.data_dir)
    found = await server.start()
    try:
        async with Redis.from_url(found.url, socket_timeout=_PROBE_SECONDS) as client:
            seconds, micros = await client.time()
            info = await client.info("server")
            classes = int(await reply(client.hlen(f"acd:{{{settings.node.site}}}:cl")))
        skew = abs(seconds + micros / 1e6 - time.time())
    finally:
        await server.stop()
    version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
    if version < MIN_VERSION:
        raise Ailment(f"{found.version}; {MIN_VERSION[0]}.{MIN_VERSION[1]} or newer is needed")
    if skew > _SKEW_SECONDS:
        raise Ailment(f"{found.version}: its clock and ours differ by {skew:.1f} s; set both (NTP)")
    if classes > CLASSES_WARNED_OF:
        raise Ailment(
            f"{found.version}: calls ask for {classes} different things of their agents, over "
            f"{CLASSES_WARNED_OF}: every match takes longer; let flows, numbers and look-ups set fewer "
            "different skills and levels"
        )
    return f"{found.kind.value}: {found.version}" + (f", {classes} classes of calls" if classes else "")


async def _database(settings: Settings) -> str:
    async with migrated(settings) as engine:
        return engine.url.render_as_string()


async def _directory(settings: Settings) -> str:
    async with migrated(settings) as engine:
        store = DirectoryStore(engine, SystemClock())
        directory, realm = await store.load(), await store.realm()
    if realm is None:
        return "empty; fill it with `acd apply FILE`"
    if realm != settings.sip.realm:
        raise Ailment(
            f"the passwords are hashed for the realm {realm!r}, and sip.realm is {settings.sip.realm!r}: "
            "no phone can register; apply the directory again"
        )
    prompts = load_prompts(settings)
    if loose_ends := find_loose_ends(directory, load_flows(settings, prompts), prompts):
        raise Ailment("\n".join(loose_ends))
    return (
        f"revision {directory.revision}: {len(directory.numbers)} numbers, {len(directory.queues)} queues, "
        f"{len(directory.agents)} agents"
    )


async def _trunks(settings: Settings, dns: Dns) -> str:
    """Every host of a trunk has an address (RFC 3263)."""
    async with migrated(settings) as engine:
        directory = await DirectoryStore(engine, SystemClock()).load()
    known, unknown = [], []
    for trunk in directory.trunks.values():
        for host in trunk.hosts:
            try:
                peers = await peers_of(host, dns)
            except NameNotFound as error:
                unknown.append(f"trunk {trunk.name}: {error}; look at its hosts and at this machine's DNS")
            else:
                where = ", ".join(f"{peer.transport} {format_host(*peer.address)}" for peer in peers)
                known.append(f"{trunk.name}: {host.host} at {where}")
    if unknown:
        raise Ailment("\n".join(unknown))
    return "; ".join(known) or "no trunk has hosts, so that no call goes out"


async def _prompts(settings: Settings) -> str:
    prompts = load_prompts(settings)
    flows = load_flows(settings, prompts)
    if settings.ivr.default_language not in prompts.languages:
        raise Ailment(f"ivr.default_language: nothing is recorded in {settings.ivr.default_language!r}")
    return f"languages {', '.join(sorted(prompts.languages))}; flows {', '.join(sorted(flows))}"


async def _sip(settings: Settings, running: bool) -> str:
    TlsContexts(settings.sip.tls)
    for listen in settings.sip.listen:
        kind = socket.SOCK_DGRAM if listen.transport == "udp" else socket.SOCK_STREAM
        _try_port(listen.host, listen.port, kind, running)
    listening = ", ".join(
        f"{listen.transport}:{format_host(listen.host, listen.port)}" for listen in settings.sip.listen
    )
    return listening + (" (a node is running)" if running else "")


async def _http(settings: Settings, running: bool) -> str:
    _try_port(*settings.http.address, socket.SOCK_STREAM, running)
    return settings.http.listen + (" (a node is running)" if running else "")


async def _answers(settings: Settings) -> bool:
    """Whether a node of this configuration runs; it then holds its own ports by right."""
    host, port = settings.http.address
    timeout = aiohttp.ClientTimeout(total=_PROBE_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://{_in_url(host)}:{port}/healthz") as answer,
        ):
            return answer.status == 200
    except (aiohttp.ClientError, OSError):
        return False


def _in_url(host: str) -> str:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{reachable}]" if ":" in reachable else reachable


def _try_port(host: str, port: int, kind: socket.SocketKind, running: bool) -> None:
    try:
        _bound(host, port, kind).close()
    except OSError as error:
        if not (running and port):
            raise Ailment(f"{host}:{port} cannot be used: {error.strerror or error}") from error


def _bound(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    """A bound socket. Raises OSError where the address is taken or none of this machine's."""
    found = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    with ExitStack() as undo:
        opened = undo.enter_context(socket.socket(family, kind))
        if kind is socket.SOCK_STREAM:  # For UDP it would let two share the port, and prove nothing.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        undo.pop_all()
        return opened


async def _media(settings: Settings) -> str:
    """Ports of the range can be had, and an RTP packet gets from one of them to another."""
    address = settings.media.address
    try:
        _bound(address, 0, socket.SOCK_DGRAM).close()
    except OSError as error:
        raise Ailment(
            f"media.address {address} is none of this machine's: {error.strerror or error}"
        ) from error
    ports = list(_spread(*settings.media.port_range))
    with ExitStack() as stack:
        free = []
        for port in ports:
            try:
                free.append(stack.enter_context(closing(_bound(address, port, socket.SOCK_DGRAM))))
            except OSError:
                continue
        if len(free) < 2:
            raise Ailment(f"media.ports {settings.media.ports}: of {len(ports)} ports tried none is free")
        await asyncio.to_thread(_loop, free[0], free[1])
        return (
            f"{address}, ports {settings.media.ports}: {len(free)} of {len(ports)} tried are free, RTP passes"
        )


def _spread(first: int, last: int) -> Iterator[int]:
    """Even ports (RTP's; RFC 3550 section 11) spread over the range."""
    evens = range(first + first % 2, last + 1, 2)
    yield from evens[:: max(len(evens) // _PROBED_PORTS, 1)]


def _loop(sender: socket.socket, receiver: socket.socket) -> None:
    # Version 2, payload type 0, 20 ms of silence in the mu-law (RFC 3550 section 5.1).
    packet = struct.pack("!BBHI4s", 0x80, 0, 1, 160, secrets.token_bytes(4)) + b"\xff" * 160
    receiver.settimeout(_PROBE_SECONDS)
    sender.sendto(packet, receiver.getsockname())
    try:
        received = receiver.recv(2048)
    except TimeoutError as error:
        raise Ailment("an RTP packet to ourselves does not arrive; look at the firewall") from error
    if received != packet:
        raise Ailment("an RTP packet to ourselves arrives changed; who else sends to these ports?")
