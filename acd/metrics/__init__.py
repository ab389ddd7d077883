"""Prometheus metrics of one node."""

from acd.metrics.counts import NodeCounts
from acd.metrics.registry import Metrics

__all__ = ["Metrics", "NodeCounts"]
