"""Rows of the dashboard about the machinery: trunks, SIP, media and the nodes themselves."""

from __future__ import annotations

from grafana_foundation_sdk.models import units

from tools.dashboard_panels import NODE, RATE, Panel, Query, Row, mean, quantile, quantiles, summed

TRUNKS = Row(
    "Trunks",
    (
        Panel(
            "Calls to the outside, by outcome",
            units.CountsPerMinute,
            (Query(f"60 * {summed('acd_outside_calls_total', 'outcome', labels=NODE)}", "{{outcome}}"),),
            stacked=True,
        ),
        Panel(
            "Numbers outside not called, by cause",
            units.CountsPerMinute,
            (Query(f"60 * {summed('acd_dial_refused_total', 'cause', labels=NODE)}", "{{cause}}"),),
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
                Query(f"60 * {summed('acd_trunk_calls_out_total', 'trunk', labels=NODE)}", "{{trunk}}"),
                Query(
                    f"60 * {summed('acd_trunk_calls_out_answered_total', 'trunk', labels=NODE)}",
                    "{{trunk}} answered",
                ),
            ),
        ),
        Panel(
            "Calls out that needed another host, or did not go out",
            units.CountsPerMinute,
            (
                Query(
                    f"60 * {summed('acd_trunk_failovers_total', 'trunk', labels=NODE)}",
                    "{{trunk}} another host",
                ),
                Query(
                    f"60 * {summed('acd_trunk_calls_out_refused_total', 'trunk, cause', labels=NODE)}",
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
            (Query(summed(_RESPONSES, "method, code", labels=NODE), "{{method}} {{code}}"),),
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
            (Query(f"{summed('acd_sip_rejected_total', 'reason', labels=NODE)} or vector(0)", "{{reason}}"),),
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
                    f"{summed('acd_sip_connections_broken_total', 'reason', labels=NODE)} or vector(0)",
                    "{{reason}}",
                ),
            ),
            stacked=True,
        ),
    ),
)

_LOST = f"sum by (side) (rate(acd_rtp_lost_packets_total{NODE}{RATE}))"
_FAR_LOST = f"sum by (side) (rate(acd_rtp_far_lost_packets_total{NODE}{RATE}))"
_SENT = f"sum by (side) (rate(acd_rtp_packets_sent_total{NODE}{RATE}))"
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
                Query(mean("acd_rtp_mos", "side", labels=NODE), "{{side}} mean"),
                Query(quantile(0.1, "acd_rtp_mos", "side", NODE), "{{side}} worst tenth"),
            ),
            limits=((None, "red"), (3.6, "orange"), (4.0, "green")),
            most=4.5,
        ),
        Panel(
            "Packets lost",
            units.PercentUnit,
            (
                Query(f"{_LOST} / ({_LOST} + {_GOT})", "from {{side}}"),
                Query(f"{_FAR_LOST} / {_SENT}", "to {{side}}, by its RTCP"),
            ),
        ),
        Panel("Jitter", units.Seconds, quantiles("acd_rtp_jitter_seconds", "side", NODE)),
        Panel(
            "Legs without audio, and packets dropped",
            units.CountsPerMinute,
            (
                Query(
                    f"60 * {summed('acd_rtp_one_way_legs_total', 'side', labels=NODE)}", "{{side}} one-way"
                ),
                Query(
                    f"60 * {summed('acd_rtp_dropped_packets_total', 'side', labels=NODE)}",
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
