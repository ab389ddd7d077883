"""The one registry of a node: facts in, the text format out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from acd import __version__
from acd.agents.staffing import Live, LiveStore, read_live
from acd.calls.facts import CallFact
from acd.clock import Clock
from acd.directory.model import Directory
from acd.metrics.calls import CallMetrics
from acd.metrics.counts import NodeCounts
from acd.metrics.lag import LoopLag
from acd.metrics.live import LiveCollector, Moment

_LAG_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
_STORE_TIMEOUT_SECONDS = 2.0

_log = logging.getLogger(__name__)


class Metrics:
    """An Observer of call facts (acd.calls.facts) that renders itself for a scrape.

    `directory` gives the snapshot in force; `counts` what the parts of the node count themselves.
    """

    def __init__(
        self,
        *,
        node_id: str,
        clock: Clock,
        directory: Callable[[], Directory],
        store: LiveStore,
        counts: Callable[[], NodeCounts],
        expected_waits: Callable[[], Mapping[str, float]] = dict,
        unseen_callers: Callable[[], int] = int,
        routing_classes: Callable[[], int] = int,
    ) -> None:
        self._node_id = node_id
        self._clock = clock
        self._directory = directory
        self._store = store
        self._counts = counts
        self._expected_waits = expected_waits
        self._unseen_callers = unseen_callers
        self._routing_classes = routing_classes
        self._registry = CollectorRegistry()
        self._calls = CallMetrics(self._registry, directory, clock)
        self._live = LiveCollector()
        self._registry.register(self._live)
        ProcessCollector(registry=self._registry)
        lag = Histogram(
            "acd_event_loop_lag_seconds",
            "How late the signalling loop ran a timer.",
            registry=self._registry,
            buckets=_LAG_BUCKETS,
        )
        self._lags = lag
        self._lag: LoopLag | None = None
        self._rendering = asyncio.Lock()

    def __call__(self, fact: CallFact) -> None:
        """Count one fact. Takes some microseconds; never raises for what a peer sent."""
        self._calls(fact)

    def start(self, on_lag: Callable[[float], None]) -> None:
        """Begin to measure the running event loop; `on_lag` hears each sample, in seconds."""

        def observe(seconds: float) -> None:
            self._lags.observe(seconds)
            on_lag(seconds)

        self._lag = LoopLag(observe)
        self._lag.start(asyncio.get_running_loop())

    def stop(self) -> None:
        if self._lag is not None:
            self._lag.stop()

    async def render(self) -> bytes:
        """The Prometheus text format (version 0.0.4). Reads the store once; a store that is away shows as
        acd_redis_up 0 and leaves the gauges of queues and agents out."""
        async with self._rendering:
            self._calls.follow_directory()
            self._live.show(await self._moment())
            # Formatting thousands of series takes milliseconds of CPU; signalling must not wait for them.
            return await asyncio.to_thread(generate_latest, _WithoutCreated(self._registry))

    async def _moment(self) -> Moment:
        directory = self._directory()
        began = self._clock.monotonic()
        live = await self._read(directory)
        return Moment(
            now=self._clock.time(),
            node_id=self._node_id,
            version=__version__,
            directory=directory,
            node=self._counts(),
            live=live,
            store_seconds=self._clock.monotonic() - began,
            expected_waits=self._expected_waits(),
            unseen_callers=self._unseen_callers(),
            routing_classes=self._routing_classes(),
        )

    async def _read(self, directory: Directory) -> Live | None:
        try:
            async with asyncio.timeout(_STORE_TIMEOUT_SECONDS):
                return await read_live(directory, self._store)
        except Exception as error:  # whatever the store's client raises, the other metrics stay readable
            _log.warning("live state not read for a scrape: %s", error or type(error).__name__)
            return None


class _WithoutCreated(Collector):
    """Leaves the `_created` series out: a third more lines that nothing reads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family
