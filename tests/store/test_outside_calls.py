"""The calls to the outside of an agent count over all nodes, and those of a dead node no longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from redis.asyncio import Redis

from acd.agents.outside_calls import OutsideCalls


@dataclass
class Living:
    """Which processes live, and which of them are found out by looking."""

    known: set[tuple[str, str]] = field(default_factory=set)
    found: set[tuple[str, str]] = field(default_factory=set)

    async def look(self) -> None:
        self.known |= self.found

    def lives(self, node: str, process: str) -> bool:
        return (node, process) in self.known


Opener = Callable[[str, str], Awaitable[OutsideCalls]]


@pytest.fixture
def living() -> Living:
    return Living()


@pytest.fixture
async def opened(redis: Redis, site: str, living: Living) -> AsyncIterator[Opener]:
    """Opens processes of nodes, and closes them in the end."""
    opened: list[OutsideCalls] = []

    async def open_node(node: str, process: str = "1") -> OutsideCalls:
        calls = OutsideCalls(
            redis, site=site, node=node, process=process, look=living.look, lives=living.lives
        )
        living.known.add((node, process))
        calls.start()
        opened.append(calls)
        return calls

    yield open_node
    for one in opened:
        await one.stop()


async def written(redis: Redis, site: str, agent: str = "anna") -> set[str]:
    return {key.decode() for key in await redis.hkeys(f"acd:{{{site}}}:outside:{agent}")}  # type: ignore[misc]


async def test_calls_of_every_node_count_until_they_are_over(opened: Opener) -> None:
    a, b = await opened("a", "1"), await opened("b", "1")
    a.changed("c1", {"anna", "bert"})
    b.changed("c2", {"anna"})
    # Who is asked has said before what it knew.
    assert [await node.of("anna") for node in (b, a, b)][1:] == [2, 2]
    assert [await node.of("bert") for node in (a, b)] == [1, 1]
    a.changed("c1", {"bert"})
    b.changed("c2", ())
    assert [await node.of("anna") for node in (b, a, b)][1:] == [0, 0]
    assert await b.of("bert") == 1


async def test_of_two_nodes_that_ask_at_one_moment_one_sees_the_other(opened: Opener) -> None:
    a, b = await opened("a", "1"), await opened("b", "1")
    for round_ in range(50):
        a.changed(f"a{round_}", {f"agent{round_}"})
        b.changed(f"b{round_}", {f"agent{round_}"})
        seen = await asyncio.gather(a.of(f"agent{round_}"), b.of(f"agent{round_}"))
        assert max(seen) == 2


async def test_what_a_killed_node_left_behind_counts_no_longer_and_goes(
    opened: Opener, living: Living, redis: Redis, site: str
) -> None:
    a, b = await opened("a", "1"), await opened("b", "1")
    b.changed("c2", {"anna"})
    assert await b.of("anna") == 1
    living.known.discard(("b", "1"))
    assert await a.of("anna") == 0
    assert await written(redis, site) == set()


async def test_what_a_process_of_before_left_behind_is_not_taken_for_the_present_one(
    opened: Opener, living: Living
) -> None:
    before = await opened("a", "1")
    before.changed("c1", {"anna"})
    assert await before.of("anna") == 1
    living.known.discard(("a", "1"))
    again = await opened("a", "2")
    assert await again.of("anna") == 0


async def test_a_node_that_has_just_come_is_looked_for_before_it_is_taken_for_dead(
    opened: Opener, living: Living
) -> None:
    a, b = await opened("a", "1"), await opened("b", "1")
    living.known.discard(("b", "1"))
    living.found.add(("b", "1"))
    b.changed("c2", {"anna"})
    assert await b.of("anna") == 1
    assert await a.of("anna") == 1


async def test_a_store_that_lost_everything_is_told_again(opened: Opener, redis: Redis, site: str) -> None:
    a, b = await opened("a", "1"), await opened("b", "1")
    a.changed("c1", {"anna"})
    assert [await a.of("anna"), await b.of("anna")] == [1, 1]
    await redis.delete(f"acd:{{{site}}}:outside:anna")
    assert await b.of("anna") == 0
    assert a.say_again() == 1
    assert await a.of("anna") == 1
    assert await b.of("anna") == 1


async def test_a_node_that_stops_takes_its_calls_along(opened: Opener, redis: Redis, site: str) -> None:
    a = await opened("a", "1")
    a.changed("c1", {"anna"})
    assert await a.of("anna") == 1
    a.changed("c1", ())
    await a.stop()
    assert await written(redis, site) == set()


async def test_without_redis_each_node_counts_its_own(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = await opened("a", "1")
    a.changed("c1", {"anna"})

    async def away(asked: str) -> dict[bytes, bytes]:
        raise ConnectionError("away")

    monkeypatch.setattr(a, "_write", away)
    assert await a.of("anna") == 1
