"""A page is asked about a caller: what it may say, and that a call goes on whatever it does."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import pytest
import structlog
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from acd.callers import lookup
from acd.callers.answers import NotUnderstood, read_answer
from acd.callers.book import CallerBook
from acd.callers.lookup import Lookups
from acd.calls.facts import CallerLookedUp
from acd.calls.model import AskCaller, CallerKnown, Found
from acd.config import LookupsSection
from acd.directory.model import Agent, CallerList, Directory, Gives, Lookup, PriorityClass, Queue
from tests.support.clock import FakeClock
from tests.support.net import patience

NUMBER, CALLED = "+3725550001", "+3726000200"
DIRECTORY = Directory(
    skills=frozenset({"billing"}),
    queues={"desk": Queue("desk")},
    agents={"anna": Agent("anna", "1001")},
    priorities={"vip": PriorityClass("vip", 50)},
)


def understood(answer: Any) -> tuple[Found, tuple[str, ...]]:
    return read_answer(json.dumps(answer).encode(), "crm", DIRECTORY)


# What an answer may say.


def test_an_answer_gives_what_a_list_gives_and_attributes() -> None:
    found, left_out = understood(
        {
            "priority": "vip",
            "skills": {"billing": 7},
            "language": "et",
            "preferred_agent": "anna",
            "queue": "desk",
            "attributes": {"customer": "C-4711", "open_orders": 3, "gold": True},
            "something": {"else": [1, 2]},
        }
    )
    gives = Gives(50, MappingProxyType({"billing": 7}), "et", "anna", "desk")
    assert found == Found("crm", gives, {"customer": "C-4711", "open_orders": "3", "gold": "true"})
    assert left_out == ()


@pytest.mark.parametrize(
    ("answer", "gives"),
    [
        ({}, Gives()),
        ({"vip": True}, Gives(priority=50)),
        ({"vip": True, "priority": 7}, Gives(priority=7)),
        ({"priority": 0}, Gives(priority=0)),
        ({"languages": ["ru", "en"]}, Gives(language="ru", languages=("ru", "en"))),
        ({"language": "et", "languages": ["ru"]}, Gives(language="et", languages=("ru",))),
        ({"reject": True}, Gives(reject=603)),
        ({"reject": 486}, Gives(reject=486)),
        ({"reject": 200}, Gives(reject=603)),
        ({"queue": None, "language": None, "preferred_agent": None}, Gives()),
    ],
)
def test_short_answers(answer: Any, gives: Gives) -> None:
    assert understood(answer) == (Found("crm", gives), ())


@pytest.mark.parametrize(
    ("answer", "key"),
    [
        ({"priority": 100}, "priority"),
        ({"priority": "gold"}, "priority"),
        ({"skills": {"magic": 1}}, "skills"),
        ({"skills": {"billing": 11}}, "skills"),
        ({"language": "../etc"}, "language"),
        ({"languages": ["../etc"]}, "languages"),
        ({"preferred_agent": "nobody"}, "preferred_agent"),
        ({"queue": "nowhere"}, "queue"),
        ({"attributes": {"x": "line\nline"}}, "attributes"),
        ({"attributes": {"no name": "x"}}, "attributes"),
    ],
)
def test_what_the_directory_does_not_know_is_left_out_and_told(answer: Any, key: str) -> None:
    assert understood({**answer, "reject": False}) == (Found("crm", Gives()), (key,))


def test_attributes_are_few_and_short() -> None:
    found, left_out = understood({"attributes": {f"k{n}": "x" * 1000 for n in range(50)}})
    assert (len(found.attributes), {len(value) for value in found.attributes.values()}) == (20, {256})
    assert left_out == ("attributes",)


@given(
    st.binary(max_size=200) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps)
)
def test_any_bytes_are_an_answer_or_not_understood(body: bytes | str) -> None:
    with contextlib.suppress(NotUnderstood):
        read_answer(body if isinstance(body, bytes) else body.encode(), "crm", DIRECTORY)


def test_brackets_without_end_are_not_understood() -> None:
    with pytest.raises(NotUnderstood):
        read_answer(b'{"attributes": ' + b"[" * 8000, "crm", DIRECTORY)


# A page that behaves as told.


@dataclass
class Page:
    """The operator's web server."""

    port: int = 0
    status: int = 200
    body: bytes = b'{"vip": true}'
    headers: dict[str, str] = field(default_factory=dict)
    hangs: asyncio.Event | None = None
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.raw_path, dict(request.headers), await request.read()))
        if self.hangs:
            await self.hangs.wait()
        return web.Response(status=self.status, body=self.body, headers=self.headers)

    def list(self, **changes: Any) -> CallerList:
        url = f"http://127.0.0.1:{self.port}/callers/{{number}}?to={{called}}"
        return CallerList("crm", lookup=replace(Lookup(url), **changes))


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    made = Page()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    if made.hangs:
        made.hangs.set()
    await runner.cleanup()


