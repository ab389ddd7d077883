"""Redis restarts, is away, or loses scripts or data: callers stay, order stays, nobody is rung twice."""

from __future__ import annotations

import asyncio
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import psutil
import pytest

from routing.outages import Trouble
from tests.support.audio import seconds_of, seconds_of_sound
from tests.support.caller import Call
from tests.support.cast import (
    AGENT_HZ,
    BILLING,
    BILLING_FIRST,
    CALLER_HZ,
    MENU,
    PERSONAL,
    SUPPORT,
    caller,
    dial,
    phone,
    softphone,
)
from tests.support.net import eventually, free_port
from tests.support.phone_audit import assert_nobody_twice, rings_of
from tests.support.provider import Provider
from tests.support.redis_server import PrivateRedis, running_redis
from tests.support.service import TRUNK, RunningService, standard_directory
from tests.support.sipp import AgentPhone, Agents

LEASE = 3.0
CARRIER_PORT = free_port()


def _directory() -> dict[str, Any]:
    """Callers of one queue may be called back over the trunk."""
    directory = standard_directory()
    directory["trunks"][0]["hosts"] = [{"host": TRUNK, "port": CARRIER_PORT, "transport": "udp"}]
    directory["routes"] = [{"prefix": "+", "class": "national", "trunks": ["carrier"]}]
    (personal,) = (queue for queue in directory["queues"] if queue["name"] == "personal")
    personal["callback"] = {"digit": "1", "interval_seconds": 1}
    return directory


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateRedis]:
    with running_redis(persistent=True) as server:
        yield server


@pytest.fixture
def redis(server: PrivateRedis, service: RunningService) -> Iterator[PrivateRedis]:
    """The server; it runs again after the test, however that went."""
    yield server
    if server.running:
        server.resume()
        server.ask("CONFIG", "SET", "maxmemory", "0")
        server.ask("REPLICAOF", "NO", "ONE")
    else:
        server.start()


