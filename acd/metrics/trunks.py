"""Metrics of trunks: what they bring, what goes out over them, and whether their hosts are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric

from acd.directory.model import Trunk
from acd.metrics.families import counter, gauge
from acd.sip.trunk_status import REFUSALS, TrunkStatus


def trunk_metrics(
    trunks: Mapping[str, Trunk], known: Mapping[str, TrunkStatus], *, draining: bool
) -> Iterator[Metric]:
    """Of every trunk of the directory."""
    now = {
        name: known.get(name) or TrunkStatus(only_brings=not trunk.hosts) for name, trunk in trunks.items()
    }
    yield gauge(
        "acd_trunk_calls", "Live calls of the trunk.", "trunk", ((name, now[name].calls) for name in now)
    )
    yield gauge(
        "acd_trunk_max_calls",
        "Calls that the trunk may have at once.",
        "trunk",
        ((name, trunk.max_calls) for name, trunk in trunks.items()),
    )
    yield gauge(
        "acd_trunk_takes_calls",
        "1 while this node would take a new call of the trunk.",
        "trunk",
        ((name, not draining and now[name].calls < trunk.max_calls) for name, trunk in trunks.items()),
    )
    yield from _hosts(now)
    yield from _calls_out(now)


def _hosts(now: Mapping[str, TrunkStatus]) -> Iterator[Metric]:
    yield gauge(
        "acd_trunk_up",
        "1 while a host of the trunk is up and, where we register, has bound us; 1 where it has no hosts.",
        "trunk",
        ((name, status.is_up) for name, status in now.items()),
    )
    yield gauge(
        "acd_trunk_hosts",
        "Addresses of the trunk's hosts.",
        "trunk",
        ((name, len(status.hosts)) for name, status in now.items()),
    )
    yield gauge(
        "acd_trunk_hosts_up",
        "Addresses of the trunk's hosts that are up.",
        "trunk",
        ((name, sum(host.is_up for host in status.hosts)) for name, status in now.items()),
    )
    yield gauge(
        "acd_trunk_registered",
        "1 while the trunk has bound us; absent where we do not register.",
        "trunk",
        ((name, status.is_registered) for name, status in now.items() if status.is_registered is not None),
    )


def _calls_out(now: Mapping[str, TrunkStatus]) -> Iterator[Metric]:
    yield counter(
        "acd_trunk_calls_out",
        "Calls made over the trunk.",
        "trunk",
        ((name, status.calls_out) for name, status in now.items()),
    )
    yield counter(
        "acd_trunk_calls_out_answered",
        "Calls made over the trunk that were answered.",
        "trunk",
        ((name, status.answered_out) for name, status in now.items()),
    )
    yield counter(
        "acd_trunk_failovers",
        "Attempts that another host of the trunk had to make up for.",
        "trunk",
        ((name, status.failovers) for name, status in now.items()),
    )
    refused = CounterMetricFamily(
        "acd_trunk_calls_out_refused", "Calls that did not go out over the trunk.", labels=["trunk", "cause"]
    )
    for name, status in now.items():
        for cause in REFUSALS:
            refused.add_metric([name, cause], status.refused_out.get(cause, 0))
    yield refused
