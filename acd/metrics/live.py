"""Gauges read at the moment of a scrape: from the store, the directory and the node's own parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from acd.agents.staffing import Live, Staffing, count_states
from acd.calls.model import State
from acd.directory.model import Directory
from acd.metrics.counts import NodeCounts
from acd.metrics.families import gauge
from acd.metrics.store import store_metrics
from acd.metrics.trunks import trunk_metrics

_METHODS = frozenset(
    [
        "ACK",
        "BYE",
        "CANCEL",
        "INFO",
        "INVITE",
        "MESSAGE",
        "NOTIFY",
        "OPTIONS",
        "PRACK",
        "PUBLISH",
        "REFER",
        "REGISTER",
        "SUBSCRIBE",
        "UPDATE",
    ]
)
_STREAMS = ("tcp", "tls", "ws", "wss")
_LIVE_STATES = tuple(state for state in State if state is not State.ENDED)


@dataclass(frozen=True, slots=True)
class Moment:
    """Everything one scrape shows. `live` is None while the store cannot be read."""

    now: float
    node_id: str
    version: str
    directory: Directory
    node: NodeCounts
    live: Live | None
    store_seconds: float
    expected_waits: Mapping[str, float]
    unseen_callers: int = 0
    routing_classes: int = 0


class LiveCollector(Collector):
    """Shows the moment that was set last; never reads anything itself."""

    def __init__(self) -> None:
        self._moment: Moment | None = None
        self._staffing = Staffing()

    def show(self, moment: Moment) -> None:
        self._moment = moment

    def collect(self) -> Iterator[Metric]:
        if self._moment is None:
            return
        yield from _node(self._moment)
        moment = self._moment
        yield from trunk_metrics(moment.directory.trunks, moment.node.trunks, draining=moment.node.draining)
        yield from _sip(self._moment.node)
        yield from _media(self._moment.node)
        yield from _messages(self._moment.node)
        yield from _webhooks(self._moment.node)
        if self._moment.live is not None:
            yield from _queues(self._moment.live, self._moment.now)
            yield gauge(
                "acd_queue_expected_wait_seconds",
                "Until somebody who came now would be answered; absent where nobody is there to.",
                "queue",
                self._moment.expected_waits.items(),
            )
            yield GaugeMetricFamily(
                "acd_expected_wait_unseen_calls",
                "Callers who wait and are too many for the expected wait to reckon with.",
                value=self._moment.unseen_callers,
            )
            yield GaugeMetricFamily(
                "acd_routing_classes",
                "Different needs of calls that the store knows; above 1,000 every match takes longer.",
                value=self._moment.routing_classes,
            )
            yield from _agents(self._moment.live, self._staffing)


def _node(moment: Moment) -> Iterator[Metric]:
    build = GaugeMetricFamily("acd_build_info", "Always 1.", labels=["version", "node"])
    build.add_metric([moment.version, moment.node_id], 1)
    yield build
    up = moment.live is not None
    yield GaugeMetricFamily("acd_redis_up", "1 while the store answers.", value=int(up))
    yield GaugeMetricFamily(
        "acd_redis_read_seconds", "Time that reading all live state took.", value=moment.store_seconds
    )
    yield from store_metrics(moment.node)
    yield GaugeMetricFamily(
        "acd_draining", "1 while no new call is taken in.", value=int(moment.node.draining)
    )
    yield GaugeMetricFamily(
        "acd_overloaded", "1 while new calls are refused for overload.", value=int(moment.node.overloaded)
    )
    calls = ((state, moment.node.calls.get(state, 0)) for state in _LIVE_STATES)
    yield gauge("acd_calls", "Live calls of this node.", "state", calls)


def _sip(node: NodeCounts) -> Iterator[Metric]:
    responses: dict[tuple[str, str], int] = {}
    for (method, code), total in node.sip_responses.items():
        key = (method if method in _METHODS else "other", str(code) if 100 <= code <= 699 else "other")
        responses[key] = responses.get(key, 0) + total
    family = CounterMetricFamily("acd_sip_responses", "SIP responses sent.", labels=["method", "code"])
    for (method, status), total in responses.items():
        family.add_metric([method, status], total)
    yield family
    rejected = CounterMetricFamily("acd_sip_rejected", "SIP requests turned away.", labels=["reason"])
    for reason, total in node.sip_rejected.items():
        rejected.add_metric([reason], total)
    yield rejected
    yield CounterMetricFamily(
        "acd_sip_dropped",
        "Datagrams and messages dropped unread, since their source was over its limit.",
        value=node.sip_dropped,
    )
    yield CounterMetricFamily(
        "acd_sip_retransmissions",
        "Messages that were said again, since nobody had answered.",
        value=node.sip_retransmissions,
    )
    by_transport = ((kind, node.sip_connections.get(kind, 0)) for kind in _STREAMS)
    yield gauge("acd_sip_connections", "Open SIP connections.", "transport", by_transport)
    broken = CounterMetricFamily(
        "acd_sip_connections_broken", "SIP connections refused or broken off by us.", labels=["reason"]
    )
    for reason, total in node.sip_connections_broken.items():
        broken.add_metric([reason], total)
    yield broken
    yield GaugeMetricFamily("acd_sip_registrations", "Contacts bound.", value=node.sip_registrations)
    yield GaugeMetricFamily(
        "acd_sip_subscriptions", "Lamps and message waiting lights.", value=node.sip_subscriptions
    )
    yield CounterMetricFamily(
        "acd_sip_passed", "Messages between our phones and other nodes, passed on.", value=node.sip_passed
    )
    yield GaugeMetricFamily("acd_nodes_up", "Other nodes of the site that live.", value=node.nodes_up)
    yield GaugeMetricFamily(
        "acd_clock_offset_seconds", "The machine's clock before the store's.", value=node.clock_ahead
    )


def _media(node: NodeCounts) -> Iterator[Metric]:
    yield GaugeMetricFamily("acd_media_legs", "Open media legs.", value=node.media_legs)
    yield GaugeMetricFamily("acd_media_ports_free", "RTP ports not in use.", value=node.media_ports_free)
    yield GaugeMetricFamily("acd_media_ports", "RTP ports of this node.", value=node.media_ports)
    yield CounterMetricFamily(
        "acd_media_worker_restarts", "Media workers that died.", value=node.media_worker_restarts
    )


_BOXES = ("agent", "queue", "box")


def _messages(node: NodeCounts) -> Iterator[Metric]:
    """By kind of box: a box may be an agent's, and there may be thousands of them."""
    kept = GaugeMetricFamily("acd_voicemail_messages", "Voice messages kept.", labels=["kind", "state"])
    taken = CounterMetricFamily("acd_voicemail_taken", "Voice messages taken.", labels=["kind"])
    for kind in _BOXES:
        for state in ("new", "heard"):
            kept.add_metric([kind, state], node.messages.get((kind, state), 0))
        taken.add_metric([kind], node.messages_taken.get(kind, 0))
    lost = CounterMetricFamily(
        "acd_voicemail_lost", "Callers whose voice message could not be kept.", labels=["reason"]
    )
    for reason in ("full", "failed", "disk-full", "overrun"):
        lost.add_metric([reason], node.messages_lost.get(reason, 0))
    yield from (kept, taken, lost)


