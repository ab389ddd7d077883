"""A gate before Redis, through which one node speaks: it sees each word pass and can kill the node there.

So a test stops a process between two of its words without a hook in the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

_CHUNK = 1 << 16
_KEPT = 1 << 16
"""So much of what passed is looked at together with what comes, as words may arrive in pieces."""


@dataclass(slots=True)
class _Trap:
    pattern: re.Pattern[bytes]
    spring: Callable[[], None]
    is_reply: bool
    after: bool
    armed_on: object = None


class RedisGate:
    """`with RedisGate(server_socket, own_socket) as gate`: what connects to `gate.url` is at the server.

    Works in a thread with a loop of its own, so it outlives the loops of single tests.
    """

    def __init__(self, server: Path, own: Path) -> None:
        self.url = f"unix://{own}"
        self._server, self._own = server, own
        self._trap: _Trap | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="redis-gate", daemon=True)

    def __enter__(self) -> RedisGate:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(5)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def when_said(self, pattern: bytes, spring: Callable[[], None]) -> None:
        """As the node says this, call `spring`, once; Redis does not hear it."""
        self._trap = _Trap(re.compile(pattern, re.S), spring, is_reply=False, after=False)

    def when_said_and_done(self, pattern: bytes, spring: Callable[[], None]) -> None:
        """As Redis answers this, call `spring`, once; the node does not hear the answer."""
        self._trap = _Trap(re.compile(pattern, re.S), spring, is_reply=False, after=True)

    def when_answered(self, pattern: bytes, spring: Callable[[], None]) -> None:
        """As Redis says this to the node, call `spring`, once; the node does not hear it."""
        self._trap = _Trap(re.compile(pattern, re.S), spring, is_reply=True, after=False)

    async def _listen(self) -> None:
        self._listener = await asyncio.start_unix_server(self._pass, str(self._own))

    async def _close(self) -> None:
        self._listener.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(str(self._server))
        ways = (
            asyncio.ensure_future(self._pump(reader, far_writer, reader, is_reply=False)),
            asyncio.ensure_future(self._pump(far_reader, writer, reader, is_reply=True)),
        )
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (writer, far_writer):
                end.close()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        connection: object,
        *,
        is_reply: bool,
    ) -> None:
        trap, passed = self._trap, b""
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if trap is not self._trap:
                    trap, passed = self._trap, b""
                passed = (passed + data)[-_KEPT:]
                if trap is not None and self._is_caught(trap, passed, connection, is_reply=is_reply):
                    return
                writer.write(data)
                await writer.drain()

    def _is_caught(self, trap: _Trap, passed: bytes, connection: object, *, is_reply: bool) -> bool:
        if trap.armed_on is not None:
            is_due = is_reply and trap.armed_on is connection
        else:
            is_due = trap.is_reply == is_reply and trap.pattern.search(passed) is not None
            if is_due and trap.after:
                trap.armed_on = connection
                return False
        if is_due:
            self._trap = None
            trap.spring()
        return is_due