@dataclass
class Bench:
    lookups: Lookups
    told: list[CallerLookedUp]
    clock: FakeClock

    async def ask(self, entry: CallerList, number: str = NUMBER) -> Found | None:
        return await self.lookups.ask(entry, DIRECTORY, number, CALLED)

    @property
    def results(self) -> list[str]:
        return [fact.result for fact in self.told]


@pytest.fixture
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    allowed = getattr(request, "param", ("127.0.0.0/8",))
    told: list[CallerLookedUp] = []
    clock = FakeClock()
    settings = LookupsSection(allow_networks=allowed)
    lookups = Lookups(settings, clock, told.append, {"ACD_LOOKUP_CRM": "Bearer secret", "PATH": "/bin"})
    yield Bench(lookups, told, clock)
    await lookups.close()


VIP = Found("crm", Gives(priority=50))


async def test_a_page_is_asked_with_the_number_and_what_was_dialled(page: Page, bench: Bench) -> None:
    assert await bench.ask(page.list(authorization_env="ACD_LOOKUP_CRM")) == VIP
    (method, path, headers, body) = page.asked[0]
    assert (method, path, body) == ("GET", "/callers/%2B3725550001?to=%2B3726000200", b"")
    assert headers["Authorization"] == "Bearer secret"
    assert "Cookie" not in headers
    assert await bench.ask(page.list(method="POST")) == VIP
    (method, _, headers, body) = page.asked[1]
    assert (method, json.loads(body)) == ("POST", {"number": NUMBER, "called": CALLED})
    assert "Authorization" not in headers
    assert bench.results == ["found", "found"]


async def test_a_number_that_is_none_cannot_change_where_the_question_goes(page: Page, bench: Bench) -> None:
    await bench.ask(page.list(), "../../admin?x=1#")
    assert page.asked[0][1] == "/callers/..%2F..%2Fadmin%3Fx%3D1%23?to=%2B3726000200"


@pytest.mark.parametrize("status", [204, 404])
async def test_a_caller_whom_the_page_does_not_know_is_a_stranger_and_no_failure(
    page: Page, bench: Bench, status: int
) -> None:
    page.status = status
    assert await bench.ask(page.list()) is None
    assert bench.results == ["unknown"]


@pytest.mark.parametrize(
    ("status", "body", "headers", "why"),
    [
        (500, b"{}", {}, "status"),
        (302, b"", {"Location": "http://127.0.0.1:1/"}, "status"),
        (200, b"<html>", {}, "not-understood"),
        (200, b'{"priority": [1]}', {}, "not-understood"),
        (200, b"[" + b" " * 20_000 + b"]", {}, "too-large"),
        (200, gzip.compress(b'{"vip": true}', mtime=0), {"Content-Encoding": "gzip"}, "not-understood"),
    ],
)
async def test_an_answer_that_is_none_leaves_a_stranger(
    page: Page, bench: Bench, status: int, body: bytes, headers: dict[str, str], why: str
) -> None:
    page.status, page.body, page.headers = status, body, headers
    with structlog.testing.capture_logs() as logs:
        assert await bench.ask(page.list()) is None
    assert bench.results == ["failed"]
    assert [(line["event"], line["why"]) for line in logs] == [("caller-lookup-failed", why)]
    assert NUMBER not in str(logs)
    assert len(page.asked) == 1


