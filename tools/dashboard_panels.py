"""What panels of the dashboard are made of, and the expressions that many of them share.

Gauges of queues and agents come from the shared store, so that every node exports the same values:
they are folded with max. Counters and histograms are each node's own: they are added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RATE = "[$__rate_interval]"
QUEUE = '{queue=~"$queue"}'
NODE = '{instance=~"$instance"}'


@dataclass(frozen=True, slots=True)
class Query:
    expression: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """`span` of 24 columns. `limits` colour a value: (from, colour), the first one from minus infinity."""

    title: str
    unit: str
    queries: tuple[Query, ...]
    kind: Literal["timeseries", "stat"] = "timeseries"
    span: int = 8
    description: str = ""
    stacked: bool = False
    limits: tuple[tuple[float | None, str], ...] = ()
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


def summed(metric: str, by: str, window: str = RATE, labels: str = QUEUE) -> str:
    return f"sum by ({by}) (rate({metric}{labels}{window}))"


def quantile(share: float, metric: str, by: str, labels: str = QUEUE) -> str:
    return f"histogram_quantile({share}, {summed(metric + '_bucket', f'{by}, le', labels=labels)})"


def mean(metric: str, by: str, window: str = RATE, labels: str = QUEUE) -> str:
    total = summed(f"{metric}_sum", by, window, labels)
    return f"{total} / {summed(f'{metric}_count', by, window, labels)}"


def quantiles(metric: str, by: str, labels: str = QUEUE) -> tuple[Query, ...]:
    name = "{{" + by + "}}"
    return tuple(
        Query(quantile(share, metric, by, labels), f"{name} p{round(share * 100)}") for share in (0.5, 0.9)
    )
