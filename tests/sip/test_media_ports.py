"""Ports that a media worker holds for legs to come: one opens without waiting, and brings nothing along."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from acd.clock import SystemClock
from acd.config import MediaSection
from acd.media.embedded.engine import EmbeddedEngine
from tests.support.media_contract import OFFER
from tests.support.net import eventually

HOST = "127.0.0.1"
FIRST = 47000 + os.getpid() % 10 * 200


def port_of(offer: bytes) -> int:
    return int(offer.split(b"m=audio ")[1].split()[0])


def at_once(work: Coroutine[Any, Any, bytes]) -> bytes:
    """The result of what never waits. Raises AssertionError where it does."""
    try:
        work.send(None)
    except StopIteration as over:
        result: bytes = over.value
        return result
    raise AssertionError("it waits for something")


async def started(ports: int) -> EmbeddedEngine:
    settings = MediaSection(address=HOST, ports=f"{FIRST}-{FIRST + 2 * ports - 1}")
    engine = EmbeddedEngine(settings, SystemClock())
    await engine.start()
    return engine


@pytest.fixture
async def engine() -> AsyncIterator[EmbeddedEngine]:
    engine = await started(ports=64)
    yield engine
    await engine.stop()


async def held(engine: EmbeddedEngine, count: int) -> None:
    async def are_held() -> bool:
        return sum(len(place.reserved) for place in engine._places) == count

    await eventually(are_held, within=10)


async def test_a_leg_is_offered_without_waiting_for_the_worker(engine: EmbeddedEngine) -> None:
    await held(engine, 4)
    ports = {port_of(at_once(engine.offer(f"leg{n}"))) for n in range(4)}
    assert len(ports) == 4
    await held(engine, 4)
    assert port_of(at_once(engine.offer("next"))) not in ports
    assert engine.ports_free == engine.ports_total - 5


async def test_all_ports_can_be_had_though_some_are_held(engine: EmbeddedEngine) -> None:
    offers = [await engine.offer(f"leg{n}") for n in range(60)]
    assert len(set(map(port_of, offers))) == 60
    assert engine.live_legs == 60


async def test_what_was_sent_to_a_port_before_its_leg_is_not_heard(engine: EmbeddedEngine) -> None:
    await held(engine, 4)
    packet = bytes([0x80, 0]) + bytes(10) + bytes(160)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((HOST, 0))
        for port in range(FIRST, FIRST + 16):
            stranger.sendto(packet, (HOST, port))
        at_once(engine.answer("leg", OFFER % stranger.getsockname()[1]))
        for n in range(3):
            at_once(engine.offer(f"held{n}"))
        await engine.offer("not-held")  # By its answer the worker has taken in what came.
        figures = await engine.close("leg")
    assert (figures.packets_received, figures.packets_dropped) == (0, 0)


async def test_a_share_too_small_to_hold_any_is_used_to_its_end() -> None:
    engine = await started(ports=3)
    try:
        assert [await engine.offer(f"leg{n}") for n in range(3)]
        assert engine.ports_free == 0
    finally:
        await engine.stop()


async def test_a_new_worker_holds_ports_again(engine: EmbeddedEngine) -> None:
    await held(engine, 4)
    os.kill(engine.worker_pids[0], signal.SIGKILL)

    async def is_born_again() -> bool:
        return engine.worker_restarts == 1 and engine.workers_alive == 1

    await eventually(is_born_again, within=10)
    await held(engine, 4)
    assert engine.ports_free == engine.ports_total
    assert at_once(engine.offer("leg"))
