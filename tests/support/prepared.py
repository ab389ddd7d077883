"""The command `acd` in processes that have imported the service already: to start one costs a third.

One process, the nursery, imports what `acd serve` imports and waits; each process asked of it is a fork of
that, which then runs the command line as `python -m acd` does. A nursery ends with the tests that began it.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

_IMPORTED = ("acd.cli", "acd.serve")
_LARGEST = 1 << 16


class PreparedProcess:
    """A process of a nursery, to be used as `subprocess.Popen` is."""

    def __init__(
        self, words: Sequence[str], output: IO[bytes], folder: Path, *, clock_off: float = 0.0
    ) -> None:
        ours, theirs = socket.socketpair()
        asked = {"words": list(words), "folder": str(folder), "environment": dict(os.environ)}
        with theirs:
            handles = [output.fileno(), theirs.fileno()]
            socket.send_fds(_nursery(clock_off), [json.dumps(asked).encode()], handles)
        self._told = ours.makefile("r")
        self._socket = ours
        self.pid = int(self._told.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit status (less than 0: of what signal it died), or None while it runs."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired after so many seconds."""
        found = self._look(timeout)
        if found is None:
            raise subprocess.TimeoutExpired(f"acd, process {self.pid}", timeout or 0.0)
        return found

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def _has_ended(self, within: float | None) -> bool:
        told = select.poll()  # Of any number, as a test with many telephones has files.
        told.register(self._socket, select.POLLIN)
        return bool(told.poll(None if within is None else within * 1000))

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and self._has_ended(timeout):
            self.returncode = int(self._told.readline())
            self._told.close()
            self._socket.close()
        return self.returncode


@functools.cache
def _nursery(clock_off: float) -> socket.socket:
    """Where to ask for processes; one nursery for each error of the machine's clock, in seconds."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        handle = theirs.fileno()
        words = (sys.executable, "-m", "tests.support.prepared", str(handle), str(clock_off))
        process = subprocess.Popen(words, pass_fds=[handle], stdin=subprocess.DEVNULL)

    def end() -> None:
        process.terminate()
        process.wait()

    atexit.register(end)
    return ours


def _set_clock(off: float) -> None:
    """Before anything is imported that keeps the clock."""
    right = time.time
    time.time = lambda: right() + off


def _is_asked(nursery: socket.socket) -> bool:
    """True in each process that is asked for; False in the nursery, when nobody will ask any more."""
    while True:
        message, handles, _, _ = socket.recv_fds(nursery, _LARGEST, 2)
        if not message:
            return False
        if os.fork() == 0:
            nursery.close()
            if _is_born(*handles):
                _become(json.loads(message), handles[0])
                return True
        for handle in handles:
            os.close(handle)


def _is_born(output: int, teller: int) -> bool:
    """Forks once more: one is the process, the other tells its number and how it ended, and ends too."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    process = os.fork()
    if process == 0:
        os.close(teller)
        return True
    os.close(output)
    os.write(teller, b"%d\n" % process)
    _, status = os.waitpid(process, 0)
    os.write(teller, b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(asked: dict[str, Any], output: int) -> None:
    for standard in (1, 2):
        os.dup2(output, standard)
    os.close(output)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.argv = ["acd", *asked["words"]]


def main() -> None:
    handle, off = int(sys.argv[1]), float(sys.argv[2])
    if off:
        _set_clock(off)
    for name in _IMPORTED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    if _is_asked(socket.socket(fileno=handle)):
        from acd.cli import main as acd

        acd()


if __name__ == "__main__":
    main()
