"""What became of Redis, as this node saw it."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric

from acd.metrics.counts import NodeCounts
from routing.outages import SAID_AGAIN, Trouble


def store_metrics(node: NodeCounts) -> Iterator[Metric]:
    """Outages, and what they brought."""
    outages = CounterMetricFamily(
        "acd_redis_outages", "Times that the store was away, or had lost something.", labels=["kind"]
    )
    for kind in Trouble:
        outages.add_metric([kind], node.redis_outages.get(kind, 0))
    yield outages
    yield CounterMetricFamily(
        "acd_redis_scripts_reloaded",
        "Times that the store had lost its scripts and got them again.",
        value=node.redis_scripts_reloaded,
    )
    again = CounterMetricFamily(
        "acd_reasserted", "Calls and agents said again to a store that may have lost them.", labels=["what"]
    )
    for what in SAID_AGAIN:
        again.add_metric([what], node.said_again.get(what, 0))
    yield again
