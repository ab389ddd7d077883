"""`acd demo`: a whole call centre on the loopback, with real SIP and RTP, that counts its own losses."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import aiohttp
from rich.console import Console
from rich.live import Live

from acd.config import Settings
from acd.demo import site as places
from acd.demo import view
from acd.demo.processes import Child, Failed, last_lines, run_python
from acd.demo.site import Site, make_site, talk_range
from acd.demo.tally import Tally
from acd.errors import ConfigError

_READY_WITHIN = 30.0
_REGISTERED_WITHIN = 15.0
_PATIENCE_SECONDS = 60.0
_CALLS_END_WITHIN = 2 * _PATIENCE_SECONDS
_RECORDS_WITHIN = 10.0
_POLL_SECONDS = 0.5
_LINE_SECONDS = 5.0
_PAGE = 100


async def run(
    settings: Settings | None = None,
    *,
    duration: float | None = None,
    calls_per_minute: float = 30.0,
    seed: int = 1,
    folder: Path | None = None,
    console: Console | None = None,
) -> int:
    """Run the demo for `duration` seconds (None: until Ctrl-C) and tell whether every call went well.

    `settings` name the wished SIP and HTTP ports and the media ports. Files lie in `folder`, or in a
    temporary one that goes when all went well. Returns 0, or 1 if a call was lost. Raises ConfigError where
    the phones are not installed.
    """
    if find_spec("pyVoIP") is None:
        raise ConfigError("the demo's phones are missing; install them with: pip install 'acd[softphone]'")
    settings = settings or Settings()
    own = folder is None
    folder = folder or Path(tempfile.mkdtemp(prefix="acd-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    site = make_site(
        folder,
        sip_port=settings.sip.listen[0].port or 5060,
        http_port=settings.http.address[1] or 8080,
        media_ports=settings.media.ports,
    )
    demo = Demo(site, console or Console(), duration=duration, calls_per_minute=calls_per_minute, seed=seed)
    try:
        lost = await demo.play()
    except Failed as failure:
        demo.say(f"{failure}\n{last_lines(folder / 'acd.log')}")
        return 1
    if own and not lost:
        shutil.rmtree(folder, ignore_errors=True)
    elif lost:
        demo.say(f"the service's log: {folder / 'acd.log'}")
    return 1 if lost else 0


class Demo:
    """One run: the service, the phones, the view, and the reckoning."""

    def __init__(
        self, site: Site, console: Console, *, duration: float | None, calls_per_minute: float, seed: int
    ) -> None:
        self._site = site
        self._console = console
        self._duration = duration
        self._calls_per_minute = calls_per_minute
        self._seed = seed
        self._tally = Tally()
        self._stop = asyncio.Event()
        self._started = 0.0
        self._token = ""

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    async def play(self) -> bool:
        """Everything in order; True if a call was lost. Raises Failed where something does not start."""
        async with AsyncExitStack() as stack:
            _on_signals(self._stop, stack)
            log = stack.enter_context((self._site.dir / "acd.log").open("ab"))
            service = await self._start_service(log, stack)
            self._token = await self._make_token()
            session = await stack.enter_async_context(
                aiohttp.ClientSession(
                    self._site.http_url,
                    headers={"Authorization": f"Bearer {self._token}"},
                    timeout=aiohttp.ClientTimeout(total=5),
                )
            )
            agents = await self._start_phones("agents", self._agent_arguments(), log, stack)
            await self._until_registered(agents)
            callers = await self._start_phones("callers", self._caller_arguments(), log, stack)
            self._started = time.monotonic()
            await self._watch(session, service, callers)
            records = await self._records(session)
            problems = [*self._tally.lost, *self._tally.compare(records)]
            if service.returncode is not None:
                problems.append(f"the service ended by itself with {service.returncode}")
        self.say(view.summary(self._tally, records, problems))
        return bool(problems)

    # starting

    async def _start_service(self, log: IO[bytes], stack: AsyncExitStack) -> Child:
        config = str(self._site.config)
        self.say("starting the service ...")
        await run_python(("acd", "apply", str(self._site.directory), "--yes", "--config", config))
        service = await Child.python("service", ("acd", "serve", "--config", config), log=log)
        stack.push_async_callback(service.stop, 15.0)
        deadline = time.monotonic() + _READY_WITHIN
        async with aiohttp.ClientSession(self._site.http_url) as session:
            while not await _is_ready(session):
                if service.returncode is not None or time.monotonic() > deadline:
                    raise Failed("the service did not start; its last words:")
                await asyncio.sleep(0.1)
        return service

    async def _make_token(self) -> str:
        words = ("acd", "token", "create", "--role", "admin", "--name", f"demo-{int(time.time())}")
        printed = await run_python((*words, "--config", str(self._site.config)))
        return printed.split()[-1]

    async def _start_phones(
        self, name: str, arguments: Sequence[str], log: IO[bytes], stack: AsyncExitStack
    ) -> Child:
        phones = await Child.python(name, ("acd.demo.softphone", *arguments), log=log)
        reading = asyncio.create_task(self._read(phones))
        stack.push_async_callback(_finish, reading)
        stack.push_async_callback(phones.stop, 5.0)
        return phones

    async def _read(self, phones: Child) -> None:
        async for line in phones.lines():
            self._tally.feed(line)

    def _agent_arguments(self) -> list[str]:
        low, high = talk_range(self._calls_per_minute)
        users = [word for user in self._site.extensions for word in ("--user", user)]
        return [
            *("--role", "agent", "--server", self._site.sip_address, "--bind", f"{places.HOST}:0"),
            *("--password-file", str(self._site.agent_passwords), "--seed", str(self._seed * 1000)),
            *("--ring-seconds", "0.5-2.5", "--talk-seconds", f"{low:.2f}-{high:.2f}"),
            *users,
        ]

    def _caller_arguments(self) -> list[str]:
        low, high = talk_range(self._calls_per_minute)
        menu = f"{places.SKIP_GREETING}/{places.LANGUAGE_DIGITS}/{places.TOPIC_DIGITS}"
        return [
            *("--role", "caller", "--server", self._site.sip_address, "--bind", f"{places.TRUNK_HOST}:0"),
            *("--seed", str(self._seed), "--calls-per-minute", f"{self._calls_per_minute:g}"),
            *("--talk-seconds", f"{low:.2f}-{high:.2f}", "--patience-seconds", f"{_PATIENCE_SECONDS:g}"),
            *("--dial", f"{places.MENU},7,{menu}", "--dial", f"{places.BILLING},1.5"),
            *("--dial", f"{places.ECHO},0.8,listen", "--dial", f"{places.MUSIC},0.7,listen"),
        ]

    async def _until_registered(self, agents: Child) -> None:
        deadline = time.monotonic() + _REGISTERED_WITHIN
        while len(self._tally.registered) < len(self._site.extensions):
            if agents.returncode is not None or time.monotonic() > deadline or self._tally.lost:
                raise Failed(f"the agents' phones did not register: {self._tally.lost}")
            await asyncio.sleep(0.05)

    # watching

    async def _watch(self, session: aiohttp.ClientSession, service: Child, callers: Child) -> None:
        """Show what goes on until time is up; then until the last caller has hung up."""
        ending = asyncio.create_task(self._until_the_end(service, callers))
        head = view.addresses(self._site, self._token)
        try:
            if self._console.is_terminal:
                await self._show_table(session, head, ending)
            else:
                self.say("\n".join(head))
                await self._show_lines(session, ending)
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)

    async def _until_the_end(self, service: Child, callers: Child) -> None:
        over = asyncio.create_task(service.wait())
        done = asyncio.create_task(callers.wait())
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait(
                {over, done, stop}, timeout=self._duration, return_when=asyncio.FIRST_COMPLETED
            )
            callers.terminate()
            await asyncio.wait({over, done}, timeout=_CALLS_END_WITHIN, return_when=asyncio.FIRST_COMPLETED)
            if not done.done():
                await asyncio.wait({done}, timeout=5.0)
        finally:
            for task in (over, done, stop):
                task.cancel()
            await asyncio.gather(over, done, stop, return_exceptions=True)
        if unfinished := self._tally.made - self._tally.ended:
            self._tally.lost.append(f"{unfinished} calls never came to an end")

    async def _show_table(
        self, session: aiohttp.ClientSession, head: Sequence[str], ending: asyncio.Task[None]
    ) -> None:
        with Live(console=self._console, refresh_per_second=4, screen=False) as live:
            while not ending.done():
                elapsed = time.monotonic() - self._started
                left = None if self._duration is None else self._duration - elapsed
                live.update(view.table(await _look(session), self._tally, head, elapsed, left))
                await asyncio.wait({ending}, timeout=_POLL_SECONDS)

    async def _show_lines(self, session: aiohttp.ClientSession, ending: asyncio.Task[None]) -> None:
        while not ending.done():
            elapsed = time.monotonic() - self._started
            self.say(view.plain(await _look(session), self._tally, elapsed))
            await asyncio.wait({ending}, timeout=_LINE_SECONDS)

    # the reckoning

    async def _records(self, session: aiohttp.ClientSession) -> list[Mapping[str, Any]]:
        """All records, asked for until each caller has one or it has taken too long."""
        deadline = time.monotonic() + _RECORDS_WITHIN
        while True:
            records = await _all_records(session)
            missing = self._tally.callers - {record["caller"] for record in records}
            if not missing or time.monotonic() > deadline:
                return records
            await asyncio.sleep(0.25)


async def _is_ready(session: aiohttp.ClientSession) -> bool:
    try:
        async with session.get("/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def _look(session: aiohttp.ClientSession) -> view.Snapshot:
    """An empty snapshot where the service does not answer; the end of the demo will say why."""
    try:
        return view.Snapshot(
            queues=await _items(session, "/v1/queues"),
            agents=await _items(session, "/v1/agents"),
            calls=await _items(session, "/v1/calls"),
        )
    except (aiohttp.ClientError, TimeoutError):
        return view.Snapshot()


async def _items(session: aiohttp.ClientSession, path: str) -> list[Mapping[str, Any]]:
    async with session.get(path) as answer:
        answer.raise_for_status()
        return list((await answer.json())["items"])


async def _all_records(session: aiohttp.ClientSession) -> list[Mapping[str, Any]]:
    records: list[Mapping[str, Any]] = []
    cursor: str | None = None
    while True:
        more = {"limit": str(_PAGE), **({"cursor": cursor} if cursor else {})}
        try:
            async with session.get("/v1/records", params=more) as answer:
                answer.raise_for_status()
                page = await answer.json()
        except (aiohttp.ClientError, TimeoutError):
            return records
        records += page["items"]
        cursor = page.get("next_cursor")
        if not cursor:
            return records


async def _finish(task: asyncio.Task[None]) -> None:
    """The phones have ended; what they said last is still in the pipe."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(task, 2.0)


def _on_signals(stop: asyncio.Event, stack: AsyncExitStack) -> None:
    """Ctrl-C ends the demo in order; a second one at once."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def on_signal() -> None:
        if stop.is_set() and task is not None:
            task.cancel()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
        stack.callback(loop.remove_signal_handler, number)