@pytest.fixture(scope="module")
def running_service(
    server: PrivateRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    own = {"redis": {"url": server.url}, "node": {"lease_seconds": LEASE}}
    service = RunningService(tmp_path_factory.mktemp("acd"), _directory(), own)
    with service.running_to_the_end():
        yield service


@dataclass
class Line:
    """Callers of one test, in the order in which they came, each with a telephone of their own."""

    service: RunningService
    first: int
    calls: list[Call] = field(default_factory=list)
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Line:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def comes(self, number: str = BILLING, state: str = "queued") -> Call:
        someone = caller(self.service, f"+372555{self.first + len(self.calls)}")
        call = await dial(await self._open.enter_async_context(someone), number)
        self.calls.append(call)
        if state:
            await self.service.call_reaches(call.phone.user, state)
        return call

    @property
    def numbers(self) -> list[str]:
        return [call.phone.user for call in self.calls]

    def forget(self) -> None:
        """What they heard so far."""
        for call in self.calls:
            call.rtp.forget()

    def heard_all_along(self, seconds: float) -> None:
        """But the first: each heard something, nearly all of the time since `forget`, and is on the line."""
        for call in self.calls[1:]:
            heard = seconds_of_sound(bytes(call.rtp.heard.pcm))
            assert heard > 0.8 * seconds, f"{call.phone.user} heard {heard:.1f} s of {seconds:.1f}"
            assert not call.ended_by, call.phone.user


def noting(service: RunningService, *phones: AgentPhone) -> Agents:
    return Agents(service.sip_address, phones, notes=True)


async def answered(service: RunningService, *numbers: str, within: float = 15.0) -> list[str]:
    """Wait until all of these have talked and are recorded; their numbers in the order of the answers."""

    async def recorded() -> list[str] | None:
        found = {r["caller"]: r for r in await service.records() if r["caller"] in numbers}
        if len(found) < len(numbers):
            return None
        assert {r["outcome"] for r in found.values()} == {"answered"}, found
        return sorted(found, key=lambda number: str(found[number]["answered_at"]))

    return await eventually(recorded, within=within, every=0.2, what=f"records of {numbers}")


async def says(service: RunningService, *words: str, since: int = 0) -> None:
    """The log holds each of these."""

    async def there() -> bool:
        text = (await asyncio.to_thread(service.log_file.read_text))[since:]
        return all(word in text for word in words)

    await eventually(there, within=10, what=f"{words} in the log")


async def outages(service: RunningService) -> dict[str, float]:
    """How many of each kind there were."""
    return {kind: await service.metric("acd_redis_outages_total", kind=kind) for kind in Trouble}


def log_so_far(service: RunningService) -> int:
    return len(service.log_file.read_text())


async def test_a_service_that_is_stopped_while_redis_hangs_ends_in_time_and_keeps_the_records(
    service: RunningService, redis: PrivateRedis
) -> None:
    numbers = ("+37255590001", "+37255590002")
    async with caller(service, numbers[0]) as his, caller(service, numbers[1]) as hers:
        for someone in (his, hers):
            call = await dial(someone, BILLING)
            await service.call_reaches(someone.user, "queued")
        mark = log_so_far(service)
        redis.pause()
        await call.hang_up()
        service.terminate()
        # The five seconds in which calls may end by themselves are over before anything is given up.
        assert await asyncio.to_thread(service.wait) == 0
        redis.resume()
        await asyncio.to_thread(service.start)
        outcomes = [(await service.record_of(number))["outcome"] for number in numbers]
    assert outcomes == ["cleared", "abandoned"]
    assert '"event":"stopped"' in service.log_file.read_text()[mark:]


async def test_away_for_ten_seconds(service: RunningService, redis: PrivateRedis) -> None:
    """It hangs: who talks talks on, who waits hears music, who comes is taken in and stands behind them."""
    mark = log_so_far(service)
    before = await service.metric("acd_redis_outages_total", kind="away")
    async with Line(service, 91000) as line, softphone(service, 1) as talker:
        await talker.registered()
        await service.agent_reaches("a1", "available")
        talks = await line.comes(state="talking")
        await line.comes()
        await line.comes(BILLING_FIRST)
        await talker.until("CALL_ESTABLISHED")

        redis.pause()
        line.forget()
        began = time.monotonic()
        await asyncio.sleep(2)
        newcomer = await line.comes(state="")
        in_menu = await line.comes(MENU, state="ivr")
        status, problem = await asyncio.to_thread(
            service.request, "POST", "/v1/agents/a1/state", {"state": "paused", "reason": "lunch"}
        )
        assert (status, problem["type"]) == (503, "urn:acd:problem:store-unavailable")
        async with noting(service, phone(2, ring_ms=50, talk_ms=300)) as others:
            await asyncio.sleep(max(0.0, began + 10 - time.monotonic()))
            lasted = time.monotonic() - began
            two_hear = (
                seconds_of(AGENT_HZ, bytes(talks.rtp.heard.pcm)),
                seconds_of(CALLER_HZ, talker.heard(last_seconds=lasted)),
            )
            assert min(two_hear) > 0.8 * lasted, two_hear
            for call in line.calls[1:3]:
                heard = seconds_of_sound(bytes(call.rtp.heard.pcm))
                assert heard > 0.8 * lasted, f"{call.phone.user} heard {heard:.1f} s of music"
            for call in (newcomer, in_menu):
                assert seconds_of_sound(bytes(call.rtp.heard.pcm)) > 3
            assert await service.metric("acd_redis_up") == 0
            redis.resume()

            # The phone that came during the outage is signed in, and takes who came first; the important
            # caller goes before both.
            first, second = line.numbers[1], line.numbers[2]
            order = [second, first, newcomer.phone.user]
            for call in (line.calls[2], line.calls[1], newcomer):
                await service.call_reaches(call.phone.user, "talking", within=10)
                await call.hang_up()
            assert await answered(service, *order) == order
            assert_nobody_twice(rings_of(others.messages()))
        assert (await service.call_of(talks.phone.user) or {})["state"] == "talking"
        assert (await service.agent("a1"))["state"] == "talking"
        await in_menu.hang_up()
        await talks.hang_up()
        await service.agent_reaches("a1", "available")
    await says(service, "the store is away", "the store is back after", since=mark)
    assert await service.metric("acd_redis_outages_total", kind="away") == before + 1
    assert await service.metric("acd_reasserted_total", what="waiting") >= 3
    assert await service.metric("acd_reasserted_total", what="talking") >= 1


@pytest.mark.parametrize("refusal", ["maxmemory", "replica"])
async def test_refuses_to_write(service: RunningService, redis: PrivateRedis, refusal: str) -> None:
    """Out of memory, or a replica all at once: as if it were away, and the reason is told."""
    mark = log_so_far(service)
    async with Line(service, 96000) as line, noting(service, phone(1, ring_ms=50)) as phones:
        await service.agent_reaches("a1", "available")
        talks = await line.comes(state="talking")
        first = await line.comes()
        if refusal == "maxmemory":
            redis.ask("CONFIG", "SET", "maxmemory", "1")
        else:
            redis.ask("REPLICAOF", "127.0.0.1", "1")
        line.forget()
        second = await line.comes(state="")

        async def music_goes_on() -> bool:
            return seconds_of_sound(bytes(first.rtp.heard.pcm)) > 1.0

        await eventually(music_goes_on, within=10, what="music for who waits")
        await says(service, "the store is away", refusal, since=mark)
        redis.ask("CONFIG", "SET", "maxmemory", "0")
        redis.ask("REPLICAOF", "NO", "ONE")
        await says(service, "the store is back after", since=mark)
        for before, call in ((talks, first), (first, second)):
            await before.hang_up()
            await service.call_reaches(call.phone.user, "talking", within=10)
        await second.hang_up()
        assert await answered(service, *line.numbers) == line.numbers
        assert_nobody_twice(rings_of(phones.messages()))


async def test_half_a_second_late_with_every_answer(service: RunningService, redis: PrivateRedis) -> None:
    mark = log_so_far(service)
    stop = threading.Event()

    def hold_up() -> None:
        while not stop.is_set():
            redis.ask("CLIENT", "PAUSE", "500", "ALL")
            time.sleep(0.52)

    async with Line(service, 97000) as line, noting(service, phone(1, ring_ms=50)) as phones:
        await service.agent_reaches("a1", "available")
        holding = asyncio.create_task(asyncio.to_thread(hold_up))
        try:
            first = await line.comes(state="")
            second = await line.comes(state="")
            for call in (first, second):
                await service.call_reaches(call.phone.user, "talking", within=15)
                await call.hang_up()
        finally:
            stop.set()
            await holding
        assert await answered(service, *line.numbers) == line.numbers
        assert_nobody_twice(rings_of(phones.messages()))
    assert "the store is away" not in service.log_file.read_text()[mark:]


async def test_no_file_descriptor_is_left(service: RunningService) -> None:
    """New connections have to wait, calls go on; once there are some again, so does everything."""
    mark = log_so_far(service)
    process = psutil.Process(service.pid)
    async with Line(service, 98000) as line, noting(service, phone(1, ring_ms=50)) as phones:
        await service.agent_reaches("a1", "available")
        talks = await line.comes(state="talking")
        limits = process.rlimit(resource.RLIMIT_NOFILE)
        process.rlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            _, opened = await asyncio.open_connection(*service.sip_address)
            waits = await line.comes(state="")
            await says(service, "file-descriptors-low", since=mark)
            assert seconds_of_sound(bytes(waits.rtp.heard.pcm)) > 0
        finally:
            process.rlimit(resource.RLIMIT_NOFILE, limits)
        opened.close()
        await service.call_reaches(waits.phone.user, "queued")
        await talks.hang_up()
        await service.call_reaches(waits.phone.user, "talking", within=10)
        await waits.hang_up()
        assert await answered(service, *line.numbers) == line.numbers
        assert_nobody_twice(rings_of(phones.messages()))


async def test_lost_scripts_are_loaded_again(service: RunningService, redis: PrivateRedis) -> None:
    before = await service.metric("acd_redis_scripts_reloaded_total")
    async with Line(service, 92000) as line, noting(service, phone(1, ring_ms=50)) as phones:
        await service.agent_reaches("a1", "available")
        for _ in range(3):
            redis.ask("FUNCTION", "FLUSH")
            call = await line.comes(state="talking")
            redis.ask("FUNCTION", "FLUSH")
            await call.hang_up()
            await service.agent_reaches("a1", "available")
        assert_nobody_twice(rings_of(phones.messages()))
    assert await service.metric("acd_redis_scripts_reloaded_total") >= before + 3
    await says(service, "the store had lost its scripts")


async def test_restart_in_order(service: RunningService, redis: PrivateRedis) -> None:
    """It stops and starts again with its data while phones ring, callers talk and callers wait."""
    mark = log_so_far(service)
    before = await outages(service)
    async with (
        Line(service, 93000) as line,
        noting(service, phone(1, ring_ms=50), phone(2, ring_ms=2500)) as phones,
    ):
        await service.agent_reaches("a1", "available")
        await line.comes(SUPPORT, "talking")
        await service.agent_reaches("a2", "available")
        await line.comes(SUPPORT, "offered")
        for _ in range(2):
            await line.comes(SUPPORT)
        await service.post("/v1/agents/a1/state", {"state": "paused", "reason": "lunch"})
        redis.stop()
        line.forget()
        await asyncio.sleep(1.5)
        line.heard_all_along(1.5)
        redis.start()

        talks, rings, first, second = line.calls
        await service.call_reaches(rings.phone.user, "talking", within=10)
        assert (await service.call_of(talks.phone.user) or {})["state"] == "talking"
        await talks.hang_up()
        await service.agent_reaches("a1", "paused")
        assert (await service.agent("a1"))["reason"] == "lunch"
        await rings.hang_up()
        for call in (first, second):
            await service.call_reaches(call.phone.user, "talking", within=10)
            await call.hang_up()
        order = line.numbers
        assert await answered(service, *order) == order
        assert_nobody_twice(rings_of(phones.messages()))
    began_anew = "it began anew with its data, and may lack the last of it"
    await says(service, "the store is away", "the store is back after", began_anew, since=mark)
    assert await outages(service) == {**before, "restarted": before["restarted"] + 1}


async def test_killed_and_lost_its_last_second(service: RunningService, redis: PrivateRedis) -> None:
    """It comes back with what it had before agents were given calls, and before one asked for a pause."""
    mark = log_so_far(service)
    before = await outages(service)
    phones = (phone(1, ring_ms=50), phone(2, ring_ms=3500), phone(3, ring_ms=50))
    async with Line(service, 94000) as line, noting(service, *phones) as ringing:
        await service.agent_reaches("a3", "available")
        await service.post("/v1/agents/a2/state", {"state": "paused"})
        await service.post("/v1/agents/a3/state", {"state": "paused"})
        over = await line.comes(SUPPORT, "talking")
        talks = await line.comes(SUPPORT)
        redis.keep()
        await over.hang_up()
        await service.call_reaches(talks.phone.user, "talking")
        await service.post("/v1/agents/a3/state", {"state": "paused", "reason": "lunch"})
        await service.post("/v1/agents/a2/state", {"state": "available"})
        rings = await line.comes(SUPPORT, "offered")
        first, second = await line.comes(SUPPORT), await line.comes(SUPPORT)
        redis.go_back()
        line.forget()
        await asyncio.sleep(1)
        redis.start()

        await says(service, "it went back, and lacks what it had acknowledged", since=mark)
        await service.call_reaches(rings.phone.user, "talking", within=10)
        for call in (rings, first, second):
            assert seconds_of_sound(bytes(call.rtp.heard.pcm)) > 0.7, call.phone.user
        assert (await service.call_of(talks.phone.user) or {})["state"] == "talking"
        assert {(await service.agent(name))["state"] for name in ("a1", "a2")} == {"talking"}
        assert (await service.agent("a3"))["reason"] == "lunch"
        for call in (first, second):
            await talks.hang_up()
            await service.call_reaches(call.phone.user, "talking", within=10)
            talks = call
        await talks.hang_up()
        await rings.hang_up()
        assert await answered(service, *line.numbers) == [
            over.phone.user,
            *(call.phone.user for call in (line.calls[1], rings, first, second)),
        ]
        assert_nobody_twice(rings_of(ringing.messages()))
    assert await outages(service) == {**before, "went-back": before["went-back"] + 1}
    assert await service.metric("acd_reasserted_total", what="ringing") >= 1


async def called_back(service: RunningService) -> int:
    return int((await service.queue("personal"))["counters"]["callback-done"])


async def test_a_callback_is_made_once_whatever_was_lost_of_it(
    service: RunningService, redis: PrivateRedis
) -> None:
    """Redis goes back to before either customer was called; one talks meanwhile, and one's phone rings."""
    mark, made = log_so_far(service), await called_back(service)
    said_again = await service.metric("acd_reasserted_total", what="callbacks")

    async def waiting(count: int) -> bool:
        return bool((await service.queue("personal"))["callbacks"] == count)

    async with (
        Line(service, 99000) as line,
        Provider(service.sip_address, port=CARRIER_PORT, early=180) as customers,
    ):
        for n in (1, 2):
            call = await line.comes(PERSONAL)
            await call.rtp.press("1")
            await call.rtp.press("1")
            await eventually(lambda n=n: waiting(n), within=5, what=f"{n} callbacks")  # type: ignore[misc]
            await call.hang_up()
        redis.keep()
        async with noting(service, phone(1, ring_ms=50), phone(2, ring_ms=50)):
            await customers.called(1)
            talks = await customers.pick_up(0)
            await customers.called(2)
            await eventually(lambda: waiting(1), within=5, what="one callback is done")
            redis.go_back()
            await asyncio.sleep(0.5)
            redis.start()
            await says(service, "it went back, and lacks what it had acknowledged", since=mark)
            await eventually(lambda: waiting(1), within=5, what="the other is still to be made")
            (item,) = (await service.ask("/v1/callbacks"))["items"]
            assert (item["state"], item["attempts"]) == ("making", 1)
            rang = await customers.pick_up(1)
            await eventually(lambda: waiting(0), within=5, what="no callback is left")
            for customer in (talks, rang):
                customers.hang_up(customer)
            await service.agent_reaches("a1", "available")
            await service.agent_reaches("a2", "available")
            await customers.no_more(2.5)
    assert customers.rung == 2
    assert await called_back(service) == made + 2
    assert await service.metric("acd_reasserted_total", what="callbacks") >= said_again + 3


async def test_lost_everything(service: RunningService, redis: PrivateRedis) -> None:
    mark = log_so_far(service)
    before = await outages(service)
    phones = (phone(1, ring_ms=50), phone(2, ring_ms=3500), phone(3, ring_ms=50))
    async with Line(service, 95000) as line, noting(service, *phones) as ringing:
        await service.agent_reaches("a3", "available")
        await service.post("/v1/agents/a3/state", {"state": "paused", "reason": "lunch"})
        await service.post("/v1/agents/a2/state", {"state": "paused"})
        talks = await line.comes(SUPPORT, "talking")
        await service.post("/v1/agents/a2/state", {"state": "available"})
        rings = await line.comes(SUPPORT, "offered")
        first, second = await line.comes(SUPPORT), await line.comes(SUPPORT)
        redis.lose_everything()
        line.forget()
        await asyncio.sleep(0.5)
        redis.start()

        await says(service, "it has lost everything", since=mark)
        await service.call_reaches(rings.phone.user, "talking", within=10)
        for call in (rings, first, second):
            assert seconds_of_sound(bytes(call.rtp.heard.pcm)) > 0.4, call.phone.user
        states = await service.agents()
        assert [states[name] for name in ("a1", "a2", "a3")] == ["talking", "talking", "paused"]
        assert (await service.queue("support"))["waiting"] == 2
        for call in (first, second):
            await talks.hang_up()
            await service.call_reaches(call.phone.user, "talking", within=10)
            talks = call
        await talks.hang_up()
        await rings.hang_up()
        assert await answered(service, *line.numbers) == line.numbers
        assert_nobody_twice(rings_of(ringing.messages()))
        assert await outages(service) == {**before, "emptied": before["emptied"] + 1}
        # Phones are known to Redis again: the service can start anew without them.
        await asyncio.to_thread(service.restart)
        await service.agent_reaches("a3", "paused")
        await service.agent_reaches("a1", "available")
