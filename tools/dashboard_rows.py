"""What the dashboard shows: rows of panels, each with its expressions. Here those about the centre."""

from __future__ import annotations

from grafana_foundation_sdk.models import units

from tools.dashboard_machinery import MEDIA, NODES, SIP, TRUNKS
from tools.dashboard_panels import NODE, QUEUE, RATE, Panel, Query, Row, mean, quantiles, summed


def _service_level(window: str) -> str:
    """Answered in target / (answered + abandoned - abandoned within five seconds)."""
    answered = summed("acd_queue_answer_wait_seconds_count", "queue", window)
    abandoned = summed("acd_queue_abandoned_total", "queue", window)
    short = summed("acd_queue_abandon_wait_seconds_bucket", "queue", window, '{queue=~"$queue", le="5.0"}')
    return (
        f"{summed('acd_queue_answered_in_target_total', 'queue', window)}"
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
            (Query(mean("acd_queue_expected_wait_error_seconds", "queue, when"), "{{queue}} {{when}}"),),
        ),
        Panel(
            "Callers for whom an agent rings",
            units.Short,
            (Query(f"max by (queue) (acd_queue_ringing{QUEUE})", "{{queue}}"),),
        ),
        Panel(
            "Callers entering",
            units.CountsPerMinute,
            (Query(f"60 * {summed('acd_queue_offered_total', 'queue')}", "{{queue}}"),),
        ),
        Panel(
            "Abandoned",
            units.CountsPerMinute,
            (
                Query(f"60 * {summed('acd_queue_abandoned_total', 'queue')}", "{{queue}}"),
                Query(
                    f"60 * {summed('acd_queue_timed_out_total', 'queue')}", "{{queue}} longest wait passed"
                ),
                Query(f"60 * {summed('acd_queue_overflowed_total', 'queue')}", "{{queue}} left by a rule"),
            ),
        ),
        Panel(
            "Share abandoned",
            units.PercentUnit,
            (
                Query(
                    f"{summed('acd_queue_abandoned_total', 'queue', '[$__range]')}"
                    f" / {summed('acd_queue_offered_total', 'queue', '[$__range]')}",
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
                Query(mean("acd_queue_answer_wait_seconds", "queue"), "{{queue}}"),
                Query(
                    f"max by (queue) (acd_queue_service_level_target_seconds{QUEUE})",
                    "{{queue}} service level",
                ),
            ),
        ),
        Panel("Wait until answered", units.Seconds, quantiles("acd_queue_answer_wait_seconds", "queue")),
        Panel("Wait until given up", units.Seconds, quantiles("acd_queue_abandon_wait_seconds", "queue")),
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
        Panel("Ring time", units.Seconds, quantiles("acd_agent_ring_seconds", "queue")),
        Panel(
            "Offers that failed",
            units.CountsPerMinute,
            (Query(f"60 * {summed('acd_agent_offers_failed_total', 'reason')}", "{{reason}}"),),
            stacked=True,
        ),
        Panel(
            "Share of offers taken",
            units.PercentUnit,
            (
                Query(
                    f"1 - {summed('acd_agent_offers_failed_total', 'queue', '[$__range]')}"
                    f" / {summed('acd_agent_offers_total', 'queue', '[$__range]')}",
                    "{{queue}}",
                ),
            ),
            kind="stat",
        ),
        Panel("Talk time", units.Seconds, (Query(mean("acd_talk_seconds", "queue"), "{{queue}}"),), span=12),
        Panel("Wrap-up", units.Seconds, (Query(mean("acd_wrapup_seconds", "queue"), "{{queue}}"),), span=12),
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
            (Query(f"60 * {summed('acd_calls_started_total', 'trunk', labels=NODE)}", "{{trunk}}"),),
        ),
        Panel(
            "Calls ended, by outcome",
            units.CountsPerMinute,
            (Query(f"60 * {summed('acd_calls_ended_total', 'outcome', labels=NODE)}", "{{outcome}}"),),
            stacked=True,
        ),
        Panel(
            "Calls ended, by cause",
            units.CountsPerMinute,
            (Query(f"60 * {summed('acd_calls_ended_total', 'cause', labels=NODE)}", "{{cause}}"),),
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
                Query(f"60 * {summed('acd_voicemail_taken_total', 'kind', labels=NODE)}", "{{kind}}"),
                Query(
                    f"60 * {summed('acd_voicemail_lost_total', 'reason', labels=NODE)}", "lost: {{reason}}"
                ),
            ),
        ),
    ),
)

ROWS = (QUEUES, SERVICE_LEVEL, AGENTS, CALLS, TRUNKS, SIP, MEDIA, NODES)
