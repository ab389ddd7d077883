"""Phones that are programs of their own: started for a test and gone after it, however it goes."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self


class Program:
    """`async with` starts it. It lives in a temporary folder and is ended by its own id."""

    def __init__(self) -> None:
        self.dir = Path()
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """Start it; returns as soon as it can be steered."""
        raise NotImplementedError

    def _ask_to_end(self, process: asyncio.subprocess.Process) -> None:
        """Let it say good-bye to its server."""
        raise NotImplementedError

    async def close(self) -> None:
        """Let it say good-bye; kill it after three seconds."""
        if self._process is not None and self._process.returncode is None:
            self._ask_to_end(self._process)
            try:
                await asyncio.wait_for(self._process.wait(), 3)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        shutil.rmtree(self.dir, ignore_errors=True)

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