async def test_a_page_that_hangs_costs_its_time_and_no_more(page: Page, bench: Bench) -> None:
    page.hangs = asyncio.Event()
    async with asyncio.timeout(patience(20)):
        assert await bench.ask(page.list(timeout_seconds=0.05)) is None
    assert bench.results == ["failed"]


async def test_a_page_that_is_not_there_leaves_a_stranger(bench: Bench) -> None:
    entry = CallerList("crm", lookup=Lookup("http://127.0.0.1:1/{number}"))
    assert await bench.ask(entry) is None
    assert bench.results == ["failed"]


@pytest.mark.parametrize("bench", [(), ("10.0.0.0/8",)], indirect=True)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_a_page_inside_is_not_asked_where_nothing_says_so(page: Page, bench: Bench, host: str) -> None:
    entry = CallerList("crm", lookup=Lookup(f"http://{host}:{page.port}/{{number}}"))
    with structlog.testing.capture_logs() as logs:
        assert await bench.ask(entry) is None
    assert logs[0]["why"] in ("address-refused", "unreachable")
    assert page.asked == []


async def test_a_page_that_fails_again_and_again_is_left_alone_and_tried_now_and_then(
    page: Page, bench: Bench
) -> None:
    page.status = 500
    for _ in range(7):
        await bench.ask(page.list())
    assert bench.results == ["failed"] * 5 + ["skipped"] * 2
    bench.clock.advance(lookup.PAUSE_SECONDS)
    await bench.ask(page.list())
    await bench.ask(page.list())
    assert bench.results[7:] == ["failed", "skipped"]
    page.status = 200
    bench.clock.advance(lookup.PAUSE_SECONDS)
    assert await bench.ask(page.list()) == VIP
    assert await bench.ask(page.list()) == VIP


async def test_only_so_many_questions_are_under_way(
    page: Page, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "MOST_AT_ONCE", 2)
    page.hangs = asyncio.Event()
    asking = [asyncio.ensure_future(bench.ask(page.list(timeout_seconds=9))) for _ in range(2)]
    async with asyncio.timeout(patience(20)):
        while len(page.asked) < 2:
            await asyncio.sleep(0)
    assert await bench.ask(page.list(timeout_seconds=9)) is None
    assert bench.results == ["skipped"]
    # A list that is changed meanwhile lets them end.
    changed = asyncio.ensure_future(bench.ask(page.list(timeout_seconds=8)))
    async with asyncio.timeout(patience(20)):
        while len(page.asked) < 3:
            await asyncio.sleep(0)
    page.hangs.set()
    assert await asyncio.gather(*asking, changed) == [VIP, VIP, VIP]


async def test_a_changed_list_is_asked_anew(page: Page, bench: Bench) -> None:
    page.status = 500
    for _ in range(6):
        await bench.ask(page.list())
    page.status = 200
    assert await bench.ask(page.list(timeout_seconds=3)) == VIP


class NoContacts:
    async def spoke_with(self, number: str, since: float) -> tuple[Any, ...]:
        return ()


async def test_all_lists_are_asked_and_what_each_finds_is_told(page: Page, bench: Bench) -> None:
    silent = CallerList("silent", 1, lookup=Lookup("http://127.0.0.1:1/"))
    directory = replace(DIRECTORY, caller_lists={"crm": page.list(), "silent": silent})
    book = CallerBook(lambda: directory, lambda name: (), NoContacts(), bench.lookups)  # type: ignore[arg-type]
    asked = AskCaller(NUMBER, CALLED, 0.0, ("crm", "silent", "gone"))
    assert await book.ask(asked) == CallerKnown((), (VIP,))
