"""baresip 1.0 as an agent's softphone with real audio: says a WAV file, records what it hears.

It is steered over its control socket (netstrings with JSON). Its directory lies in a temporary folder;
the process is ended by its own id. baresip 1.0 knows digest with MD5 only.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.audio import read_wav, tone, write_wav
from tests.support.net import free_media_port, free_port, patience
from tests.support.program import Program

MODULES = "/usr/lib/baresip/modules"
_MEDIA_PORTS = 22
"""It takes any of its range."""
_CONFIG = """\
poll_method epoll
sip_listen {listen}:{port}
call_local_timeout 120
call_max_calls 4
audio_path {dir}
audio_source aufile,{dir}/voice.wav
audio_player aubridge,heard
audio_alert aubridge,alert
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
audio_txmode thread
audio_level no
audio_buffer 20-160
rtp_ports {rtp}-{rtp_last}
rtcp_mux no
jitter_buffer_delay 1-5
net_interface {host}
module_path {modules}
module g711.so
module srtp.so
module aufile.so
module aubridge.so
module sndfile.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
snd_path {dir}
"""
_ACCOUNT = (
    "<sip:{user}@{server}:{server_port};transport={transport}>;auth_user={user};auth_pass={password};"
    "answermode={answer};regint={interval};audio_codecs={codecs};ptime=20;dtmfmode=rtpevent;"
    "100rel=no{extra}\n"
)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of baresip: REGISTER_OK, CALL_INCOMING, CALL_ESTABLISHED, CALL_CLOSED, ..."""

    type: str
    param: str


class BaresipError(RuntimeError):
    """baresip refused a command, or died."""


