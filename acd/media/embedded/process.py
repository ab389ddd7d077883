"""The engine's side of one media worker: starts it, talks to it, starts it again when it dies."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import deque
from collections.abc import Callable

import msgspec
import structlog

from acd import tasks
from acd.clock import Clock
from acd.errors import MediaUnavailable
from acd.media.embedded import protocol

_START_SECONDS = 10.0
_STOP_SECONDS = 2.0
_MAX_DELAY_SECONDS = 10.0
_GOOD_RUN_SECONDS = 60.0
"""A worker that lived so long is started again at once when it dies."""
_MAX_WAITING = 20_000
"""Messages to a worker that does not read; beyond this it is taken for dead."""

_log = structlog.get_logger(__name__)


class WorkerProcess:
    """One worker, over all the processes that it is in turn.

    `on_events` gets what it reports, `on_lost` is called when a process died; both on the event loop.
    """

    def __init__(
        self,
        configuration: protocol.Configure,
        clock: Clock,
        on_events: Callable[[list[protocol.Event]], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._configuration = configuration
        self._clock = clock
        self._on_events, self._on_lost = on_events, on_lost
        self._process: asyncio.subprocess.Process | None = None
        self._socket: socket.socket | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._ready, self._gone = asyncio.Event(), asyncio.Event()
        self._commands: list[protocol.Command] = []
        self._unsent: deque[bytes] = deque()
        self._flushing = False
        self.restarts = 0

    @property
    def alive(self) -> bool:
        """Whether it takes commands."""
        return self._ready.is_set() and not self._gone.is_set()

    @property
    def pid(self) -> int:
        """Of the present process; 0 where there is none."""
        return self._process.pid if self._process is not None else 0

    async def start(self) -> None:
        """Returns once the worker is ready. Raises MediaUnavailable."""
        self._keeper = asyncio.create_task(self._keep(), name="media worker")
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self._ready.wait()
        except TimeoutError:
            await self.stop()
            raise MediaUnavailable(f"the media worker was not ready in {_START_SECONDS:g} s") from None

    async def stop(self) -> None:
        """End the process; nothing is reported of it any more."""
        await tasks.end(self._keeper)
        self._keeper = None
        await self._end(_STOP_SECONDS)

    def send(self, command: protocol.Command) -> None:
        """Queue a command; those of one turn of the event loop go in one write. Dropped if it is dead."""
        if not self.alive:
            return
        self._commands.append(command)
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def abandon(self) -> None:
        """Take a worker that does not answer for dead."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        self._gone.set()

    async def _keep(self) -> None:
        delay = 0.0
        while True:
            born = self._clock.monotonic()
            await self._spawn()
            await self._gone.wait()
            await self._end(0.0)
            self._on_lost()
            long_lived = self._clock.monotonic() - born > _GOOD_RUN_SECONDS
            delay = 0.0 if long_lived else delay
            _log.error("media_worker_died", restart_in_seconds=delay)
            await asyncio.sleep(delay)
            delay = min(_MAX_DELAY_SECONDS, max(0.25, 2 * delay))
            self.restarts += 1

    async def _spawn(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            ours.setblocking(False)
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "acd.media.embedded.worker",
                str(theirs.fileno()),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._socket = ours
        self._gone.clear()
        self._commands, self._flushing = [], False
        self._unsent = deque(protocol.encode([self._configuration]))
        asyncio.get_running_loop().add_reader(ours.fileno(), self._read)
        self._write()

    async def _end(self, patience: float) -> None:
        """Close the socket, which ends the worker; kill it where that does not."""
        self._ready.clear()
        self._gone.set()
        if self._socket is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._socket.fileno())
            loop.remove_writer(self._socket.fileno())
            self._socket.close()
            self._socket = None
        process, self._process = self._process, None
        if process is None:
            return
        try:
            async with asyncio.timeout(patience):
                await process.wait()
        except TimeoutError:
            if process.returncode is None:
                process.kill()
            await process.wait()

    def _read(self) -> None:
        while self._socket is not None:
            try:
                data = self._socket.recv(protocol.MAX_MESSAGE)
                events = protocol.decode_events(data) if data else []
            except BlockingIOError:
                return
            except (OSError, msgspec.DecodeError) as error:
                _log.error("media_worker_unreadable", error=str(error))
                self._gone.set()
                return
            if not data:
                self._lose()
                return
            if isinstance(events[0], protocol.Ready):
                self._ready.set()
            self._on_events(events)

    def _lose(self) -> None:
        if self._socket is not None:  # an ended socket stays readable until _end closes it
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._gone.set()

    def _flush(self) -> None:
        self._flushing = False
        commands, self._commands = self._commands, []
        if commands and self._socket is not None:
            self._unsent.extend(protocol.encode(commands))
            self._write()

    def _write(self) -> None:
        if self._socket is None:
            return
        loop = asyncio.get_running_loop()
        while self._unsent:
            try:
                self._socket.send(self._unsent[0])
            except BlockingIOError:
                if len(self._unsent) > _MAX_WAITING:
                    self.abandon()
                else:
                    loop.add_writer(self._socket.fileno(), self._write)
                return
            except OSError:
                self._lose()
                return
            self._unsent.popleft()
        loop.remove_writer(self._socket.fileno())
