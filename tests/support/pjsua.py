"""pjsua2 (PJSIP) as a softphone with real audio: says a WAV file, records what it hears.

The library lives in a process of its own (tests.support.pjsua_process), which is told what to do and tells
what happens in JSON lines. Waits take a limit in seconds and raise AssertionError beyond it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.support.audio import read_wav, tone, write_wav
from tests.support.net import patience
from tests.support.program import Program

INSTALLED = importlib.util.find_spec("pjsua2") is not None
_ROOT = Path(__file__).parents[2]


class Pjsua(Program):
    """One phone: `async with Pjsua(server, "1001", "secret", says=700) as phone`.

    `reliable` (100rel) is `no`, `optional` or `required`, `timer` (RFC 4028) these or `always`, `srtp` as
    `reliable`; `authority` is the PEM file of the CA that a TLS server's certificate must be signed by, and
    with a `certificate` of its own that of whoever calls it over TLS, who has to show one; `port` is where it
    listens, 0 for any. With `answers` it answers every call at once, 180 and then 200; where that is `asked`,
    those that ask for it. With `messages` it subscribes to its voice messages.
    """

    def __init__(self, server: tuple[str, int], user: str, password: str, **settings: object) -> None:
        super().__init__()
        self.user = user
        self.happened: list[dict[str, Any]] = []
        self._settings: dict[str, object] = {
            "host": "127.0.0.1",
            "transport": "udp",
            "answers": True,
            "codecs": ["PCMA", "PCMU"],
            "reliable": "no",
            "timer": "optional",
            "srtp": "no",
            "authority": "",
            "certificate": "",
            "port": 0,
            "registers": True,
            "messages": False,
            "server": server,
            "user": user,
            "password": password,
        }
        self._says = float(settings.pop("says", 700.0))  # type: ignore[arg-type]
        self._settings |= settings

    async def start(self) -> None:
        self.dir = Path(tempfile.mkdtemp(prefix="pjsua-"))
        write_wav(self.dir / "voice.wav", tone(self._says, 60.0))
        words = json.dumps({**self._settings, "dir": str(self.dir)})
        with (self.dir / "errors.txt").open("wb") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.support.pjsua_process", words),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                cwd=_ROOT,
            )
        self._reading = asyncio.create_task(self._read())
        await self.until("ready")

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if line.startswith(b"{"):  # The library greets in plain text before it can be told not to.
                self.happened.append(json.loads(line))
                self._changed.set()

    def _ask_to_end(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        process.stdin.close()

    @property
    def log(self) -> str:
        """What it said itself, for the message of a failed test."""
        paths = (self.dir / "errors.txt", self.dir / "log.txt")
        return "".join(path.read_text(errors="replace")[-2500:] for path in paths if path.exists())

    async def until(
        self, kind: str, *, count: int = 1, within: float = 10.0, **facts: object
    ) -> dict[str, Any]:
        """Wait for the `count`-th happening of a kind with these facts."""
        try:
            async with asyncio.timeout(patience(within)):
                while True:
                    found = self.seen(kind, **facts)
                    if len(found) >= count:
                        return found[count - 1]
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            seen = [{key: value for key, value in one.items() if key != "message"} for one in self.happened]
            raise AssertionError(f"no {kind} {facts} within {within} s; saw {seen}\n{self.log}") from None

    def seen(self, kind: str, **facts: object) -> list[dict[str, Any]]:
        """Everything of a kind with these facts that has happened."""
        return [one for one in self.happened if one["event"] == kind and facts.items() <= one.items()]

    async def command(self, word: str, **arguments: object) -> Any:
        """Do something; AssertionError where the library refuses."""
        assert self._process is not None
        assert self._process.stdin is not None
        done = len(self.seen("answer"))
        self._process.stdin.write(json.dumps({"do": word, **arguments}).encode() + b"\n")
        answer = await self.until("answer", count=done + 1)
        assert "error" not in answer, f"{word}: {answer['error']}"
        return answer["result"]

    async def registered(self) -> None:
        await self.until("registered")

    async def incoming(self, count: int = 1) -> int:
        """The line of a call that came in."""
        return int((await self.until("incoming", count=count))["line"])

    async def talking(self, line: int) -> None:
        await self.until("talking", line=line)

    async def dial(self, number: str) -> int:
        """Call somebody and wait for the answer: the line."""
        line = int(await self.command("dial", number=number))
        await self.talking(line)
        return line

    async def ended(self, line: int) -> None:
        await self.until("ended", line=line)

    def heard(self, line: int, *, last_seconds: float | None = None) -> bytes:
        """What a line has brought so far, as PCM at 8000; optionally the end of it only."""
        path = self.dir / f"heard-{line}.wav"
        pcm = read_wav(path) if path.exists() else b""
        return pcm if last_seconds is None else pcm[-round(last_seconds * 8000) * 2 :]
