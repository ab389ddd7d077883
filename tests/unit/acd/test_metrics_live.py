"""What is read at the moment of a scrape."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

import acd
from acd.metrics import NodeCounts
from acd.metrics.lag import LoopLag
from acd.sip.trunk_status import HostStatus, TrunkStatus
from routing.model import AgentState, AgentStatus, QueueStatus
from tests.support.control import NOW
from tests.support.metrics import COUNTS, Bench
from tests.support.net import patience


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_queues_show_who_waits_and_how_long(bench: Bench):
    value = await bench.scrape()
    assert value("acd_queue_waiting", queue="billing") == 3
    assert value("acd_queue_ringing", queue="billing") == 1
    assert value("acd_queue_longest_wait_seconds", queue="billing") == 42.5
    assert value("acd_queue_waiting", queue="support") == 0
    assert value("acd_queue_longest_wait_seconds", queue="support") == 0
    assert value("acd_queue_service_level_target_seconds", queue="support") == 25


async def test_a_store_whose_clock_is_ahead_makes_no_negative_wait(bench: Bench):
    bench.centre.store.queue_statuses["billing"] = QueueStatus("billing", 1, 0, int(NOW * 1000) + 5000)
    assert (await bench.scrape())("acd_queue_longest_wait_seconds", queue="billing") == 0


async def test_agents_count_in_each_queue_they_serve_and_once_in_all(bench: Bench):
    bench.centre.store.agent_statuses["cleo"] = AgentStatus("cleo", AgentState.NOT_ANSWERING, 1)
    value = await bench.scrape()
    assert value("acd_agents", queue="billing", state="talking") == 1
    assert value("acd_agents", queue="support", state="talking") == 1
    assert value("acd_agents", queue="billing", state="offline") == 1
    assert value("acd_agents", queue="support", state="not-answering") == 1
    assert value("acd_agents", queue="support", state="offline") == 0
    assert value("acd_agents_all", state="talking") == 1
    assert value("acd_agents_all", state="offline") == 1


async def test_the_nodes_own_counts_are_shown(bench: Bench):
    value = await bench.scrape()
    assert value("acd_calls", state="queued") == 3
    assert value("acd_calls", state="ivr") == 0
    assert value("acd_calls", state="ended") is None
    assert value("acd_sip_responses_total", method="INVITE", code="200") == 90
    assert value("acd_sip_rejected_total", reason="unknown-source") == 4
    assert value("acd_sip_dropped_total") == 21
    assert value("acd_sip_retransmissions_total") == 7
    assert value("acd_sip_passed_total") == 12
    assert value("acd_nodes_up") == 2
    assert value("acd_clock_offset_seconds") == -3.5
    assert value("acd_redis_outages_total", kind="away") == 2
    assert value("acd_redis_outages_total", kind="lease") == 0
    assert value("acd_redis_scripts_reloaded_total") == 1
    assert value("acd_reasserted_total", what="waiting") == 6
    assert value("acd_media_worker_restarts_total") == 2
    assert value("acd_sip_registrations") == 3
    assert value("acd_sip_subscriptions") == 4
    assert value("acd_webhook_deliveries_total", webhook="crm", outcome="dead") == 1
    assert value("acd_webhook_waiting", webhook="crm") == 2
    assert value("acd_sip_connections", transport="wss") == 1
    assert value("acd_sip_connections", transport="tls") == 0
    assert value("acd_sip_connections_broken_total", reason="slow-message") == 3
    assert value("acd_media_legs") == 5
    assert value("acd_media_ports_free") == 90
    assert value("acd_media_ports") == 100
    assert value("acd_build_info", version=acd.__version__, node="a") == 1


async def test_methods_and_codes_of_strangers_stay_bounded(bench: Bench):
    bench.counts = replace(COUNTS, sip_responses={(f"M{index}", index): 1 for index in range(5000, 5100)})
    value = await bench.scrape()
    assert value("acd_sip_responses_total", method="other", code="other") == 100
    assert len(value.families["acd_sip_responses"].samples) == 1


@pytest.mark.parametrize(
    ("calls", "draining", "takes"), [(0, False, 1), (1, False, 1), (2, False, 0), (0, True, 0)]
)
async def test_a_trunk_takes_calls_while_it_is_under_its_limit_and_the_node_stays(
    bench: Bench, calls: int, draining: bool, takes: int
):
    bench.counts = NodeCounts(trunks={"carrier": TrunkStatus(calls=calls)}, draining=draining)
    value = await bench.scrape()
    assert value("acd_trunk_takes_calls", trunk="carrier") == takes
    assert value("acd_trunk_calls", trunk="carrier") == calls
    assert value("acd_trunk_max_calls", trunk="carrier") == 2
    assert value("acd_draining") == draining


def _hosts(*up: bool) -> tuple[HostStatus, ...]:
    return tuple(
        HostStatus("sbc", "udp", (f"192.0.2.{n}", 5060), 1, 1, is_up) for n, is_up in enumerate(up, start=1)
    )


@pytest.mark.parametrize(
    ("status", "up"),
    [
        (TrunkStatus(), 1),
        (TrunkStatus(only_brings=False), 0),
        (TrunkStatus(_hosts(False, True), only_brings=False), 1),
        (TrunkStatus(_hosts(False, False), only_brings=False), 0),
        (TrunkStatus(_hosts(True), only_brings=False, is_registered=False), 0),
        (TrunkStatus(_hosts(True), only_brings=False, is_registered=True), 1),
    ],
)
async def test_a_trunk_is_up_where_a_host_is_and_has_bound_us(bench: Bench, status: TrunkStatus, up: int):
    bench.counts = NodeCounts(trunks={"carrier": status})
    value = await bench.scrape()
    assert value("acd_trunk_up", trunk="carrier") == up
    assert value("acd_trunk_hosts", trunk="carrier") == len(status.hosts)
    assert value("acd_trunk_hosts_up", trunk="carrier") == sum(host.is_up for host in status.hosts)
    wanted = None if status.is_registered is None else int(status.is_registered)
    assert value("acd_trunk_registered", trunk="carrier") == wanted


async def test_calls_out_are_counted_by_trunk_from_nothing_on(bench: Bench):
    bench.counts = NodeCounts()
    assert (await bench.scrape())("acd_trunk_calls_out_total", trunk="carrier") == 0
    status = TrunkStatus(calls_out=9, answered_out=7, failovers=2, refused_out={"trunk-rate": 3})
    bench.counts = NodeCounts(trunks={"carrier": status})
    value = await bench.scrape()
    assert value("acd_trunk_calls_out_total", trunk="carrier") == 9
    assert value("acd_trunk_calls_out_answered_total", trunk="carrier") == 7
    assert value("acd_trunk_failovers_total", trunk="carrier") == 2
    assert value("acd_trunk_calls_out_refused_total", trunk="carrier", cause="trunk-rate") == 3
    assert value("acd_trunk_calls_out_refused_total", trunk="carrier", cause="trunk-full") == 0


async def test_a_store_that_is_away_is_told_and_the_rest_stays_readable(bench: Bench):
    bench.centre.store.failure = RedisConnectionError("away")
    value = await bench.scrape()
    assert value("acd_redis_up") == 0
    assert "acd_queue_waiting" not in value.names
    assert value("acd_queue_offered_total", queue="billing") == 0
    bench.centre.store.failure = None
    value = await bench.scrape()
    assert value("acd_redis_up") == 1
    assert value("acd_queue_waiting", queue="billing") == 3


async def test_a_store_that_hangs_does_not_hang_the_scrape(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("acd.metrics.registry._STORE_TIMEOUT_SECONDS", 0.01)
    monkeypatch.setattr(bench.centre.store, "queues", lambda names: asyncio.Event().wait())
    assert (await bench.scrape())("acd_redis_up") == 0


async def test_scrapes_at_once_each_get_a_whole_answer(bench: Bench):
    texts = await asyncio.gather(*(bench.metrics.render() for _ in range(5)))
    assert all(text.endswith(b"\n") and b"acd_queue_waiting" in text for text in texts)
    assert bench.centre.store.reads == 5


async def test_the_process_is_shown_and_created_series_are_not(bench: Bench):
    value = await bench.scrape()
    assert {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"} <= value.names
    assert not [name for name in value.names if name.endswith("_created")]


class SteppedLoop:
    """The timers of an event loop, run by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, object, tuple[object, ...]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, due: float, run, *arguments: object) -> SteppedLoop:
        self.timers.append((due, run, arguments))
        return self

    def cancel(self) -> None:
        self.timers.clear()

    def run_late(self, by: float) -> None:
        due, run, arguments = self.timers.pop()
        self.now = due + by
        run(*arguments)


def test_the_lag_of_the_loop_is_how_late_its_timers_come():
    seen: list[float] = []
    loop, lag = SteppedLoop(), LoopLag(seen.append)
    lag.start(loop)  # type: ignore[arg-type]
    for late in (0.0, 0.25, 0.001):
        loop.run_late(late)
    assert [round(value, 6) for value in seen] == [0.0, 0.25, 0.001]
    lag.stop()
    assert loop.timers == []


async def test_the_running_loop_is_measured_between_start_and_stop(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("acd.metrics.lag._EVERY_SECONDS", 0.001)
    lags: list[float] = []
    bench.metrics.start(lags.append)
    async with asyncio.timeout(patience(5)):
        while not (await bench.scrape())("acd_event_loop_lag_seconds_count"):
            pass
    bench.metrics.stop()
    assert lags
