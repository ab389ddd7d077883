"""linphone 5.1 (its daemon) as a softphone: commands on its standard input, answers on its output.

It has no sound card and plays a WAV file instead; what it hears it only counts. Waits take a limit in
seconds, AssertionError beyond it.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from pathlib import Path

from tests.support.audio import tone, write_wav
from tests.support.net import free_media_port, free_port, patience
from tests.support.program import Program

_CONFIG = """\
[sip]
sip_port={sip}
sip_tcp_port={tcp}
sip_tls_port=-1
use_ipv6=0
media_encryption=none
use_info={info}
use_rfc2833={rtp_digits}
[rtp]
audio_rtp_port={rtp}
[video]
capture=0
display=0
[proxy_0]
reg_identity=sip:{user}@{host}
reg_proxy=<sip:{host}:{port};transport={transport}>
reg_expires=300
reg_sendregister=1
[auth_info_0]
username={user}
userid={user}
passwd={password}
realm=acd
"""


class Linphone(Program):
    """One phone: `async with Linphone(server, "1001", "secret", says=700) as phone`; it takes every call.

    With `digits_by_info` it sends digits in INFO requests and not in its audio.
    """

    def __init__(
        self,
        server: tuple[str, int],
        user: str,
        password: str,
        *,
        says: float = 700.0,
        transport: str = "udp",
        digits_by_info: bool = False,
    ) -> None:
        super().__init__()
        self._digits_by_info = digits_by_info
        self.server = server
        self.user = user
        self._password = password
        self._says = says
        self._transport = transport
        self._said = ""

    async def start(self) -> None:
        self.dir = Path(tempfile.mkdtemp(prefix="linphone-"))
        write_wav(self.dir / "voice.wav", tone(self._says, 60.0))
        (self.dir / ".local/share/linphone").mkdir(parents=True)
        (self.dir / "rc").write_text(self._config())
        self._process = await asyncio.create_subprocess_exec(
            *("linphone-daemon", "--config", str(self.dir / "rc"), "--auto-answer", "--disable-stats-events"),
            *("--log", str(self.dir / "log.txt")),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=self.dir,
            env={**os.environ, "HOME": str(self.dir)},
        )
        self._reading = asyncio.create_task(self._read())
        await self.command("version")

    def _config(self) -> str:
        port = free_port()
        own = {"udp": {"sip": port, "tcp": -1}, "tcp": {"sip": -1, "tcp": port}}[self._transport]
        host, number = self.server
        account = {"user": self.user, "password": self._password, "host": host, "port": number}
        digits = {"info": int(self._digits_by_info), "rtp_digits": int(not self._digits_by_info)}
        return _CONFIG.format(**own, **account, **digits, transport=self._transport, rtp=free_media_port())

    def _ask_to_end(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        process.stdin.write(b"quit\n")

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while data := await self._process.stdout.read(4096):
            self._said += data.decode(errors="replace")
            self._changed.set()

    async def command(self, line: str, *, within: float = 10.0) -> str:
        """Do something; what it answers, AssertionError where it refuses."""
        assert self._process is not None
        assert self._process.stdin is not None
        before = len(self._said)
        self._process.stdin.write(line.encode() + b"\n")
        await self._until(r"Status: (Ok|Error)[^>]*\n", before, within)
        answer = self._said[before:]
        assert "Status: Ok" in answer, f"{line}: {answer}"
        return answer

    async def _until(self, words: str, since: int, within: float) -> None:
        try:
            async with asyncio.timeout(patience(within)):
                while not re.search(words, self._said[since:], re.S):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"no {words!r} within {within} s; {self.log}") from None

    async def dial(self, number: str) -> None:
        """Call somebody and be answered."""
        await self.command(f"call sip:{number}@{self.server[0]}")
        await self._until("LinphoneCallStreamsRunning", 0, 8.0)

    async def press(self, digit: str) -> None:
        await self.command(f"dtmf {digit}")

    async def resumed(self) -> None:
        """Wait until audio runs again after it has been paused."""
        await self._until("LinphoneCallPaused.*LinphoneCallStreamsRunning", 0, 5.0)

    async def speak(self) -> None:
        """Say its tone from now on."""
        await self.command(f"incall-player-start {self.dir}/voice.wav")

    @property
    def log(self) -> str:
        """What it said itself, for the message of a failed test."""
        path = self.dir / "log.txt"
        log = path.read_text(errors="replace") if path.exists() else ""
        return "\n".join([self._said[-1500:], *re.findall(r".*(?:error|warning)-.*", log)[-15:]])
