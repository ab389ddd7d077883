"""Debian's Chromium without a window, steered by its DevTools protocol; JsSIP or SIP.js in a page of it."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
from aiohttp import web

from tests.support.net import eventually, patience

LIBRARIES = Path(__file__).parent.parent.parent / ".venv" / "browser"
"""Where tools/setup_browser_phones.sh puts jssip.js and sipjs.js."""
_PAGES = Path(__file__).parent
_HTML = """\
<!doctype html><meta charset=utf-8><title>phone</title>
<script src=library.js></script><script src=page.js></script>
"""
_SWITCHES = (
    "--headless=new",
    "--no-sandbox",  # the suite may run as root, and opens no page but its own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--no-first-run",
    "--no-proxy-server",
    "--ignore-certificate-errors",
    "--remote-debugging-port=0",
)
_SDP = """\
v=0
o=- 1 1 IN IP4 {host}
s=-
c=IN IP4 {host}
t=0 0
m=audio {port} RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
"""


class Chromium:
    """One browser: `async with Chromium() as browser: page = await browser.open(url)`."""

    def __init__(self) -> None:
        self._dir = Path()
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reading: asyncio.Task[None] | None = None
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def __aenter__(self) -> Chromium:
        try:
            await self._start()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _start(self) -> None:
        self._dir = Path(tempfile.mkdtemp(prefix="chromium-"))
        with (self._dir / "log.txt").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *("chromium", *_SWITCHES, f"--user-data-dir={self._dir}", "about:blank"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        port, path = await eventually(self._devtools, within=20, what="Chromium's DevTools port")
        self._session = aiohttp.ClientSession()
        self._socket = await self._session.ws_connect(f"ws://127.0.0.1:{port}{path}", max_msg_size=0)
        self._reading = asyncio.create_task(self._read(self._socket))

    async def _devtools(self) -> tuple[str, str] | None:
        """Port and path, which the browser writes into a file of two lines."""
        assert self._process is not None
        if self._process.returncode is not None:
            raise RuntimeError(
                f"Chromium ended: {(self._dir / 'log.txt').read_text(errors='replace')[-2000:]}"
            )
        file = self._dir / "DevToolsActivePort"
        words = file.read_text().split() if file.exists() else []
        return (words[0], words[1]) if len(words) == 2 else None

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for frame in socket:
            message = json.loads(frame.data)
            answer = self._answers.pop(message.get("id", 0), None)
            if answer is not None and not answer.done():
                answer.set_result(message)

    async def command(self, method: str, session: str = "", **parameters: object) -> dict[str, Any]:
        """One command of the DevTools protocol and its result."""
        assert self._socket is not None
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        target = {"sessionId": session} if session else {}
        await self._socket.send_json({"id": number, "method": method, "params": parameters, **target})
        async with asyncio.timeout(patience(20)):
            message = await answer
        assert "error" not in message, f"{method}: {message}"
        return dict(message["result"])

    async def open(self, url: str) -> Page:
        """A new tab with this address."""
        target = (await self.command("Target.createTarget", url=url))["targetId"]
        attached = await self.command("Target.attachToTarget", targetId=target, flatten=True)
        return Page(self, attached["sessionId"], target)

    async def _close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        if self._session is not None:
            await self._session.close()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), 5)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        shutil.rmtree(self._dir, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Page:
    """One tab."""

    browser: Chromium
    session: str
    target: str

    async def run(self, script: str) -> Any:
        """Evaluate an expression in the page; AssertionError where it throws."""
        result = await self.browser.command(
            "Runtime.evaluate", self.session, expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, f"{script}: {result['exceptionDetails']}"
        return result["result"].get("value")

    async def close(self) -> None:
        """As a person who closes the tab: nothing says good-bye."""
        await self.browser.command("Target.closeTarget", targetId=self.target)


class PhonePage:
    """A page with a phone: `async with PhonePage(browser, url, user, password, rtp=address) as phone`.

    `library` is `jssip` or `sipjs`.
    """

    def __init__(
        self,
        browser: Chromium,
        url: str,
        user: str,
        password: str,
        *,
        rtp: tuple[str, int],
        answers: bool = True,
        library: str = "jssip",
    ) -> None:
        self._browser = browser
        self._library = library
        sdp = _SDP.format(host=rtp[0], port=rtp[1]).replace("\n", "\r\n")
        self._account = {"url": url, "user": user, "password": password, "sdp": sdp, "answers": answers}
        self._runner: web.AppRunner | None = None
        self._page: Page | None = None

    @property
    def page(self) -> Page:
        assert self._page is not None
        return self._page

    async def __aenter__(self) -> PhonePage:
        self._page = await self._browser.open(await self._serve())

        async def loaded() -> bool:
            return bool(await self.page.run("typeof start === 'function'"))

        await eventually(loaded, within=10, what="the page with the phone")
        await self.page.run(f"start({json.dumps(self._account)})")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self) -> str:
        app = web.Application()

        async def html(request: web.Request) -> web.Response:
            return web.Response(text=_HTML, content_type="text/html")

        async def library(request: web.Request) -> web.FileResponse:
            return web.FileResponse(LIBRARIES / f"{self._library}.js")

        async def page(request: web.Request) -> web.FileResponse:
            return web.FileResponse(_PAGES / f"{self._library}_page.js")

        app.add_routes([web.get("/", html), web.get("/library.js", library), web.get("/page.js", page)])
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/"

    async def until(self, what: str, within: float = 10.0) -> dict[str, Any]:
        """Wait until the page has seen something: registered, call, confirmed, ended, ..."""

        async def seen() -> dict[str, Any] | None:
            happened = json.loads(await self.page.run("JSON.stringify(happened)"))
            return next((item for item in happened if item["what"] == what), None)

        return await eventually(seen, within=within, what=f"{what!r} in the page")

    async def hang_up(self) -> None:
        await self.page.run("hangUp()")

    async def stop(self) -> None:
        """Unregister."""
        await self.page.run("leave()")
