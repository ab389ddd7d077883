"""What the dashboard shows: rows of panels, each with its expressions.

Gauges of queues and agents come from the shared store, so that every node exports the same values:
they are folded with max. Counters and histograms are each node's own: they are added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from grafana_foundation_sdk.models import units

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


def _summed(metric: str, by: str, window: str = RATE, labels: str = QUEUE) -> str:
    return f"sum by ({by}) (rate({metric}{labels}{window}))"


def _quantile(share: float, metric: str, by: str, labels: str = QUEUE) -> str:
    return f"histogram_quantile({share}, {_summed(metric + '_bucket', f'{by}, le', labels=labels)})"


def _mean(metric: str, by: str, window: str = RATE, labels: str = QUEUE) -> str:
    total = _summed(f"{metric}_sum", by, window, labels)
    return f"{total} / {_summed(f'{metric}_count', by, window, labels)}"


def _quantiles(metric: str, by: str, labels: str = QUEUE) -> tuple[Query, ...]:
    name = "{{" + by + "}}"
    return tuple(
        Query(_quantile(share, metric, by, labels), f"{name} p{round(share * 100)}") for share in (0.5, 0.9)
    )


def _service_level(window: str) -> str:
    """Answered in target / (answered + abandoned - abandoned within five seconds)."""
    answered = _summed("acd_queue_answer_wait_seconds_count", "queue", window)
    abandoned = _summed("acd_queue_abandoned_total", "queue", window)
    short = _summed("acd_queue_abandon_wait_seconds_bucket", "queue", window, '{queue=~"$queue", le="5.0"}')
    return (
        f"{_summed('acd_queue_answered_in_target_total', 'queue', window)}"
        f" / ({answered} + {abandoned} - {short})"
    )


QUEUES = Row(
    "Queues",
    (
        Panel(
            "Callers waiting",
            units.Short,
            (Query(f"max by (queue) (acd_queue_waiting{QUEUE})", "{{queue}}"),),
            stacked=True,
        ),
        Panel(
            "Longest wait",
            units.Seconds,
            (Query(f"max by (queue) (acd_queue_longest_wait_seconds{QUEUE})", "{{queue}}"),),
            limits=((None, "green"), (60, "orange"), (180, "red")),
        ),
        Panel(
            "Expected wait",
            units.Seconds,
            (Query(f"max by (queue) (acd_queue_expected_wait_seconds{QUEUE})", "{{queue}}"),),
        ),
        Panel(
            "Error of the expected wait",
            units.Seconds,
            (Query(_mean("acd_queue_expected_wait_error_seconds", "queue, when"), "{{queue}} {{when}}"),),
        ),
        Panel(
            "Callers for whom an agent rings",
            units.Short,
            (Query(f"max by (queue) (acd_queue_ringing{QUEUE})", "{{queue}}"),),
        ),
        Panel(
            "Callers entering",
            units.CountsPerMinute,
            (Query(f"60 * {_summed('acd_queue_offered_total', 'queue')}", "{{queue}}"),),
        ),
        Panel(
            "Abandoned",
            units.CountsPerMinute,
            (
                Query(f"60 * {_summed('acd_queue_abandoned_total', 'queue')}", "{{queue}}"),
                Query(
                    f"60 * {_summed('acd_queue_timed_out_total', 'queue')}", "{{queue}} longest wait passed"
                ),
                Query(f"60 * {_summed('acd_queue_overflowed_total', 'queue')}", "{{queue}} left by a rule"),
            ),
        ),
        Panel(
            "Share abandoned",
            units.PercentUnit,
            (
                Query(
                    f"{_summed('acd_queue_abandoned_total', 'queue', '[$__range]')}"
                    f" / {_summed('acd_queue_offered_total', 'queue', '[$__range]')}",
                    "{{queue}}",
                ),
            ),
            kind="stat",
            limits=((None, "green"), (0.05, "orange"), (0.1, "red")),
            description="Of the callers who entered the queue in the time shown.",
        ),
    ),
)

SERVICE_LEVEL = Row(
    "Service level",
    (
        Panel(
            "Service level",
            units.PercentUnit,
            (Query(_service_level("[$__range]"), "{{queue}}"),),
            kind="stat",
            limits=((None, "red"), (0.7, "orange"), (0.8, "green")),
            description="In the time shown: answered in target / (answered + abandoned after 5 s or more).",
        ),
        Panel(
            "Service level over time",
            units.PercentUnit,
            (Query(_service_level(RATE), "{{queue}}"),),
            span=16,
            limits=((None, "red"), (0.7, "orange"), (0.8, "green")),
            most=1.0,
        ),
        Panel(
            "Average speed of answer",
            units.Seconds,
            (
                Query(_mean("acd_queue_answer_wait_seconds", "queue"), "{{queue}}"),
                Query(
                    f"max by (queue) (acd_queue_service_level_target_seconds{QUEUE})",
                    "{{queue}} service level",
                ),
            ),
        ),
        Panel("Wait until answered", units.Seconds, _quantiles("acd_queue_answer_wait_seconds", "queue")),
        Panel("Wait until given up", units.Seconds, _quantiles("acd_queue_abandon_wait_seconds", "queue")),
    ),
)

_BUSY = 'acd_agents_all{state=~"offered|talking|wrapup"}'
_THERE = 'acd_agents_all{state=~"available|offered|talking|wrapup"}'

AGENTS = Row(
    "Agents",
    (
        Panel(
            "Agents by state",
            units.Short,
            (Query("max by (state) (acd_agents_all)", "{{state}}"),),
            stacked=True,
            description="Every agent once.",
        ),
        Panel(
            "Free agents by queue",
            units.Short,
            (Query('max by (queue) (acd_agents{queue=~"$queue", state="available"})', "{{queue}}"),),
            description="An agent who serves several queues is counted in each.",
        ),
        Panel(
            "Occupancy",
            units.PercentUnit,
            (
                Query(
                    f"sum(max by (state) ({_BUSY})) / (sum(max by (state) ({_THERE})) > 0)",
                    "all agents signed in and not paused",
                ),
            ),
            most=1.0,
            description="Share of agents who ring, talk or wrap up.",
        ),
        Panel("Ring time", units.Seconds, _quantiles("acd_agent_ring_seconds", "queue")),
        Panel(
            "Offers that failed",
            units.CountsPerMinute,
            (Query(f"60 * {_summed('acd_agent_offers_failed_total', 'reason')}", "{{reason}}"),),
            stacked=True,
        ),
        Panel(
            "Share of offers taken",
            units.PercentUnit,
            (
                Query(
                    f"1 - {_summed('acd_agent_offers_failed_total', 'queue', '[$__range]')}"
                    f" / {_summed('acd_agent_offers_total', 'queue', '[$__range]')}",
                    "{{queue}}",
                ),
            ),
            kind="stat",
        ),
        Panel("Talk time", units.Seconds, (Query(_mean("acd_talk_seconds", "queue"), "{{queue}}"),), span=12),
        Panel("Wrap-up", units.Seconds, (Query(_mean("acd_wrapup_seconds", "queue"), "{{queue}}"),), span=12),
        Panel(
            "Wrap-ups without the note that is required, in an hour",
            units.Short,
            (Query('sum by (queue) (increase(acd_notes_missed_total{queue=~"$queue"}[1h]))', "{{queue}}"),),
        ),
    ),
)

CALLS = Row(
    "Calls",
    (
        Panel(
            "Live calls by state",
            units.Short,
            (Query(f"sum by (state) (acd_calls{NODE})", "{{state}}"),),
            stacked=True,
        ),
        Panel(
            "Calls taken in",
            units.CountsPerMinute,
            (Query(f"60 * {_summed('acd_calls_started_total', 'trunk', labels=NODE)}", "{{trunk}}"),),
        ),
        Panel(
            "Calls ended, by outcome",
            units.CountsPerMinute,
            (Query(f"60 * {_summed('acd_calls_ended_total', 'outcome', labels=NODE)}", "{{outcome}}"),),
            stacked=True,
        ),
        Panel(
            "Calls ended, by cause",
            units.CountsPerMinute,
            (Query(f"60 * {_summed('acd_calls_ended_total', 'cause', labels=NODE)}", "{{cause}}"),),
            stacked=True,
        ),
        Panel(
            "Voice messages",
            units.Short,
            (Query(f"sum by (state) (max by (kind, state) (acd_voicemail_messages{NODE}))", "{{state}}"),),
            stacked=True,
        ),
        Panel(
            "Voice messages taken and lost",
            units.CountsPerMinute,
            (
                Query(f"60 * {_summed('acd_voicemail_taken_total', 'kind', labels=NODE)}", "{{kind}}"),
                Query(
                    f"60 * {_summed('acd_voicemail_lost_total', 'reason', labels=NODE)}", "lost: {{reason}}"
                ),
            ),
        ),
    ),
)

TRUNKS = Row(
    "Trunks",
    (
        Panel(
            "Calls to the outside, by outcome",
            units.CountsPerMinute,
            (Query(f"60 * {_summed('acd_outside_calls_total', 'outcome', labels=NODE)}", "{{outcome}}"),),
            stacked=True,
        ),
        Panel(
            "Numbers outside not called, by cause",
            units.CountsPerMinute,
            (Query(f"60 * {_summed('acd_dial_refused_total', 'cause', labels=NODE)}", "{{cause}}"),),
            stacked=True,
        ),
        Panel(
            "Trunk use",
            units.PercentUnit,
            (
                Query(
                    f"sum by (trunk, instance) (acd_trunk_calls{NODE})"
                    f" / sum by (trunk, instance) (acd_trunk_max_calls{NODE})",
                    "{{trunk}} {{instance}}",
                ),
            ),
            limits=((None, "green"), (0.8, "orange"), (0.95, "red")),
            most=1.0,
        ),
        Panel(
            "Trunks that are up",
            units.BoolYesNo,
            (Query(f"min by (trunk, instance) (acd_trunk_up{NODE})", "{{trunk}} {{instance}}"),),
            kind="stat",
            span=4,
            limits=((None, "red"), (1, "green")),
            description="A host answers and has bound us; yes for a trunk that only brings calls.",
        ),
        Panel(
            "Trunks that take calls",
            units.BoolYesNo,
            (Query(f"min by (trunk, instance) (acd_trunk_takes_calls{NODE})", "{{trunk}} {{instance}}"),),
            kind="stat",
            span=4,
            limits=((None, "red"), (1, "green")),
            description="Under the limit, on a node that is not draining.",
        ),
        Panel(
            "Last call of the trunk",
            units.Seconds,
            (Query(f"time() - max by (trunk) (acd_trunk_last_call_timestamp_seconds{NODE})", "{{trunk}}"),),
            kind="stat",
            span=4,
            description="How long ago.",
        ),
        Panel(
            "Hosts up",
            units.Short,
            (Query(f"sum by (trunk, instance) (acd_trunk_hosts_up{NODE})", "{{trunk}} {{instance}}"),),
            span=4,
        ),
        Panel(
            "Calls out",
            units.CountsPerMinute,
            (
                Query(f"60 * {_summed('acd_trunk_calls_out_total', 'trunk', labels=NODE)}", "{{trunk}}"),
                Query(
                    f"60 * {_summed('acd_trunk_calls_out_answered_total', 'trunk', labels=NODE)}",
                    "{{trunk}} answered",
                ),
            ),
        ),
        Panel(
            "Calls out that needed another host, or did not go out",
            units.CountsPerMinute,
            (
                Query(
                    f"60 * {_summed('acd_trunk_failovers_total', 'trunk', labels=NODE)}",
                    "{{trunk}} another host",
                ),
                Query(
                    f"60 * {_summed('acd_trunk_calls_out_refused_total', 'trunk, cause', labels=NODE)}",
                    "{{trunk}} {{cause}}",
                ),
            ),
        ),
    ),
)

_RESPONSES = "acd_sip_responses_total"
_FIVES = '{instance=~"$instance", code=~"5.."}'

SIP = Row(
    "SIP",
    (
        Panel(
            "Responses by code",
            units.CountsPerSecond,
            (Query(_summed(_RESPONSES, "method, code", labels=NODE), "{{method}} {{code}}"),),
        ),
        Panel(
            "Share of 5xx",
            units.PercentUnit,
            (
                Query(
                    f"(sum(rate({_RESPONSES}{_FIVES}{RATE})) or vector(0))"
                    f" / sum(rate({_RESPONSES}{NODE}{RATE}))",
                    "5xx",
                ),
            ),
            limits=((None, "green"), (0.01, "orange"), (0.05, "red")),
        ),
        Panel(
            "Requests turned away",
            units.CountsPerSecond,
            (
                Query(
                    f"{_summed('acd_sip_rejected_total', 'reason', labels=NODE)} or vector(0)", "{{reason}}"
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Registered contacts",
            units.Short,
            (Query(f"sum by (instance) (acd_sip_registrations{NODE})", "{{instance}}"),),
            span=12,
        ),
        Panel(
            "Open connections",
            units.Short,
            (Query(f"sum by (transport) (acd_sip_connections{NODE})", "{{transport}}"),),
            span=12,
        ),
        Panel(
            "Connections refused or broken off",
            units.CountsPerSecond,
            (
                Query(
                    f"{_summed('acd_sip_connections_broken_total', 'reason', labels=NODE)} or vector(0)",
                    "{{reason}}",
                ),
            ),
            stacked=True,
        ),
    ),
)

_LOST = f"sum by (side) (rate(acd_rtp_lost_packets_total{NODE}{RATE}))"
_GOT = f"sum by (side) (rate(acd_rtp_packets_received_total{NODE}{RATE}))"

MEDIA = Row(
    "Media",
    (
        Panel(
            "Open legs",
            units.Short,
            (Query(f"sum by (instance) (acd_media_legs{NODE})", "{{instance}}"),),
        ),
        Panel(
            "Free ports",
            units.PercentUnit,
            (
                Query(
                    f"sum by (instance) (acd_media_ports_free{NODE})"
                    f" / sum by (instance) (acd_media_ports{NODE})",
                    "{{instance}}",
                ),
            ),
            limits=((None, "red"), (0.1, "orange"), (0.3, "green")),
            most=1.0,
        ),
        Panel(
            "Estimated MOS",
            units.Short,
            (
                Query(_mean("acd_rtp_mos", "side", labels=NODE), "{{side}} mean"),
                Query(_quantile(0.1, "acd_rtp_mos", "side", NODE), "{{side}} worst tenth"),
            ),
            limits=((None, "red"), (3.6, "orange"), (4.0, "green")),
            most=4.5,
        ),
        Panel("Packets lost", units.PercentUnit, (Query(f"{_LOST} / ({_LOST} + {_GOT})", "{{side}}"),)),
        Panel("Jitter", units.Seconds, _quantiles("acd_rtp_jitter_seconds", "side", NODE)),
        Panel(
            "Legs without audio, and packets dropped",
            units.CountsPerMinute,
            (
                Query(
                    f"60 * {_summed('acd_rtp_one_way_legs_total', 'side', labels=NODE)}", "{{side}} one-way"
                ),
                Query(
                    f"60 * {_summed('acd_rtp_dropped_packets_total', 'side', labels=NODE)}",
                    "{{side}} dropped",
                ),
            ),
        ),
    ),
)

_LAG = f"sum by (instance, le) (rate(acd_event_loop_lag_seconds_bucket{NODE}{RATE}))"

NODES = Row(
    "Node",
    (
        Panel(
            "Nodes",
            units.Short,
            (Query(f"acd_build_info{NODE}", "{{node}} {{version}}"),),
            kind="stat",
            span=6,
        ),
        Panel(
            "Redis answers",
            units.BoolYesNo,
            (Query(f"min by (instance) (acd_redis_up{NODE})", "{{instance}}"),),
            kind="stat",
            span=6,
            limits=((None, "red"), (1, "green")),
        ),
        Panel(
            "Draining, overloaded",
            units.BoolYesNo,
            (
                Query(f"max by (instance) (acd_draining{NODE})", "{{instance}} draining"),
                Query(f"max by (instance) (acd_overloaded{NODE})", "{{instance}} overloaded"),
            ),
            kind="stat",
            span=6,
            limits=((None, "green"), (1, "orange")),
        ),
        Panel(
            "Up for",
            units.Seconds,
            (Query(f"time() - process_start_time_seconds{NODE}", "{{instance}}"),),
            kind="stat",
            span=6,
        ),
        Panel(
            "Event loop lag p99", units.Seconds, (Query(f"histogram_quantile(0.99, {_LAG})", "{{instance}}"),)
        ),
        Panel(
            "Reading live state from Redis",
            units.Seconds,
            (Query(f"max by (instance) (acd_redis_read_seconds{NODE})", "{{instance}}"),),
        ),
        Panel(
            "CPU of the signalling process",
            units.PercentUnit,
            (Query(f"rate(process_cpu_seconds_total{NODE}{RATE})", "{{instance}}"),),
        ),
        Panel(
            "Outages of Redis, by kind",
            units.Short,
            (Query(f"sum by (kind) (increase(acd_redis_outages_total{NODE}{RATE}))", "{{kind}}"),),
            span=12,
        ),
        Panel(
            "Said again to Redis",
            units.Short,
            (Query(f"sum by (what) (increase(acd_reasserted_total{NODE}{RATE}))", "{{what}}"),),
            span=12,
        ),
        Panel(
            "Memory",
            units.BytesIEC,
            (Query(f"process_resident_memory_bytes{NODE}", "{{instance}}"),),
            span=12,
        ),
        Panel(
            "File descriptors",
            units.PercentUnit,
            (Query(f"process_open_fds{NODE} / process_max_fds{NODE}", "{{instance}}"),),
            span=12,
        ),
    ),
)

ROWS = (QUEUES, SERVICE_LEVEL, AGENTS, CALLS, TRUNKS, SIP, MEDIA, NODES)
