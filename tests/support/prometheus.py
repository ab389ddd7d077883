"""A real Prometheus server for tests, and what the dashboard asks of it."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.net import free_port

ROOT = Path(__file__).parent.parent.parent
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "acd.json"
RULES = ROOT / "deploy" / "prometheus" / "rules"

_VARIABLES = {"$queue": ".*", "$instance": ".*", "$__rate_interval": "30s", "$__range": "60s"}
_START_SECONDS = 15.0


def needs(program: str) -> str:
    """The path of a program of Debian's prometheus package; skips the test where it is missing."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed (Debian package: prometheus)")
    return found


def panel_queries() -> list[tuple[str, str]]:
    """(row: panel, expression with its variables filled in) of the committed dashboard."""
    row, queries = "", []
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        if panel["type"] == "row":
            row = panel["title"]
        for target in panel.get("targets", ()):
            queries.append((f"{row}: {panel['title']}", filled(target["expr"])))
    return queries


def filled(expression: str) -> str:
    for variable, value in _VARIABLES.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression, expression
    return expression


class Prometheus:
    """Asks a running server by its HTTP API."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def query(self, expression: str) -> list[dict[str, Any]]:
        answer = await self._get("query", {"query": expression})
        assert answer["status"] == "success", (expression, answer)
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    async def numbers(self, expression: str) -> list[float]:
        """The values of an instant query that are numbers."""
        values = [float(sample["value"][1]) for sample in await self.query(expression)]
        return [value for value in values if value == value]

    async def until(self, expression: str, seconds: float) -> None:
        """Wait until an expression has a value."""
        async with asyncio.timeout(seconds):
            while not await self.numbers(expression):
                await asyncio.sleep(0.2)

    async def empty(self, queries: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Those queries that return nothing, or nothing that is a number."""
        return [(panel, query) for panel, query in queries if not await self.numbers(query)]

    async def rules(self) -> list[dict[str, Any]]:
        groups = (await self._get("rules", {}))["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    async def _get(self, what: str, parameters: dict[str, str]) -> Any:
        async with self._session.get(f"{self._url}/api/v1/{what}", params=parameters) as response:
            return await response.json()


@asynccontextmanager
async def prometheus(folder: Path, metrics_url: str, token: str = "") -> AsyncIterator[Prometheus]:
    """A server of its own in `folder` that scrapes `metrics_url` every second, with the rules of deploy/."""
    binary, port = needs("prometheus"), free_port()
    (folder / "prometheus.yml").write_text(_configuration(metrics_url, token))
    process = await asyncio.create_subprocess_exec(
        binary,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=(folder / "prometheus.log").open("wb"),
    )
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            url = f"http://127.0.0.1:{port}"
            await _ready(session, url, process, folder)
            yield Prometheus(url, session)
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(10):
            await process.wait()


async def _ready(
    session: aiohttp.ClientSession, url: str, process: asyncio.subprocess.Process, folder: Path
) -> None:
    async with asyncio.timeout(_START_SECONDS):
        while True:
            assert process.returncode is None, (folder / "prometheus.log").read_text()
            try:
                async with session.get(f"{url}/-/ready") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


def _configuration(metrics_url: str, token: str) -> str:
    scheme, host, path = re.fullmatch(r"(https?)://([^/]+)(/.*)", metrics_url).groups()  # type: ignore[union-attr]
    job: dict[str, Any] = {
        "job_name": "acd",
        "scheme": scheme,
        "metrics_path": path,
        "static_configs": [{"targets": [host]}],
    }
    if token:
        job["authorization"] = {"credentials": token}
    return json.dumps(
        {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [f"{RULES}/*.yml"],
            "scrape_configs": [job],
        }
    )
