"""SIPp 3.6.1 as callers and agents: one process for many phones, its statistics as a dataclass.

The scenarios lie in tests/e2e/scenarios. Every run is bounded in time and stopped by its own process id.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import os
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import Protocol

from tests.support.net import free_media_port, free_port, patience
from tests.support.registration import register_all

SCENARIOS = Path(__file__).parent.parent / "e2e" / "scenarios"
TRUNK_HOST = "127.0.0.2"
_NOTES = "messages.log"
_COUNTERS = {"TotalCallCreated": "created", "SuccessfulCall(C)": "successful", "FailedCall(C)": "failed"}


class Script(Protocol):
    """A scenario that is no file of tests/e2e/scenarios."""

    @property
    def xml(self) -> str: ...


class Behaviour(IntEnum):
    """What an agent's phone does with a call."""

    ANSWER = 0
    BUSY = 1
    DECLINE = 2
    RING_FOR_EVER = 3
    UNAVAILABLE = 4
    HANG_UP_FIRST = 5
    HOLD_AND_RESUME = 6


@dataclass(frozen=True, slots=True)
class AgentPhone:
    """One agent's account and manners; times in milliseconds."""

    user: str
    password: str
    behaviour: Behaviour = Behaviour.ANSWER
    ring_ms: int = 100
    talk_ms: int = 1000

    @property
    def line(self) -> str:
        return f"{self.user};{int(self.behaviour)};{self.ring_ms};{self.talk_ms}"


@dataclass(frozen=True, slots=True)
class SippResult:
    """What SIPp counted. `reasons` maps its words for a failure to how often; `errors` is its error log."""

    exit_code: int
    created: int = 0
    successful: int = 0
    failed: int = 0
    retransmissions: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    errors: str = ""

    def assert_clean(self, calls: int | None = None) -> None:
        """Every call went as the scenario says."""
        assert self.failed == 0, f"{self}"
        assert calls is None or self.successful == calls, f"{self}"