class Baresip(Program):
    """One softphone: `async with Baresip(server, "1001", "secret", says=700) as phone`.

    `says` is the tone in Hz that it sends in a call; `interval` is the registration time in seconds;
    `mediaenc` is `srtp` (where the far end does, too) or `srtp-mand` (nothing else);
    `watches_messages` subscribes to its own messages (RFC 3842): see `messages_told`;
    `authority` is the PEM file of the CA that a TLS server's certificate must be signed by, `certificate` the
    one that it shows itself. With an `interval` of 0 it does not register.
    """

    def __init__(
        self,
        server: tuple[str, int],
        user: str,
        password: str,
        *,
        says: float = 700.0,
        transport: str = "udp",
        auto_answer: bool = True,
        codecs: str = "PCMA/8000/1,PCMU/8000/1",
        interval: int = 300,
        host: str = "127.0.0.1",
        mediaenc: str = "",
        authority: Path | None = None,
        watches_messages: bool = False,
        certificate: Path | None = None,
    ) -> None:
        super().__init__()
        self.server = server
        self.user = user
        self.happened: list[Happening] = []
        self._password = password
        self._says = says
        self._transport = transport
        self._auto_answer = auto_answer
        self._codecs = codecs
        self._interval = interval
        self._host = host
        self._mediaenc = mediaenc
        self._authority = authority
        self._watches_messages = watches_messages
        self._certificate = certificate
        self._writer: asyncio.StreamWriter | None = None
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def start(self) -> None:
        """Start it; returns as soon as it can be steered. It registers by itself."""
        self.dir = Path(tempfile.mkdtemp(prefix="baresip-"))
        control = self._write_files()
        log = (self.dir / "log.txt").open("wb")
        self._process = await asyncio.create_subprocess_exec(
            *("baresip", "-f", str(self.dir)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
        )
        log.close()
        reader = await self._connect(control)
        self._reading = asyncio.create_task(self._read(reader))

    def _write_files(self) -> int:
        write_wav(self.dir / "voice.wav", tone(self._says, 120.0))
        control, rtp = free_port(), free_media_port(count=_MEDIA_PORTS)
        config = _CONFIG.format(
            listen=_bracketed(self._host),
            host=self._host,
            port=free_port(neighbours=1),  # it takes the next one for TLS
            dir=self.dir,
            rtp=rtp,
            rtp_last=rtp + _MEDIA_PORTS - 1,
            control=control,
            modules=MODULES,
        )
        if self._watches_messages:
            # Before the account, which registers as it is loaded. A millisecond after its own loading the
            # module goes through its subscriptions and adds one for each: if one is there by then, for ever.
            config = config.replace("module_tmp account.so", "module mwi.so\nmodule_tmp account.so")
        if self._authority is not None:
            config += f"sip_cafile {self._authority}\n"
        if self._certificate is not None:
            config += f"sip_certificate {self._certificate}\n"
        account = _ACCOUNT.format(
            user=self.user,
            password=self._password,
            server=_bracketed(self.server[0]),
            server_port=self.server[1],
            transport=self._transport,
            answer="auto" if self._auto_answer else "manual",
            interval=self._interval,
            codecs=self._codecs,
            extra=f";mediaenc={self._mediaenc}" if self._mediaenc else "",
        )
        (self.dir / "config").write_text(config)
        (self.dir / "accounts").write_text(account)
        (self.dir / "contacts").write_text("")
        return control

    async def _connect(self, control: int) -> asyncio.StreamReader:
        async with asyncio.timeout(patience(10)):
            while True:
                try:
                    reader, self._writer = await asyncio.open_connection("127.0.0.1", control)
                except OSError:
                    if self._process is None or self._process.returncode is not None:
                        raise BaresipError(self.log) from None
                    await asyncio.sleep(0.05)
                else:
                    return reader

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                size = int((await reader.readuntil(b":"))[:-1])
                message = json.loads((await reader.readexactly(size + 1))[:-1])
                if message.get("event"):
                    self.happened.append(Happening(message["type"], str(message.get("param", ""))))
                    self._changed.set()
                else:
                    self._answers.put_nowait(message)
        except (asyncio.IncompleteReadError, ConnectionError):
            self._changed.set()

    @property
    def log(self) -> str:
        """What it said itself, for the message of a failed test."""
        path = self.dir / "log.txt"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return "\n".join(line for line in lines if "handle_command" not in line)[-3000:]

    async def command(self, name: str, parameters: str = "", *, within: float = 5.0) -> str:
        """Send one command of baresip's menu and return what it printed."""
        assert self._writer is not None
        text = json.dumps({"command": name, "params": parameters, "token": name})
        self._writer.write(f"{len(text)}:{text},".encode())
        async with asyncio.timeout(patience(within)):
            answer = await self._answers.get()
        if not answer.get("ok"):
            raise BaresipError(f"{name} {parameters}: {answer.get('data')}\n{self.log}")
        return str(answer.get("data", ""))

    async def until(self, kind: str, *, count: int = 1, within: float = 10.0) -> Happening:
        """Wait for the `count`-th event of a kind since the start."""
        try:
            async with asyncio.timeout(patience(within)):
                while True:
                    found = [item for item in self.happened if item.type == kind]
                    if len(found) >= count:
                        return found[count - 1]
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"no {kind} within {within} s; saw {self.happened}\n{self.log}") from None

    def times(self, kind: str) -> int:
        """How often a kind of event has been seen."""
        return sum(item.type == kind for item in self.happened)

    async def registered(self, within: float = 10.0) -> None:
        """Wait for the registration. It may have come before we listened, so the phone is asked, too."""
        try:
            async with asyncio.timeout(patience(within)):
                while not re.search(r"OK\b", await self.command("reginfo")):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"not registered within {within} s\n{self.log}") from None

    async def answer(self) -> None:
        await self.command("accept")

    async def hang_up(self) -> None:
        await self.command("hangup")

    async def hold(self) -> None:
        await self.command("hold")

    async def resume(self) -> None:
        await self.command("resume")

    async def dial(self, number: str) -> None:
        await self.command("dial", number)

    async def press(self, digits: str) -> None:
        """Send digits in the call, as RFC 4733 events."""
        for digit in digits:
            await self.command("sndcode", digit)
            await asyncio.sleep(0.2)

    def messages_told(self) -> list[str]:
        """New and old messages, as each NOTIFY told them: "1/0". It prints them, and makes no event of it."""
        log = (self.dir / "log.txt").read_text(errors="replace")
        return re.findall(r"^Voice-Message: (\d+/\d+)", log, re.M)

    def heard(self, *, last_seconds: float | None = None) -> bytes:
        """What it has heard in the newest call so far, as PCM at 8000; optionally the end of it only."""
        recordings = sorted(self.dir.glob("dump-*-dec.wav"), key=lambda path: path.stat().st_mtime)
        if not recordings:
            return b""
        pcm = read_wav(recordings[-1])
        return pcm if last_seconds is None else pcm[-round(last_seconds * 8000) * 2 :]

    def _ask_to_end(self, process: asyncio.subprocess.Process) -> None:
        process.terminate()

    async def close(self) -> None:
        await super().close()
        if self._writer is not None:
            self._writer.close()

    def kill(self) -> None:
        """The phone loses its power."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
