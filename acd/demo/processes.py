"""The demo's processes: started in sessions of their own, stopped by their own ids, never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1


class Failed(RuntimeError):
    """A process ended with an error; carries the last lines that it said."""


class Child:
    """One process. `python` arguments run under this interpreter."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self._process = process

    @classmethod
    async def python(cls, name: str, arguments: Sequence[str], *, log: IO[bytes] | None) -> Child:
        """Start `python -m ...`; standard output is piped, standard error goes to `log`."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C in the terminal is for the demo, which stops things in order
            preexec_fn=_die_with_parent(),
        )
        return cls(name, process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    async def lines(self) -> AsyncIterator[str]:
        """What it says on standard output, until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            yield line.decode("utf-8", "replace").rstrip("\n")

    async def wait(self) -> int:
        return await self._process.wait()

    def terminate(self) -> None:
        """Ask it to stop, in order."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    async def stop(self, within: float) -> int:
        """Ask it to stop; kill it after `within` seconds. Returns its exit status."""
        self.terminate()
        try:
            return await asyncio.wait_for(self._process.wait(), within)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            return await self._process.wait()


async def run_python(arguments: Sequence[str], *, within: float = 60.0) -> str:
    """Run `python -m ...` to its end and return what it printed. Raises Failed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, complaint = await asyncio.wait_for(process.communicate(), within)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise Failed(f"`{' '.join(arguments)}` took longer than {within:.0f} s") from None
    if process.returncode:
        said = (complaint or out).decode("utf-8", "replace").strip()
        raise Failed(f"`{' '.join(arguments)}` failed:\n{said}")
    return out.decode("utf-8", "replace")


def last_lines(path: Path, count: int = 15) -> str:
    """The end of a log file."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux, what a child does first to end with us: a demo that is killed leaves nothing behind."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return tie