class Sipp:
    """One SIPp process: `async with Sipp("caller", server, calls=10) as sipp: await sipp.finished()`."""

    def __init__(
        self,
        scenario: str | Script,
        server: tuple[str, int],
        *,
        host: str = TRUNK_HOST,
        port: int = 0,
        number: str = "service",
        calls: int | None = None,
        rate: float = 10.0,
        limit: int = 2000,
        pause_ms: int = 1000,
        transport: str = "u1",
        users: Sequence[AgentPhone] = (),
        seconds: float = 30.0,
        media_host: str = "",
        rtp_echo: bool = False,
        notes: bool = False,
        hears_repeats: bool = False,
    ) -> None:
        """With `hears_repeats` the scenario sees what is sent again; else SIPp absorbs it, as stacks do."""
        self._rtp_echo = rtp_echo
        self._notes = notes
        self._hears_repeats = hears_repeats
        self._media_host = media_host or host
        self._scenario = scenario
        self.server = server
        self.host = host
        self.port = port
        self.seconds = seconds
        self._number = number
        self._calls = calls
        self._rate = rate
        self._limit = limit
        self._pause_ms = pause_ms
        self._transport = transport
        self._users = users
        self._process: asyncio.subprocess.Process | None = None
        self._dir = Path()

    async def __aenter__(self) -> Sipp:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        shutil.rmtree(self._dir, ignore_errors=True)

    async def start(self) -> None:
        """Start the process; a scenario that waits for calls is ready when this returns."""
        self._dir = Path(tempfile.mkdtemp(prefix="sipp-"))
        self.port = self.port or free_port(self._media_host)
        if not isinstance(self._scenario, str):
            (self._dir / "script.xml").write_text(self._scenario.xml)
        if self._users:
            lines = ["SEQUENTIAL", *(phone.line for phone in self._users)]
            (self._dir / "users.csv").write_text("\n".join(lines) + "\n")
        self._process = await asyncio.create_subprocess_exec(
            *self._command(),
            cwd=self._dir,
            env={**os.environ, "TERM": "dumb"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        if self._calls is None:
            await self._bound()

    def _command(self) -> list[str]:
        scenario = self._scenario
        file = SCENARIOS / f"{scenario}.xml" if isinstance(scenario, str) else self._dir / "script.xml"
        words = [
            *("sipp", _at(self.server), "-sf", str(file)),
            *("-i", self.host, "-bind_local", "-p", str(self.port), "-t", self._transport),
            *("-s", self._number, "-d", str(self._pause_ms), "-l", str(self._limit), "-mi", self._media_host),
            *("-mp", str(free_media_port(self._media_host)), "-nostdin", "-skip_rlimit"),
            *("-trace_stat", "-stf", "stat.csv", "-fd", "1", "-trace_err", "-error_file", "errors.log"),
            *("-timeout", f"{self.seconds:.0f}s", "-recv_timeout", f"{self.seconds * 1000:.0f}"),
        ]
        if self._notes:
            words += ["-trace_msg", "-message_file", _NOTES]
        elif os.environ.get("ACD_TEST_TRACE"):
            words += ["-trace_msg", "-message_file", f"{os.environ['ACD_TEST_TRACE']}/{file.stem}.msg"]
        if self._rtp_echo:
            words.append("-rtp_echo")
        if self._hears_repeats:
            words.append("-nr")
        if self._calls is not None:
            words += ["-m", str(self._calls), "-r", f"{self._rate:g}"]
        if self._users:
            words += ["-inf", "users.csv", "-infindex", "users.csv", "0"]
        return words

    async def _bound(self) -> None:
        """Until the socket of a waiting scenario is there (it shows in /proc/net)."""
        tables = [Path("/proc/net/udp" if self._transport.startswith("u") else "/proc/net/tcp")]
        mark = f":{self.port:04X} "
        async with asyncio.timeout(patience(5)):
            while not any(mark in table.read_text() for table in tables):
                if not self.running:
                    raise RuntimeError(f"SIPp did not start: {(await self.finished()).errors}")
                await asyncio.sleep(0.02)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def messages(self) -> str:
        """Everything that it sent and received so far, where it takes notes of that."""
        return (self._dir / _NOTES).read_text(errors="replace")

    async def finished(self) -> SippResult:
        """Wait until it has made its calls."""
        assert self._process is not None
        async with asyncio.timeout(self.seconds + 10):
            _, complaint = await self._process.communicate()
        return self._result(complaint.decode("utf-8", "replace"))

    async def stop(self) -> SippResult:
        """Let calls that are under way end (SIGUSR1), for two seconds at most, then kill it."""
        if self._process is None:
            return SippResult(exit_code=-1)
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGUSR1)
            try:
                await asyncio.wait_for(self._process.wait(), 2)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        return self._result("")

    def kill(self) -> None:
        """End it at once: the phone has lost its power."""
        if self._process is not None and self.running:
            self._process.kill()

    def _result(self, complaint: str) -> SippResult:
        assert self._process is not None
        errors = self._dir / "errors.log"
        text = errors.read_text(errors="replace") if errors.exists() else ""
        row = _last_row(self._dir / "stat.csv")
        counts = {ours: int(row.get(theirs) or 0) for theirs, ours in _COUNTERS.items()}
        reasons = {
            name.removesuffix("(C)"): int(value)
            for name, value in row.items()
            if name.startswith("Failed")
            and name.endswith("(C)")
            and name not in _COUNTERS
            and int(value or 0)
        }
        return SippResult(
            exit_code=self._process.returncode if self._process.returncode is not None else -1,
            retransmissions=int(row.get("Retransmissions(C)") or 0),
            reasons=reasons,
            errors=(text + complaint)[:1500],
            **counts,
        )


def _at(address: tuple[str, int]) -> str:
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


def _last_row(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    with path.open(newline="", errors="replace") as file:
        rows = [row for row in csv.reader(file, delimiter=";") if row]
    if len(rows) < 2:
        return {}
    return dict(zip(rows[0], rows[-1], strict=False))


async def run(
    scenario: str | Script, server: tuple[str, int], *, calls: int = 1, **more: object
) -> SippResult:
    """Run a calling scenario to its end."""
    async with Sipp(scenario, server, calls=calls, **more) as sipp:  # type: ignore[arg-type]
        return await sipp.finished()


class Agents:
    """Registered phones that take calls: `async with Agents(server, phones) as agents`."""

    def __init__(
        self,
        server: tuple[str, int],
        phones: Sequence[AgentPhone],
        *,
        host: str = "127.0.0.1",
        transport: str = "u1",
        seconds: float = 60.0,
        scenario: str | Script = "agents",
        notes: bool = False,
        hears_repeats: bool = False,
        rtp_echo: bool = False,
    ) -> None:
        """With `rtp_echo` who talks to a phone hears themselves."""
        self.phones = phones
        self.server = server
        """Where they register, and unregister in the end."""
        self._host = host
        self._unregister = True
        self._sipp = Sipp(
            scenario,
            server,
            host=host,
            port=free_port(host),
            users=phones,
            transport=transport,
            seconds=seconds,
            notes=notes,
            hears_repeats=hears_repeats,
            rtp_echo=rtp_echo,
        )

    def messages(self) -> str:
        """Everything that the phones sent and received so far, where they take notes of that."""
        return self._sipp.messages()

    @property
    def port(self) -> int:
        return self._sipp.port

    async def __aenter__(self) -> Agents:
        await self._register(expires=3600)
        await self._sipp.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._sipp.__aexit__(kind, error, trace)
        if self._unregister:
            await self._register(expires=0)

    async def _register(self, *, expires: int) -> None:
        accounts = [(phone.user, phone.password) for phone in self.phones]
        statuses = await register_all(
            self.server, accounts, host=self._host, port=self.port, algorithm="MD5", expires=expires
        )
        assert set(statuses) == {200}, f"registration: {statuses}"

    async def stop(self) -> SippResult:
        """Stop taking calls and tell how it went."""
        return await self._sipp.stop()

    def drop_calls(self) -> None:
        """Answer nothing any more, and wait for no call; they still unregister in the end."""
        self._sipp.kill()

    def kill(self) -> None:
        """The phones lose their power: nobody answers, and nobody unregisters."""
        self._unregister = False
        self._sipp.kill()
