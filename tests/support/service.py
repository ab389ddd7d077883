"""The whole service as a process on ports and a folder of its own: started, asked, killed, started again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import yaml
from redis import Redis
from typer.testing import CliRunner

from acd.cli import cli
from acd.config import load_settings
from tests.support.database import fill
from tests.support.net import eventually, free_port, patience
from tests.support.prepared import PreparedProcess

HOST = "127.0.0.1"
TRUNK = "127.0.0.2"
PASSWORD = "correct-horse"
_STRICT = {
    "no-answer": {"not_answering_after": 1},
    "rejected": {"pause": "missed a call"},
}
_READY_WITHIN = 60.0
_STOPPED_WITHIN = 20.0
_ONE_COMMAND = threading.Lock()
"""What a command prints is caught for the whole process."""

Items = list[dict[str, Any]]


def standard_directory(*, agents: int = 8) -> dict[str, Any]:
    """Four queues, agents a1, a2, ... with extensions 1001, 1002, ... and every skill; numbers for all."""
    skills = {"billing": 5, "support": 5, "sales": 5}
    return {
        "trunks": [{"name": "carrier", "match": [f"{TRUNK}/32"], "max_calls": 500}],
        "skills": [*skills, "two-lines"],
        "queues": [
            {"name": "billing", "requires": {"billing": 1}, "ring_seconds": 2, "wrapup_seconds": 0},
            {"name": "support", "requires": {"support": 1}, "ring_seconds": 5, "wrapup_seconds": 0},
            {
                "name": "sales",
                "requires": {"sales": 1},
                "ring_seconds": 5,
                "wrapup_seconds": 1.5,
                "wrapup_mode": "extendable",
                "wrapup_codes": ["sold", "no interest"],
                "wrapup_code_required": True,
                "wrapup_form": [{"name": "amount", "kind": "number"}],
            },
            {
                "name": "strict",
                "requires": {"billing": 1},
                "ring_seconds": 1,
                "refusals": _STRICT,
                "refusal_reasons": ["in a meeting", "wrong skill"],
                "refusal_reason_required": True,
            },
            {"name": "personal", "requires": {"billing": 1}, "last_agent": {"timeout_seconds": 30}},
            {"name": "together", "requires": {"billing": 1}, "ring_seconds": 5, "ring_agents": "all"},
            {"name": "two-lines", "requires": {"two-lines": 1}, "ring_seconds": 5},
        ],
        "agents": [
            {"id": f"a{n}", "extension": str(1000 + n), "password": PASSWORD, "skills": skills}
            for n in range(1, agents + 1)
        ]
        + [
            {
                "id": "two-lines",
                "extension": "1900",
                "password": PASSWORD,
                "skills": {"two-lines": 1},
                "capacity": 2,
            }
        ],
        "numbers": [
            {"number": "+3726000100", "flow": "main"},
            {"number": "+3726000101", "flow": "echo"},
            {"number": "+3726000102", "flow": "music"},
            {"number": "+3726000200", "queue": "billing"},
            {"number": "+3726000201", "queue": "billing", "priority": 5},
            {"number": "+3726000202", "queue": "support"},
            {"number": "+3726000203", "queue": "sales"},
            {"number": "+3726000204", "queue": "strict"},
            {"number": "+3726000205", "queue": "together"},
            {"number": "+3726000207", "queue": "personal"},
            {"number": "+3726000206", "queue": "two-lines"},
        ],
    }


class Death:
    """kill -9 of a service, by whoever sees the moment come: calling it does it, from any thread."""

    def __init__(self, service: RunningService) -> None:
        self._service = service
        self._pid = service.pid
        self._children = psutil.Process(service.pid).children(recursive=True)
        self._came = threading.Event()

    def __call__(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        self._came.set()

    @property
    def came(self) -> bool:
        return self._came.is_set()

    def wait(self, within: float = 10.0) -> None:
        """Until it has come, and nothing of the service is left behind."""
        assert self._came.wait(patience(within)), f"nobody killed the service within {within} s"
        self._service.wait()
        _, alive = psutil.wait_procs(self._children, timeout=10)
        assert not alive, f"outlived the service: {alive}"


class RunningService:
    """`acd serve` as a process. Times in seconds; requests raise AssertionError on an unexpected status.

    An empty directory is one that another node has applied.
    """

    clock_off = 0.0
    """By how many seconds the clock of its machine is fast."""

    def __init__(self, folder: Path, directory: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        self.data_dir = folder / "data"
        self.log_file = folder / "acd.log"
        self.sip_address = (HOST, free_port())
        self.http_url = f"http://{HOST}:{free_port()}"
        self.metrics_url = f"{self.http_url}/metrics"
        self.applied: dict[str, Any] = {}
        """The directory that was applied last."""
        self._folder = folder
        self._config = folder / "acd.toml"
        self._tokens: dict[str, str] = {}
        self._process: PreparedProcess | None = None
        self._config.write_text(self._toml(settings))
        if directory:
            fill(self.database_file())
            self.apply(directory)

    def database_file(self) -> Path:
        url = load_settings(self._config).database_url
        return Path(url.partition(":///")[2])

    def _toml(self, overrides: Mapping[str, Any]) -> str:
        listen = [f"{transport}:{HOST}:{self.sip_address[1]}" for transport in ("udp", "tcp")]
        first = 20000 + (os.getpid() % 15) * 2000
        sections: dict[str, dict[str, Any]] = {
            "node": {"data_dir": str(self.data_dir), "drain_seconds": 5},
            "sip": {"listen": listen},
            "media": {"address": HOST, "ports": f"{first}-{first + 1999}"},
            "http": {"listen": self.http_url.removeprefix("http://")},
            "log": {"format": "json", "mask_numbers": False},
            # Where overload is not what is tested, a busy machine is no reason to refuse anybody.
            "overload": {} if "overload" in overrides else {"lag_seconds": 5.0},
        }
        for name, values in overrides.items():
            sections.setdefault(name, {}).update(values)
        return "\n".join(
            f"[{name}]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items()) + "\n"
            for name, values in sections.items()
        )

    # its life

    @contextlib.contextmanager
    def running_to_the_end(self) -> Iterator[RunningService]:
        """Started, with a token. It must stop in order, in time, with status 0."""
        try:
            self.start()
            self.token()
            yield self
            self.stop()
        finally:
            if self.running:
                self.kill9()

    def start(self) -> None:
        """Start it and wait until it is ready."""
        with self.log_file.open("ab") as log:
            words = ("serve", "--config", str(self._config))
            self._process = PreparedProcess(words, log, self._folder, clock_off=self.clock_off)
        deadline = time.monotonic() + _READY_WITHIN
        while not self._is_ready():
            assert self._process.poll() is None, f"the service ended:\n{self.log_tail()}"
            assert time.monotonic() < deadline, f"not ready in {_READY_WITHIN} s:\n{self.log_tail()}"
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.http_url}/readyz", timeout=2):
            return True
        return False

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def terminate(self) -> None:
        """Ask it to drain and stop (SIGTERM)."""
        os.kill(self.pid, signal.SIGTERM)

    def wait(self, within: float = _STOPPED_WITHIN) -> int:
        """Its exit status, and nothing of it is left behind."""
        assert self._process is not None
        try:
            return self._process.wait(patience(within))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"did not stop within {within} s:\n{self.log_tail()}") from None

    def stop(self) -> None:
        """Stop it in order and check that it ends well and in bounded time."""
        if not self.running:
            return
        children = psutil.Process(self.pid).children(recursive=True)
        self.terminate()
        status = self.wait()
        _, alive = psutil.wait_procs(children, timeout=5)
        assert not alive, f"left behind: {alive}"
        assert status == 0, f"ended with {status}:\n{self.log_tail()}"

    def restart(self) -> None:
        self.stop()
        self.start()

    def kill9(self) -> None:
        """Kill it as a crash would. Its children end by themselves."""
        death = Death(self)
        death()
        death.wait()

    def log_tail(self, lines: int = 60) -> str:
        text = self.log_file.read_text(errors="replace") if self.log_file.exists() else ""
        return "\n".join(line[:600] for line in text.splitlines()[-lines:])

    # its commands

    def command(self, *words: str) -> str:
        """Run `acd ...` with this configuration and return what it printed.

        In a thread of this process: one of its own would spend more on its imports than on what it does.
        """
        with _ONE_COMMAND, ThreadPoolExecutor(1) as apart:
            line = [*words, "--config", str(self._config)]
            done = apart.submit(CliRunner().invoke, cli, line).result(timeout=30)
        assert done.exit_code == 0, f"acd {' '.join(words)}: {done.output}\n{done.exception}"
        return done.stdout

    def apply(self, directory: Mapping[str, Any]) -> str:
        """Apply a directory, before the start or while it runs."""
        self.applied = dict(directory)
        path = self._folder / "directory.yaml"
        path.write_text(yaml.safe_dump(dict(directory), sort_keys=False))
        return self.command("apply", str(path), "--yes")

    async def takes(self, directory: Mapping[str, Any]) -> None:
        """Apply a directory while it runs, and wait until calls go by it."""
        before = len(await asyncio.to_thread(self.log_file.read_text))
        await asyncio.to_thread(self.apply, directory)

        async def loaded() -> bool:
            return '"directory loaded"' in (await asyncio.to_thread(self.log_file.read_text))[before:]

        await eventually(loaded, within=10, what="the new directory in use")

    def redis_ask(self, *words: str) -> Any:
        """What its own Redis answers to one command, in bytes."""
        (path,) = (self.data_dir / "redis").glob("*.sock")
        with Redis(unix_socket_path=str(path)) as client:
            return client.execute_command(*words)

    def token(self, role: str = "admin") -> str:
        """A token for this role, made once; `agent:a1` is one for agent a1."""
        if role not in self._tokens:
            kind, _, agent = role.partition(":")
            whose = ("--agent", agent) if agent else ()
            words = ("--role", kind, "--name", f"test-{kind}-{agent or 'any'}", *whose)
            printed = self.command("token", "create", *words)
            self._tokens[role] = printed.split()[-1]
        return self._tokens[role]

    def share_tokens(self, other: RunningService) -> None:
        """Use the tokens of another node, on the same database."""
        self._tokens = other._tokens

    # its API

    def request(self, method: str, path: str, body: object = None, *, role: str = "admin") -> tuple[int, Any]:
        """One request: status and decoded JSON (None without a body)."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token(role)}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.http_url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                status, raw = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, raw = error.code, error.read()
        return status, json.loads(raw) if raw else None

    def download(self, path: str, *, role: str = "admin") -> str:
        """The text of a file."""
        headers = {"Authorization": f"Bearer {self.token(role)}"}
        with urllib.request.urlopen(
            urllib.request.Request(self.http_url + path, None, headers), timeout=10
        ) as answer:
            return str(answer.read().decode())

    async def ask(self, path: str, *, role: str = "admin") -> Any:
        """GET and decode; AssertionError unless 200."""
        status, answer = await asyncio.to_thread(self.request, "GET", path, role=role)
        assert status == 200, f"GET {path}: {status} {answer}"
        return answer

    async def post(self, path: str, body: object, *, role: str = "admin") -> Any:
        status, answer = await asyncio.to_thread(self.request, "POST", path, body, role=role)
        assert status < 300, f"POST {path}: {status} {answer}"
        return answer

    async def calls(self) -> Items:
        return list((await self.ask("/v1/calls"))["items"])

    async def call_of(self, caller: str) -> dict[str, Any] | None:
        """The live call from this number."""
        return next((call for call in await self.calls() if call["caller"] == caller), None)

    async def agent(self, name: str) -> dict[str, Any]:
        return dict(await self.ask(f"/v1/agents/{name}"))

    async def agents(self) -> dict[str, str]:
        """State by id."""
        return {agent["id"]: agent["state"] for agent in (await self.ask("/v1/agents"))["items"]}

    async def queue(self, name: str) -> dict[str, Any]:
        return dict(await self.ask(f"/v1/queues/{name}"))

    async def records(self, **filters: str) -> Items:
        """All records, page by page, newest first."""
        found: Items = []
        cursor = ""
        while True:
            words = {**filters, "limit": "500", **({"cursor": cursor} if cursor else {})}
            page = await self.ask("/v1/records?" + "&".join(f"{key}={value}" for key, value in words.items()))
            found += page["items"]
            cursor = page.get("next_cursor") or ""
            if not cursor:
                return found

    async def record_of(self, caller: str, *, within: float = 3.0) -> dict[str, Any]:
        """The one record of the call from this number."""

        async def found() -> Items:
            return [record for record in await self.records() if record["caller"] == caller]

        records = await eventually(found, within=within, what=f"a record of {caller}")
        assert len(records) == 1, records
        return records[0]

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels."""
        text = await asyncio.to_thread(self._metrics)
        total = 0.0
        for line in re.findall(rf"^{name}(?:{{.*?}})? .*$", text, re.M):
            head, _, value = line.rpartition(" ")
            if all(f'{key}="{wanted}"' in head for key, wanted in labels.items()):
                total += float(value)
        return total

    def _metrics(self) -> str:
        with urllib.request.urlopen(self.metrics_url, timeout=10) as answer:
            return str(answer.read().decode())

    # waiting for something

    async def call_reaches(self, caller: str, *states: str, within: float = 5.0) -> dict[str, Any]:
        """Wait until the call from this number is in one of the states."""

        async def there() -> dict[str, Any] | None:
            call = await self.call_of(caller)
            return call if call and call["state"] in states else None

        return await eventually(there, within=within, what=f"{caller} in {states}")

    async def agent_reaches(self, name: str, *states: str, within: float = 5.0) -> None:
        async def there() -> bool:
            return (await self.agent(name))["state"] in states

        await eventually(there, within=within, what=f"{name} in {states}")

    async def released(self, *, ports_free: float, within: float = 1.0) -> None:
        """No call, no media leg, every port back."""

        async def idle() -> bool:
            return (
                not await self.calls()
                and await self.metric("acd_media_legs") == 0
                and await self.metric("acd_media_ports_free") >= ports_free
            )

        await eventually(idle, within=within, what="everything released")

    async def quiet(self, names: Sequence[str] = ()) -> None:
        """No call is live, and these agents are offline: the next test begins from nothing."""

        left: list[object] = []

        async def nobody() -> bool:
            states = await self.agents()
            left[:] = [
                await self.calls(),
                {name: states[name] for name in names if states[name] != "offline"},
            ]
            return not any(left)

        try:
            await eventually(nobody, within=10.0)
        except AssertionError:
            raise AssertionError(f"calls that are live, agents that are here: {left}") from None

    def open_files(self) -> Counter[str]:
        """File descriptors of the service and its media workers, by what they are: `database`, `network` (UDP
        and TCP), `local` (Unix sockets: to Redis, to the workers) and `other`."""
        process = psutil.Process(self.pid)
        family = (process, *process.children(recursive=True))
        return sum((_files_of(one.pid) for one in family if "redis" not in one.name()), Counter())


def _files_of(pid: int) -> Counter[str]:
    network = {
        line.split()[9]
        for table in ("udp", "tcp", "udp6", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    }
    found: Counter[str] = Counter()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = os.readlink(link)
            is_socket = target.startswith("socket:")
            kind = "local" if is_socket else "database" if ".sqlite3" in target else "other"
            found["network" if target[8:-1] in network and is_socket else kind] += 1
    return found