def _webhooks(node: NodeCounts) -> Iterator[Metric]:
    deliveries = CounterMetricFamily(
        "acd_webhook_deliveries",
        "Messages delivered and given up (dead), and attempts that failed.",
        labels=["webhook", "outcome"],
    )
    for (name, outcome), total in node.webhook_outcomes.items():
        deliveries.add_metric([name, outcome], total)
    yield deliveries
    yield gauge(
        "acd_webhook_waiting", "Messages that wait to be delivered.", "webhook", node.webhook_waiting.items()
    )


def _queues(live: Live, now: float) -> Iterator[Metric]:
    statuses = live.queues.items()
    waiting = ((name, status.waiting) for name, status in statuses)
    ringing = ((name, status.offered) for name, status in statuses)
    oldest = (
        (name, 0.0 if status.oldest_ms is None else max(now - status.oldest_ms / 1000, 0.0))
        for name, status in statuses
    )
    targets = ((name, queue.service_level_seconds) for name, queue in live.directory.queues.items())
    yield gauge("acd_queue_waiting", "Callers waiting.", "queue", waiting)
    yield gauge("acd_queue_ringing", "Callers for whom an agent is rung.", "queue", ringing)
    yield from _callbacks(live)
    yield gauge("acd_queue_longest_wait_seconds", "Age of the oldest waiting call.", "queue", oldest)
    yield gauge("acd_queue_service_level_target_seconds", "The queue's service level.", "queue", targets)


_CALLBACK_ENDS = ("done", "failed", "cancelled", "expired")


def _callbacks(live: Live) -> Iterator[Metric]:
    """Counted by the store, so the same on every node."""
    noted = CounterMetricFamily("acd_queue_callbacks_noted", "Callbacks noted.", labels=["queue"])
    attempts = CounterMetricFamily("acd_queue_callback_attempts", "Customers called.", labels=["queue"])
    ended = CounterMetricFamily(
        "acd_queue_callbacks_ended", "Callbacks that ended, each once.", labels=["queue", "outcome"]
    )
    for name, status in live.queues.items():
        noted.add_metric([name], status.counters.get("callback-added", 0))
        attempts.add_metric([name], status.counters.get("callback-attempts", 0))
        for outcome in _CALLBACK_ENDS:
            ended.add_metric([name, outcome], status.counters.get(f"callback-{outcome}", 0))
    waiting = ((name, status.callbacks) for name, status in live.queues.items())
    yield gauge("acd_queue_callbacks", "Callers who are to be called back.", "queue", waiting)
    yield from (noted, attempts, ended)


def _agents(live: Live, staffing: Staffing) -> Iterator[Metric]:
    by_queue = GaugeMetricFamily(
        "acd_agents", "Agents who serve the queue; one agent may serve several.", labels=["queue", "state"]
    )
    for name, counts in staffing.count(live).items():
        for state, count in counts.items():
            by_queue.add_metric([name, state], count)
    yield by_queue
    everyone = count_states(status.state for status in live.agents.values())
    yield gauge("acd_agents_all", "All agents, each once.", "state", everyone.items())
