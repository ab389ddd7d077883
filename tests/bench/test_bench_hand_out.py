"""How long after an agent hangs up the next caller's INVITE reaches the agent's phone, while hundreds wait.

One agent, no wrap-up, and WAITING callers who hear music (SIPp). The agent's phone answers at once, says BYE,
and takes the time until the next INVITE arrives at its socket. With two nodes (on one core), all callers are
on one and the phone has a TCP connection with the other: each message of its calls goes through that.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from functools import partial
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.support.caller import Message
from tests.support.cast import BILLING
from tests.support.cpu import pin, resident_bytes
from tests.support.net import eventually
from tests.support.service import PASSWORD, RunningService, standard_directory
from tests.support.sip_client import SipClient, new_branch
from tests.support.sipp import Sipp
from tests.support.two_nodes import two_nodes

ROUNDS = 100
SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"


async def _next_invite(phone: SipClient) -> tuple[Message, float]:
    while True:
        message = await phone.next(10)
        if message.first.startswith("INVITE"):
            return message, time.perf_counter()


async def _next_of(phone: SipClient, method: str) -> None:
    while (await phone.next(10)).method != method:
        pass


def _bye(phone: SipClient, invite: Message) -> str:
    uri = invite.get("contact").strip("<>").split(">")[0]
    host, port = phone.local
    return "\r\n".join(
        [
            f"BYE {uri} SIP/2.0",
            f"Via: SIP/2.0/{phone.transport.upper()} {host}:{port};rport;branch={new_branch()}",
            "Max-Forwards: 70",
            f"From: {invite.get('to')};tag=far",
            f"To: {invite.get('from')}",
            f"Call-ID: {invite.get('call-id')}",
            "CSeq: 1 BYE",
            *(f"Route: {route}" for route in invite.headers.get("record-route", ())),
            "Content-Length: 0",
            "",
            "",
        ]
    )


async def _measure(
    service: RunningService, waiting: int, phone_at: tuple[str, int], transport: str
) -> dict[str, float]:
    """`service` has the callers."""
    memory = resident_bytes(service.pid)
    callers = Sipp(
        "caller",
        service.sip_address,
        number=BILLING,
        calls=waiting + ROUNDS,
        rate=50,
        limit=waiting + ROUNDS,
        pause_ms=600_000,
        seconds=60,
    )
    async with await SipClient.open(phone_at, transport) as phone, callers:

        async def all_wait() -> bool:
            return (await service.queue("billing"))["waiting"] == waiting + ROUNDS

        await eventually(all_wait, within=30)
        grown = resident_bytes(service.pid) - memory
        await phone.register("1001", PASSWORD)
        invite, _ = await _next_invite(phone)
        took = []
        for _ in range(ROUNDS - 1):
            phone.answer(invite, 200, sdp=SDP)
            await _next_of(phone, "ACK")
            await asyncio.sleep(0.02)  # until the bridge stands and the machine is at rest
            freed = time.perf_counter()
            phone.send(_bye(phone, invite))
            invite, arrived = await _next_invite(phone)
            took.append((arrived - freed) * 1000)
        phone.answer(invite, 486, "Busy Here")
    took.sort()
    return {
        "waiting": waiting,
        "p50_ms": round(statistics.median(took), 2),
        "p95_ms": round(took[len(took) * 95 // 100], 2),
        "p99_ms": round(took[len(took) * 99 // 100], 2),
        "kilobytes_a_waiting_call": round(grown / (waiting + ROUNDS) / 1024, 1),
    }


DIRECTORY = {
    **standard_directory(agents=1),
    "trunks": [{"name": "carrier", "match": ["127.0.0.2/32"], "max_calls": 5000}],
}


def _pin_this_process() -> None:
    os.sched_setaffinity(0, {1} if (os.cpu_count() or 1) > 1 else {0})


@pytest.mark.parametrize("waiting", [100, 1000])
def test_bench_hand_out(benchmark: BenchmarkFixture, tmp_path: Path, waiting: int) -> None:
    service = RunningService(
        tmp_path,
        DIRECTORY,
        {"log": {"level": "warning"}, "media": {"ports": "20000-29999", "rtp_timeout_seconds": 600}},
    )
    _pin_this_process()
    service.start()
    pin(service.pid, 0)
    try:
        measure = partial(_measure, service, waiting, service.sip_address, "udp")
        found = benchmark.pedantic(lambda: asyncio.run(measure()), rounds=1, iterations=1)
    finally:
        service.stop()
    benchmark.extra_info.update(found)
    print(found)


def test_bench_hand_out_to_a_phone_of_another_node(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    settings = {"log": {"level": "warning"}, "media": {"rtp_timeout_seconds": 600}}
    _pin_this_process()
    with two_nodes(tmp_path, DIRECTORY, settings) as (edge, service):
        for node in (edge, service):
            pin(node.pid, 0)
        measure = partial(_measure, service, 100, edge.sip_address, "tcp")
        found = benchmark.pedantic(lambda: asyncio.run(measure()), rounds=1, iterations=1)
    benchmark.extra_info.update(found)
    print(found)
